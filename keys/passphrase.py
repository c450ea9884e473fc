"""Keys in one file, encrypted under a passphrase: for a machine without TPM or token.

The file is one JSON object. Argon2id (RFC 9106) turns the passphrase into a key,
ChaCha20-Poly1305 (RFC 8439) seals the secrets under it, and the clear part of the file is
authenticated with them, so that nobody can lower the cost or swap the salt unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keys import operations
from keys.errors import (
    SecretInvalid,
    StoreChanged,
    StoreExposed,
    StoreLocked,
    StoreMalformed,
    StoreUnwritable,
)
from keys.keystore import HeldKey, KeyKind, MemoryKeyStore

FORMAT = "redcard-keys/v1"
FILE_MAX_BYTES = 1024 * 1024
_SALT_LENGTH_BYTES = 16
_NONCE_LENGTH_BYTES = 12
_KEY_LENGTH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one guess of the passphrase costs (RFC 9106, 4).

    Attributes:
        memory_kib: memory for one guess.
        iterations: passes over that memory.
        lanes: parallel lanes.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4


#: A file that asks for more than this is refused: opening it would stop the machine.
_COST_MAX = Argon2Cost(memory_kib=1024 * 1024, iterations=16, lanes=16)


class PassphraseKeyStore(MemoryKeyStore):
    """A KeyStore in one file of mode 0600. A file that does not exist yet is an empty store.

    Every change is on the disk before the method returns, whole or not at all. Secrets are in
    this process's memory while the store is open; ``docs/keys.md`` says what that means.
    """

    __slots__ = ("_cost", "_digest", "_key", "_path", "_salt")

    def __init__(self, path: Path, passphrase: bytes, *, cost: Argon2Cost | None = None) -> None:
        """Opens the file, or begins an empty store.

        Args:
            path: the file; its folder must exist.
            passphrase: from a prompt, a credential file or a service manager, never from a
                command line, where other users of the machine can read it.
            cost: for a new file; an existing file says its own.

        Raises:
            StoreLocked: wrong passphrase, or the file was tampered with.
            StoreMalformed: not a key store of a version we know.
            StoreExposed: the file may be read by other users.
            StoreUnwritable: the file cannot be read.
            SecretInvalid: the passphrase is empty.
        """
        super().__init__()
        if not passphrase:
            raise SecretInvalid("the passphrase is empty")
        self._path = path
        self._digest = b""
        stored = _read(path)
        if stored is None:
            self._cost = cost or Argon2Cost()
            self._salt = os.urandom(_SALT_LENGTH_BYTES)
            self._key = _stretch(passphrase, self._salt, self._cost)
            return
        self._digest = hashlib.sha256(stored).digest()
        self._cost, self._salt, nonce, sealed = _parse(stored)
        self._key = _stretch(passphrase, self._salt, self._cost)
        self._held = _unseal(self._key, nonce, sealed, _header(self._cost, self._salt))

    def change_passphrase(self, passphrase: bytes, *, cost: Argon2Cost | None = None) -> None:
        """Encrypts the store under another passphrase, with a new salt.

        Raises:
            SecretInvalid: the passphrase is empty.
            StoreFault: the file was not replaced; the old passphrase still opens it.
        """
        if not passphrase:
            raise SecretInvalid("the passphrase is empty")
        old = self._cost, self._salt, self._key
        self._cost = cost or self._cost
        self._salt = os.urandom(_SALT_LENGTH_BYTES)
        self._key = _stretch(passphrase, self._salt, self._cost)
        try:
            self._replace(self._held)
        except BaseException:
            self._cost, self._salt, self._key = old
            raise

    def _replace(self, held: Mapping[str, HeldKey]) -> None:
        """Writes the changed set to the disk, then takes it over."""
        present = _read(self._path)
        digest = b"" if present is None else hashlib.sha256(present).digest()
        if digest != self._digest:
            raise StoreChanged(
                f"{self._path} was rewritten by another process since it was opened; nothing was "
                "changed, open it again"
            )
        content = _seal(self._key, held, self._cost, self._salt)
        _write(self._path, content)
        self._digest = hashlib.sha256(content).digest()
        super()._replace(held)


def _stretch(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(
        salt=salt,
        length=_KEY_LENGTH_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return kdf.derive(passphrase)


def _header(cost: Argon2Cost, salt: bytes) -> dict[str, Any]:
    """The clear part of the file, which the seal authenticates."""
    return {
        "aead": "chacha20-poly1305",
        "argon2id": asdict(cost),
        "format": FORMAT,
        "salt": base64.b64encode(salt).decode("ascii"),
    }


def _associated(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")


def _seal(key: bytes, held: Mapping[str, HeldKey], cost: Argon2Cost, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    header = _header(cost, salt)
    secrets = {name: [key.kind.value, bytes(key.secret).hex()] for name, key in held.items()}
    nonce = os.urandom(_NONCE_LENGTH_BYTES)
    plain = json.dumps(secrets, sort_keys=True).encode("ascii")
    sealed = ChaCha20Poly1305(key).encrypt(nonce, plain, _associated(header))
    document = {
        **header,
        "nonce": base64.b64encode(nonce).decode("ascii"),
        "sealed": base64.b64encode(sealed).decode("ascii"),
    }
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"


def _parse(stored: bytes) -> tuple[Argon2Cost, bytes, bytes, bytes]:
    """Reads the clear part; every number is bounded before anything is computed with it."""
    try:
        document = json.loads(stored)
        if document["format"] != FORMAT or document["aead"] != "chacha20-poly1305":
            raise StoreMalformed(f"the file is no {FORMAT} key store")
        cost = Argon2Cost(**document["argon2id"])
        salt, nonce, sealed = (
            base64.b64decode(document[name], validate=True) for name in ("salt", "nonce", "sealed")
        )
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise StoreMalformed(f"the file is no {FORMAT} key store: {type(error).__name__}") from None
    _check_cost(cost)
    if len(salt) != _SALT_LENGTH_BYTES or len(nonce) != _NONCE_LENGTH_BYTES:
        raise StoreMalformed("salt or nonce of the key store has the wrong length")
    return cost, salt, nonce, sealed


def _check_cost(cost: Argon2Cost) -> None:
    for name, value in asdict(cost).items():
        # bool is an int to isinstance; a file with "lanes": true is malformed.
        if type(value) is not int or not 1 <= value <= getattr(_COST_MAX, name):
            raise StoreMalformed(f"argon2id.{name} of the key store is out of bounds")
    if cost.memory_kib < 8 * cost.lanes:
        raise StoreMalformed("argon2id.memory_kib is below 8 KiB a lane")


def _unseal(
    key: bytes, nonce: bytes, sealed: bytes, header: Mapping[str, Any]
) -> dict[str, HeldKey]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        plain = ChaCha20Poly1305(key).decrypt(nonce, sealed, _associated(header))
    except InvalidTag:
        raise StoreLocked(
            "the passphrase does not open the key store, or the file was tampered with"
        ) from None
    held = {}
    for name, (kind, secret) in json.loads(plain).items():
        held[name] = HeldKey(KeyKind(kind), bytearray.fromhex(secret))
        operations.check_secret(kind, bytes(held[name].secret))
    return held


def _read(path: Path) -> bytes | None:
    """The file's bytes, or ``None`` if there is no file."""
    try:
        with path.open("rb") as file:
            if os.name == "posix":
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise StoreExposed(
                        f"{path} may be read by other users (mode {mode:04o}); "
                        f"nothing was read. Run: chmod 600 {path}"
                    )
            content = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnwritable(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > FILE_MAX_BYTES:
        raise StoreMalformed(f"{path} is larger than {FILE_MAX_BYTES} bytes")
    return content


def _write(path: Path, content: bytes) -> None:
    """Replaces the file whole: a reader sees the old bytes or the new, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreUnwritable(
            f"{path} cannot be replaced: {error.strerror}; the old keys stay in force"
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
