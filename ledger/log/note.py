"""Signed notes (C2SP signed-note v1) and the ports for keys that sign and verify them.

A note is text followed by an empty line and signature lines ``— name base64(key id ‖ signature)``.
Key custody lives elsewhere: whoever composes the program hands in a `Signer`.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final, Protocol

from ledger.errors import NoteInvalid

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 100
KEY_ID_BYTES: Final = 4
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Signer(Protocol):
    """A key that signs notes; private material never comes out of it."""

    @property
    def name(self) -> str:
        """Key name, for a ledger its origin."""

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""

    @property
    def public_key(self) -> bytes:
        """Encoded public key, for Ed25519 its 32 bytes."""

    @property
    def note_type(self) -> int:
        """Signature type identifier of signed-note, one of `KEY_TYPES`."""

    def sign(self, message: bytes) -> bytes:
        """Raw signature over the message, for Ed25519 64 bytes."""


class Verifier(Protocol):
    """A public key that verifies signatures of notes."""

    @property
    def name(self) -> str:
        """Key name."""

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature bytes of a note line (without key id) hold for its text."""


@dataclass(frozen=True, slots=True)
class KeyType:
    """One signature type of the registry.

    Attributes:
        name: what people call it.
        public_key_bytes: length of the encoded public key, 0 if it varies.
        verify: ``(public_key, text, signature) -> bool``, or None if this version cannot.
    """

    name: str
    public_key_bytes: int
    verify: Callable[[bytes, bytes, bytes], bool] | None = None


def cosigned_message(time_s: int, text: bytes) -> bytes:
    """What a cosignature/v1 signs (C2SP tlog-cosignature, Ed25519 signed message)."""
    return b"cosignature/v1\ntime %d\n%s" % (time_s, text)


