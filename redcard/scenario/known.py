"""What a terminal of a scenario knows at the moment of a tap or a void."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.codes import Code, Outcome
from ledger.entry import Kind, Value
from ledger.rules import windows
from ledger.rules.offer import (
    BrokenOffer,
    CardView,
    Offer,
    Prior,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.reservations import Reservation, best, state_of
from ledger.rules.voids import Found, Original
from redcard.scenario.machine import Machine
from redcard.scenario.ports import ServerAtTheTap
from terminal.clock import Moment
from terminal.tap_order import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOrder(Asked):
    """One tap as a step asks for it; names of cards are hashes already."""

    card: CardView


def state(
    machine: Machine,
    venue: Venue,
    order: TapOrder,
    offer: Offer | BrokenOffer | None,
    now: Moment,
) -> TerminalState:
    """The terminal's state for the decision: snapshot, lease, caps, reservation, nonce."""
    held = machine.log.by_nonce(order.nonce)
    acknowledged = machine.acknowledged()
    return TerminalState(
        terminal=machine.name,
        venue=venue,
        profile=machine.spec.profile,
        revoked=machine.snapshot.revoked,
        clock_ok=now.clock_ok,
        snapshot=machine.age(now.now_ms),
        connected=machine.online,
        supervisor_ok=order.supervisor_ok,
        offline_cap=machine.spec.offline_cap,
        cap_used=machine.usage.units_since(acknowledged, offer=order.offer),
        cap_used_total=machine.usage.units_since(acknowledged),
        lease=machine.leases.view(order.offer, now.now_ms),
        reservation=_reservation(machine, venue, order, now),
        stock_used=_soft_count(machine, offer, venue, now),
        prior=None if held is None else prior(machine, *held),
    )


def token(machine: Machine, order: TapOrder) -> Reservation | None:
    """The reservation that the member names, or that the feed holds for member and offer."""
    member = order.card.member.ref if order.card.member is not None else ""
    tokens = machine.snapshot.reservations
    mine = [one for one in tokens.values() if (one.member, one.offer) == (member, order.offer)]
    shown = tokens.get(order.reservation)
    return shown or best(mine, machine.reservations, machine.now().now_ms)


def _reservation(machine: Machine, venue: Venue, order: TapOrder, now: Moment) -> ReservationState:
    return state_of(
        token(machine, order),
        member=order.card.member.ref if order.card.member is not None else "",
        offer=order.offer,
        venue=venue.id,
        taken=machine.reservations,
        now_ms=now.now_ms,
        ledger=machine.ledger,
        quantity=order.quantity,
    )


def _soft_count(
    machine: Machine, offer: Offer | BrokenOffer | None, venue: Venue, now: Moment
) -> int:
    """Units of the current day or sitting that this terminal knows of."""
    if not isinstance(offer, Offer):
        return 0
    span = windows.sitting(offer, now.now_ms, venue.zone)
    if span is None:
        return 0
    start, end = span
    known = machine.others.units(offer.id, start_ms=start, end_ms=end)
    return known + machine.usage.units(offer.id, start_ms=start, end_ms=end)


def prior(machine: Machine, seq: int, entry: Mapping[str, Value]) -> Prior:
    """What the ledger holds under a nonce, as its entry tells it."""
    kind = entry["kind"]
    until = entry.get("until_ms")
    return Prior(
        outcome=Outcome.DECLINE if kind == Kind.DECLINE else Outcome.APPROVE,
        code=Code(str(entry["code"])),
        seq=seq,
        card=str(entry["card"]),
        offer_id=str(entry["offer"]),
        quantity=number(entry, "quantity", 1),
        companions=number(entry, "companions", 0),
        agent=str(entry.get("agent", "")),
        until_ms=until if isinstance(until, int) else None,
        reversed=machine.usage.is_voided(seq),
        is_void="orig_nonce" in entry,
    )


def original(
    machine: Machine,
    nonce: str,
    seq: int,
    entry: Mapping[str, Value],
    now: Moment,
    server: ServerAtTheTap,
) -> Original:
    """The entry that a void names; a connected terminal asks the server beyond its own ledger."""
    if seq < 0:
        return server.where(nonce, machine.ledger) if machine.online else Original()
    if entry["kind"] != Kind.REDEEM:
        return Original()
    voids = machine.log.voids_of(seq)
    voided = machine.log.entry(voids[0]) if voids else None
    settled = nonce in machine.snapshot.settled
    if machine.online:
        settled = settled or server.where(nonce, "").settled
    return Original(
        found=Found.HERE,
        seq=seq,
        offer=str(entry["offer"]),
        terminal=machine.name,
        age_ms=max(0, now.boot_ms - number(entry, "mono_ms", 0)),
        same_boot=entry["boot"] == machine.log.boot,
        voided_ms=None if voided is None else number(voided, "ts_ms", 0),
        settled=settled,
    )


def number(entry: Mapping[str, Value], name: str, default: int) -> int:
    """An integer field of an entry."""
    value = entry.get(name, default)
    return value if isinstance(value, int) else default
