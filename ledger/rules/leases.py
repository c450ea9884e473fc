"""Stock leases as a state machine, at both of its ends.

A terminal may only give out units that the server granted to it. Expiry stops the terminal; it
never returns units to the pool, for the terminal may have spent them unseen. Units come back only
by the terminal's own signed ``lease_close``, which says how many were spent, or by a write-off in
the back office that is audited and counted as at risk. So no order of messages, no partition and
no clock makes the sum of what all terminals may give out exceed the stock.

    none -> open -> (new epoch: refilled or renewed) open -> closed
                 -> written off

A void gives its unit back to its own lease while that is open; after the close the unit returns to
the pool when the server has admitted the void.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from ledger.entry import Entry, Kind
from ledger.rules import windows
from ledger.rules.offer import LeaseView, Offer, StockMode

REFILL_UNITS: Final = 8


def refill_units(wanted: int, free: int) -> int:
    """Units to grant to a terminal that needs ``wanted`` and can have at most ``free``.

    Small leases leave little stranded on terminals that are cut off; what connected ones hold when
    the pool runs dry is recalled, so that the last units need no smaller ones.
    """
    return min(free, max(wanted, REFILL_UNITS))


class LeaseBook:
    """The terminal's end: a fold over its own ledger that knows the open leases of each offer."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, LeaseView]] = {}
        self._closed: set[str] = set()
        self._spends: dict[int, tuple[str, str, int]] = {}

    def apply(self, entry: Entry) -> None:
        """Takes one entry of the terminal's own ledger."""
        kind, offer = entry.get("kind"), str(entry.get("offer", ""))
        if kind == Kind.LEASE:
            self._grant(entry, offer)
        elif kind == Kind.LEASE_CLOSE:
            self._close(str(entry["lease"]), offer)
        elif kind in {Kind.REDEEM, Kind.MANUAL} and entry.get("lease"):
            self._spend(entry, offer)
        elif kind == Kind.VOID:
            self._give_back(entry)

    def view(
        self,
        offer: str,
        now_ms: int,
        quantity: int = 1,
        spent: Mapping[str, int] = MappingProxyType({}),
    ) -> LeaseView | None:
        """The open lease that the next tap takes from.

        A usable one that covers the quantity first, then any usable one, then the newest.

        Args:
            offer: whose lease.
            now_ms: an instant.
            quantity: units of the tap.
            spent: units, by lease, that taps of the same commit have taken before it.
        """
        held = [
            replace(one, spent=one.spent + spent[one.lease]) if one.lease in spent else one
            for one in self.opens(offer)
        ]
        usable = [one for one in held if one.left and now_ms < one.expires_ms]
        enough = [one for one in usable if one.left >= quantity]
        if usable:
            return min(enough or usable, key=lambda one: (one.expires_ms, one.lease))
        return max(held, key=lambda one: (one.expires_ms, one.epoch, one.lease), default=None)

    def opens(self, offer: str) -> tuple[LeaseView, ...]:
        """All open leases of an offer, expired or not."""
        return tuple(self._open.get(offer, {}).values())

    def _grant(self, entry: Entry, offer: str) -> None:
        lease, epoch = str(entry["lease"]), _number(entry, "lease_epoch")
        if lease in self._closed:
            return  # a grant that was delayed beyond its own close
        held = self._open.setdefault(offer, {}).get(lease)
        if held is not None and epoch <= held.epoch:
            return  # an older grant of the same lease
        spent = held.spent if held is not None else 0
        self._open[offer][lease] = LeaseView(
            lease, epoch, _number(entry, "units"), spent, _number(entry, "expires_ms")
        )

    def _close(self, lease: str, offer: str) -> None:
        self._closed.add(lease)
        self._open.get(offer, {}).pop(lease, None)
        self._spends = {seq: one for seq, one in self._spends.items() if one[0] != lease}

    def _spend(self, entry: Entry, offer: str) -> None:
        lease = str(entry["lease"])
        held = self._open.get(offer, {}).get(lease)
        if held is None:
            return
        quantity = _number(entry, "quantity", 1)
        self._open[offer][lease] = replace(held, spent=held.spent + quantity)
        self._spends[_number(entry, "seq")] = (lease, offer, quantity)

    def _give_back(self, entry: Entry) -> None:
        if entry.get("orig_ledger"):
            return
        spend = self._spends.pop(_number(entry, "orig_seq", -1), None)
        if spend is not None:
            lease, offer, quantity = spend
            held = self._open[offer][lease]
            self._open[offer][lease] = replace(held, spent=held.spent - quantity)


