"""An RSA key of the smallest size that EMV allows, to sign a great many bad certificates."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from readers.cards.emv.rsa import RsaKey

SIZE_BYTES = 64
EXPONENT = 3


class SmallRsa:
    """A test key that follows from a seed; worthless outside tests."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        p, q = _prime(chance), _prime(chance)
        self._modulus = p * q
        self._private = pow(EXPONENT, -1, (p - 1) * (q - 1))
        self.public = RsaKey(self._modulus.to_bytes(SIZE_BYTES), EXPONENT)

    def sign(self, content: bytes, rest: Sequence[bytes]) -> bytes:
        """A block with this content, cut or filled to fit, and the hash that belongs to it."""
        room = SIZE_BYTES - 22
        fitted = content[:room].ljust(room, b"\xbb")
        digest = hashlib.sha1(fitted + b"".join(rest), usedforsecurity=False).digest()
        plain = int.from_bytes(b"\x6a" + fitted + digest + b"\xbc")
        return pow(plain, self._private, self._modulus).to_bytes(SIZE_BYTES)


def _prime(chance: random.Random) -> int:
    while True:
        number = chance.getrandbits(256) | 3 << 254 | 1
        if number % 3 == 2 and all(pow(base, number - 1, number) == 1 for base in (2, 5, 7, 11)):
            return number
