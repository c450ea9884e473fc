"""What entries owe each other: boots in order, one nonce once, shifts that add up.

A stretch of whole entries is condensed by `condense` wherever it was read; `Course` takes the
stretches in order. What is not whole goes to `Course.entry` one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ledger.log.audit_decode import Columns, Separate
from ledger.log.audit_report import Report
from ledger.log.reading import NONCE_KINDS

Counts: TypeAlias = dict[tuple[str, str], list[int]]
Closing: TypeAlias = tuple[int, dict[str, Any]]
_TAPS: Final = frozenset(kind.value for kind in NONCE_KINDS)
_UNITS: Final = frozenset({"redeem", "void"})
_STARTS: Final = frozenset({"boot", "genesis"})


@dataclass(slots=True)
class Stretch:
    """Consecutive whole entries, condensed.

    Attributes:
        turns: seq, kind, boot and clock of each entry that is not plainly the next of its boot,
            and the clock of the entry before it.
        boot: boot of the last entry.
        mono_ms: clock of the last entry.
        nonces: nonces of taps and voids, and the seq that had each first.
        repeated: seq and nonce of those that had one of these again.
        shifts: counts of shifts, and after them the closing that ends them.
        counts: counts after the last closing.
        marks: counters that entries carry: seq, whose it is (the card, or empty for the machine's
            own, which has a name), and value.
    """

    turns: list[tuple[int, str, str, int, int]] = field(default_factory=list)
    boot: object = None
    mono_ms: int = 0
    nonces: dict[str, int] = field(default_factory=dict)
    repeated: list[tuple[int, str]] = field(default_factory=list)
    shifts: list[Counts | Closing] = field(default_factory=list)
    counts: Counts = field(default_factory=dict)
    marks: list[tuple[int, str, str, int]] = field(default_factory=list)


def condense(start: int, entries: Columns, found: Stretch) -> None:
    """Adds entries to a stretch that they continue; the first of them has the seq ``start``."""
    kinds = entries.column("kind")
    if set(map(type, kinds)) != {str}:
        # A kind may be an array, which no set can look up.
        kinds = list(map(str, kinds))
    present = set(kinds)
    _turns(start, entries, kinds, present, found)
    if not present.isdisjoint(_TAPS):
        _nonces(start, entries, kinds, present, found)
    if entries.has("card_counter") or entries.has("counter"):
        _marks(start, entries, found.marks)
    if entries.has("shift"):
        _shifts(start, entries, kinds, found)


def _turns(
    start: int, entries: Columns, kinds: list[str], present: set[str], found: Stretch
) -> None:
    boots, clocks = entries.column("boot"), entries.column("mono_ms")
    plain = (
        boots.count(found.boot) == len(boots)
        and clocks[0] >= found.mono_ms
        and clocks == sorted(clocks)
        and present.isdisjoint(_STARTS)
    )
    if not plain:
        last_boot, last_ms = found.boot, found.mono_ms
        for seq, (kind, boot, mono_ms) in enumerate(zip(kinds, boots, clocks, strict=True), start):
            if boot != last_boot or mono_ms < last_ms or kind in _STARTS:
                found.turns.append((seq, kind, str(boot), mono_ms, last_ms))
            last_boot, last_ms = boot, mono_ms
    found.boot, found.mono_ms = boots[-1], clocks[-1]


def _nonces(
    start: int, entries: Columns, kinds: list[str], present: set[str], found: Stretch
) -> None:
    nonces = entries.column("nonce")
    if set(map(type, nonces)) != {str}:
        nonces = list(map(str, nonces))
    pairs = list(zip(nonces, range(start, start + len(nonces)), strict=True))
    if not present <= _TAPS:
        pairs = [pair for kind, pair in zip(kinds, pairs, strict=True) if kind in _TAPS]
    fresh = dict(pairs)
    if len(fresh) == len(pairs) and found.nonces.keys().isdisjoint(fresh):
        found.nonces |= fresh
        return
    for nonce, seq in pairs:
        if found.nonces.setdefault(nonce, seq) != seq:
            found.repeated.append((seq, nonce))


def _marks(start: int, entries: Columns, marks: list[tuple[int, str, str, int]]) -> None:
    cards, counted, own = map(entries.column, ("card", "card_counter", "counter"))
    for seq, (card, value, mine) in enumerate(zip(cards, counted, own, strict=True), start):
        if type(value) is int and type(card) is str and card:
            marks.append((seq, card, "", value))
        if type(mine) is int:
            name = entries.entry(seq - start).get("counter_name")
            marks.append((seq, "", str(name), mine))


def _shifts(start: int, entries: Columns, kinds: list[str], found: Stretch) -> None:
    shifts, offers, quantities = map(entries.column, ("shift", "offer", "quantity"))
    rows = zip(kinds, shifts, offers, quantities, strict=True)
    for seq, (kind, shift, offer, quantity) in enumerate(rows, start):
        if shift is None:
            continue
        if kind == "close":
            found.shifts += [found.counts, (seq, dict(entries.entry(seq - start)))]
            found.counts = Counts()
            continue
        units = 1 if quantity is None else quantity
        if kind in _UNITS and isinstance(shift, str) and type(units) is int:
            found.counts.setdefault((shift, str(offer)), [0, 0])[kind == "void"] += units


class Course:
    """Takes entries in order and reports what contradicts an earlier one."""

    def __init__(self, report: Report, origin: str) -> None:
        self._report, self._origin = report, origin
        self._boot, self._mono_ms, self._boots = "", 0, set[str]()
        self._nonces = dict[str, int]()
        self._counts: dict[str, dict[str, list[int]]] = {}
        self._cards = dict[str, int]()
        self._counter: tuple[str, int] | None = None

    def entry(self, seq: int, entry: dict[str, Any]) -> None:
        """Takes one entry."""
        alone = Stretch()
        condense(seq, Separate([entry]), alone)
        self.stretch(alone, entry if seq == 0 else None)

    def stretch(self, stretch: Stretch, first: Mapping[str, Any] | None = None) -> None:
        """Takes a stretch; ``first`` is the ledger's first entry if it begins with that."""
        if first is not None and first.get("origin") != self._origin:
            self._report.add(0, "order", f"the genesis is of another ledger, not of {self._origin}")
        for at, (seq, kind, boot, mono_ms, before_ms) in enumerate(stretch.turns):
            if at:
                self._mono_ms = before_ms
            self._turn(seq, kind, boot, mono_ms)
        if stretch.turns:
            self._mono_ms = stretch.mono_ms
        self._take_nonces(stretch)
        for mark in stretch.marks:
            self._take_mark(*mark)
        for shift in (*stretch.shifts, stretch.counts):
            if isinstance(shift, dict):
                for (name, offer), (redeemed, voided) in shift.items():
                    count = self._counts.setdefault(name, {}).setdefault(offer, [0, 0])
                    count[0] += redeemed
                    count[1] += voided
            else:
                self._close(*shift)

    def _take_nonces(self, stretch: Stretch) -> None:
        if self._nonces.keys().isdisjoint(stretch.nonces):
            self._nonces.update(stretch.nonces)
            doubtful = stretch.repeated
        else:
            taken = [(seq, nonce) for nonce, seq in stretch.nonces.items()]
            doubtful = sorted(taken + stretch.repeated)
        for seq, nonce in doubtful:
            first = self._nonces.setdefault(nonce, seq)
            if first != seq:
                self._report.add(seq, "duplicate_nonce", f"entry {first} has the same nonce")

    def _take_mark(self, seq: int, card: str, name: str, value: int) -> None:
        if card:
            before = self._cards.setdefault(card, value)
            if value < before:
                self._report.add(seq, "card_counter", f"{value} after {before}")
            self._cards[card] = max(value, before)
            return
        now = (name, value)
        if self._counter not in (None, now):
            self._report.add(seq, "counter", f"{now} where {self._counter} is next")
        self._counter = (name, value + 1)

    def _turn(self, seq: int, kind: str, boot: str, mono_ms: int) -> None:
        add = self._report.add
        if (seq == 0) != (kind == "genesis"):
            add(seq, "order", "the first entry, and only it, is the genesis")
        if boot != self._boot and kind not in {"boot", "genesis"}:
            add(seq, "order", "a new boot begins without its boot entry")
        if boot in self._boots and (boot != self._boot or kind == "boot"):
            add(seq, "order", "a boot that was over begins again")
        if boot == self._boot and mono_ms < self._mono_ms:
            add(seq, "order", f"boot time runs back from {self._mono_ms} to {mono_ms}")
        self._boot, self._mono_ms = boot, mono_ms
        if kind != "genesis":
            self._boots.add(boot)

    def _close(self, seq: int, entry: Mapping[str, Any]) -> None:
        shift = entry["shift"]
        if not isinstance(shift, str):
            return
        arrays = [entry.get(name) for name in ("offers", "counts", "voids")]
        rows = zip(*(array for array in arrays if isinstance(array, list)), strict=False)
        stated = {row[0]: [*row[1:]] for row in rows}
        counted = self._counts.pop(shift, {})
        for offer in sorted(stated.keys() | counted.keys(), key=str):
            says, is_ = stated.get(offer, [0, 0]), counted.get(offer, [0, 0])
            if says != is_:
                self._report.add(seq, "totals", f"{offer}: states {says}, entries say {is_}")