def _verify_ed25519(public_key: bytes, text: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _verify_cosignature(public_key: bytes, text: bytes, signature: bytes) -> bool:
    if len(signature) != 72:
        return False
    (time_s,) = struct.unpack_from(">Q", signature)
    if time_s >= 1 << 63:
        return False
    return _verify_ed25519(public_key, cosigned_message(time_s, text), signature[8:])


#: Signature types by their identifier byte. Those without `verify` are known and refused by name,
#: so that a ledger signed by a later version is not mistaken for a broken one.
KEY_TYPES: Final = MappingProxyType(
    {
        ED25519: KeyType("Ed25519", 32, _verify_ed25519),
        0x02: KeyType("ECDSA (ES256)", 0),
        COSIGNATURE: KeyType("Ed25519 cosignature", 32, _verify_cosignature),
        0x06: KeyType("ML-DSA-44 cosignature", 1312),
        0xFF: KeyType("named by a longer identifier (SM2)", 0),
    }
)


def key_id(name: str, public_key: bytes, note_type: int = ED25519) -> bytes:
    """SHA-256(name ‖ 0x0A ‖ type ‖ public key), first 4 bytes (signed-note, Signatures)."""
    return sha256(name.encode() + b"\n" + bytes([note_type]) + public_key).digest()[:KEY_ID_BYTES]


def vkey(name: str, public_key: bytes, note_type: int = ED25519) -> str:
    """Verifier key as one line of text: ``name+key id in hex+base64(type ‖ public key)``."""
    check_name(name)
    identifier = key_id(name, public_key, note_type).hex()
    return f"{name}+{identifier}+{_base64(bytes([note_type]) + public_key)}"


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A `Signer` over a function that signs, such as one key of a key store."""

    name: str
    _sign: Callable[[bytes], bytes]
    public_key: bytes
    note_type: int = ED25519
    key_id: bytes = b""

    def __post_init__(self) -> None:
        check_name(self.name)
        identifier = key_id(self.name, self.public_key, self.note_type)
        object.__setattr__(self, "key_id", identifier)

    def sign(self, message: bytes) -> bytes:
        """Raw signature over the message."""
        return self._sign(message)


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """Verifies the signature types that rest on an Ed25519 key: 0x01 and 0x04.

    Attributes:
        name: key name.
        public_key: 32 bytes.
        note_type: `ED25519` or `COSIGNATURE`.
    """

    name: str
    public_key: bytes
    note_type: int = ED25519
    key_id: bytes = b""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.note_type not in (ED25519, COSIGNATURE) or len(self.public_key) != 32:
            raise NoteInvalid(f"the key of {self.name} is not an Ed25519 key")
        identifier = key_id(self.name, self.public_key, self.note_type)
        object.__setattr__(self, "key_id", identifier)

    @classmethod
    def from_vkey(cls, text: str) -> Ed25519Verifier:
        """Parses a verifier key as `vkey` writes it.

        Raises:
            NoteInvalid: malformed, of a type this version cannot verify, or its id does not match.
        """
        name, _, rest = text.strip().partition("+")
        identifier, _, encoded = rest.partition("+")
        material = _unbase64(encoded)
        if not material:
            raise NoteInvalid("a verifier key reads name+key id+base64")
        known = KEY_TYPES.get(material[0])
        if known is None or known.verify is None:
            kind = known.name if known else f"0x{material[0]:02x}"
            raise NoteInvalid(f"{name}: this version cannot verify keys of type {kind}")
        verifier = cls(name, material[1:], material[0])
        if verifier.key_id.hex() != identifier:
            raise NoteInvalid(f"{name}: the key id {identifier} does not belong to this key")
        return verifier

    @classmethod
    def of(cls, signer: Signer) -> Ed25519Verifier:
        """The verifier of a signer's public key."""
        return cls(signer.name, signer.public_key, signer.note_type)

    @property
    def vkey(self) -> str:
        """The key as one line of text."""
        return vkey(self.name, self.public_key, self.note_type)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature of a note line holds for the note's text."""
        check = KEY_TYPES[self.note_type].verify
        return check is not None and check(self.public_key, message, signature)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: key name, 4-byte key id, and the signature bytes after it."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line as it stands in the note, newline included."""
        return f"— {self.name} {_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note of which at least one trusted signature was verified.

    Attributes:
        text: the signed text, final newline included.
        verified: names of the trusted keys whose signatures held, in the order of the lines.
        signatures: all signature lines, trusted or not.
    """

    text: str
    verified: tuple[str, ...]
    signatures: tuple[Signature, ...]


@lru_cache(maxsize=64)
def check_name(name: str) -> None:
    """Refuses key names that signed-note forbids: empty, no UTF-8, spaces, plus or controls."""
    if (
        not name
        or "+" in name
        or any(char.isspace() or ord(char) < 0x20 or 0xD800 <= ord(char) <= 0xDFFF for char in name)
    ):
        raise NoteInvalid(f"{name!r} is not a key name: no spaces, no plus, not empty")


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """Signs a text.

    Args:
        text: ends with a newline, holds no other control characters.
        signers: keys of types that sign the text itself; a cosigner needs `checkpoint.cosign`.

    Returns:
        The signed note.

    Raises:
        NoteInvalid: the text or a signer cannot be used for a note.
    """
    message = check_text(text)
    lines = []
    for signer in signers:
        if signer.note_type == COSIGNATURE:
            raise NoteInvalid("a cosignature carries a time: use checkpoint.cosign")
        lines.append(Signature(signer.name, signer.key_id, signer.sign(message)).line())
    if not lines:
        raise NoteInvalid("a note needs at least one signer")
    return f"{text}\n{''.join(lines)}".encode()


def split_note(data: bytes) -> tuple[str, tuple[Signature, ...]]:
    """Splits a signed note into its text and signature lines; verifies nothing.

    Raises:
        NoteInvalid: the bytes are not a signed note.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"a note of {len(data)} bytes is longer than {NOTE_BYTES_MAX}")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise NoteInvalid("a note must be UTF-8") from None
    at = whole.rfind("\n\n")
    if at < 0:
        raise NoteInvalid("a note has an empty line between text and signatures")
    text, block = whole[: at + 1], whole[at + 2 :]
    check_text(text)
    if not block.endswith("\n"):
        raise NoteInvalid("a note ends with a signature line and a newline")
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteInvalid(f"a note of {len(lines)} signatures has more than {SIGNATURES_MAX}")
    return text, tuple(_parse_line(line) for line in lines)


def open_note(data: bytes, verifiers: Sequence[Verifier]) -> OpenedNote:
    """Parses a signed note and verifies it against trusted keys.

    Signatures by unknown keys are ignored, as signed-note demands.

    Raises:
        NoteInvalid: not a note, a signature by a trusted key does not hold, or there is none.
    """
    text, signatures = split_note(data)
    message = text.encode()
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    verified: list[str] = []
    for line in signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        if not verifier.verify(message, line.signature):
            raise NoteInvalid(f"the signature by {line.name} does not hold for this text")
        verified.append(line.name)
    if not verified:
        raise NoteInvalid("no trusted key has signed this note")
    return OpenedNote(text, tuple(verified), signatures)


def check_text(text: str) -> bytes:
    """The bytes of a note's text; raises NoteInvalid if it cannot be one."""
    if not text.endswith("\n"):
        raise NoteInvalid("the text of a note ends with a newline")
    if _CONTROL.search(text):
        raise NoteInvalid("the text of a note holds no control characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NoteInvalid("the text of a note must be valid Unicode") from None


def _parse_line(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    blob = _unbase64(encoded)
    if dash != "—" or len(blob) <= KEY_ID_BYTES:
        raise NoteInvalid("a signature line reads — name base64(key id and signature)")
    check_name(name)
    return Signature(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    """Strict base64: exactly the text that `_base64` would write, else no bytes at all."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
    return data if _base64(data) == text else b""
