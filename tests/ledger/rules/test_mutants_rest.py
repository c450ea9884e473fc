"""What small faults in choice, stock, usage, records and catalogue changed unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.codes import Code, Outcome
from ledger.errors import OfferInvalid
from ledger.rules import catalogue
from ledger.rules.catalogue import faults, load_offers, load_venues
from ledger.rules.choice import choose
from ledger.rules.leases import StockPool
from ledger.rules.offer import (
    Decision,
    LeaseView,
    OnlineAnswer,
    Prior,
    RedemptionRequest,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.reservations import Reservation, TakenReservations
from ledger.rules.usage import Usage, UsageView
from ledger.rules.voids import Original
from tests.ledger.rules.builders import CARD, HOUR, MEMBER, NOW, STATE, ask, offer, redeem, void

LIFE = '"from": "2026-05-01T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"'


def test_what_nobody_says_is_taken_as_nothing() -> None:
    request = RedemptionRequest(nonce="n", card=CARD)
    assert (request.quantity, request.companions, request.simulate) == (1, 0, False)
    prior = Prior(outcome=Outcome.APPROVE, code=Code.A00, seq=1, card="", offer_id="")
    assert (prior.quantity, prior.companions, prior.reversed, prior.is_void) == (1, 0, False, False)
    state = TerminalState(terminal="t", venue=Venue("v"))
    assert (state.ledger_ok, state.clock_ok, state.operator_ok) == (True, True, True)
    assert (state.revoked, state.connected, state.supervisor_ok) == (False, False, False)
    numbers = (state.cap_used, state.cap_used_total, state.stock_used, state.choices)
    assert numbers == (0, 0, 0, 0)
    assert state.agent_cards == 0
    decision = Decision(outcome=Outcome.DECLINE, code=Code.L01)
    assert (decision.counted, decision.replay, decision.reversed) == (0, False, False)
    assert LeaseView("l", 1, 3, 5, NOW).left == 0
    assert (Original().seq, Original().age_ms) == (-1, 0)
    assert Reservation("r", "m", "o", "v", 0, 1).units == 1


def test_a_token_taken_twice_stays_taken_when_the_first_is_voided() -> None:
    taken = TakenReservations()
    taken.apply(redeem(3, NOW, reservation="r1"))
    taken.apply(redeem(5, NOW, reservation="r1"))
    taken.apply(void(6, 3))
    assert "r1" in taken
    taken.apply({**void(7, 0), "orig_seq": "5"})
    assert "r1" in taken


def test_a_pool_passes_over_voids_of_what_it_never_saw() -> None:
    pool = StockPool(offer(stock={"pool": 3}))
    pool.apply(void(1, 0), "one", "")
    assert pool.free("") == 3


def test_a_reserved_unit_is_the_tokens_and_no_soft_count_refuses_it() -> None:
    one = offer(stock={"per_day": 1}, offline="reserved")
    state = replace(STATE, reservation=ReservationState.VALID, stock_used=5)
    assert ask(one, state=state).code is Code.A00


def test_a_hold_is_worth_nothing_once_the_connection_is_gone() -> None:
    state = replace(STATE, connected=False, online=OnlineAnswer.HELD)
    assert ask(offer(offline="online"), state=state).code is Code.T04


def test_a_missing_reservation_says_whom_to_call() -> None:
    details = ask(offer(booking="required", phone="12351")).details
    assert (details["phone"], details["why"]) == ("12351", "none")


def test_a_view_groups_what_shares_a_limit_and_nothing_else() -> None:
    usage = Usage()
    usage.apply(redeem(1, NOW))
    assert usage.view(MEMBER.ref, offer(limits=[{"count": 1, "per": "day"}])).grouped == {}
    alone = usage.view(MEMBER.ref, offer(limits=[{"count": 1, "per": "day", "group": "g"}]))
    assert [use.seq for use in alone.grouped["g"]] == [1]
    found = usage.use_at(1)
    assert found is not None
    assert found.seq == 1
    assert usage.use_at(2) is None


def chosen(*offers: object) -> Decision:
    request = RedemptionRequest(nonce="n", card=CARD, simulate=True)
    return choose([(one, UsageView(), STATE) for one in offers], request, NOW)  # type: ignore[misc]


def test_of_several_that_cannot_be_had_the_one_that_can_come_true_is_told() -> None:
    never = offer(id="never", eligibility={"tags_any": ["x"]})
    later = offer(id="later", hours=["18:00-19:00"])
    elsewhere = offer(id="elsewhere", venues=["v9"])
    assert chosen(never, later, elsewhere).code is Code.O06
    assert chosen(later, never).code is Code.O06
    assert chosen(elsewhere, never).code is Code.O05, "of those for ever the last by precedence"
    assert chosen(never, elsewhere).code is Code.O05
    assert chosen().code is Code.O01


def test_of_several_that_can_be_had_all_are_named() -> None:
    answer = chosen(offer(id="one"), offer(id="two"))
    assert (answer.code, answer.details["n"], answer.details["offers"]) == (
        Code.O07,
        2,
        "one，two",
    )


def test_a_broken_offers_version_is_kept_if_it_is_a_number() -> None:
    broken = f'[{{"id": "a", "version": 7, "x": 1, {LIFE}}}, {{"id": "b", "version": "2", {LIFE}}}]'
    found = load_offers(broken.encode(), lenient=True).offers
    assert [found[name].version for name in ("a", "b")] == [7, 0]


def test_all_faults_of_a_file_are_found_and_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = f'[{{"id": "a", {LIFE}}},\n{{"id": "a", {LIFE}}},\n{{"id": "b", "x": 1, {LIFE}}}]'
    assert [(one.line, one.field) for one in faults(twice.encode())] == [(2, "id"), (3, "x")]
    with pytest.raises(OfferInvalid, match="defined twice") as caught:
        load_venues(b'[{"id": "v"},\n{"id": "v"}]')
    assert (caught.value.line, caught.value.field) == (2, "id")
    with pytest.raises(OfferInvalid, match="thousands of digits"):
        load_offers(b"[" + b"9" * 5_000 + b"]")
    monkeypatch.setattr(catalogue, "CATALOGUE_BYTES_MAX", 4)
    assert load_offers(b"[ ] ").offers == {}
    with pytest.raises(OfferInvalid, match="larger than 4 bytes"):
        load_offers(b"[   ]")
    assert HOUR == 3_600_000
