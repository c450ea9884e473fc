"""The scenario's stock: leases granted, refilled and recalled, and holds for ``online`` offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ledger.entry import Entry, Kind
from ledger.rules.leases import LeaseState, StockPool, refill_units
from ledger.rules.offer import LeaseView, Offer, Refill, StockMode, Venue
from redcard.scenario.ports import Grant, LeaseHolder, close_leases

#: How long the server keeps a hold whose entry the terminal did not confirm.
HOLD_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Held:
    """Units held for one nonce of one ledger.

    Attributes:
        confirmed: the terminal said that its entry is durable; only a void releases it then.
        arrived: the entry itself was admitted and counts instead of the hold.
    """

    ledger: str
    nonce: str
    offer: str
    member: str
    venue: str
    part: str
    quantity: int
    at_ms: int
    confirmed: bool = False
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class StockNumbers:
    """Units of one offer, as the step ``state`` gives them."""

    leased: int
    stock_left: int | None
    oversold: int


class Depot:
    """All stock of the scenario's server."""

    def __init__(self, true_ms: Callable[[], int]) -> None:
        self._true_ms = true_ms
        self._pools: dict[str, StockPool] = {}
        self._holds: dict[tuple[str, str], Held] = {}
        self._granted = 0

    def pool(self, offer: Offer) -> StockPool:
        """The stock of an offer; a new version changes its size and keeps its leases."""
        found = self._pools.setdefault(offer.id, StockPool(offer))
        found.offer = offer
        return found

    def start(
        self, offer: Offer, machine: LeaseHolder, venue: Venue, units: int
    ) -> LeaseView | None:
        """The lease that a terminal holds as the scenario begins."""
        return self._grant(offer, machine, venue, units)

    def refill(
        self,
        machine: LeaseHolder,
        venue: Venue,
        offer: Offer,
        quantity: int,
        others: Iterable[LeaseHolder],
    ) -> Grant:
        """Grants more units, recalling those of connected terminals when the pool is empty."""
        pool = self.pool(offer)
        part = pool.part(venue.id, venue.zone, self._true_ms())
        held = pool.open_lease(machine.ledger, part)
        # The terminal says what it has spent; the server may not have seen it yet.
        mine = [one for one in machine.leases.opens(offer.id) if held and one.lease == held.lease]
        left = mine[0].left if mine else 0
        if left < quantity:
            wanted = quantity - left
            for other in others:
                if pool.free(part) >= wanted:
                    break
                self._recall_now(pool, other, offer.id, part)
            if pool.free(part) < wanted:
                return Grant(self._why_empty(pool, part))
            wanted = refill_units(wanted, pool.free(part))
        else:
            wanted = 0
        return Grant(Refill.NOT_ASKED, self._grant(offer, machine, venue, wanted))

    def _grant(
        self, offer: Offer, machine: LeaseHolder, venue: Venue, units: int
    ) -> LeaseView | None:
        pool, now_ms = self.pool(offer), self._true_ms()
        part = pool.part(venue.id, venue.zone, now_ms)
        held = pool.open_lease(machine.ledger, part)
        expires_ms = pool.part_end(venue.zone, now_ms)
        if offer.stock.lease_ttl_ms is not None:
            expires_ms = min(expires_ms, now_ms + offer.stock.lease_ttl_ms)
        if held is None:
            self._granted += 1
        name = f"lease-{self._granted}" if held is None else held.lease
        lease = pool.grant(name, machine.ledger, part, units, expires_ms)
        return LeaseView(lease.lease, lease.epoch, lease.units, 0, lease.expires_ms)

    def _recall_now(self, pool: StockPool, other: LeaseHolder, offer: str, part: str) -> None:
        """A connected terminal closes its lease of this part and says so at once."""
        idle = [entry for entry in close_leases(other, offer) if self._is_idle(pool, entry, part)]
        if idle:
            other.append(idle)
            for entry in idle:
                pool.close(str(entry["lease"]), int(str(entry["spent"])))

    @staticmethod
    def _is_idle(pool: StockPool, entry: Entry, part: str) -> bool:
        lease = pool.lease(str(entry["lease"]))
        if lease is None or lease.part != part or lease.state is not LeaseState.OPEN:
            return False
        return lease.units > int(str(entry["spent"]))

    def _why_empty(self, pool: StockPool, part: str) -> Refill:
        """Whether other venues still have units, if only on their terminals."""
        if pool.offer.stock.mode is StockMode.PER_VENUE:
            for other in pool.offer.stock.per_venue:
                gone = pool.used(other) + self.held_units(pool.offer.id, other)
                if other != part and pool.total(other) > gone:
                    return Refill.VENUE_EMPTY
        return Refill.POOL_EMPTY

    def left_elsewhere(self, offer: Offer, part: str) -> bool:
        """Whether other venues still have units."""
        return self._why_empty(self.pool(offer), part) is Refill.VENUE_EMPTY

    # Holds.

    def held_units(self, offer: str, part: str, *, but: tuple[str, str] | None = None) -> int:
        """Units held and not yet arrived as an entry."""
        return sum(
            one.quantity
            for key, one in self._live()
            if one.offer == offer and one.part == part and key != but
        )

    def holds_of(self, member: str) -> list[Held]:
        """Holds of one member, which count as uses of the offer."""
        return [one for _, one in self._live() if one.member == member]

    def hold(self, held: Held) -> None:
        """Writes a hold; the same nonce holds once."""
        self._holds[held.ledger, held.nonce] = held

    def confirm(self, ledger: str, nonce: str) -> None:
        """The terminal's entry is durable."""
        held = self._holds.get((ledger, nonce))
        if held is not None:
            self._holds[ledger, nonce] = replace(held, confirmed=True)

    def release(self, ledger: str, nonce: str) -> None:
        """The redemption under a hold was voided before its entry came up."""
        self._holds.pop((ledger, nonce), None)

    def _live(self) -> list[tuple[tuple[str, str], Held]]:
        now_ms = self._true_ms()
        return [
            (key, one)
            for key, one in self._holds.items()
            if not one.arrived and (one.confirmed or now_ms < one.at_ms + HOLD_MS)
        ]

    # What comes up.

    def admit(self, entry: Entry, ledger: str, offer: Offer, venue: Venue) -> None:
        """Takes an admitted entry: a use, a void, the close of a lease."""
        pool = self.pool(offer)
        at_ms = entry.get("ts_ms")
        moment = at_ms if isinstance(at_ms, int) else self._true_ms()
        pool.apply(entry, ledger, pool.part(venue.id, venue.zone, moment))
        if entry.get("kind") in {Kind.REDEEM.value, Kind.MANUAL.value}:
            held = self._holds.get((ledger, str(entry.get("nonce"))))
            if held is not None:
                self._holds[held.ledger, held.nonce] = replace(held, arrived=True)

    def numbers(self, offer: Offer, venue: Venue, redeemed: int) -> StockNumbers:
        """What the step ``state`` tells of an offer."""
        pool, stock = self.pool(offer), offer.stock
        if stock.mode is StockMode.NONE:
            return StockNumbers(0, None, 0)
        if stock.mode in {StockMode.POOL, StockMode.PER_VENUE}:
            held = sum(one.quantity for _, one in self._live() if one.offer == offer.id)
            leased = pool.leased() + held
            left = max(0, stock.quantity - redeemed - leased)
            return StockNumbers(leased, left, max(0, redeemed - stock.quantity))
        part = pool.part("", venue.zone, self._true_ms())
        leased = pool.leased(part) + self.held_units(offer.id, part)
        used = pool.used(part)
        left = max(0, stock.quantity - used - leased)
        return StockNumbers(leased, left, pool.oversold())
