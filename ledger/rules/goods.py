"""Goods as a fold over a terminal's own ledger: parcels received, sent on, given out, and held.

Nothing is stored apart from the entries. Goods of an offer are tracked from the first parcel that
was signed for; before that its units are on paper only (a discount, a seat). A telephone hold is a
``goods`` entry too: it ends by itself at its time, and what is given out for it names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Final

from ledger.entry import Entry, Kind
from ledger.rules.numbers import NumberRange, overlap, parse_ranges, without

#: Units that may be held for callers at one terminal, all holds of an offer together.
HELD_UNITS_MAX: Final = 40


@unique
class GoodsMovement(StrEnum):
    """What a ``goods`` entry records."""

    RECEIVED = "received"
    TRANSFERRED = "transferred"
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Goods of one offer.

    Attributes:
        received: units signed for; ``sent``: transferred to other stations.
        given: units redeemed since the first parcel, voided ones excluded.
        corrected: sum of the differences found when shifts were closed.
        numbers: number ranges received and not sent on.
    """

    received: int = 0
    sent: int = 0
    given: int = 0
    corrected: int = 0
    numbers: tuple[NumberRange, ...] = ()

    @property
    def on_hand(self) -> int:
        """Units that must lie on the shelf."""
        return self.received - self.sent - self.given + self.corrected


@dataclass(frozen=True, slots=True)
class Hold:
    """Units held for a caller until ``until_ms``; ``used`` were given out for it."""

    id: str
    offer: str
    units: int
    placed_ms: int
    until_ms: int
    used: int = 0
    released: bool = False

    def left(self, now_ms: int) -> int:
        """Units still held at an instant."""
        return 0 if self.released or now_ms >= self.until_ms else max(0, self.units - self.used)


