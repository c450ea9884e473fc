"""The decision: each rule, their order, overrides, and nonces."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.codes import CODES, TAP_PRECEDENCE, Code, Outcome
from ledger.rules.choice import choose
from ledger.rules.decide import decide
from ledger.rules.offer import (
    Ask,
    BrokenOffer,
    CardStatus,
    CardView,
    LeaseView,
    MemberStatus,
    OnlineAnswer,
    Prior,
    Profile,
    Refill,
    ReservationState,
    SnapshotAge,
)
from ledger.rules.usage import UsageView
from tests.ledger.rules.builders import (
    CARD,
    DAY,
    HOUR,
    MEMBER,
    MINUTE,
    NOW,
    STATE,
    ask,
    at,
    offer,
    request,
    used,
)

PRIOR = Prior(outcome=Outcome.APPROVE, code=Code.A00, seq=7, card=CARD.card, offer_id="museum")
EMPTY_LEASE = LeaseView("l1", 1, 4, 4, NOW + HOUR)


def test_an_open_offer_is_approved_connected_and_not() -> None:
    assert ask().code is Code.A00
    assert ask(state=replace(STATE, connected=False)).code is Code.A01
    assert ask().counted == 0
    assert ask().until_ms is None


# Each line makes exactly one rule apply; the precedence test below combines them.
FAULTS: dict[Code, dict[str, Any]] = {
    Code.T06: {"state": {"ledger_ok": False}},
    Code.T01: {"state": {"revoked": True}},
    Code.T05: {"state": {"operator_ok": False}},
    Code.T03: {"state": {"clock_ok": False}},
    Code.T02: {"state": {"snapshot": SnapshotAge.LOCKED}},
    Code.C07: {"card": {"status": CardStatus.SEVERAL}},
    Code.C01: {"card": {"status": CardStatus.UNREADABLE}},
    Code.C02: {"card": {"status": CardStatus.FAKE}},
    Code.C03: {"card": {"status": CardStatus.UNKNOWN}},
    Code.C04: {"card": {"status": CardStatus.BLOCKED}},
    Code.C05: {"card": {"status": CardStatus.REPLACED}},
    Code.C06: {"card": {"status": CardStatus.EXPIRED}},
    Code.C08: {"card": {"status": CardStatus.NOT_ACTIVE}},
    Code.M01: {"member": {"status": MemberStatus.SUSPENDED}},
    Code.O01: {"offer": None},
    Code.O10: {"offer": BrokenOffer("museum", "per")},
    Code.O04: {"fields": {"status": "suspended"}},
    Code.M02: {"fields": {"eligibility": {"district": ["haidian"]}}},
    Code.O05: {"fields": {"scope": {"district": ["haidian"]}}},
    Code.O02: {"fields": {"from": "2026-05-03T00:00:00+08:00"}},
    Code.O03: {"fields": {"until": "2026-05-02T10:00:00+08:00"}},
    Code.O06: {"fields": {"hours": ["11:00-12:00"]}},
    Code.O08: {"fields": {"booking": "required"}},
    Code.O09: {
        "fields": {"booking": "required"},
        "state": {"reservation": ReservationState.USED},
    },
    Code.A03: {"fields": {"re_entry_minutes": 30}, "used": NOW - MINUTE},
    Code.L01: {"fields": {"limits": [{"count": 1, "per": "offer"}]}, "used": NOW - DAY},
    Code.L02: {"fields": {"limits": [{"count": 1, "per": "day"}]}, "used": NOW - MINUTE},
    Code.L03: {"fields": {"limits": [{"count": 1, "per": "month"}]}, "used": NOW - DAY},
    Code.L04: {"fields": {"interval": "2d"}, "used": NOW - DAY},
    Code.T04: {"fields": {"offline": "online"}, "state": {"connected": False}},
    Code.L05: {
        "fields": {"stock": {"pool": 9}, "offline": "leased"},
        "state": {"lease": EMPTY_LEASE, "refill": Refill.POOL_EMPTY},
    },
    Code.L06: {
        "fields": {"stock": {"per_venue": {"v1": 9}}, "offline": "leased"},
        "state": {"lease": EMPTY_LEASE, "refill": Refill.VENUE_EMPTY},
    },
    Code.L07: {
        "fields": {"stock": {"pool": 9}, "offline": "leased"},
        "state": {"lease": EMPTY_LEASE, "refill": Refill.UNANSWERED},
    },
    Code.L08: {
        "fields": {"offline": "capped", "cap": 2},
        "state": {"cap_used": 2, "connected": False},
    },
    Code.O11: {"fields": {"evidence": [{"name": "plate"}]}},
    Code.M03: {"fields": {"identity_check": True}},
}


def answer(*codes: Code, **changes: Any) -> Any:
    """The decision when the faults of all these codes hold at once."""
    fields: dict[str, Any] = {}
    state: dict[str, Any] = {}
    card: dict[str, Any] = {}
    member: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    moments: list[int] = []
    for code in codes:
        fault = FAULTS[code]
        # Limits add up; of two states of one thing the earlier in the order stays.
        limits = [*fields.get("limits", []), *fault.get("fields", {}).get("limits", [])]
        fields = {**fault.get("fields", {}), **fields}
        if limits:
            fields["limits"] = limits
        state = {**fault.get("state", {}), **state}
        card = {**fault.get("card", {}), **card}
        member = {**fault.get("member", {}), **member}
        if "offer" in fault:
            whole.setdefault("offer", fault["offer"])
        if "used" in fault:
            moments.append(fault["used"])
    one = offer(**fields)
    view = used(one, *moments)
    found = whole.get("offer", one)
    shown = replace(CARD, member=replace(MEMBER, **member), **card)
    return decide(request(card=shown, **changes), found, view, replace(STATE, **state), NOW)


@pytest.mark.parametrize("code", FAULTS, ids=str)
def test_each_rule_gives_its_code(code: Code) -> None:
    decision = answer(code)
    assert decision.code is code
    assert decision.outcome is CODES[code].outcome


def _compatible(first: Code, second: Code) -> bool:
    """Whether both faults can hold at once in this table (one card status, one offer mode…)."""
    one, other = FAULTS[first], FAULTS[second]
    if {first.value, second.value} in ({"O02", "O03"}, {"O08", "O09"}):
        return False
    for part in ("state", "card", "fields"):
        shared = set(one.get(part, {})) & set(other.get(part, {})) - {"limits"}
        if any(one[part][key] != other[part][key] for key in shared):
            return False
    # Lease, hold and cap belong to offline modes that exclude each other.
    by_mode = {Code.T04, Code.L05, Code.L06, Code.L07, Code.L08}
    limits = {Code.L01, Code.L02, Code.L03, Code.L04}
    return not {first, second} <= by_mode and not {first, second} <= limits


PAIRS = [
    (first, second)
    for index, first in enumerate(TAP_PRECEDENCE)
    for second in TAP_PRECEDENCE[index + 1 :]
    if first in FAULTS and second in FAULTS and _compatible(first, second)
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_the_first_in_the_order_of_precedence_is_the_answer(first: Code, second: Code) -> None:
    assert answer(first, second).code is first


def test_the_order_is_that_of_the_table_for_all_codes_but_two() -> None:
    # T07 is looked up before any rule, O07 when the request names no offer.
    assert set(TAP_PRECEDENCE) - set(FAULTS) == {Code.T07, Code.O07}


@pytest.mark.parametrize("code", FAULTS, ids=str)
def test_a_supervisor_lifts_what_may_be_lifted_and_nothing_else(code: Code) -> None:
    fault = dict(FAULTS[code])
    decision = decide(
        request(
            card=replace(
                CARD, member=replace(MEMBER, **fault.get("member", {})), **fault.get("card", {})
            ),
            supervisor="s1",
            reason="known",
        ),
        fault["offer"] if "offer" in fault else offer(**fault.get("fields", {})),
        used(offer(), *([fault["used"]] if "used" in fault else [])),
        replace(STATE, supervisor_ok=True, **fault.get("state", {})),
        NOW,
    )
    if CODES[code].overridable:
        assert decision.code is Code.A02
        assert decision.would_override is code
        assert decision.details["overridden"] == code
    else:
        assert decision.code is code


def test_a_rule_that_cannot_be_lifted_holds_behind_one_that_was() -> None:
    state = replace(STATE, supervisor_ok=True, lease=EMPTY_LEASE, refill=Refill.UNANSWERED)
    one = offer(limits=[{"count": 1, "per": "day"}], stock={"pool": 9}, offline="leased")
    decision = ask(one, usage=used(one, NOW - HOUR), state=state, supervisor="s1")
    assert decision.code is Code.L07


def test_a_decline_says_whether_a_supervisor_could_lift_it() -> None:
    one = offer(limits=[{"count": 1, "per": "day"}])
    assert ask(one, usage=used(one, NOW)).would_override is Code.L02
    assert ask(card=replace(CARD, status=CardStatus.BLOCKED)).would_override is None


def test_case_58_force_that_is_not_needed_is_a_plain_approval() -> None:
    state = replace(STATE, supervisor_ok=True)
    decision = ask(state=state, supervisor="s1", reason="queue")
    assert decision.code is Code.A00
    assert decision.would_override is None


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"supervisor": "s1"}, {}),
        ({"reason": "other"}, {}),
        ({"reason": "other"}, {"profile": Profile.KIOSK, "supervisor_ok": True}),
        ({"supervisor": "s1"}, {"profile": Profile.KIOSK, "supervisor_ok": True}),
    ],
)
def test_case_60_force_without_a_proven_supervisor_at_a_counter_is_t05(
    changes: dict[str, Any], state: dict[str, Any]
) -> None:
    assert ask(state=replace(STATE, **state), **changes).code is Code.T05


def test_the_same_nonce_gets_its_first_answer_whatever_else_is_wrong() -> None:
    state = replace(STATE, prior=replace(PRIOR, until_ms=5, reversed=True), revoked=True)
    decision = ask(state=state, supervisor="nobody", evidence={"other": "text"})
    assert decision.replay
    assert (decision.code, decision.seq, decision.until_ms) == (Code.A00, 7, 5)
    assert decision.reversed


@pytest.mark.parametrize(
    "change",
    [
        {"card": replace(CARD, card="b" * 26)},
        {"offer_id": "other"},
        {"quantity": 2},
        {"companions": 1},
        {"agent": "c" * 26},
    ],
)
def test_a_nonce_with_other_content_is_t07(change: dict[str, Any]) -> None:
    decision = ask(state=replace(STATE, prior=PRIOR), **change)
    assert decision.code is Code.T07
    assert decision.outcome is Outcome.ERROR
    assert decision.seq is None


def test_the_nonce_of_a_void_is_no_taps_nonce() -> None:
    assert ask(state=replace(STATE, prior=replace(PRIOR, is_void=True))).code is Code.T07


def test_degraded_snapshots_serve_what_they_can() -> None:
    degraded = replace(STATE, snapshot=SnapshotAge.DEGRADED)
    lease = LeaseView("l1", 1, 4, 0, NOW + HOUR)
    cut = replace(degraded, connected=False)
    assert ask(state=degraded).code is Code.A00
    assert ask(offer(offline="capped"), state=degraded).code is Code.T02
    leased = offer(stock={"pool": 9}, offline="leased")
    assert ask(leased, state=replace(cut, lease=lease)).code is Code.A01
    online = offer(offline="online")
    assert ask(online, state=replace(degraded, online=OnlineAnswer.HELD)).code is Code.A00
    assert ask(online, state=cut).code is Code.T02


# Stock and the server.


def test_a_connected_terminal_asks_before_it_says_no() -> None:
    leased = offer(stock={"pool": 9}, offline="leased")
    decision = ask(leased)
    assert (decision.code, decision.ask) == (Code.L07, Ask.REFILL)
    assert ask(leased, state=replace(STATE, refill=Refill.UNANSWERED)).ask is Ask.NOTHING
    assert ask(leased, state=replace(STATE, connected=False)).ask is Ask.NOTHING
    online = ask(offer(offline="online"))
    assert (online.code, online.ask) == (Code.T04, Ask.HOLD)
    unanswered = replace(STATE, online=OnlineAnswer.UNANSWERED)
    assert ask(offer(offline="online"), state=unanswered).ask is Ask.NOTHING


def test_a_dry_run_takes_the_servers_consent_as_given() -> None:
    assert ask(offer(offline="online"), simulate=True).code is Code.A00
    assert ask(offer(stock={"pool": 9}, offline="leased"), simulate=True).code is Code.A00
    cut = replace(STATE, connected=False)
    assert ask(offer(offline="online"), state=cut, simulate=True).code is Code.T04


@pytest.mark.parametrize(
    ("lease", "quantity", "code"),
    [
        (LeaseView("l", 1, 4, 2, NOW + 1), 2, Code.A01),
        (LeaseView("l", 1, 4, 2, NOW + 1), 3, Code.L07),
        (LeaseView("l", 1, 4, 0, NOW), 1, Code.L07),
        (None, 1, Code.L07),
    ],
)
def test_a_lease_covers_what_is_left_until_it_expires(
    lease: LeaseView | None, quantity: int, code: Code
) -> None:
    state = replace(STATE, connected=False, lease=lease)
    one = offer(stock={"pool": 9}, offline="leased")
    assert ask(one, state=state, quantity=quantity).code is code


def test_the_servers_refusal_of_a_hold_is_the_answer() -> None:
    state = replace(
        STATE, online=OnlineAnswer.REFUSED, online_code=Code.L01, online_until_ms=NOW + 5
    )
    decision = ask(offer(offline="online"), state=state)
    assert (decision.code, decision.until_ms) == (Code.L01, NOW + 5)


def test_soft_counts_end_with_the_day_and_with_the_sitting() -> None:
    daily = offer(stock={"per_day": 3}, offline="capped")
    assert ask(daily, state=replace(STATE, stock_used=2)).code is Code.A00
    decision = ask(daily, state=replace(STATE, stock_used=3))
    assert (decision.code, decision.until_ms) == (Code.L05, at("2026-05-03 00:00"))
    sitting = offer(
        stock={"per_session": 3}, sessions=["09:30-10:30", "14:00-15:00"], offline="capped"
    )
    decision = ask(sitting, state=replace(STATE, stock_used=3))
    assert (decision.code, decision.until_ms) == (Code.L05, at("2026-05-02 14:00"))


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"cap_used": 19, "cap_used_total": 19}, Code.A01),
        ({"cap_used": 20, "cap_used_total": 20}, Code.L08),
        ({"cap_used": 20, "cap_used_total": 20, "connected": True}, Code.A00),
        ({"cap_used": 0, "cap_used_total": 5, "offline_cap": 5}, Code.L08),
        ({"cap_used": 0, "cap_used_total": 4, "offline_cap": 5}, Code.A01),
    ],
)
def test_caps_hold_only_while_cut_off(state: dict[str, Any], code: Code) -> None:
    found = replace(STATE, **{"connected": False, **state})
    assert ask(offer(offline="capped"), state=found).code is code


# Cards and members.


def test_case_12_identifiers_are_matched_exactly() -> None:
    odd = base64.b64encode(b"\xfb\xff\xfe").decode()
    assert "+" in odd or "/" in odd
    prior = replace(PRIOR, card=odd)
    same = ask(state=replace(STATE, prior=prior), card=replace(CARD, card=odd))
    assert same.replay
    other = ask(state=replace(STATE, prior=prior), card=replace(CARD, card=odd.replace("+", " ")))
    assert other.code is Code.T07


def test_case_17_an_identifier_of_another_medium_is_unknown_not_accepted() -> None:
    stranger = CardView("b" * 26, CardStatus.UNKNOWN, "uid", "identified")
    assert ask(card=stranger).code is Code.C03
    assert ask(offer(identified=True), card=stranger).code is Code.C03


def test_case_19_a_member_of_another_organisation_is_not_eligible_and_learns_nothing() -> None:
    one = offer(eligibility={"district": ["xicheng"]}, title="内部")
    visitor = replace(MEMBER, district="tianjin", street="")
    decision = ask(one, card=replace(CARD, member=visitor))
    assert decision.code is Code.M02
    assert "tianjin" not in str(decision.details)
    assert decision.counted == 0


def test_case_23_identified_cards_need_the_offers_consent() -> None:
    printed = replace(CARD, assurance="identified")
    assert ask(card=printed).code is Code.C02
    assert ask(offer(identified=True), card=printed).code is Code.A00
    # A card that is blocked besides is still first of all not proved.
    assert ask(card=replace(printed, status=CardStatus.BLOCKED)).code is Code.C02


def test_a_card_of_nobody_is_not_active_yet() -> None:
    assert ask(card=replace(CARD, member=None)).code is Code.C08


# Several offers and none named.


def candidate(name: str, **fields: Any) -> Any:
    return offer(id=name, **fields), UsageView(), STATE


JUNE = {"from": "2026-06-01T00:00:00+08:00", "until": "2026-07-01T00:00:00+08:00"}
JULY = {"from": "2026-07-01T00:00:00+08:00", "until": "2026-08-01T00:00:00+08:00"}
MARCH = {"from": "2026-03-01T00:00:00+08:00", "until": "2026-04-01T00:00:00+08:00"}
APRIL = {"from": "2026-04-01T00:00:00+08:00", "until": "2026-05-01T00:00:00+08:00"}


def test_case_20_of_two_entitlements_the_valid_one_is_taken() -> None:
    decision = choose(
        [candidate("june", **JUNE), candidate("now"), candidate("march", **MARCH)],
        request(offer_id=""),
        NOW,
    )
    assert (decision.code, decision.offer) == (Code.A00, "now")


def test_case_21_of_several_none_valid_the_next_to_start_else_the_last_to_end_speaks() -> None:
    choices = [candidate("july", **JULY), candidate("june", **JUNE), candidate("april", **APRIL)]
    decision = choose(choices, request(offer_id=""), NOW)
    assert (decision.code, decision.offer) == (Code.O02, "june")
    past = choose(
        [candidate("march", **MARCH), candidate("april", **APRIL)], request(offer_id=""), NOW
    )
    assert (past.code, past.offer) == (Code.O03, "april")
    assert choose([], request(offer_id=""), NOW).code is Code.O01


def test_case_22_of_several_valid_ones_the_clerk_chooses() -> None:
    decision = choose([candidate("a"), candidate("b")], request(offer_id=""), NOW)
    assert (decision.code, decision.outcome) == (Code.O07, Outcome.REFER)
    assert decision.details["n"] == 2
    unnamed = decide(request(offer_id=""), None, UsageView(), replace(STATE, choices=2), NOW)
    assert unnamed.code is Code.O07
    forced = decide(
        request(offer_id="", supervisor="s1"),
        None,
        UsageView(),
        replace(STATE, choices=2, supervisor_ok=True),
        NOW,
    )
    assert forced.code is Code.O07


def test_offers_that_depend_on_unknown_holidays_fail_closed() -> None:
    one = replace(offer(holidays="closed"), holiday_dates=frozenset())
    assert ask(one).code is Code.O10


def test_an_agent_needs_an_offer_that_allows_one() -> None:
    agent = "c" * 26
    assert ask(agent=agent).code is Code.M03
    assert ask(offer(proxy_collect=True), agent=agent).code is Code.A00
    assert ask(agent=CARD.card).code is Code.A00


def test_decide_is_a_plain_function_without_state() -> None:
    assert isinstance(decide, Callable)  # type: ignore[arg-type]
    assert inspect.getclosurevars(decide).nonlocals == {}
