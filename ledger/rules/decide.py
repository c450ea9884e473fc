"""The decision on a tap: pure, and the only copy there is.

The terminal, the server's judge, the scenarios and dry runs all call ``decide``. The nonce is
looked up before any rule, so that a repeated tap always gets its first answer. Then the rules are
asked in the order of ``ledger.codes.TAP_PRECEDENCE``; the first that applies is the answer, unless
a proven supervisor lifts it (A02). A rule that cannot be lifted still holds after one that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.codes import CODES, Code, Outcome
from ledger.rules import limits, stock, windows
from ledger.rules.catalogue import held_at
from ledger.rules.offer import (
    Booking,
    BrokenOffer,
    CardStatus,
    Decision,
    MemberStatus,
    MemberView,
    Offer,
    OfflineMode,
    Prior,
    Profile,
    RedemptionRequest,
    ReservationState,
    SnapshotAge,
    TerminalState,
)
from ledger.rules.usage import UsageView

#: Name of the evidence by which a clerk says that the member's own document was seen.
IDENTITY: Final = "identity"

AUTHENTICATED: Final = "authenticated"

_CARD_CODES: Final = {
    CardStatus.SEVERAL: Code.C07,
    CardStatus.UNREADABLE: Code.C01,
    CardStatus.FAKE: Code.C02,
    CardStatus.UNKNOWN: Code.C03,
    CardStatus.BLOCKED: Code.C04,
    CardStatus.REPLACED: Code.C05,
    CardStatus.EXPIRED: Code.C06,
    CardStatus.NOT_ACTIVE: Code.C08,
}


class _Fault(NamedTuple):
    """A rule that applies."""

    code: Code
    until_ms: int | None = None
    details: dict[str, str | int] | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything one decision looks at."""

    request: RedemptionRequest
    offer: Offer | BrokenOffer | None
    usage: UsageView
    state: TerminalState
    now_ms: int

    @property
    def zone(self) -> str:
        return self.state.venue.zone

    @property
    def sound(self) -> Offer:
        """The offer, for rules that come after O01 and O10."""
        assert isinstance(self.offer, Offer)
        return self.offer


def decide(
    request: RedemptionRequest,
    offer: Offer | BrokenOffer | None,
    usage: UsageView,
    state: TerminalState,
    now_ms: int,
) -> Decision:
    """Decides on one tap.

    Args:
        request: what was tapped.
        offer: the offer as the terminal's snapshot has it, ``None`` if it has none of this name.
        usage: what the card's member used, by ``Usage.view``.
        state: what the terminal knows beside it.
        now_ms: the terminal's time, milliseconds since the epoch, never below its signed floor.

    Returns:
        The decision. Codes A00 to A02 are to be written as ``redeem``, A03 as ``reentry``, a
        decline as ``decline``; refer, error, a dry run and a replay write nothing.
    """
    if state.prior is not None:
        return _known(request, state.prior, usage)
    case = _Case(request, offer, usage, state, now_ms)
    lifted: Code | None = None
    for fault in _faults(case):
        if CODES[fault.code].outcome is Outcome.APPROVE:
            return _answer(case, fault, None)
        if not _lifts(case, fault.code):
            return _answer(case, fault, fault.code if CODES[fault.code].overridable else None)
        lifted = lifted or fault.code
    if lifted is not None:
        return _answer(case, _Fault(Code.A02, None, {"overridden": str(lifted)}), lifted)
    return _answer(case, _Fault(Code.A00 if state.connected else Code.A01), None)


def _known(request: RedemptionRequest, prior: Prior, usage: UsageView) -> Decision:
    """The first answer again, or T07 when the nonce was bound to something else."""
    same = (
        prior.card == request.card.card
        and prior.offer_id == request.offer_id
        and prior.quantity == request.quantity
        and prior.companions == request.companions
        and prior.agent == request.agent
        and not prior.is_void
    )
    if not same:
        return Decision(
            outcome=Outcome.ERROR, code=Code.T07, offer=request.offer_id, counted=usage.units
        )
    return Decision(
        outcome=prior.outcome,
        code=prior.code,
        offer=prior.offer_id,
        until_ms=prior.until_ms,
        counted=usage.units,
        replay=True,
        seq=prior.seq,
        reversed=prior.reversed,
    )


