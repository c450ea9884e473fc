"""Details that can be erased while the tree still verifies.

An entry never holds free text or personal detail; it may hold a commitment to them: the field
``sealed``, SHA-256(salt ‖ ciphertext) in hexadecimal. Salt and ciphertext lie beside the ledger,
one file each, until they are erased. The salt keeps the commitment from being guessed afterwards,
and the ciphertext is encrypted by whoever records, for whoever may read it.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from enum import StrEnum, unique
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.errors import LogCorrupt, LogFault
from ledger.log.disk import sync_directory, translate

#: Field of an entry that holds a commitment.
FIELD: Final = "sealed"
SALT_BYTES: Final = 32
CIPHERTEXT_BYTES_MAX: Final = 1 << 20
_COMMITMENT: Final = re.compile(r"[0-9a-f]{64}\Z")


@unique
class State(StrEnum):
    """What is left of a sealed detail."""

    PRESENT = "present"
    ERASED = "erased"
    DAMAGED = "damaged"


def commitment(salt: bytes, ciphertext: bytes) -> str:
    """SHA-256(salt ‖ ciphertext), 64 lower-case hexadecimal digits; a salt has 32 bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return sha256(salt + ciphertext).hexdigest()


class SealedDetails:
    """Sealed details of one ledger, in the folder ``<ledger>.sealed`` beside it."""

    def __init__(self, ledger: str | Path) -> None:
        """Names the ledger file; the folder is made when it is first needed."""
        self._place = Path(f"{ledger}.sealed")

    def keep(self, ciphertext: bytes) -> str:
        """Keeps a detail; to be called before the entry that commits to it is appended.

        Returns:
            The commitment for the entry's field ``sealed``; the detail is on disk.

        Raises:
            LogFault: too long, or the disk refuses; nothing was kept.
        """
        if len(ciphertext) > CIPHERTEXT_BYTES_MAX:
            raise LogFault(f"a sealed detail has at most {CIPHERTEXT_BYTES_MAX} bytes")
        salt = secrets.token_bytes(SALT_BYTES)
        name = commitment(salt, ciphertext)
        try:
            self._place.mkdir(mode=0o700, exist_ok=True)
            path = self._place / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(salt + ciphertext)
                file.flush()
                os.fsync(file.fileno())
            sync_directory(self._place)
            sync_directory(self._place.absolute().parent)
        except OSError as error:
            raise translate(error, self._place) from error
        return name

    def read(self, name: str) -> bytes | None:
        """The ciphertext behind a commitment, or None if it was erased.

        Raises:
            LogCorrupt: what is there does not hash to the commitment.
            LogFault: no commitment, or it cannot be read.
        """
        path = self._path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate(error, path) from error
        if not hmac.compare_digest(sha256(data).hexdigest(), name) or len(data) < SALT_BYTES:
            raise LogCorrupt(f"{path}: the sealed detail is not what the entry commits to")
        return data[SALT_BYTES:]

    def erase(self, name: str) -> bool:
        """Overwrites salt and ciphertext and removes them.

        Returns:
            Whether there was something to erase; afterwards there is nothing, in any case.
        """
        path = self._path(name)
        try:
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            sync_directory(self._place)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise translate(error, path) from error
        return True

    def state(self, name: str) -> State:
        """Whether a detail is there, was erased, or is not what was committed to."""
        try:
            return State.ERASED if self.read(name) is None else State.PRESENT
        except LogCorrupt:
            return State.DAMAGED

    def _path(self, name: str) -> Path:
        if not _COMMITMENT.match(name):
            raise LogFault(f"{name[:80]!r} is no commitment: 64 lower-case hexadecimal digits")
        return self._place / name
