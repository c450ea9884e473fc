"""Judges the entries of one member by the very ``decide`` that the terminal used.

Pure: events and facts in, findings out; the same input gives the same findings in any order of
arrival. Nothing is refused here. An entry under a verified root is a fact, service was given; the
judge only says what it counts as.

The decision is re-made at the event's time, with the uses of all ledgers that came before it.
Between two conflicting uses the earlier event wins, then the ledger id, then the position; an
entry that arrives late and was earlier therefore changes what was found of later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import ledger.rules.decide
from ledger.codes import Code
from ledger.entry import Entry, Kind
from ledger.rules.limits import period_of
from ledger.rules.offer import (
    DAY_MS,
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    Eligibility,
    LeaseView,
    MemberView,
    Offer,
    OnlineAnswer,
    Period,
    RedemptionRequest,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.usage import Usage
from server.approvals import Likeness, likeness
from server.facts import Event, Facts, Finding, Position
from sync.feed import Reason, Verdict

#: Kinds that take something from an offer and count in usage.
USES: Final = frozenset({Kind.REDEEM.value, Kind.MANUAL.value})
#: Kinds of which a verdict is more than "stored"; every other kind is accepted as it stands.
JUDGED: Final = USES | {Kind.REENTRY.value, Kind.VOID.value}

_STALE: Final = frozenset({Code.C03, Code.C04, Code.C05, Code.C06, Code.C08, Code.M01, Code.M02})
_WITHDRAWN: Final = frozenset({Code.O01, Code.O02, Code.O03, Code.O04})
_UNAVAILABLE: Final = _WITHDRAWN | {Code.O06, Code.O08, Code.O09, Code.O10}
_LIMITS: Final = frozenset({Code.L01, Code.L02, Code.L03, Code.L04})
#: Approvals, and questions that the clerk answered and the entry does not repeat.
_GOOD: Final = frozenset({Code.A00, Code.A01, Code.A02, Code.A03, Code.M03, Code.O11})
_PLENTY_UNITS: Final = 2**31
_NOTHING_USED: Final = Usage()


def judge_member(events: Iterable[Event], facts: Facts) -> tuple[Finding, ...]:
    """Judges all events of one member together.

    Args:
        events: every stored entry of the member on all ledgers, with the voids that name them, in
            any order.
        facts: what was true at their time.

    Returns:
        One finding per event, by event time.
    """
    ordered = sorted(events, key=lambda event: event.order)
    if len(ordered) == 1:
        return (_judge_only(ordered[0], facts),)
    doubles = _doubles(ordered)
    voided = voided_positions(ordered)
    usage = Usage()
    counted: list[Event] = []
    findings: dict[Position, Finding] = {}
    for event in ordered:
        first = doubles.get(event.position)
        if event.entry is None:
            finding = Finding(event.position, Verdict.UNUSABLE)
        elif first is not None:
            finding = Finding(event.position, Verdict.DUPLICATE, counterpart=first)
        elif event.kind in USES:
            live = event.position not in voided
            finding = _judge_use(event, facts, usage, counted, live=live)
            if live:
                usage.apply(_as_happened(event.entry, event, facts), ledger=event.ledger)
                over = Reason.OVER_MEMBER_LIMIT in finding.reasons
                counted.insert(0 if over else len(counted), event)
        else:
            finding = _judge_other(event, facts, usage, voided)
        findings[event.position] = finding
    _tell_the_first(findings)
    return tuple(findings.values())


def _judge_only(event: Event, facts: Facts) -> Finding:
    """Judges the only event of a member: it stands against nothing."""
    if event.entry is None:
        return Finding(event.position, Verdict.UNUSABLE)
    if event.kind in USES:
        return _judge_use(event, facts, _NOTHING_USED, (), live=True)
    return _judge_other(event, facts, _NOTHING_USED, {})


def judge_alone(event: Event, facts: Facts) -> Finding:
    """Judges an entry that belongs to no member: a decline, a boot, a lease, a malformed line."""
    return judge_member((event,), facts)[0]


# Who stands against whom.


def _content(event: Event) -> tuple[object, ...]:
    """What a nonce is bound to (DESIGN of the decision: supervisor, evidence, time are not)."""
    if event.kind == Kind.VOID:
        return (event.text("card"), event.text("offer"), event.text("orig_nonce"))
    return (
        event.text("card"),
        event.text("offer"),
        event.number("quantity", 1),
        event.number("companions"),
        event.text("agent"),
    )


def _doubles(ordered: Sequence[Event]) -> dict[Position, Position]:
    """Positions whose nonce an earlier event already holds with the same content."""
    first: dict[tuple[object, ...], Position] = {}
    doubles: dict[Position, Position] = {}
    for event in ordered:
        nonce = event.text("nonce")
        if not nonce or event.kind not in JUDGED:
            continue
        key = (event.kind == Kind.VOID, nonce, *_content(event))
        holder = first.setdefault(key, event.position)
        if holder != event.position:
            doubles[event.position] = holder
    return doubles


def original_position(void: Event) -> Position:
    """The entry that a void names: in its own ledger, or in the one it says."""
    return Position(void.text("orig_ledger") or void.ledger, void.number("orig_seq", -1))


def voided_positions(ordered: Sequence[Event]) -> dict[Position, Position]:
    """Positions taken back, each with the void that did it; events in the order of their time.

    When the void was written does not matter: what is voided never counted against anybody.
    """
    uses = {event.position: event for event in ordered if event.kind in USES | {Kind.REENTRY.value}}
    voided: dict[Position, Position] = {}
    for event in ordered:
        if event.kind != Kind.VOID:
            continue
        original = uses.get(original_position(event))
        if original is not None and original.text("nonce") == event.text("orig_nonce"):
            voided.setdefault(original.position, event.position)
    return voided


def _holder(event: Event, offer: Offer | BrokenOffer | None, counted: Sequence[Event]) -> Position:
    """The use that had taken the limit: the last of the same offer or group that was within it."""
    names = {event.text("offer")}
    if isinstance(offer, Offer):
        names.update(*(limit.offers for limit in offer.limits))
    for earlier in reversed(counted):
        if earlier.text("offer") in names:
            return earlier.position
    return event.position


def _tell_the_first(findings: dict[Position, Finding]) -> None:
    """Gives the use that holds against a flagged one its counterpart, so that both ends know."""
    for finding in list(findings.values()):
        holder = findings.get(finding.counterpart) if finding.counterpart else None
        if holder is not None and holder.counterpart is None and holder is not finding:
            findings[holder.position] = replace(holder, counterpart=finding.position)


# One entry.


def _judge_use(
    event: Event, facts: Facts, usage: Usage, counted: Sequence[Event], *, live: bool
) -> Finding:
    reasons = _plain_reasons(event, facts)
    lease = facts.leases.get(event.text("lease"))
    if lease is not None and event.at_ms >= lease.expires_ms:
        reasons.add(Reason.LEASE_EXPIRED)
    # What was voided gave its unit back: it is over no limit and over no stock.
    if live and event.position in facts.oversold:
        reasons.add(Reason.OVERSOLD)
    ruled, per = _rule_reasons(event, facts, usage)
    if not live:
        ruled.discard(Reason.OVER_MEMBER_LIMIT)
    if Reason.OVER_MEMBER_LIMIT not in ruled:
        return _finding(event, reasons | ruled)
    return replace(
        _finding(event, reasons | ruled),
        counterpart=_holder(event, _named_offer(event, facts), counted),
        period=period_of(per, event.at_ms, _venue(event, facts).zone)[0],
    )


def _judge_other(
    event: Event, facts: Facts, usage: Usage, voided: Mapping[Position, Position]
) -> Finding:
    if event.kind == Kind.REENTRY:
        ruled, _ = _rule_reasons(event, facts, usage)
        ruled.discard(Reason.OVER_MEMBER_LIMIT)
        return _finding(event, _plain_reasons(event, facts) | ruled)
    if event.kind == Kind.VOID:
        reasons = _plain_reasons(event, facts)
        if original_position(event) not in voided:
            reasons.add(Reason.ORIGINAL_MISSING)
        return _finding(event, reasons)
    return _finding(event, set())


def _finding(event: Event, reasons: set[Reason]) -> Finding:
    verdict = Verdict.ACCEPTED_FLAGGED if reasons else Verdict.ACCEPTED
    return Finding(event.position, verdict, tuple(sorted(reasons)))


def _plain_reasons(event: Event, facts: Facts) -> set[Reason]:
    """What needs no rule: the clock against the receipts, and revocation."""
    reasons: set[Reason] = set()
    if event.skewed:
        reasons.add(Reason.CLOCK_SKEW)
    revoked_from = facts.revoked_from.get(event.ledger)
    if revoked_from is not None and event.seq >= revoked_from:
        reasons.add(Reason.AFTER_REVOCATION)
    return reasons


def _as_happened(entry: Entry, event: Event, facts: Facts) -> Entry:
    """The entry as usage shall count it: at its judged time, for the member it belongs to."""
    member = event.text("member") or _member_of(event, facts)
    if not event.skewed and member == entry.get("member"):
        return entry
    return {**entry, "ts_ms": event.at_ms, "member": member}


# The decision, made again.


def _rule_reasons(event: Event, facts: Facts, usage: Usage) -> tuple[set[Reason], Period]:
    """Asks ``decide`` again, and if it would not approve, asks once more per kind of fault.

    One answer names only the first fault by precedence; a stale card must not hide an exceeded
    limit, so each question is asked with everything else taken as good.

    Returns:
        What is wrong, and the period of the limit if one is used up.
    """
    offer = _named_offer(event, facts)
    current = _offer_in_force(event, facts)
    status, member = _standing(event, facts)
    agreed = current is offer or current == offer
    alike: Likeness | None = None
    if agreed and isinstance(offer, Offer):
        used = usage.view(member.ref if member is not None else event.text("member"), offer)
        if not used.uses and not any(used.grouped.values()):
            alike = likeness(event, offer, status, member)
            if facts.approvals.hold(alike, event.at_ms):
                return set(), Period.OFFER
    card = CardView(event.text("card"), status, scheme=event.text("scheme"), member=member)
    decision = _decide(event, facts, card, offer, usage)
    if decision.code in _GOOD and not _came_again(event, decision) and agreed:
        if alike is not None and isinstance(offer, Offer):
            facts.approvals.keep(alike, offer, _venue(event, facts).zone, event.at_ms)
        return set(), Period.OFFER
    reasons: set[Reason] = set()
    if _decide(event, facts, card, _for_any_company(offer), Usage()).code in _STALE:
        reasons.add(Reason.STALE_STATUS)
    good = _good_card(event, card)
    anyone = _for_anybody(offer)
    if _decide(event, facts, good, anyone, Usage()).code in _UNAVAILABLE:
        reasons.add(Reason.OFFER_WITHDRAWN)
    if _decide(event, facts, good, _for_anybody(current), Usage()).code in _WITHDRAWN:
        reasons.add(Reason.OFFER_WITHDRAWN)
    decision = _decide(event, facts, good, anyone, usage)
    if decision.code in _LIMITS:
        reasons.add(Reason.OVER_MEMBER_LIMIT)
    return reasons, Period(str(decision.details.get("per", Period.OFFER)))


def _came_again(event: Event, decision: Decision) -> bool:
    """A redemption that another terminal would have known to be a re-entry (A03)."""
    return decision.code is Code.A03 and event.kind in USES


def _decide(
    event: Event,
    facts: Facts,
    card: CardView,
    offer: Offer | BrokenOffer | None,
    usage: Usage,
) -> Decision:
    overridden = event.text("code") == Code.A02
    request = RedemptionRequest(
        nonce=event.text("nonce"),
        card=card,
        offer_id=event.text("offer"),
        quantity=event.number("quantity", 1),
        companions=event.number("companions"),
        agent=event.text("agent"),
        supervisor=event.text("supervisor") if overridden else "",
        reason=event.text("reason_code") if overridden else "",
    )
    member = card.member.ref if card.member is not None else event.text("member")
    # Looked up when called: there is one ``decide``, and no copy of it is kept here.
    return ledger.rules.decide.decide(
        request, offer, usage.view(member, offer), _sound_terminal(event, facts), event.at_ms
    )


def _sound_terminal(event: Event, facts: Facts) -> TerminalState:
    """The terminal as a judge sees it: its own state, lease and connection are taken as in order.

    What they were is in the entry, and what of it can be proved is judged apart from the rules.
    """
    return TerminalState(
        terminal=event.ledger,
        venue=_venue(event, facts),
        connected=True,
        supervisor_ok=True,
        lease=LeaseView(event.text("lease"), 0, _PLENTY_UNITS, 0, event.at_ms + DAY_MS),
        online=OnlineAnswer.HELD,
        reservation=ReservationState.VALID,
    )


def _named_offer(event: Event, facts: Facts) -> Offer | BrokenOffer | None:
    """The version that the entry names; the one in force where it names none we know."""
    named = facts.versions.get((event.text("offer"), event.number("offer_version")))
    return named or _offer_in_force(event, facts)


def _offer_in_force(event: Event, facts: Facts) -> Offer | BrokenOffer | None:
    history = facts.in_force.get(event.text("offer"))
    return history.at(event.at_ms) if history is not None else None


def _for_any_company(offer: Offer | BrokenOffer | None) -> Offer | BrokenOffer | None:
    """The offer with companions left out: they are counted apart and were the clerk's business."""
    return replace(offer, companions_max=_PLENTY_UNITS) if isinstance(offer, Offer) else offer


