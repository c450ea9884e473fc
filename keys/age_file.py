"""Opening age files whose X25519 key is somewhere else (https://age-encryption.org/v1).

Only for stores that cannot hand their key to a library, such as a token: they compute the one
shared secret, and the rest happens here. Everywhere else ``pyrage`` opens age files.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from keys.errors import DecryptionFailed

_VERSION: Final = b"age-encryption.org/v1"
_X25519_LABEL: Final = b"age-encryption.org/v1/X25519"
_HEADER_BYTES_MAX: Final = 64 * 1024
_STANZAS_MAX: Final = 64
_LINE_CHARACTERS: Final = 64
_CHUNK_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
_FILE_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 16
_ARGUMENT: Final = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class _Stanza:
    arguments: tuple[bytes, ...]
    body: bytes


def decrypt(blob: bytes, recipient: bytes, shared: Callable[[bytes], bytes]) -> bytes:
    """Opens an age file.

    Args:
        blob: the whole file, binary form.
        recipient: the X25519 public key, 32 bytes.
        shared: X25519 (RFC 7748, 5) of the private key with a given public key; 32 bytes.

    Returns:
        The plaintext.

    Raises:
        DecryptionFailed: not for this key, or damaged.
    """
    stanzas, sealed, mac, payload = _parse(blob)
    for stanza in stanzas:
        if stanza.arguments[0] != b"X25519":
            continue
        file_key = _unwrap(stanza, recipient, shared)
        if file_key is None:
            continue
        if not hmac.compare_digest(
            hmac.digest(_hkdf(file_key, b"", b"header"), sealed, "sha256"), mac
        ):
            raise _damaged()
        return _open_payload(file_key, payload)
    raise _damaged()


def _parse(blob: bytes) -> tuple[list[_Stanza], bytes, bytes, bytes]:
    """Splits a file into stanzas, the bytes under the MAC, the MAC, and the payload."""
    end = blob.find(b"\n---", 0, _HEADER_BYTES_MAX) + 1
    line_end = blob.find(b"\n", end, end + 2 * _LINE_CHARACTERS) if end else -1
    if line_end < 0 or blob[end : end + 4] != b"--- ":
        raise _damaged()
    lines = iter(blob[: end - 1].split(b"\n"))
    if next(lines) != _VERSION:
        raise _damaged()
    stanzas = list(_stanzas(lines))
    alone = len(stanzas) == 1 or all(one.arguments[0] != b"scrypt" for one in stanzas)
    if not 0 < len(stanzas) <= _STANZAS_MAX or not alone:
        raise _damaged()
    mac = _decode(blob[end + 4 : line_end])
    return stanzas, blob[: end + 3], mac, blob[line_end + 1 :]


def _stanzas(lines: Iterator[bytes]) -> Iterator[_Stanza]:
    for line in lines:
        head, *arguments = line.split(b" ")
        if head != b"->" or not arguments or not all(map(_ARGUMENT.fullmatch, arguments)):
            raise _damaged()
        body = bytearray()
        for text in lines:
            if len(text) > _LINE_CHARACTERS:
                raise _damaged()
            body += _decode(text)
            if len(text) < _LINE_CHARACTERS:
                break
        else:
            raise _damaged()
        yield _Stanza(tuple(arguments), bytes(body))


def _unwrap(stanza: _Stanza, recipient: bytes, shared: Callable[[bytes], bytes]) -> bytes | None:
    """The file key, or ``None`` if the stanza is for another key."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(stanza.arguments) != 2:
        raise _damaged()
    share = _decode(stanza.arguments[1])
    if len(share) != len(recipient) or len(stanza.body) != _FILE_KEY_BYTES + _TAG_BYTES:
        raise _damaged()
    if _low_order(share):
        raise _damaged()
    key = _hkdf(shared(share), share + recipient, _X25519_LABEL)
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(12), stanza.body, None)
    except InvalidTag:
        return None


def _open_payload(file_key: bytes, payload: bytes) -> bytes:
    """STREAM: chunks of 64 KiB, each with its number, the last one marked and never empty."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce, sealed = payload[:_NONCE_BYTES], payload[_NONCE_BYTES:]
    if len(nonce) < _NONCE_BYTES or len(sealed) < _TAG_BYTES:
        raise _damaged()
    cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
    step = _CHUNK_BYTES + _TAG_BYTES
    opened = bytearray()
    for number, at in enumerate(range(0, len(sealed), step)):
        last = at + step >= len(sealed)
        try:
            chunk = cipher.decrypt(
                number.to_bytes(11) + bytes((last,)), sealed[at : at + step], None
            )
        except InvalidTag:
            raise _damaged() from None
        if not chunk and number:
            raise _damaged()
        opened += chunk
    return bytes(opened)


def _low_order(share: bytes) -> bool:
    """Whether every secret agreed with this point is zero (RFC 7748, 6.1).

    Found with a key of no value: tokens answer such a point as they would their own failure.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import (
        X25519PrivateKey,
        X25519PublicKey,
    )

    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        return True
    return False


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), 32 bytes."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, info).derive(secret)


def _decode(text: bytes) -> bytes:
    """Base64 without padding, in its one canonical form."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _damaged() from None
    if base64.b64encode(data).rstrip(b"=") != text:
        raise _damaged()
    return data


def _damaged() -> DecryptionFailed:
    return DecryptionFailed("the data was not encrypted to this key, or was damaged on the way")
