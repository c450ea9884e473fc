"""What each position did lately: a fold over the ledger for lists, totals and open shifts.

Nothing here is stored apart from the ledger. The fold is built once at start and grows by each
entry written; its size is bounded, whatever the length of the ledger.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ledger.entry import Entry, Kind
from ledger.rules.terms import VENUE_ZONE

RECENT_ACTS_MAX: Final = 200
_ZONE: Final = ZoneInfo(VENUE_ZONE)
_ACTS: Final = frozenset({Kind.REDEEM, Kind.REENTRY, Kind.DECLINE, Kind.VOID})


@dataclass(slots=True)
class Act:
    """One tap or void, as lists show it."""

    seq: int
    kind: str
    nonce: str
    code: str
    offer: str
    ts_ms: int
    mono_ms: int
    boot: str
    quantity: int
    shift: str
    reversed: bool = False


@dataclass(slots=True)
class OpenShift:
    """A shift that was opened and not closed."""

    id: str
    operator: str
    opened_ms: int


@dataclass(slots=True)
class Count:
    """Units of one offer given out and taken back."""

    redeemed: int = 0
    voided: int = 0


@dataclass(slots=True)
class Tally:
    """Counts since a shift opened, or since local midnight."""

    since_ms: int = 0
    day: str = ""
    declined: int = 0
    offers: dict[str, Count] = field(default_factory=dict)

    def count(self, offer: str) -> Count:
        """The count of an offer, made at its first mention."""
        return self.offers.setdefault(offer, Count())


@dataclass(slots=True)
class Page:
    """The fold of one position; ``last_tap`` is the seq of its newest tap, voids left out."""

    acts: OrderedDict[int, Act] = field(default_factory=OrderedDict)
    tally: Tally = field(default_factory=Tally)
    shift: OpenShift | None = None
    last_tap: int = -1


class Daybook:
    """The fold over all positions of one ledger. The caller holds the writer's turn."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._signed: array[int] = array("Q")

    def signed(self, size: int | None = None) -> int:
        """How many redemptions and voids stand in the first ``size`` entries, or in all."""
        return len(self._signed) if size is None else bisect_left(self._signed, size)

    def page(self, position: str) -> Page:
        """The fold of a position, empty at first."""
        return self._pages.setdefault(position, Page())

    def apply(self, seq: int, entry: Entry) -> None:
        """Folds the next entry of the ledger."""
        kind = str(entry.get("kind", ""))
        if kind in {Kind.REDEEM, Kind.VOID}:
            self._signed.append(seq)
        page = self.page(str(entry.get("position", "")))
        if kind == Kind.OPEN:
            ts_ms = _number(entry, "ts_ms")
            page.shift = OpenShift(str(entry["shift"]), str(entry["operator"]), ts_ms)
            page.tally = Tally(since_ms=ts_ms)
        elif kind == Kind.CLOSE:
            page.shift = None
            page.tally = Tally()
        elif kind in _ACTS:
            self._act(page, seq, entry, kind)

    def _act(self, page: Page, seq: int, entry: Entry, kind: str) -> None:
        act = Act(
            seq=seq,
            kind=kind,
            nonce=str(entry.get("nonce", "")),
            code=str(entry.get("code", "")),
            offer=str(entry.get("offer", "")),
            ts_ms=_number(entry, "ts_ms"),
            mono_ms=_number(entry, "mono_ms"),
            boot=str(entry.get("boot", "")),
            quantity=_number(entry, "quantity"),
            shift=str(entry.get("shift", "")),
        )
        page.acts[seq] = act
        if kind != Kind.VOID and "orig_nonce" not in entry:
            page.last_tap = seq
        if len(page.acts) > RECENT_ACTS_MAX:
            page.acts.popitem(last=False)
        tally = page.tally = self._tally(page, act.ts_ms)
        if kind == Kind.REDEEM:
            tally.count(act.offer).redeemed += act.quantity
        elif kind == Kind.DECLINE:
            tally.declined += 1
        elif kind == Kind.VOID:
            original = self._find(_number(entry, "orig_seq"))
            if original is not None:
                original.reversed = True
            tally.count(act.offer).voided += act.quantity

    def tally(self, position: str, now_ms: int) -> Tally:
        """Counts of a position as of now: of the open shift, else of the local day."""
        return self._tally(self.page(position), now_ms)

    def _tally(self, page: Page, now_ms: int) -> Tally:
        if page.shift is not None:
            return page.tally
        moment = datetime.fromtimestamp(now_ms / 1000, _ZONE)
        day = moment.date().isoformat()
        if page.tally.day == day:
            return page.tally
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return Tally(since_ms=int(midnight.timestamp()) * 1000, day=day)

    def _find(self, seq: int) -> Act | None:
        for page in self._pages.values():
            if seq in page.acts:
                return page.acts[seq]
        return None


def _number(entry: Entry, name: str) -> int:
    value = entry.get(name, 0)
    return value if isinstance(value, int) else 0
