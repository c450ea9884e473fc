"""What small faults in ``decide`` changed without any other test seeing it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.codes import Code
from ledger.rules.decide import decide
from ledger.rules.offer import (
    BrokenOffer,
    Eligibility,
    Evidence,
    HolidayRule,
    OfferKind,
    Profile,
    SnapshotAge,
    Venue,
    VenueScope,
)
from ledger.rules.usage import UsageView
from tests.ledger.rules.builders import CARD, MEMBER, NOW, STATE, ask, at, offer, request, used

PROVEN = replace(STATE, supervisor_ok=True)
DEGRADED = replace(STATE, snapshot=SnapshotAge.DEGRADED)
STRANGERS = Eligibility(district=frozenset({"dongcheng"}))
IDENTIFIED = replace(CARD, assurance="identified")


def test_of_several_lifted_faults_the_first_is_named() -> None:
    one = replace(offer(limits=[{"count": 1, "per": "offer"}]), eligibility=STRANGERS)
    answer = ask(one, usage=used(one, NOW - 1), state=PROVEN, supervisor="s1", reason="x")
    assert (answer.code, answer.would_override) == (Code.A02, Code.M02)
    assert answer.details["overridden"] == "M02"


def test_an_answer_carries_what_its_message_needs() -> None:
    one = replace(offer(), title="博物馆", title_en="Museum", kind=OfferKind.ENTRY)
    answer = ask(one, state=replace(STATE, venue=Venue("v1", zone="Europe/Berlin")))
    assert dict(answer.details) == {
        "zone": "Europe/Berlin",
        "offer": "博物馆",
        "offer_en": "Museum",
        "kind": "entry",
    }
    bare = ask(replace(offer(), title="", title_en="")).details
    assert (bare["offer"], bare["offer_en"]) == ("museum", "museum")


def test_when_it_becomes_possible_stands_in_the_answer_and_in_its_details() -> None:
    one = offer(hours=["12:00-13:00"])
    answer = ask(one)
    assert answer.code is Code.O06
    assert answer.until_ms == answer.details["until_ms"] == at("2026-05-02 12:00")
    assert "until_ms" not in ask().details


@pytest.mark.parametrize(
    ("found", "code"), [("none", Code.O01), (BrokenOffer("museum", "bad"), Code.O10)]
)
def test_without_a_sound_offer_neither_age_nor_assurance_is_the_answer(
    found: str | BrokenOffer, code: Code
) -> None:
    one = None if isinstance(found, str) else found
    for state, card in ((DEGRADED, CARD), (STATE, IDENTIFIED)):
        answer = decide(request(card=card), one, UsageView(), state, NOW)
        assert answer.code is code
        assert "offer" not in answer.details


@pytest.mark.parametrize(
    ("choices", "named", "code"),
    [(2, "", Code.O07), (1, "", Code.O01), (0, "", Code.O01), (2, "gone", Code.O01)],
)
def test_a_choice_is_asked_for_only_when_there_is_one(choices: int, named: str, code: Code) -> None:
    state = replace(STATE, choices=choices)
    answer = decide(request(offer_id=named), None, UsageView(), state, NOW)
    assert answer.code is code
    assert answer.details.get("n") == (choices if code is Code.O07 else None)


def test_who_may_take_it_is_said_in_the_offers_words() -> None:
    one = replace(offer(), eligibility=STRANGERS, texts={"eligibility_text": "东城会员"})
    assert ask(one).details["who"] == "东城会员"
    assert ask(replace(one, texts={})).details["who"] == ""
    company = replace(one, eligibility=Eligibility(), companions_max=1)
    assert ask(company, companions=1).code is Code.A00
    assert ask(company, companions=2).details["who"] == "东城会员"
    assert ask(replace(company, companions_rule="一人"), companions=2).details["who"] == "一人"


def test_where_it_is_given_is_said_in_the_offers_words() -> None:
    elsewhere = VenueScope(district=frozenset({"dongcheng"}))
    one = replace(offer(), scope=elsewhere, texts={"venues_text": "东城各站"})
    answer = ask(one)
    assert (answer.code, answer.details["place"]) == (Code.O05, "东城各站")
    assert ask(replace(one, texts={})).details["place"] == ""


def test_home_is_the_members_street_or_else_district() -> None:
    one = replace(offer(), home_venue=True)

    def code(venue: Venue, street: str = "desheng", district: str = "xicheng") -> Code:
        card = replace(CARD, member=replace(MEMBER, street=street, district=district))
        return ask(one, state=replace(STATE, venue=venue), card=card).code

    street = Venue("v1", district="xicheng", street="desheng")
    district = Venue("v1", district="xicheng")
    assert code(street) is Code.A00
    assert code(street, street="other") is Code.O05
    assert code(street, street="") is Code.O05
    assert code(district) is Code.O05
    assert code(district, street="") is Code.A00
    assert code(district, street="", district="other") is Code.O05
    assert code(Venue("v1"), street="", district="") is Code.O05
    away = ask(one, state=replace(STATE, venue=replace(street, street="other")))
    assert away.details["place"] == "desheng"


def test_the_days_of_an_offer_are_said_when_it_has_not_begun_or_is_over() -> None:
    one = offer()
    early, late = ask(one, now=one.from_ms - 1), ask(one, now=one.until_ms)
    assert (early.code, early.until_ms, early.details["date_ms"]) == (
        Code.O02,
        one.from_ms,
        one.from_ms,
    )
    assert (late.code, late.until_ms, late.details["date_ms"]) == (Code.O03, None, one.until_ms)


def test_what_was_used_before_is_said_with_time_and_place() -> None:
    one = offer(limits=[{"count": 1, "per": "day"}])
    answer = ask(one, usage=used(one, NOW - 5, venue="v7"))
    assert answer.code is Code.L02
    assert {key: answer.details[key] for key in ("per", "date_ms", "time_ms", "place")} == {
        "per": "day",
        "date_ms": NOW - 5,
        "time_ms": NOW - 5,
        "place": "v7",
    }
    never = ask(one, quantity=2)
    assert "place" not in never.details
    inside = offer(re_entry_minutes=20)
    again = ask(inside, usage=used(inside, NOW - 5))
    assert (again.code, again.details["time_ms"]) == (Code.A03, NOW - 5)


def test_a_used_up_limit_opens_with_the_offer_and_not_before() -> None:
    one = offer(limits=[{"count": 1, "per": "day"}], hours=["09:00-17:00"])
    assert ask(one, usage=used(one, NOW - 5)).until_ms == at("2026-05-03 09:00")


def test_evidence_is_asked_for_by_its_title() -> None:
    wanted = (
        Evidence("note", required=False),
        Evidence("id", title="证件", title_en="Document"),
        Evidence("child"),
    )
    one = replace(offer(), evidence=wanted)
    answer = ask(one)
    assert answer.code is Code.O11
    assert (answer.details["what"], answer.details["what_en"]) == ("证件、child", "Document, child")
    assert answer.details["evidence"] == "id"
    assert ask(one, evidence={"id": "1", "child": " "}).details["evidence"] == "child"
    assert ask(one, evidence={"id": "1", "child": "x"}).code is Code.A00


def test_a_representatives_own_card_is_no_proxy() -> None:
    one = offer()
    assert ask(one, agent="b" * 26).code is Code.M03
    assert ask(one, agent=CARD.card).code is Code.A00
    assert ask(replace(one, proxy_collect=True), agent="b" * 26).code is Code.A00


def test_an_unknown_calendar_is_a_rule_error() -> None:
    one = replace(offer(), holidays=HolidayRule.CLOSED, holiday_dates=frozenset())
    assert ask(one).code is Code.O10


def test_a_kiosk_never_forces_whoever_asks() -> None:
    kiosk = replace(PROVEN, profile=Profile.KIOSK)
    assert ask(state=kiosk).code is Code.A00
    assert ask(state=kiosk, supervisor="s1").code is Code.T05
    assert ask(state=kiosk, reason="x").code is Code.T05
    assert ask(state=STATE, reason="x").code is Code.T05
    assert ask(state=PROVEN, reason="x").code is Code.A00
