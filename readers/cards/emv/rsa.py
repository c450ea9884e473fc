"""Recovery of signed data with an RSA public key (EMV Book 2, A2.1 and B2.1). Pure.

Only the public operation is done here, on public values, so plain integers leak nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from readers.cards.errors import AuthenticationFailed, Failure

#: EMV Book 2, D1.1: moduli of up to 1984 bits; none below 512 has ever been issued.
MODULUS_BYTES_MIN: Final = 64
MODULUS_BYTES_MAX: Final = 248
#: EMV Book 2, B2.1: the exponent is 3 or 2^16 + 1.
EXPONENTS: Final = (3, 65_537)
HASH_BYTES: Final = 20
#: EMV Book 2, B3.1 and B2.1: SHA-1 with 01, RSA with 01.
HASH_ALGORITHM_SHA1: Final = 0x01
KEY_ALGORITHM_RSA: Final = 0x01
_HEADER: Final = 0x6A
_TRAILER: Final = 0xBC


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A public key.

    Attributes:
        modulus: big-endian, 64 to 248 bytes, first byte not zero.
        exponent: 3 or 65537.
    """

    modulus: bytes
    exponent: int

    @property
    def size(self) -> int:
        """Length of the modulus in bytes."""
        return len(self.modulus)

    @property
    def bits(self) -> int:
        """Length of the modulus in bits."""
        return int.from_bytes(self.modulus).bit_length()

    def sound(self) -> bool:
        """Whether modulus and exponent are within the standard's bounds."""
        return (
            MODULUS_BYTES_MIN <= len(self.modulus) <= MODULUS_BYTES_MAX
            and self.modulus[0] != 0
            and self.modulus[-1] & 1 == 1
            and self.exponent in EXPONENTS
        )


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a public key recovered from a block (EMV Book 2, A2.1).

    Attributes:
        content: everything between header byte and hash, the format byte first.
        digest: the 20 bytes of hash as they stood in the block.
    """

    content: bytes
    digest: bytes

    def holds(self, *rest: bytes) -> bool:
        """Whether the hash covers this content followed by ``rest``."""
        return hashlib.sha1(self.content + b"".join(rest)).digest() == self.digest  # noqa: S324


def recover(key: RsaKey, block: bytes, form: int, failure: Failure) -> Recovered:
    """Applies the public key and checks header, trailer and format byte.

    Args:
        key: the signer's public key.
        block: certificate or signature, as long as the modulus.
        form: the format byte: 02 issuer certificate, 03 static data, 04 card certificate,
            05 dynamic data.
        failure: what to call it when it fails.

    Raises:
        AuthenticationFailed: any check fails.
    """
    if not key.sound():
        raise AuthenticationFailed(failure, "the key above it is outside the standard's bounds")
    if len(block) != key.size:
        raise AuthenticationFailed(failure, f"{len(block)} bytes under a key of {key.size}")
    number, modulus = int.from_bytes(block), int.from_bytes(key.modulus)
    if number >= modulus:
        raise AuthenticationFailed(failure, "the number exceeds the modulus")
    plain = pow(number, key.exponent, modulus).to_bytes(key.size)
    if plain[0] != _HEADER or plain[-1] != _TRAILER:
        raise AuthenticationFailed(failure, "header or trailer is wrong: another key signed it")
    if plain[1] != form:
        raise AuthenticationFailed(failure, f"format {plain[1]:02X} instead of {form:02X}")
    return Recovered(plain[1 : -HASH_BYTES - 1], plain[-HASH_BYTES - 1 : -1])
