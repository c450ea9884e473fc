"""The folder in which a terminal keeps everything: configuration, ledger, keys and state.

Folders are 0700, files with secrets 0600, all owned by the user who runs the terminal. A home that
is open to others is refused with the command that mends it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final

from ledger.log.disk import sync_directory
from terminal.configuration import TerminalConfig, parse
from terminal.errors import ConfigInvalid, HomeUnsafe, NotEnrolled

#: Number of an inherited file descriptor from which the passphrase is read instead of its file.
PASSPHRASE_FD_VARIABLE: Final = "REDCARD_PASSPHRASE_FD"  # noqa: S105 - a name, no secret
PASSPHRASE_BYTES_MAX: Final = 1024
_LEDGER_ID: Final = re.compile(r"[a-z2-7]{26}\Z")
_FOLDERS: Final = ("snapshot", "run", "trust")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the server answered at enrolment; written once, by the terminal itself.

    Attributes:
        ledger: ledger id, 26 characters ``[a-z2-7]``.
        domain: the federation's domain.
        epoch: number of this enrolment of the machine, from 1.
        vkeys: verifier keys of the server by their use: ``witness``, ``judgements``, ``feed``.
        recipient: age recipient of the server, for files carried by hand.
        card_key_id: which card key is in the key store.
    """

    ledger: str
    domain: str
    epoch: int
    vkeys: Mapping[str, str]
    recipient: str = ""
    card_key_id: str = ""

    @property
    def origin(self) -> str:
        """Origin line of the ledger's checkpoints, also the name of its key."""
        return f"{self.domain}/redcard/{self.ledger}"


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the running service listens, and the token of this start."""

    port: int
    token: str
    pid: int


class Home:
    """A terminal's folder. Opening it checks permissions and reads the configuration."""

    def __init__(self, path: Path, config: TerminalConfig) -> None:
        self.path = path
        self.config = config

    @property
    def ledger_path(self) -> Path:
        """The signed log; one writing process."""
        return self.path / "ledger.db"

    @property
    def sync_path(self) -> Path:
        """The courier's own database: cursor, receipts, judgements, metadata."""
        return self.path / "sync.db"

    @property
    def state_path(self) -> Path:
        """Taps under way, the time floor, supervisors; nothing that the ledger could not lose."""
        return self.path / "state.db"

    @property
    def keys_path(self) -> Path:
        """The sealed key store."""
        return self.path / "keys"

    @property
    def snapshot_path(self) -> Path:
        """The folder of verified targets in force."""
        return self.path / "snapshot"

    @property
    def root_path(self) -> Path:
        """The trusted root of the downlink, given at enrolment."""
        return self.path / "trust" / "root.json"

    @classmethod
    def create(cls, path: Path, configuration: str, passphrase: bytes | None = None) -> Home:
        """Makes a new home, or completes one; an existing configuration is never overwritten.

        Args:
            path: the folder.
            configuration: text of ``terminal.toml``, checked before anything is written.
            passphrase: of the key store; a random one is made when ``None``.

        Raises:
            ConfigInvalid: the configuration is malformed; nothing was written.
            HomeUnsafe: the folder exists and is open to others.
        """
        config = parse(configuration)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(path, "folder")
        for name in _FOLDERS:
            (path / name).mkdir(mode=0o700, exist_ok=True)
        write_private(path / "terminal.toml", configuration.encode(), replace=False)
        secret = passphrase if passphrase is not None else token_urlsafe(32).encode()
        write_private(path / config.passphrase_file, secret + b"\n", replace=False)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Home:
        """Opens an existing home.

        Raises:
            HomeUnsafe: missing, of another user, or open to others.
            ConfigInvalid: the configuration is missing or malformed.
        """
        if not path.is_dir():
            raise HomeUnsafe(f"{path} is no terminal home; run `redcard init --home {path}`")
        _check_private(path, "folder")
        file = path / "terminal.toml"
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigInvalid("is missing; run `redcard init`", path=str(file)) from None
        except UnicodeDecodeError as error:
            raise ConfigInvalid(f"is not UTF-8: {error}", path=str(file)) from None
        home = cls(path, parse(text, str(file)))
        for name in ("keys", home.config.passphrase_file, "enrolment.json"):
            if (path / name).exists():
                _check_private(path / name, "file")
        for name in _FOLDERS:
            (path / name).mkdir(mode=0o700, exist_ok=True)
            _check_private(path / name, "folder")
        return home

    def passphrase(self, environment: Mapping[str, str] = os.environ) -> bytes:
        """The passphrase of the key store: from an inherited descriptor, else from its file.

        Raises:
            HomeUnsafe: neither can be read, or it is empty or too long.
        """
        number = environment.get(PASSPHRASE_FD_VARIABLE)
        if number is not None:
            if not number.isdigit():
                raise HomeUnsafe(f"{PASSPHRASE_FD_VARIABLE} must be the number of an open file")
            try:
                with os.fdopen(int(number), "rb") as stream:
                    data = stream.read(PASSPHRASE_BYTES_MAX + 2)
            except OSError as error:
                raise HomeUnsafe(
                    f"cannot read the passphrase from its descriptor: {error}"
                ) from None
            return _passphrase(data, f"descriptor {number}")
        file = self.path / self.config.passphrase_file
        if not file.exists():
            raise HomeUnsafe(f"{file} is missing; restore it, or enrol this terminal again")
        _check_private(file, "file")
        return _passphrase(file.read_bytes(), str(file))

    def enrolment(self) -> Enrolment:
        """What the server answered at enrolment.

        Raises:
            NotEnrolled: this home has no ledger id yet.
            ConfigInvalid: the file is malformed.
        """
        file = self.path / "enrolment.json"
        if not file.exists():
            raise NotEnrolled(
                f"{self.path} is not enrolled; run `redcard init --server URL` with a code"
            )
        try:
            values = json.loads(file.read_bytes())
            enrolment = Enrolment(**values)
        except (ValueError, TypeError) as error:
            raise ConfigInvalid(
                f"is malformed ({error}); restore it from a copy", path=str(file)
            ) from None
        if not _LEDGER_ID.match(str(enrolment.ledger)):
            raise ConfigInvalid("must be 26 characters a-z2-7", path=str(file), field="ledger")
        return enrolment

    def write_enrolment(self, enrolment: Enrolment) -> None:
        """Stores the server's answer; atomic, 0600."""
        values: dict[str, Any] = {**asdict(enrolment), "vkeys": dict(enrolment.vkeys)}
        write_private(
            self.path / "enrolment.json", json.dumps(values, indent=1).encode(), replace=True
        )

    def write_api(self, address: ApiAddress) -> None:
        """Tells this user's other processes where the service listens."""
        document = json.dumps(asdict(address)).encode()
        write_private(self.path / "run" / "api.json", document, replace=True)

    def read_api(self) -> ApiAddress | None:
        """Where the running service listens, or ``None`` when none has said so."""
        try:
            return ApiAddress(**json.loads((self.path / "run" / "api.json").read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None

    def forget_api(self) -> None:
        """Removes the address at a clean stop."""
        (self.path / "run" / "api.json").unlink(missing_ok=True)


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Writes a file that only this user may read, whole or not at all, and durable.

    Args:
        path: where.
        data: its whole content.
        replace: whether an existing file is replaced; if not, it is left as it is.
    """
    if path.exists() and not replace:
        return
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def _check_private(path: Path, what: str) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise HomeUnsafe(
            f"the {what} {path} belongs to user {status.st_uid}; run as that user, or chown it"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = "700" if what == "folder" else "600"
        raise HomeUnsafe(f"the {what} {path} is open to other users; run `chmod {mode} {path}`")


def _passphrase(data: bytes, source: str) -> bytes:
    passphrase = data.removesuffix(b"\n")
    if not 1 <= len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise HomeUnsafe(
            f"the passphrase from {source} must have 1 to {PASSPHRASE_BYTES_MAX} bytes"
        )
    return passphrase
