"""Taps and voids on a machine: the real decision, the real log, and the words of a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import ledger.rules.decide
import ledger.rules.voids
from ledger.codes import CODES, Code, Outcome
from ledger.entry import Entry, Kind, Value
from ledger.rules import windows
from ledger.rules.catalogue import held_at
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import (
    Ask,
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    LeaseView,
    Offer,
    OnlineAnswer,
    Prior,
    RedemptionRequest,
    Refill,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.reservations import Reservation, state_of
from ledger.rules.voids import Found, Original, VoidRequest, VoidState
from redcard.scenario.machine import Machine
from terminal.clock import Moment
from terminal.entries import Place, clock_entry, refused_void_entry, tap_entry, void_entry

OPERATOR: Final = "clerk"


@dataclass(frozen=True, slots=True)
class Hold:
    """The server's word on an ``online`` offer."""

    answer: OnlineAnswer
    code: Code | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the server granted of a leased stock, or why not."""

    refill: Refill
    lease: LeaseView | None = None


class LeaseHolder(Protocol):
    """Whoever holds leases: a machine, or a stall of a rush."""

    leases: LeaseBook

    @property
    def ledger(self) -> str:
        """Ledger id."""

    def now(self) -> Moment:
        """Its own time."""

    def append(self, entries: Sequence[Entry]) -> int:
        """Writes entries in one durable commit; returns the seq of the first."""


class ServerAtTheTap(Protocol):
    """What a connected terminal may ask while a card lies on the reader."""

    def refill(self, machine: Machine, offer: Offer, quantity: int) -> Grant:
        """More units of a lease."""

    def hold(self, machine: Machine, request: RedemptionRequest, offer: Offer) -> Hold:
        """A hold for an ``online`` offer under the request's nonce."""

    def confirm(self, machine: Machine, nonce: str) -> None:
        """The entry of a hold is durable."""

    def release(self, machine: Machine, nonce: str) -> None:
        """The redemption under a hold was voided."""

    def where(self, nonce: str, ledger: str) -> Original:
        """Where a redemption is that this terminal does not hold, and whether it is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOrder:
    """One tap as a step asks for it; names of cards are hashes already."""

    nonce: str
    card: CardView
    offer: str
    quantity: int = 1
    companions: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""
    supervisor: str = ""
    supervisor_ok: bool = False
    reason: str = ""
    reservation: str = ""
    simulate: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tap or void answers; ``code`` is ``None`` when nobody was told."""

    outcome: str
    code: str | None
    name: str | None = None
    replay: bool = False
    entry: int | None = None
    usage: int = 0
    until_ms: int | None = None
    reversed: bool = False
    forced: bool = False
    overridden: str | None = None


def tap(machine: Machine, venue: Venue, order: TapOrder, server: ServerAtTheTap) -> Answer:
    """One tap, from card to durable entry."""
    crash, machine.crash_at = machine.crash_at, ""
    now = machine.now()
    _note_clock(machine, now)
    choices = 0
    if not order.offer:
        order, choices = _chosen(machine, venue, order, now)
    request = _request(order)
    offer = machine.snapshot.offers.get(order.offer)
    member = order.card.member.ref if order.card.member is not None else ""
    usage = machine.view(member, offer)
    state = replace(_state(machine, venue, order, offer, now), choices=choices)
    decide = ledger.rules.decide.decide
    decision = decide(request, offer, usage, state, now.now_ms)
    if decision.ask is not Ask.NOTHING and isinstance(offer, Offer):
        state = _asked(machine, request, offer, state, decision.ask, server)
        decision = decide(request, offer, usage, state, now.now_ms)
    if decision.replay or order.simulate or decision.outcome in {Outcome.REFER, Outcome.ERROR}:
        return _answer(decision, decision.counted, decision.seq)
    if crash == "before_commit":
        machine.restart()
        return Answer(Outcome.ERROR, Code.T06, CODES[Code.T06].name, usage=decision.counted)
    place = Place("", venue.id, OPERATOR)
    lease = state.lease.lease if state.lease is not None else ""
    entry = dict(
        tap_entry(request, decision, offer, place, now, connected=machine.online, lease=lease)
    )
    entry.pop("position", None)
    token = _token(machine, order)
    if token is not None and decision.outcome is Outcome.APPROVE:
        entry["reservation"] = token.id
    seq = machine.append([entry])
    if crash == "after_commit":
        machine.restart()
        _confirm(machine, entry, offer, server)
        return Answer(Outcome.ERROR, None)
    _confirm(machine, entry, offer, server)
    return _answer(decision, machine.view(member, offer).units, seq)


