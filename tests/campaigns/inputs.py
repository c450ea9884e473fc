"""Damaged inputs from good ones: flips, cuts, repeats, splices, numbers and the format's words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

#: What parsers stumble over, in any format.
WORDS: Final = (
    b"\x00", b"\xff", b"\x80", b"\x7f", b"\x81\x80", b"\x82\xff\xff", b"\x84\xff\xff\xff\xff",
    b"\x1f\x81", b"\n", b"\r\n", b"\n\n", b"\xe2\x80\x94 ", b"-1", b"0", b"00", b"1e9", b"1.0",
    b"9007199254740993", b"18446744073709551616", b"9" * 5_000, b"NaN", b"null", b"true", b"[]",
    b"{}", b"[" * 60, b'{"a":' * 60, b'"', b"\\u0000", b"\\ud800", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"=", b"AA==", b"&a", b"*a", b"!!python/object:x", b": ", b"- ", b"#",
)  # fmt: skip
INPUT_BYTES_MAX: Final = 20_000


class Damage:
    """Endless damaged inputs; the same seed gives the same ones."""

    def __init__(self, seeds: Sequence[bytes], seed: int | str) -> None:
        self._seeds = seeds
        self._chance = random.Random(seed)

    def next(self) -> bytes:
        """One input: mostly a good one with one to four damages, now and then pure noise."""
        chance = self._chance
        if chance.random() < 0.03:
            return chance.randbytes(chance.randrange(80))
        data = bytearray(chance.choice(self._seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
            self._damage(data)
        return bytes(data[:INPUT_BYTES_MAX])

    def _damage(self, data: bytearray) -> None:
        chance = self._chance
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 40)))
        kind = chance.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at:end]
        elif kind == 4:
            data[at:at] = data[at:end]
        elif kind == 5:
            data[at:at] = chance.choice(WORDS)
        elif kind == 6:
            data[at:end] = chance.choice(WORDS)
        else:
            other = chance.choice(self._seeds)
            start = chance.randrange(len(other) + 1)
            data[at:] = other[start:]