def _for_anybody(offer: Offer | BrokenOffer | None) -> Offer | BrokenOffer | None:
    """The offer with who may take it, where, and re-entry left out: windows and limits remain."""
    if not isinstance(offer, Offer):
        return offer
    return replace(
        offer,
        eligibility=Eligibility(),
        companions_max=_PLENTY_UNITS,
        venues=frozenset(),
        scope=None,
        home_venue=False,
        re_entry_ms=0,
    )


def _venue(event: Event, facts: Facts) -> Venue:
    name = event.text("venue")
    return facts.venues.get(name) or Venue(name)


def _member_of(event: Event, facts: Facts) -> str:
    history = facts.cards.get(event.text("card"))
    state = history.at(event.at_ms) if history is not None else None
    return state.member if state is not None else ""


def _standing(event: Event, facts: Facts) -> tuple[CardStatus, MemberView | None]:
    """The card's status and its member, as the server knew them at the event's time."""
    history = facts.cards.get(event.text("card"))
    state = history.at(event.at_ms) if history is not None else None
    if state is None:
        return CardStatus.UNKNOWN, None
    known = facts.members.get(state.member)
    member = known.at(event.at_ms) if known is not None else None
    if member is not None and event.text("member") not in {"", member.ref}:
        return CardStatus.UNKNOWN, member  # the card has become somebody else's since
    return state.status, member


def _good_card(event: Event, card: CardView) -> CardView:
    """The same card, taken as active and of an active member: for the other questions."""
    reference = event.text("member") or (card.member.ref if card.member is not None else "")
    return replace(card, status=CardStatus.ACTIVE, member=MemberView(reference))
