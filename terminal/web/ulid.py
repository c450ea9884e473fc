"""Nonces of taps: ULIDs, 26 characters that sort by the time at which they were made."""

from __future__ import annotations

from secrets import randbits
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHARACTERS: Final = 26
_RANDOM_BITS: Final = 80
_TIME_BITS: Final = 48


def new_ulid(at_ms: int) -> str:
    """A fresh ULID: 48 bits of milliseconds since the Unix epoch, then 80 random bits."""
    value = (at_ms & ((1 << _TIME_BITS) - 1)) << _RANDOM_BITS | randbits(_RANDOM_BITS)
    digits = (value >> (5 * place) & 31 for place in reversed(range(_CHARACTERS)))
    return "".join(_CROCKFORD[digit] for digit in digits)