class GoodsBook:
    """The fold. ``apply`` each entry of the terminal's own ledger once, in order."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}
        self._holds: dict[str, Hold] = {}
        self._uses: dict[int, tuple[str, int, str]] = {}
        self._transfers: set[str] = set()
        self._nonces: dict[str, int] = {}
        self._sheets: dict[str, int] = {}
        self._moves: list[int] = []

    def apply(self, entry: Entry) -> None:
        """Takes one entry; kinds that move no goods are passed over."""
        kind = entry.get("kind")
        if kind == Kind.GOODS:
            self._move(entry)
        elif kind in {Kind.REDEEM, Kind.MANUAL}:
            if kind == Kind.MANUAL:
                self._sheets[str(entry.get("sheet", ""))] = _number(entry, "seq")
            self._give(entry)
        elif kind == Kind.VOID:
            self._take_back(entry)
        elif kind == Kind.CLOSE:
            self._counted(entry)

    def shelf(self, offer: str) -> Shelf | None:
        """Goods of an offer, ``None`` if no parcel of it was ever signed for."""
        return self._shelves.get(offer)

    def shelves(self) -> dict[str, Shelf]:
        """Goods of every offer that had a parcel, by identifier."""
        return dict(sorted(self._shelves.items()))

    def clash(self, offer: str, numbers: tuple[NumberRange, ...]) -> NumberRange | None:
        """A range on the shelf that shares a number with some others."""
        held = self._shelves.get(offer, Shelf()).numbers
        found = (overlap(held, one) for one in numbers)
        return next((one for one in found if one is not None), None)

    def missing(self, offer: str, numbers: tuple[NumberRange, ...]) -> NumberRange | None:
        """A range that does not lie on the shelf whole."""
        held: tuple[NumberRange, ...] = self._shelves.get(offer, Shelf()).numbers
        for one in numbers:
            rest = without(held, one)
            if rest is None:
                return one
            held = rest
        return None

    def knows_transfer(self, transfer: str) -> bool:
        """Whether a transfer was signed for here already."""
        return transfer in self._transfers

    def by_nonce(self, nonce: str) -> int | None:
        """The movement that was recorded under a nonce."""
        return self._nonces.get(nonce)

    def by_sheet(self, sheet: str) -> int | None:
        """The late entry that was made from a line of a paper sheet."""
        return self._sheets.get(sheet)

    def moves(self) -> list[int]:
        """Sequence numbers of all movements, oldest first."""
        return list(self._moves)

    def sheets(self) -> dict[str, int]:
        """Lines of paper sheets that were entered, and their entries."""
        return dict(self._sheets)

    def holds(self, offer: str = "") -> Iterator[Hold]:
        """All holds ever placed, of one offer if one is named."""
        return (one for one in self._holds.values() if offer in ("", one.offer))

    def hold(self, name: str) -> Hold | None:
        """One hold."""
        return self._holds.get(name)

    def held(self, offer: str, now_ms: int, *, but: str = "") -> int:
        """Units of an offer that are held for callers now, one hold left out if named."""
        return sum(one.left(now_ms) for one in self.holds(offer) if one.id != but)

    def _move(self, entry: Entry) -> None:
        offer, quantity = str(entry["offer"]), _number(entry, "quantity")
        movement, name = str(entry["movement"]), str(entry.get("hold", ""))
        nonce = entry.get("nonce")
        self._moves.append(_number(entry, "seq"))
        if isinstance(nonce, str):
            self._nonces[nonce] = _number(entry, "seq")
        if movement == GoodsMovement.HELD:
            self._holds[name] = Hold(
                name, offer, quantity, _number(entry, "ts_ms"), _number(entry, "until_ms")
            )
        elif movement == GoodsMovement.RELEASED and name in self._holds:
            self._holds[name] = replace(self._holds[name], released=True)
        elif movement == GoodsMovement.RECEIVED:
            shelf = self._shelves.get(offer, Shelf())
            numbers = tuple(sorted([*shelf.numbers, *_ranges(entry)]))
            self._shelves[offer] = replace(
                shelf, received=shelf.received + quantity, numbers=numbers
            )
            self._transfers.add(str(entry.get("transfer", "")))
            self._transfers.discard("")
        elif movement == GoodsMovement.TRANSFERRED:
            shelf = self._shelves.get(offer, Shelf())
            numbers = shelf.numbers
            for one in _ranges(entry):
                numbers = without(numbers, one) or tuple(x for x in numbers if x != one)
            self._shelves[offer] = replace(shelf, sent=shelf.sent + quantity, numbers=numbers)

    def _give(self, entry: Entry) -> None:
        offer, quantity = str(entry.get("offer", "")), _number(entry, "quantity", 1)
        hold = str(entry.get("hold", ""))
        if offer not in self._shelves and hold not in self._holds:
            return
        self._uses[_number(entry, "seq")] = (offer, quantity, hold)
        self._count(offer, quantity, hold)

    def _take_back(self, entry: Entry) -> None:
        if entry.get("orig_ledger"):
            return
        use = self._uses.pop(_number(entry, "orig_seq", -1), None)
        if use is not None:
            self._count(use[0], -use[1], use[2])

    def _count(self, offer: str, quantity: int, hold: str) -> None:
        shelf = self._shelves.get(offer)
        if shelf is not None:
            self._shelves[offer] = replace(shelf, given=shelf.given + quantity)
        if hold in self._holds:
            held = self._holds[hold]
            self._holds[hold] = replace(held, used=held.used + quantity)

    def _counted(self, entry: Entry) -> None:
        """A difference that was found and explained at closing becomes what is on the shelf."""
        offers, differences = entry.get("offers"), entry.get("differences")
        if not isinstance(offers, (list, tuple)) or not isinstance(differences, (list, tuple)):
            return
        for offer, difference in zip(offers, differences, strict=False):
            shelf = self._shelves.get(str(offer))
            if shelf is not None and isinstance(difference, int):
                corrected = shelf.corrected + difference
                self._shelves[str(offer)] = replace(shelf, corrected=corrected)


def _ranges(entry: Entry) -> tuple[NumberRange, ...]:
    texts = entry.get("numbers")
    return parse_ranges([str(one) for one in texts]) if isinstance(texts, (list, tuple)) else ()


def _number(entry: Entry, name: str, default: int = 0) -> int:
    value = entry.get(name, default)
    return value if isinstance(value, int) else default
