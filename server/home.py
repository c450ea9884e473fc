"""The server's folder: configuration, keys, and what the custodians take away with them.

``server.toml``            domain, database, address
``keys``                   the server's own keys, under ``passphrase``
``passphrase``             mode 0600; better kept elsewhere, see ``passphrase_of``
``card_key.age``           the federation's card key, encrypted to the server's own age recipient
``tuf/``                   what is served below ``/v1/tuf/``
``offline/``               the custodians' keys; carried away after ``server init``
``run/``                   how to reach the running server
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from keys.keystore import KeyKind, KeyStore
from keys.passphrase import Argon2Cost, PassphraseKeyStore
from ledger.log.note import COSIGNATURE, KeySigner, check_name, vkey
from server.errors import HomeInvalid
from server.files import replace_file
from server.publish import CUSTODIANS, ONLINE_ROLES, key_name

LISTEN_DEFAULT: Final = "127.0.0.1:8440"
CARD_KEY_ID: Final = "k1"
CARD_KEY_BYTES: Final = 32
#: Keys that sign for terminals, by their use.
WITNESS: Final = "witness"
JUDGEMENTS: Final = "judgements"
FEED: Final = "feed"
#: Signs reservation tokens.
RESERVATIONS: Final = "reservations"
#: Signs the list of all terminal keys, by which anyone checks a receipt.
TERMINALS: Final = "terminals"
#: The key of the server's own ledger, to which the acts of the back office are appended.
OWN: Final = "own"
#: The key to which terminals encrypt files.
AGE: Final = "age"
UNLOCK_FILE_VARIABLE: Final = "REDCARD_SERVER_PASSPHRASE_FILE"
_CREDENTIAL: Final = "redcard-server"
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?\Z")
_LISTEN: Final = re.compile(r"[0-9A-Za-z.:\[\]-]{1,255}:[0-9]{1,5}\Z")


@dataclass(frozen=True, slots=True)
class Configuration:
    """``server.toml``.

    Attributes:
        domain: the federation's domain, the first part of every origin.
        database: PostgreSQL URL, or empty for SQLite in the home.
        listen: address and port.
        card_key_id: which card key is in force.
    """

    domain: str
    database: str = ""
    listen: str = LISTEN_DEFAULT
    card_key_id: str = CARD_KEY_ID


class ServerHome:
    """An opened home.

    Attributes:
        path: the folder.
        configuration: as read.
        keys: the server's own keys.
    """

    def __init__(self, path: Path, configuration: Configuration, keys: KeyStore) -> None:
        """Use ``create`` or ``open``."""
        self.path = path
        self.configuration = configuration
        self.keys = keys

    @classmethod
    def create(
        cls, path: Path, configuration: Configuration, *, cost: Argon2Cost | None = None
    ) -> ServerHome:
        """Makes a new home with new keys.

        Args:
            path: a folder that does not exist yet, or is empty.
            configuration: what to write into ``server.toml``.
            cost: of one guess of a passphrase; the default is meant for production.

        Raises:
            HomeInvalid: the folder is a home already, or the configuration is not sound.
        """
        if (path / "server.toml").exists():
            raise HomeInvalid(f"{path} is a server's home already; it was left as it is")
        _check(configuration)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        for name in ("offline", "run", "tuf"):
            (path / name).mkdir(exist_ok=True)
        if not _passphrase_file(path).exists():
            write_private(path / "passphrase", secrets.token_urlsafe(32).encode("ascii"))
        keys = PassphraseKeyStore(path / "keys", passphrase_of(path), cost=cost)
        roles = (key_name(role) for role in ONLINE_ROLES)
        for name in (WITNESS, JUDGEMENTS, FEED, RESERVATIONS, TERMINALS, OWN, *roles):
            keys.generate(name, KeyKind.ED25519)
        keys.generate(AGE, KeyKind.X25519)
        write_private(
            path / "card_key.age",
            _encrypt(secrets.token_bytes(CARD_KEY_BYTES), keys.recipient(AGE)),
        )
        _create_custodians(path / "offline", cost)
        write_private(path / "server.toml", _toml(configuration))
        return cls(path, configuration, keys)

    @classmethod
    def open(cls, path: Path) -> ServerHome:
        """Opens a home.

        Raises:
            HomeInvalid: not a home, or a file in it is malformed; names the file.
            StoreLocked: wrong passphrase.
        """
        configuration = read_configuration(path)
        keys = PassphraseKeyStore(path / "keys", passphrase_of(path))
        # A home of the time before the server had a ledger, reservations, a list of keys.
        for name in {OWN, RESERVATIONS, TERMINALS} - set(keys.names()):
            keys.generate(name, KeyKind.ED25519)
        return cls(path, configuration, keys)

    def signer(self, use: str) -> KeySigner:
        """One of the keys that sign for terminals: for example ``witness`` or ``feed``."""
        return KeySigner(
            f"{self.configuration.domain}/{use}",
            lambda message: self.keys.sign(use, message),
            self.keys.public_key(use),
            COSIGNATURE if use == WITNESS else 0x01,
        )

    def origin(self, ledger: str) -> str:
        """Identity of a ledger of this federation."""
        return f"{self.configuration.domain}/redcard/{ledger}"

    def own_signer(self, origin: str) -> KeySigner:
        """The key that signs the heads of the server's own ledger."""
        public = self.keys.public_key(OWN)
        return KeySigner(origin, lambda message: self.keys.sign(OWN, message), public)

    def vkeys(self) -> dict[str, str]:
        """Verifier keys by use, for terminals."""
        uses = (WITNESS, JUDGEMENTS, FEED, RESERVATIONS, TERMINALS)
        signers = {use: self.signer(use) for use in uses}
        return {use: vkey(s.name, s.public_key, s.note_type) for use, s in signers.items()}

    @property
    def recipient(self) -> str:
        """Age recipient of the server."""
        return self.keys.recipient(AGE)

    def decrypt(self, blob: bytes) -> bytes:
        """Opens what was encrypted to the server."""
        return self.keys.decrypt(AGE, blob)

    def encrypt(self, secret: bytes) -> bytes:
        """Seals what only the server may read again."""
        return _encrypt(secret, self.recipient)

    def card_key_for(self, recipient: str) -> bytes:
        """The card key encrypted to a terminal; it is in the clear only inside this call."""
        return _encrypt(self.decrypt(self._card_key()), recipient)

    def card_mac(self) -> Callable[[bytes], bytes]:
        """HMAC-SHA-256 under the card key, for the tool that hashes cards in the federation."""
        secret = self.decrypt(self._card_key())
        return lambda data: hmac.new(secret, data, sha256).digest()

    def _card_key(self) -> bytes:
        try:
            return (self.path / "card_key.age").read_bytes()
        except OSError as error:
            raise HomeInvalid(f"{self.path}/card_key.age cannot be read: restore it") from error

    def custodians(self, folder: Path | None = None) -> list[KeyStore]:
        """Key stores of the custodians that are here, from ``offline`` or another folder."""
        place = folder or self.path / "offline"
        return [
            PassphraseKeyStore(file, file.with_suffix(".passphrase").read_bytes().strip())
            for file in sorted(place.glob("custodian-*.keys"))
        ]