@unique
class LeaseState(StrEnum):
    """Where a lease stands at the server."""

    OPEN = "open"
    CLOSED = "closed"
    WRITTEN_OFF = "written_off"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as the server granted it, with what came back so far.

    Attributes:
        part: which part of the stock it was cut from: a venue, a day, a sitting, or empty.
        units: granted in all epochs together.
        used: units of it seen redeemed and not voided.
        late: units voided by entries that came after the close.
        spent: what the close said, meaningful once closed.
    """

    lease: str
    ledger: str
    part: str
    epoch: int
    units: int
    expires_ms: int
    state: LeaseState = LeaseState.OPEN
    used: int = 0
    late: int = 0
    spent: int = 0

    @property
    def outstanding(self) -> int:
        """Units granted, neither seen redeemed nor returned."""
        if self.state is LeaseState.WRITTEN_OFF:
            return 0
        if self.state is LeaseState.CLOSED:
            return max(0, self.spent - self.used - self.late)
        return max(0, self.units - self.used)


class StockPool:
    """The server's end for one offer: what is granted, redeemed, returned, and still free."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._leases: dict[str, Lease] = {}
        self._holders: dict[tuple[str, str], str] = {}
        self._out: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._spends: dict[tuple[str, int], tuple[str, str, int]] = {}

    def part(self, venue: str, zone: str, at_ms: int) -> str:
        """Which part of the stock a use at this venue and instant draws on."""
        mode = self.offer.stock.mode
        if mode is StockMode.PER_VENUE:
            return venue
        if mode is StockMode.PER_DAY:
            return windows.local_day(at_ms, zone).isoformat()
        if mode is StockMode.PER_SESSION:
            now_sitting = windows.sitting(self.offer, at_ms, zone)
            return "" if now_sitting is None else str(now_sitting[0])
        return ""

    def part_end(self, zone: str, at_ms: int) -> int:
        """Until when units of the part that is current at an instant may be given out."""
        end_ms = self.offer.until_ms + self.offer.tolerance_ms
        mode = self.offer.stock.mode
        if mode is StockMode.PER_DAY:
            return min(end_ms, windows.next_day_start(at_ms, zone))
        if mode is StockMode.PER_SESSION:
            now_sitting = windows.sitting(self.offer, at_ms, zone)
            if now_sitting is not None:
                return min(end_ms, now_sitting[1] + self.offer.tolerance_ms)
        return end_ms

    def total(self, part: str) -> int:
        """Units that the part holds from the start."""
        stock = self.offer.stock
        return stock.per_venue.get(part, 0) if stock.per_venue else stock.quantity

    def used(self, part: str) -> int:
        """Units of the part seen redeemed and not voided."""
        return self._used.get(part, 0)

    def leased(self, part: str | None = None) -> int:
        """Units granted, not redeemed, not returned; of all parts if none is named."""
        return sum(self._out.values()) if part is None else self._out.get(part, 0)

    def free(self, part: str) -> int:
        """Units that can still be granted or held."""
        return max(0, self.total(part) - self.used(part) - self.leased(part))

    def oversold(self) -> int:
        """Units redeemed beyond the stock, over all parts."""
        return sum(max(0, used - self.total(part)) for part, used in self._used.items())

    def leases(self) -> Iterator[Lease]:
        """All leases ever granted."""
        return iter(self._leases.values())

    def lease(self, name: str) -> Lease | None:
        """A lease by name."""
        return self._leases.get(name)

    def open_lease(self, ledger: str, part: str) -> Lease | None:
        """The newest open lease of a ledger on a part."""
        found = self._leases.get(self._holders.get((ledger, part), ""))
        return found if found is not None and found.state is LeaseState.OPEN else None

    def grant(self, lease: str, ledger: str, part: str, units: int, expires_ms: int) -> Lease:
        """Cuts units from what is free: a new lease, or a new epoch of the same one.

        Args:
            lease: identifier; an open lease of this name is refilled and renewed.
            ledger: whose it is.
            part: by ``part``.
            units: asked for; at most what is free is added.
            expires_ms: when the terminal must stop.
        """
        added = min(units, self.free(part))
        held = self._leases.get(lease)
        if held is None:
            found = Lease(lease, ledger, part, 1, added, expires_ms)
        elif held.state is not LeaseState.OPEN:
            return held
        else:
            found = replace(
                held, epoch=held.epoch + 1, units=held.units + added, expires_ms=expires_ms
            )
        self._holders[ledger, part] = lease
        self._put(found)
        return found

    def close(self, lease: str, spent: int) -> None:
        """Takes a terminal's signed close: what it did not spend is free again. Idempotent."""
        held = self._leases.get(lease)
        if held is not None and held.state is LeaseState.OPEN:
            spent = min(max(spent, held.used), held.units)
            self._put(replace(held, state=LeaseState.CLOSED, spent=spent))

    def write_off(self, lease: str) -> int:
        """Frees what an unreachable terminal still holds; returns the units now at risk."""
        held = self._leases[lease]
        at_risk = held.outstanding
        self._put(replace(held, state=LeaseState.WRITTEN_OFF))
        return at_risk

    def apply(self, entry: Entry, ledger: str, part: str) -> None:
        """Takes an admitted entry: a use, a void or a close.

        Args:
            entry: as decoded.
            ledger: in which it stands.
            part: by ``part``, for uses.
        """
        kind = entry.get("kind")
        if kind == Kind.LEASE_CLOSE:
            self.close(str(entry.get("lease")), _number(entry, "spent"))
        elif kind in {Kind.REDEEM, Kind.MANUAL}:
            self._spend((ledger, _number(entry, "seq")), entry, part)
        elif kind == Kind.VOID:
            origin = str(entry.get("orig_ledger") or ledger)
            self._give_back((origin, _number(entry, "orig_seq", -1)))

    def _spend(self, position: tuple[str, int], entry: Entry, part: str) -> None:
        if position in self._spends:
            return
        quantity = _number(entry, "quantity", 1)
        held = self._leases.get(str(entry.get("lease", "")))
        if held is not None:
            part = held.part
            self._put(replace(held, used=held.used + quantity))
        self._used[part] = self.used(part) + quantity
        self._spends[position] = (held.lease if held is not None else "", part, quantity)

    def _give_back(self, position: tuple[str, int]) -> None:
        spend = self._spends.get(position)
        if spend is None or spend[2] == 0:
            return
        lease, part, quantity = spend
        self._spends[position] = (lease, part, 0)
        self._used[part] = self.used(part) - quantity
        held = self._leases.get(lease)
        if held is not None:
            late = quantity if held.state is LeaseState.CLOSED else 0
            self._put(replace(held, used=held.used - quantity, late=held.late + late))

    def _put(self, lease: Lease) -> None:
        """Keeps a lease and the sum of what is outstanding, so that no look walks all leases."""
        before = self._leases.get(lease.lease)
        change = lease.outstanding - (before.outstanding if before is not None else 0)
        self._out[lease.part] = self._out.get(lease.part, 0) + change
        self._leases[lease.lease] = lease


def _number(entry: Entry, name: str, default: int = 0) -> int:
    value = entry.get(name, default)
    return value if isinstance(value, int) else default
