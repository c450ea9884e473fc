"""The text forms of age's X25519 keys: Bech32 as in BIP-173, without its length limit.

age (https://age-encryption.org/v1, section "The X25519 recipient type") writes a public key as
``age1…`` and a private key as ``AGE-SECRET-KEY-1…``. Stores keep 32 raw bytes for every kind of
key, so the text is made here where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from keys.errors import SecretInvalid

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "age-secret-key-"
KEY_LENGTH_BYTES = 32


def recipient_text(public_key: bytes) -> str:
    """Writes 32 bytes of an X25519 public key as ``age1…``."""
    return _bech32(_RECIPIENT_PREFIX, public_key)


def identity_text(private_key: bytes) -> str:
    """Writes 32 bytes of an X25519 private key as ``AGE-SECRET-KEY-1…``; the result is secret."""
    return _bech32(_IDENTITY_PREFIX, private_key).upper()


def _bech32(prefix: str, data: bytes) -> str:
    if len(data) != KEY_LENGTH_BYTES:
        raise SecretInvalid(f"an X25519 key has {KEY_LENGTH_BYTES} bytes, not {len(data)}")
    groups = _five_bit_groups(data)
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = _polymod([*spread, *groups, 0, 0, 0, 0, 0, 0]) ^ 1
    tail = [(checksum >> (5 * (5 - i))) & 31 for i in range(6)]
    return prefix + "1" + "".join(_ALPHABET[value] for value in [*groups, *tail])


def _five_bit_groups(data: bytes) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if (top >> bit) & 1 else 0
    return checksum
