"""A day of a ledger, added up from its entries: what a clerk closes a day with, and signs.

Person-times are counted as the settlement counts them: quantity and companions of redemptions,
voids taken off, re-entries apart. Everything is a fold; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.entry import Entry, Kind

_COUNTED = frozenset({Kind.REDEEM, Kind.REENTRY, Kind.VOID, Kind.MANUAL})


@dataclass(slots=True)
class OfferDay:
    """One offer on one day.

    Attributes:
        taps: redemptions.
        units: units given out.
        companions: people who came along.
        voids: units taken back.
        reentries: second taps that let in again, in no other count.
        manual: units entered late from paper sheets.
    """

    taps: int = 0
    units: int = 0
    companions: int = 0
    voids: int = 0
    reentries: int = 0
    manual: int = 0

    @property
    def net(self) -> int:
        """Units that stand at the end of the day."""
        return self.units + self.manual - self.voids


@dataclass(slots=True)
class Day:
    """One local day of one ledger.

    Attributes:
        day: YYYY-MM-DD.
        first_seq: seq of its first entry, -1 if it has none.
        size: entries of the ledger at the end of the day.
        offers: by offer id.
        declines: by code.
        shifts: id, operator, and time of opening and closing, 0 if not in this day.
        overridden: taps that a supervisor forced.
    """

    day: str
    first_seq: int = -1
    size: int = 0
    offers: dict[str, OfferDay] = field(default_factory=dict)
    declines: dict[str, int] = field(default_factory=dict)
    shifts: dict[str, list[object]] = field(default_factory=dict)
    overridden: int = 0

    def take(self, seq: int, entry: Entry) -> None:
        """Adds an entry of this day."""
        if self.first_seq < 0:
            self.first_seq = seq
        self.size = seq + 1
        kind = str(entry.get("kind"))
        if kind == Kind.DECLINE:
            code = str(entry.get("code"))
            self.declines[code] = self.declines.get(code, 0) + 1
        elif kind in {Kind.OPEN, Kind.CLOSE}:
            shift = self.shifts.setdefault(str(entry.get("shift")), ["", 0, 0])
            shift[0] = str(entry.get("operator"))
            shift[1 if kind == Kind.OPEN else 2] = _number(entry, "ts_ms")
        elif kind in _COUNTED:
            self._count(kind, entry)

    def _count(self, kind: str, entry: Entry) -> None:
        offer = self.offers.setdefault(str(entry.get("offer")), OfferDay())
        units = _number(entry, "quantity", 1)
        if kind == Kind.REENTRY:
            offer.reentries += 1
        elif kind == Kind.VOID:
            offer.voids += units
        elif kind == Kind.MANUAL:
            offer.manual += units
        else:
            offer.taps += 1
            offer.units += units
            offer.companions += _number(entry, "companions")
            self.overridden += entry.get("code") == "A02"


def day_of(day: str, entries: Iterable[tuple[int, Entry]]) -> Day:
    """Adds up the entries of a day, given with their seqs in ascending order."""
    made = Day(day)
    for seq, entry in entries:
        made.take(seq, entry)
    return made


def _number(entry: Entry, name: str, absent: int = 0) -> int:
    value = entry.get(name, absent)
    return value if isinstance(value, int) else absent