def _lifts(case: _Case, code: Code) -> bool:
    """Whether a proven supervisor's word turns this code into A02."""
    asked = bool(case.request.supervisor) and case.state.supervisor_ok
    return asked and CODES[code].overridable and code is not Code.O07


def _answer(case: _Case, fault: _Fault, lifted: Code | None) -> Decision:
    offer = case.offer
    details: dict[str, str | int] = {"zone": case.zone}
    if isinstance(offer, Offer):
        details |= {"offer": offer.title or offer.id, "offer_en": offer.title_en or offer.id}
        details |= {"kind": str(offer.kind)}
    details |= fault.details or {}
    if fault.until_ms is not None:
        details["until_ms"] = fault.until_ms
    return Decision(
        outcome=CODES[fault.code].outcome,
        code=fault.code,
        offer=case.request.offer_id,
        until_ms=fault.until_ms,
        counted=case.usage.units,
        would_override=lifted,
        details=details,
        ask=stock.ask(fault.code, case.state),
    )


# The rules, family by family, in their order of precedence.


def _faults(case: _Case) -> Iterator[_Fault]:
    for family in _FAMILIES:
        yield from family(case)


def _terminal(case: _Case) -> Iterator[_Fault]:
    state, request = case.state, case.request
    if not state.ledger_ok:
        yield _Fault(Code.T06)
    if state.revoked:
        yield _Fault(Code.T01)
    forced = bool(request.supervisor or request.reason)
    may_force = state.supervisor_ok and state.profile is not Profile.KIOSK
    if not state.operator_ok or (forced and not may_force):
        yield _Fault(Code.T05)
    if not state.clock_ok:
        yield _Fault(Code.T03)
    if state.snapshot is SnapshotAge.LOCKED or (
        state.snapshot is SnapshotAge.DEGRADED and not _works_degraded(case)
    ):
        yield _Fault(Code.T02)


def _works_degraded(case: _Case) -> bool:
    if not isinstance(case.offer, Offer):
        return True  # O01 or O10 will be the answer
    mode = case.offer.offline
    return mode in {OfflineMode.OPEN, OfflineMode.LEASED} or (
        mode is OfflineMode.ONLINE and case.state.connected
    )


def _card(case: _Case) -> Iterator[_Fault]:
    card = case.request.card
    if card.status in {CardStatus.SEVERAL, CardStatus.UNREADABLE, CardStatus.UNKNOWN}:
        yield _Fault(_CARD_CODES[card.status])
        return
    if card.assurance != AUTHENTICATED and not _takes_identified(case.offer):
        yield _Fault(Code.C02)
    if card.status is not CardStatus.ACTIVE:
        yield _Fault(_CARD_CODES[card.status])
    if card.member is None:
        yield _Fault(Code.C08)
    elif card.member.status is MemberStatus.SUSPENDED:
        yield _Fault(Code.M01)


def _takes_identified(offer: Offer | BrokenOffer | None) -> bool:
    """Only the offer's own policy lets a card in that its chip did not prove."""
    return not isinstance(offer, Offer) or offer.identified


def _offer(case: _Case) -> Iterator[_Fault]:
    """Whether there is such an offer; nothing after this can be asked without one."""
    offer = case.offer
    if offer is None:
        if case.state.choices > 1 and not case.request.offer_id:
            yield _Fault(Code.O07, details={"n": case.state.choices})
        yield _Fault(Code.O01)
    elif not isinstance(offer, Offer) or not _calendar_known(case, offer):
        yield _Fault(Code.O10)
    elif offer.suspended:
        yield _Fault(Code.O04)


def _calendar_known(case: _Case, offer: Offer) -> bool:
    return windows.calendar_known(offer, case.now_ms, case.zone)


def _eligible(case: _Case) -> Iterator[_Fault]:
    member, offer = case.request.card.member, case.sound
    who = offer.texts.get("eligibility_text", "")
    if member is not None and not _belongs(member, offer):
        yield _Fault(Code.M02, details={"who": who})
    elif case.request.companions > offer.companions_max:
        yield _Fault(Code.M02, details={"who": offer.companions_rule or who})