def read_configuration(path: Path) -> Configuration:
    """Reads ``server.toml``.

    Raises:
        HomeInvalid: missing, malformed, or with an unknown key; says what to do.
    """
    file = path / "server.toml"
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise HomeInvalid(f"{path} is no server's home; run: redcard server init") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeInvalid(f"{file} cannot be read: {error}") from None
    known = {"domain", "database", "listen", "card_key_id"}
    for name, value in document.items():
        if name not in known:
            raise HomeInvalid(f"{file}: {name} is unknown; known are {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise HomeInvalid(f"{file}: {name} must be a text")
    if "domain" not in document:
        raise HomeInvalid(f"{file}: domain is missing, the federation's domain name")
    configuration = Configuration(**document)
    _check(configuration)
    return configuration


def _check(configuration: Configuration) -> None:
    if not _DOMAIN.match(configuration.domain):
        raise HomeInvalid(f"domain {configuration.domain!r} is not a domain name in lower case")
    check_name(configuration.domain)
    if not _LISTEN.match(configuration.listen):
        raise HomeInvalid(f"listen {configuration.listen!r} is not host:port")


def _toml(configuration: Configuration) -> bytes:
    values: Mapping[str, str] = {
        "domain": configuration.domain,
        "database": configuration.database,
        "listen": configuration.listen,
        "card_key_id": configuration.card_key_id,
    }
    quoted = {
        name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()
    }
    return "".join(f'{name} = "{value}"\n' for name, value in quoted.items()).encode("utf-8")


def passphrase_of(path: Path) -> bytes:
    """The passphrase of the server's keys, from the first of these files that is named or there.

    ``$REDCARD_SERVER_PASSPHRASE_FILE``, ``redcard-server`` among the service manager's
    credentials, ``passphrase`` in the home. Never from an argument or the environment itself.

    Raises:
        HomeInvalid: there is none.
    """
    file = _passphrase_file(path)
    try:
        found = file.read_bytes().strip()
    except OSError:
        raise HomeInvalid(
            f"no passphrase: {file} cannot be read; name a file in {UNLOCK_FILE_VARIABLE}"
        ) from None
    if not found:
        raise HomeInvalid(f"{file} is empty; it must hold the passphrase")
    return found


def _passphrase_file(path: Path) -> Path:
    named = os.environ.get(UNLOCK_FILE_VARIABLE)
    if named:
        return Path(named)
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / _CREDENTIAL).exists():
        return Path(credentials) / _CREDENTIAL
    return path / "passphrase"


def _create_custodians(folder: Path, cost: Argon2Cost | None) -> None:
    for number in range(1, CUSTODIANS + 1):
        passphrase = secrets.token_urlsafe(32).encode("ascii")
        write_private(folder / f"custodian-{number}.passphrase", passphrase)
        store = PassphraseKeyStore(folder / f"custodian-{number}.keys", passphrase, cost=cost)
        for name in ("root", "targets"):
            store.generate(name, KeyKind.ED25519)


def _encrypt(secret: bytes, recipient: str) -> bytes:
    import pyrage

    return bytes(pyrage.encrypt(secret, [pyrage.x25519.Recipient.from_str(recipient)]))


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only this user can read, whole or not at all."""
    replace_file(path, data, 0o600)
