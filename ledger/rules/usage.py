"""Usage as a fold over ledger entries: who used what, when and where.

Nothing is updated in place: a void is a new entry that takes its original out of the fold, in the
same ledger unless it names another one. Entries may come in any order, from any number of ledgers;
a void that comes before its original waits for it. Uses are kept per member and offer, sorted by
time, so that a look costs what this member did and not what the ledger holds.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.entry import Entry, Kind
from ledger.rules.offer import BrokenOffer, Offer

#: Kinds that take something from an offer. A re-entry does not, and is never counted.
USES: Final = frozenset({Kind.REDEEM.value, Kind.MANUAL.value})


class Use(NamedTuple):
    """One redemption that counts; ordered by time, then ledger, then position.

    Attributes:
        ts_ms: when it happened, by the terminal's clock.
        ledger: ledger id, empty for the terminal's own.
        seq: position in the ledger.
        quantity: units.
        venue: where.
        offer: of what.
        member: whose, 16 hexadecimal digits.
        lease: the stock lease that it was taken from, or empty.
    """

    ts_ms: int
    ledger: str
    seq: int
    quantity: int
    venue: str
    offer: str
    member: str
    lease: str = ""


@dataclass(frozen=True, slots=True)
class UsageView:
    """What one member used, as far as it bears on one offer.

    Attributes:
        uses: of the offer itself, by time.
        grouped: for each limit group of the offer, uses of all its offers, by time.
    """

    uses: Sequence[Use] = ()
    grouped: dict[str, Sequence[Use]] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Units of the offer over its whole life."""
        return units_of(self.uses)

    def joined(self, other: UsageView) -> UsageView:
        """Own uses and those of a used-set together; the two must not overlap."""
        if not other.uses and not any(other.grouped.values()):
            return self
        groups = {*self.grouped, *other.grouped}
        return UsageView(
            _merged([self.uses, other.uses]),
            {
                name: _merged([self.grouped.get(name, ()), other.grouped.get(name, ())])
                for name in groups
            },
        )


