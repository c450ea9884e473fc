"""What each signal sees in a day, and what it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from ledger.rules.offer import Venue
from server.signals import agent_concentration, closed_hours, far_apart
from server.signals.signal import Details, Pattern, Surroundings, Use, explain, signals
from tests.server.signals.days import HOUR_MS, MINUTE_MS, NOON_MS, OFFERS, VENUES, use

KNOWN = Surroundings(versions={}, newest=OFFERS, venues=VENUES)
WATCHED = {"agent_concentration", "closed_hours", "far_apart"}


def look(name: str, uses: Sequence[Use]) -> list[Pattern]:
    (signal,) = (one for one in signals() if one.name == name)
    return list(signal.look(uses, KNOWN))


def collected(
    count: int, *, agent: str = "agent", venue: str = "S0201", first: int = 0
) -> list[Use]:
    return [
        use(n, at_ms=NOON_MS + n, offer="pack", venue=venue, agent=agent)
        for n in range(first, first + count)
    ]


def test_signals_are_those_of_the_folder() -> None:
    found = list(signals())
    assert {one.name for one in found} == WATCHED
    assert all(len(one.name) <= 24 and all(one.title) for one in found)


def test_a_good_day_of_a_representative_is_no_pattern() -> None:
    assert look("agent_concentration", collected(agent_concentration.MEMBERS_DAY_MAX)) == []


def test_a_representative_with_a_firms_cards_is_seen() -> None:
    mine = collected(agent_concentration.MEMBERS_DAY_MAX + 1)
    (pattern,) = look("agent_concentration", [*mine, *collected(5, agent="other", first=200)])
    assert (pattern.subject, pattern.offer, pattern.uses) == ("agent", "pack", tuple(mine))
    assert pattern.details["members"] == 81
    assert "81" in agent_concentration.SIGNAL.explain(pattern.details)[0]


def test_one_member_collected_for_often_is_one_member() -> None:
    mine = [dataclasses.replace(one, member="m") for one in collected(100)]
    assert look("agent_concentration", mine) == []


def test_a_representative_at_many_stations_is_seen() -> None:
    two = collected(1, venue="S0201") + collected(1, venue="M01", first=1)
    assert look("agent_concentration", two) == []
    (pattern,) = look("agent_concentration", [*two, *collected(1, venue="S0301", first=2)])
    assert pattern.details["venues"] == 3


@pytest.mark.parametrize(
    ("mine", "others", "seen"), [(50, 150, False), (51, 149, True), (50, 149, False)]
)
def test_a_share_is_seen_on_a_busy_day_only(mine: int, others: int, seen: bool) -> None:
    rest = [use(n, at_ms=NOON_MS, offer="pack") for n in range(1000, 1000 + others)]
    found = look("agent_concentration", collected(mine) + rest)
    assert bool(found) is seen
    if found:
        assert found[0].details["permille"] == 255


def test_redemptions_outside_an_offers_hours_are_seen() -> None:
    # The museum gives entry from 09:00 to 16:30.
    evening = NOON_MS + 5 * HOUR_MS
    late = [use(n, at_ms=evening + n * MINUTE_MS, code="A02") for n in range(3)]
    (pattern,) = look("closed_hours", [use(9, at_ms=NOON_MS), *late])
    assert (pattern.subject, pattern.uses) == ("M01", tuple(late))
    assert pattern.details == {
        "venue": "孔庙和国子监博物馆",
        "count": 3,
        "overridden": 3,
        "first": "17:00",
        "last": "17:02",
    }
    assert look("closed_hours", late[:2]) == []
    assert look("closed_hours", [use(n, at_ms=NOON_MS) for n in range(3)]) == []


@pytest.mark.parametrize(("hour", "seen"), [(21, False), (22, True), (5, True), (6, False)])
def test_an_offer_without_hours_is_closed_at_night(hour: int, seen: bool) -> None:
    at_ms = NOON_MS + (hour - 12) * HOUR_MS
    found = look("closed_hours", [use(n, at_ms=at_ms, offer="pack") for n in range(3)])
    assert bool(found) is seen


def test_a_card_that_outran_a_car_is_seen() -> None:
    here = use(1, at_ms=NOON_MS, venue="M01")
    there = use(1, at_ms=NOON_MS + 5 * MINUTE_MS, venue="S1701")
    (pattern,) = look("far_apart", [here, there])
    assert pattern.uses == (here, there)
    assert (pattern.details["minutes"], pattern.details["km"]) == (5, 50)
    zh, en = far_apart.SIGNAL.explain(pattern.details)
    assert "50 公里" in zh and "50 km" in en
    slow = dataclasses.replace(there, at_ms=NOON_MS + 60 * MINUTE_MS)
    assert look("far_apart", [here, slow]) == []
    other = dataclasses.replace(there, card="another")
    assert look("far_apart", [here, other]) == []


@pytest.mark.parametrize(("seconds", "seen"), [(30, True), (60, False)])
def test_two_counters_of_one_district_cannot_see_a_card_at_once(seconds: int, seen: bool) -> None:
    here = use(1, at_ms=NOON_MS, venue="M01")
    found = look(
        "far_apart", [here, dataclasses.replace(here, at_ms=NOON_MS + seconds * 1000, venue="M02")]
    )
    assert bool(found) is seen
    if found:
        assert "不在一处" in far_apart.SIGNAL.explain(found[0].details)[0]


def test_one_counter_sees_a_card_as_often_as_it_likes() -> None:
    assert look("far_apart", [use(1, at_ms=NOON_MS), use(1, at_ms=NOON_MS)]) == []


def test_distances_are_between_places_that_are_known() -> None:
    dongcheng, pinggu = Venue("a", district="110101"), Venue("b", district="110117")
    assert 48 < far_apart.apart_km(dongcheng, pinggu) < 52
    assert far_apart.apart_km(pinggu, dongcheng) == far_apart.apart_km(dongcheng, pinggu)
    assert far_apart.apart_km(dongcheng, Venue("c", district="110102")) == 0
    assert far_apart.apart_km(dongcheng, Venue("d", district="310101")) == 0


def test_a_case_is_explained_by_its_reason() -> None:
    details: Details = {
        "venue": "M01",
        "count": 3,
        "overridden": 0,
        "first": "23:00",
        "last": "23:30",
    }
    assert explain("closed_hours", details) == closed_hours.SIGNAL.explain(details)
    assert explain("over_member_limit", {}) is None