def _belongs(member: MemberView, offer: Offer) -> bool:
    rule = offer.eligibility
    return (
        (not rule.district or member.district in rule.district)
        and (not rule.street or member.street in rule.street)
        and rule.tags_all <= member.tags
        and (not rule.tags_any or bool(rule.tags_any & member.tags))
        and not rule.tags_none & member.tags
    )


def _place(case: _Case) -> Iterator[_Fault]:
    offer, venue = case.sound, case.state.venue
    if not held_at(offer, venue):
        yield _Fault(Code.O05, details={"place": offer.texts.get("venues_text", "")})
    elif offer.home_venue and not _at_home(case):
        member = case.request.card.member
        yield _Fault(Code.O05, details={"place": member.street if member is not None else ""})


def _at_home(case: _Case) -> bool:
    """The venue stands in the member's own street, or district where no street is known."""
    member, venue = case.request.card.member, case.state.venue
    if member is None:
        return False
    if member.street or venue.street:
        return member.street == venue.street
    return bool(member.district) and member.district == venue.district


def _time(case: _Case) -> Iterator[_Fault]:
    offer, now_ms, zone = case.sound, case.now_ms, case.zone
    if windows.not_started(offer, now_ms):
        opens = windows.next_open(offer, now_ms, zone)
        yield _Fault(Code.O02, opens, {"date_ms": offer.from_ms})
    elif windows.ended(offer, now_ms):
        yield _Fault(Code.O03, None, {"date_ms": offer.until_ms})
    elif not windows.open_at(offer, now_ms, zone):
        yield _Fault(Code.O06, windows.next_open(offer, now_ms, zone))


def _reservation(case: _Case) -> Iterator[_Fault]:
    offer, found = case.sound, case.state.reservation
    needed = offer.offline is OfflineMode.RESERVED or offer.booking is Booking.REQUIRED
    if needed and found is not ReservationState.VALID:
        code = Code.O08 if found is ReservationState.NONE else Code.O09
        yield _Fault(code, None, {"phone": offer.phone, "why": str(found)})


def _limit(case: _Case) -> Iterator[_Fault]:
    offer, venue = case.sound, case.state.venue
    entered = limits.re_entry(offer, case.usage, venue=venue.id, now_ms=case.now_ms)
    if entered is not None:
        yield _Fault(Code.A03, None, {"time_ms": entered.ts_ms})
    found = limits.used_up(
        offer,
        case.usage,
        quantity=case.request.quantity,
        venue=venue.id,
        zone=case.zone,
        now_ms=case.now_ms,
    )
    if found is None:
        return
    until = found.until_ms
    if until is not None:
        until = windows.next_open(offer, until, case.zone)
    details: dict[str, str | int] = {"per": str(found.per)}
    if found.last is not None:
        details |= {"date_ms": found.last.ts_ms, "time_ms": found.last.ts_ms}
        details |= {"place": found.last.venue}
    yield _Fault(found.code, until, details)


def _stock(case: _Case) -> Iterator[_Fault]:
    found = stock.refusal(case.sound, case.request, case.state, case.now_ms)
    for code, until_ms in found:
        yield _Fault(code, until_ms)


def _questions(case: _Case) -> Iterator[_Fault]:
    offer, request = case.sound, case.request
    given = {name for name, text in request.evidence.items() if text.strip()}
    missing = [one for one in offer.evidence if one.required and one.name not in given]
    if missing:
        what = "、".join(one.title or one.name for one in missing)
        what_en = ", ".join(one.title_en or one.name for one in missing)
        details: dict[str, str | int] = {"what": what, "what_en": what_en}
        details["evidence"] = missing[0].name
        yield _Fault(Code.O11, None, details)
    proxy = bool(request.agent) and request.agent != request.card.card
    if (proxy and not offer.proxy_collect) or (offer.identity_check and IDENTITY not in given):
        yield _Fault(Code.M03)
    elif proxy and case.state.agent_cards >= offer.proxy_cards:
        # Beyond what one representative may collect, the colleague comes in person.
        yield _Fault(Code.M03, None, {"proxy_cards": offer.proxy_cards})


_FAMILIES: Final[tuple[Callable[[_Case], Iterator[_Fault]], ...]] = (
    _terminal,
    _card,
    _offer,
    _eligible,
    _place,
    _time,
    _reservation,
    _limit,
    _stock,
    _questions,
)