class Usage:
    """The fold. ``apply`` each entry once; look at a member with ``view``."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, list[Use]]] = {}
        self._offers: dict[str, list[Use]] = {}
        self._ledgers: dict[str, list[Use]] = {}
        self._positions: dict[tuple[str, int], tuple[str, Use]] = {}
        self._waiting: dict[tuple[str, int], set[str]] = {}
        self._gone: set[tuple[str, int]] = set()
        self._reversed: dict[str, int] = {}
        self._since: dict[str, _Since] = {}

    def apply(self, entry: Entry, *, ledger: str = "") -> None:
        """Takes one entry into the fold.

        Args:
            entry: as decoded; kinds that neither use nor void are passed over.
            ledger: id of the ledger it stands in, empty for the terminal's own.
        """
        kind = entry.get("kind")
        if kind in USES:
            self._use(entry, ledger)
        elif kind == Kind.VOID:
            self._void(entry, ledger)

    def apply_all(self, entries: Iterable[Entry], *, ledger: str = "") -> None:
        """Takes several entries of one ledger."""
        for entry in entries:
            self.apply(entry, ledger=ledger)

    def add(self, use: Use) -> None:
        """Takes a use of a used-set, which comes without its entry."""
        self._insert(use, "")

    def view(self, member: str, offer: Offer | BrokenOffer | None) -> UsageView:
        """What a member used of an offer and of the groups that it shares limits with."""
        if not isinstance(offer, Offer) or member not in self._members:
            return UsageView()
        mine = self._members[member]
        grouped: dict[str, Sequence[Use]] = {}
        for limit in offer.limits:
            if limit.group and limit.group not in grouped:
                names = limit.offers or (offer.id,)
                grouped[limit.group] = _merged([mine.get(name, ()) for name in names])
        return UsageView(mine.get(offer.id, ()), grouped)

    def of_member(self, member: str) -> dict[str, Sequence[Use]]:
        """All that a member used and that counts, by offer, each by time."""
        return {offer: uses for offer, uses in self._members.get(member, {}).items() if uses}

    def units(self, offer: str, *, start_ms: int = 0, end_ms: int | None = None) -> int:
        """Units of an offer by all members, in ``[start_ms, end_ms)``, voided ones excluded."""
        return sum(use.quantity for use in self._between(offer, start_ms, end_ms))

    def units_at(
        self, offer: str, venue: str, *, start_ms: int = 0, end_ms: int | None = None
    ) -> int:
        """The same at one venue."""
        found = self._between(offer, start_ms, end_ms)
        return sum(use.quantity for use in found if use.venue == venue)

    def units_reversed(self, offer: str) -> int:
        """Units of an offer that were voided."""
        return self._reversed.get(offer, 0)

    def units_since(self, size: int, *, offer: str = "", ledger: str = "") -> int:
        """Unreversed units of one ledger from position ``size`` on; of all offers if none is named.

        Asked again for the same size, as between two receipts, it costs the same however much has
        come since.
        """
        known = self._since.get(ledger)
        if known is None or known.size != size:
            known = self._since[ledger] = _Since(size)
            for use in reversed(self._ledgers.get(ledger, [])):
                if use.seq < size:
                    break
                known.count(use, use.quantity)
        return known.units.get(offer, 0)

    def use_at(self, seq: int, *, ledger: str = "") -> Use | None:
        """The use that stands at a position, if it counts."""
        found = self._positions.get((ledger, seq))
        return found[1] if found is not None else None

    def is_voided(self, seq: int, *, ledger: str = "") -> bool:
        """Whether a void took back the use that stood at a position."""
        return (ledger, seq) in self._gone

    def all_uses(self) -> Iterator[Use]:
        """Every use that counts, in no particular order."""
        for offers in self._members.values():
            for uses in offers.values():
                yield from uses

    def _between(self, offer: str, start_ms: int, end_ms: int | None) -> Sequence[Use]:
        uses = self._offers.get(offer, [])
        first = bisect_left(uses, start_ms, key=_when) if start_ms else 0
        return uses[first : None if end_ms is None else bisect_left(uses, end_ms, key=_when)]

    def _use(self, entry: Entry, ledger: str) -> None:
        use = Use(
            ts_ms=_number(entry, "ts_ms"),
            ledger=ledger,
            seq=_number(entry, "seq"),
            quantity=_number(entry, "quantity", 1),
            venue=_text(entry, "venue"),
            offer=_text(entry, "offer"),
            member=_text(entry, "member"),
            lease=_text(entry, "lease"),
        )
        nonce = _text(entry, "nonce")
        position = (ledger, use.seq)
        if position in self._gone:
            return
        if nonce in self._waiting.get(position, ()):
            self._reverse(position, use)
            return
        self._insert(use, nonce)

    def _insert(self, use: Use, nonce: str) -> None:
        position = (use.ledger, use.seq)
        if position in self._positions:
            return
        self._positions[position] = (nonce, use)
        insort(self._members.setdefault(use.member, {}).setdefault(use.offer, []), use)
        insort(self._offers.setdefault(use.offer, []), use)
        insort(self._ledgers.setdefault(use.ledger, []), use, key=_seq)
        if use.ledger in self._since:
            self._since[use.ledger].count(use, use.quantity)

    def _void(self, entry: Entry, ledger: str) -> None:
        position = (_text(entry, "orig_ledger") or ledger, _number(entry, "orig_seq", -1))
        nonce = _text(entry, "orig_nonce")
        held = self._positions.get(position)
        if held is None:
            self._waiting.setdefault(position, set()).add(nonce)
        elif held[0] == nonce:
            use = held[1]
            del self._positions[position]
            _take(self._members[use.member][use.offer], use)
            _take(self._offers[use.offer], use)
            _take_by_seq(self._ledgers[position[0]], use)
            if position[0] in self._since:
                self._since[position[0]].count(use, -use.quantity)
            self._reverse(position, use)

    def _reverse(self, position: tuple[str, int], use: Use) -> None:
        self._waiting.pop(position, None)
        self._gone.add(position)
        self._reversed[use.offer] = self._reversed.get(use.offer, 0) + use.quantity


class _Since:
    """Units of one ledger from a position on, by offer; under no name, of all."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.units: dict[str, int] = {}

    def count(self, use: Use, quantity: int) -> None:
        """Adds a use that came, or takes off one that was voided."""
        if use.seq >= self.size:
            for name in (use.offer, ""):
                self.units[name] = self.units.get(name, 0) + quantity


_quantity: Final = itemgetter(3)


def units_of(uses: Sequence[Use]) -> int:
    """Units of some uses together."""
    return sum(map(_quantity, uses))


def _merged(parts: Sequence[Sequence[Use]]) -> Sequence[Use]:
    """Sorted uses joined into one sorted sequence; a lone part is not copied."""
    filled = [part for part in parts if part]
    if len(filled) <= 1:
        return filled[0] if filled else ()
    return sorted(chain.from_iterable(filled))


def _when(use: Use) -> int:
    return use.ts_ms


def _seq(use: Use) -> int:
    return use.seq


def _take(uses: list[Use], use: Use) -> None:
    del uses[bisect_left(uses, use)]


def _take_by_seq(uses: list[Use], use: Use) -> None:
    del uses[bisect_left(uses, use.seq, key=_seq)]


def _number(entry: Entry, name: str, default: int = 0) -> int:
    value = entry.get(name, default)
    return value if isinstance(value, int) else default


def _text(entry: Entry, name: str) -> str:
    value = entry.get(name, "")
    return value if isinstance(value, str) else ""
