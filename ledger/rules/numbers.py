"""Number ranges (号段) printed on parcels of tickets and coupon packs: ``A00001-A00100``.

A range is a prefix that is not a digit at its end, and two numbers of equal length. Ranges of one
offer never overlap on one shelf; who receives a parcel whose range is there already is told which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import EntryInvalid

RANGES_MAX: Final = 64
_RANGE: Final = re.compile(r"([A-Z-]{0,12}?)([0-9]{1,12})(?:-([A-Z-]{0,12}?)([0-9]{1,12}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class NumberRange:
    """Numbers ``first`` to ``last``, both included, printed with ``width`` digits."""

    prefix: str
    width: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return self.last - self.first + 1

    def overlaps(self, other: NumberRange) -> bool:
        """Whether a number stands in both."""
        same = (self.prefix, self.width) == (other.prefix, other.width)
        return same and self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        """As printed: ``A00001-A00100``, or one number alone."""
        first = f"{self.prefix}{self.first:0{self.width}}"
        return first if self.count == 1 else f"{first}-{self.prefix}{self.last:0{self.width}}"


def parse_range(text: str) -> NumberRange:
    """Reads one range.

    Raises:
        EntryInvalid: of another form; the message shows one that is right.
    """
    found = _RANGE.match(text.strip().upper().replace("—", "-").replace("～", "-"))
    if found is None:
        raise EntryInvalid(f"{text[:40]!r} is no number range; write A00001-A00100")
    prefix, first, other, last = found[1], found[2], found[3], found[4] or found[2]
    if other not in (None, "", prefix) or len(first) != len(last) or int(first) > int(last):
        raise EntryInvalid(
            f"{text[:40]!r}: both ends need the same letters and length, the lower one first"
        )
    return NumberRange(prefix, len(first), int(first), int(last))


def parse_ranges(texts: Sequence[str]) -> tuple[NumberRange, ...]:
    """Reads the ranges of one parcel, which must not overlap among themselves.

    Raises:
        EntryInvalid: one has another form, or two overlap; the message names them.
    """
    if len(texts) > RANGES_MAX:
        raise EntryInvalid(f"at most {RANGES_MAX} number ranges in one parcel")
    found: list[NumberRange] = []
    for one in map(parse_range, texts):
        clash = overlap(found, one)
        if clash is not None:
            raise EntryInvalid(f"the number ranges {clash} and {one} overlap")
        found.append(one)
    return tuple(sorted(found))


def overlap(held: Iterable[NumberRange], one: NumberRange) -> NumberRange | None:
    """The first of some ranges that shares a number with another one."""
    return next((other for other in held if other.overlaps(one)), None)


def without(held: Sequence[NumberRange], gone: NumberRange) -> tuple[NumberRange, ...] | None:
    """What is left of a shelf after a range has left it, ``None`` if it was not there whole."""
    for place, one in enumerate(held):
        inside = (one.prefix, one.width) == (gone.prefix, gone.width)
        if inside and one.first <= gone.first and gone.last <= one.last:
            ends = ((one.first, gone.first - 1), (gone.last + 1, one.last))
            rest = [NumberRange(one.prefix, one.width, *end) for end in ends if end[0] <= end[1]]
            return tuple(sorted([*held[:place], *rest, *held[place + 1 :]]))
    return None
