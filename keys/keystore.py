"""The port of key custody, and the store that forgets everything at the end of the process.

A store does things with secrets and never hands one out: signatures, MACs and plaintexts leave it,
keys do not. What uses keys declares its own port (``ledger.log.note.Signer`` is one); the
composition roots join the two by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import NoReturn, Protocol

from keys import operations
from keys.errors import KeyExists, KeyKindWrong, KeyUnknown, SecretInvalid

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@unique
class KeyKind(StrEnum):
    """What a key is for; a key of one kind does nothing else."""

    ED25519 = "ed25519"
    X25519 = "x25519"
    HMAC = "hmac"


class KeyStore(Protocol):
    """Keys by name. Names are ``[a-z0-9][a-z0-9._-]{0,63}``; every method may raise StoreFault."""

    def generate(self, name: str, kind: KeyKind | str) -> None:
        """Makes a new key from the system's random source.

        Raises:
            KeyExists: the name is taken.
            SecretInvalid: the name or the kind has the wrong form.
        """

    def import_secret(self, name: str, kind: KeyKind | str, secret: bytes) -> None:
        """Takes a secret made elsewhere: 32 bytes for ed25519 and x25519, 16 to 64 for hmac.

        Raises:
            KeyExists: the name is taken.
            SecretInvalid: the name, the kind or the secret has the wrong form.
        """

    def public_key(self, name: str) -> bytes:
        """The public half, 32 bytes raw (RFC 8032 or RFC 7748).

        Raises:
            KeyUnknown: no such key.
            KeyKindWrong: an hmac key has no public half.
        """

    def sign(self, name: str, message: bytes) -> bytes:
        """Signs with an ed25519 key (RFC 8032, 5.1.6); 64 bytes.

        Raises:
            KeyUnknown: no such key.
            KeyKindWrong: not an ed25519 key.
        """

    def mac(self, name: str, data: bytes) -> bytes:
        """HMAC-SHA-256 (RFC 2104) under an hmac key; 32 bytes.

        Raises:
            KeyUnknown: no such key.
            KeyKindWrong: not an hmac key.
        """

    def recipient(self, name: str) -> str:
        """The age recipient ``age1…`` of an x25519 key, for whoever encrypts to it.

        Raises:
            KeyUnknown: no such key.
            KeyKindWrong: not an x25519 key.
        """

    def decrypt(self, name: str, blob: bytes) -> bytes:
        """Opens an age file (age-encryption.org/v1) that was encrypted to this x25519 key.

        Raises:
            KeyUnknown: no such key.
            KeyKindWrong: not an x25519 key.
            DecryptionFailed: not for this key, damaged, or larger than 64 MiB.
        """

    def names(self) -> tuple[str, ...]:
        """Names of all keys, sorted."""

    def kind(self, name: str) -> KeyKind:
        """What the key is for.

        Raises:
            KeyUnknown: no such key.
        """

    def erase(self, name: str) -> None:
        """Forgets a key for good.

        Raises:
            KeyUnknown: no such key.
        """


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One secret inside a store; only stores touch it. It never shows its bytes."""

    kind: KeyKind
    secret: bytearray = field(repr=False)


class MemoryKeyStore:
    """Keys for the life of the process: the demo, scenarios and tests."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, HeldKey] = {}

    def generate(self, name: str, kind: KeyKind | str) -> None:
        """See KeyStore.generate."""
        self._add(name, kind_of(kind), os.urandom(operations.GENERATED_LENGTH_BYTES))

    def import_secret(self, name: str, kind: KeyKind | str, secret: bytes) -> None:
        """See KeyStore.import_secret."""
        checked = kind_of(kind)
        operations.check_secret(checked, secret)
        self._add(name, checked, secret)

    def public_key(self, name: str) -> bytes:
        """See KeyStore.public_key."""
        held = self._find(name, KeyKind.ED25519, KeyKind.X25519)
        return operations.public_key(held.kind, bytes(held.secret))

    def sign(self, name: str, message: bytes) -> bytes:
        """See KeyStore.sign."""
        return operations.sign(bytes(self._find(name, KeyKind.ED25519).secret), message)

    def mac(self, name: str, data: bytes) -> bytes:
        """See KeyStore.mac."""
        return operations.mac(bytes(self._find(name, KeyKind.HMAC).secret), data)

    def recipient(self, name: str) -> str:
        """See KeyStore.recipient."""
        return operations.recipient(bytes(self._find(name, KeyKind.X25519).secret))

    def decrypt(self, name: str, blob: bytes) -> bytes:
        """See KeyStore.decrypt."""
        return operations.decrypt(bytes(self._find(name, KeyKind.X25519).secret), blob)

    def names(self) -> tuple[str, ...]:
        """See KeyStore.names."""
        return tuple(sorted(self._held))

    def kind(self, name: str) -> KeyKind:
        """See KeyStore.kind."""
        return self._find(name, *KeyKind).kind

    def erase(self, name: str) -> None:
        """See KeyStore.erase."""
        held = self._find(name, *KeyKind)
        self._replace({key: value for key, value in self._held.items() if key != name})
        held.secret[:] = bytes(len(held.secret))

    def _replace(self, held: Mapping[str, HeldKey]) -> None:
        """Takes over a changed set of keys; a store on disk writes it first."""
        self._held = dict(held)

    def _add(self, name: str, kind: KeyKind, secret: bytes) -> None:
        check_name(name)
        if name in self._held:
            raise KeyExists(f"a key named {name} is already there; it was left as it is")
        self._replace({**self._held, name: HeldKey(kind, bytearray(secret))})

    def _find(self, name: str, *kinds: KeyKind) -> HeldKey:
        held = self._held.get(name)
        if held is None:
            raise KeyUnknown(f"no key is named {name}")
        if held.kind not in kinds:
            raise KeyKindWrong(f"key {name} is an {held.kind} key; this needs {' or '.join(kinds)}")
        return held

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.names())})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuses pickling and copying, which would carry secrets out of the store."""
        raise TypeError("a key store cannot be copied or pickled")


def check_name(name: str) -> None:
    """Refuses what is no name of a key.

    Raises:
        SecretInvalid: says the form.
    """
    if not _NAME.fullmatch(name):
        raise SecretInvalid(f"a key name is {_NAME.pattern}, not {name!r}")


def kind_of(kind: KeyKind | str) -> KeyKind:
    """Reads a kind.

    Raises:
        SecretInvalid: there is no such kind.
    """
    try:
        return KeyKind(kind)
    except ValueError:
        raise SecretInvalid(f"a key kind is one of {', '.join(KeyKind)}, not {kind!r}") from None