def void(
    machine: Machine,
    venue: Venue,
    request: VoidRequest,
    server: ServerAtTheTap,
    *,
    supervisor_ok: bool,
) -> Answer:
    """One void, from the clerk's wish to the durable entry."""
    now = machine.now()
    held = machine.log.by_nonce(request.nonce)
    state = VoidState(
        profile=machine.spec.profile,
        connected=machine.online,
        supervisor_ok=supervisor_ok,
        prior=None if held is None else _prior(machine, *held),
        prior_original="" if held is None else str(held[1].get("orig_nonce", "")),
    )
    seq, entry = machine.log.by_nonce(request.original) or (-1, {})
    original = _original(machine, request.original, seq, entry, now, server)
    decision = ledger.rules.voids.decide_void(request, original, state)
    if decision.replay or decision.outcome is Outcome.ERROR:
        return _answer(decision, 0, decision.seq)
    place = Place("", venue.id, OPERATOR)
    written: dict[str, Value]
    if decision.outcome is Outcome.APPROVE:
        written = dict(
            void_entry(
                nonce=request.nonce,
                original=entry,
                orig_seq=seq,
                code=decision.code,
                reason=request.reason,
                supervisor=request.supervisor,
                place=place,
                moment=now,
                connected=machine.online,
            )
        )
    else:
        written = dict(
            refused_void_entry(
                nonce=request.nonce,
                original=entry,
                orig_nonce=request.original,
                code=decision.code,
                place=place,
                moment=now,
            )
        )
    written.pop("position", None)
    at = machine.append([written])
    if decision.outcome is Outcome.APPROVE and machine.online:
        server.release(machine, request.original)
    offer = machine.snapshot.offers.get(str(entry.get("offer", "")))
    return _answer(decision, machine.view(str(entry.get("member", "")), offer).units, at)


def close_leases(machine: LeaseHolder, offer: str, *, but: str = "") -> list[Entry]:
    """The terminal's signed word on what it spent of each of its leases."""
    now = machine.now()
    return [
        {
            "kind": Kind.LEASE_CLOSE.value,
            "ts_ms": now.now_ms,
            "mono_ms": now.boot_ms,
            "lease": held.lease,
            "offer": offer,
            "lease_epoch": held.epoch,
            "spent": held.spent,
        }
        for held in machine.leases.opens(offer)
        if held.lease != but
    ]


def take_lease(machine: LeaseHolder, offer: str, lease: LeaseView) -> None:
    """Writes a granted lease, and the close of any other that it takes the place of."""
    now = machine.now()
    granted: Entry = {
        "kind": Kind.LEASE.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "lease": lease.lease,
        "offer": offer,
        "units": lease.units,
        "lease_epoch": lease.epoch,
        "expires_ms": lease.expires_ms,
    }
    machine.append([*close_leases(machine, offer, but=lease.lease), granted])


def _request(order: TapOrder) -> RedemptionRequest:
    return RedemptionRequest(
        nonce=order.nonce,
        card=order.card,
        offer_id=order.offer,
        quantity=order.quantity,
        companions=order.companions,
        evidence=order.evidence,
        agent=order.agent,
        supervisor=order.supervisor,
        reason=order.reason,
        simulate=order.simulate,
    )


def _chosen(machine: Machine, venue: Venue, order: TapOrder, now: Moment) -> tuple[TapOrder, int]:
    """The offer that a tap without one means, or how many it could mean."""
    held = machine.log.by_nonce(order.nonce)
    if held is not None:
        return replace(order, offer=str(held[1].get("offer", ""))), 0
    member = order.card.member.ref if order.card.member is not None else ""
    candidates = [
        (
            offer,
            machine.view(member, offer),
            _state(machine, venue, replace(order, offer=offer.id), offer, now),
        )
        for offer in machine.snapshot.offers.values()
        if not isinstance(offer, Offer) or held_at(offer, venue)
    ]
    request = replace(_request(order), simulate=True)
    decision = ledger.rules.decide.choose(candidates, request, now.now_ms)
    return replace(order, offer=decision.offer), int(decision.details.get("n", 0))


