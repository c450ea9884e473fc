"""Taps and voids on a machine: the real decision, the real log, and the words of a scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import ledger.rules.choice
import ledger.rules.decide
import ledger.rules.voids
from ledger.codes import CODES, Code, Outcome
from ledger.entry import Entry, Kind, Value
from ledger.rules.catalogue import held_at
from ledger.rules.offer import (
    Ask,
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    Offer,
    RedemptionRequest,
    TerminalState,
    Venue,
)
from ledger.rules.voids import VoidRequest, VoidState
from redcard.scenario import known
from redcard.scenario.known import TapOrder
from redcard.scenario.machine import Machine
from redcard.scenario.ports import ServerAtTheTap, take_lease
from terminal.clock import Moment
from terminal.entries import Place, clock_entry, refused_void_entry, tap_entry, void_entry
from terminal.tap_order import request_of

OPERATOR: Final = "clerk"


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
    if machine.broken:
        return Answer(Outcome.ERROR, Code.T06, CODES[Code.T06].name)
    crash, machine.crash_at = machine.crash_at, ""
    now = machine.now()
    _note_clock(machine, now)
    choices = 0
    if not order.offer:
        order, choices = _chosen(machine, venue, order, now)
    request = request_of(order, order.card)
    offer = machine.snapshot.offers.get(order.offer)
    member = order.card.member.ref if order.card.member is not None else ""
    usage = machine.view(member, offer)
    state = replace(known.state(machine, venue, order, offer, now), choices=choices)
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
    token = known.token(machine, order)
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
    if machine.broken:
        return Answer(Outcome.ERROR, Code.T06, CODES[Code.T06].name)
    now = machine.now()
    held = machine.log.by_nonce(request.nonce)
    state = VoidState(
        profile=machine.spec.profile,
        connected=machine.online,
        supervisor_ok=supervisor_ok,
        prior=None if held is None else known.prior(machine, *held),
        prior_original="" if held is None else str(held[1].get("orig_nonce", "")),
    )
    seq, entry = machine.log.by_nonce(request.original) or (-1, {})
    original = known.original(machine, request.original, seq, entry, now, server)
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
            known.state(machine, venue, replace(order, offer=offer.id), offer, now),
        )
        for offer in machine.snapshot.offers.values()
        if not isinstance(offer, Offer) or held_at(offer, venue)
    ]
    request = replace(request_of(order, order.card), simulate=True)
    decision = ledger.rules.choice.choose(candidates, request, now.now_ms)
    return replace(order, offer=decision.offer), int(decision.details.get("n", 0))


def _note_clock(machine: Machine, now: Moment) -> None:
    if now.clock_ok != machine.clock_was_ok:
        machine.append([clock_entry(now, "restored" if now.clock_ok else "set_back")])
        machine.clock_was_ok = now.clock_ok


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