def _note_clock(machine: Machine, now: Moment) -> None:
    if now.clock_ok != machine.clock_was_ok:
        machine.append([clock_entry(now, "restored" if now.clock_ok else "set_back")])
        machine.clock_was_ok = now.clock_ok


def _state(
    machine: Machine,
    venue: Venue,
    order: TapOrder,
    offer: Offer | BrokenOffer | None,
    now: Moment,
) -> TerminalState:
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
        prior=None if held is None else _prior(machine, *held),
    )


def _token(machine: Machine, order: TapOrder) -> Reservation | None:
    """The reservation that the member names, or that the feed holds for member and offer."""
    member = order.card.member.ref if order.card.member is not None else ""
    tokens = machine.snapshot.reservations
    return tokens.get(order.reservation) or next(
        (one for one in tokens.values() if (one.member, one.offer) == (member, order.offer)), None
    )


def _reservation(machine: Machine, venue: Venue, order: TapOrder, now: Moment) -> ReservationState:
    return state_of(
        _token(machine, order),
        member=order.card.member.ref if order.card.member is not None else "",
        offer=order.offer,
        venue=venue.id,
        taken=machine.taken_reservations(),
        now_ms=now.now_ms,
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


def _asked(
    machine: Machine,
    request: RedemptionRequest,
    offer: Offer,
    state: TerminalState,
    ask: Ask,
    server: ServerAtTheTap,
) -> TerminalState:
    if ask is Ask.HOLD:
        hold = server.hold(machine, request, offer)
        return replace(
            state, online=hold.answer, online_code=hold.code, online_until_ms=hold.until_ms
        )
    grant = server.refill(machine, offer, request.quantity)
    if grant.lease is not None:
        take_lease(machine, offer.id, grant.lease)
    return replace(
        state, refill=grant.refill, lease=machine.leases.view(offer.id, machine.now().now_ms)
    )


def _confirm(
    machine: Machine, entry: Entry, offer: Offer | BrokenOffer | None, server: ServerAtTheTap
) -> None:
    if entry["kind"] == Kind.REDEEM and isinstance(offer, Offer) and machine.online:
        server.confirm(machine, str(entry["nonce"]))


def _prior(machine: Machine, seq: int, entry: Mapping[str, Value]) -> Prior:
    kind = entry["kind"]
    until = entry.get("until_ms")
    return Prior(
        outcome=Outcome.DECLINE if kind == Kind.DECLINE else Outcome.APPROVE,
        code=Code(str(entry["code"])),
        seq=seq,
        card=str(entry["card"]),
        offer_id=str(entry["offer"]),
        quantity=_number(entry, "quantity", 1),
        companions=_number(entry, "companions", 0),
        agent=str(entry.get("agent", "")),
        until_ms=until if isinstance(until, int) else None,
        reversed=machine.usage.is_voided(seq),
        is_void="orig_nonce" in entry,
    )


def _original(
    machine: Machine,
    nonce: str,
    seq: int,
    entry: Mapping[str, Value],
    now: Moment,
    server: ServerAtTheTap,
) -> Original:
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
        age_ms=max(0, now.boot_ms - _number(entry, "mono_ms", 0)),
        same_boot=entry["boot"] == machine.log.boot,
        voided_ms=None if voided is None else _number(voided, "ts_ms", 0),
        settled=settled,
    )


def _number(entry: Mapping[str, Value], name: str, default: int) -> int:
    value = entry.get(name, default)
    return value if isinstance(value, int) else default


def _answer(decision: Decision, usage: int, seq: int | None) -> Answer:
    return Answer(
        outcome=decision.outcome,
        code=decision.code,
        name=CODES[decision.code].name,
        replay=decision.replay,
        entry=seq,
        usage=usage,
        until_ms=decision.until_ms,
        reversed=decision.reversed,
        forced=decision.code is Code.A02,
        overridden=str(decision.would_override) if decision.code is Code.A02 else None,
    )


def unknown_card(card: str) -> CardView:
    """A card that the roster does not hold."""
    return CardView(card=card, status=CardStatus.UNKNOWN)
