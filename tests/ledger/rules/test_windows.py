"""When an offer is given: half-open windows, calendars, tolerance, and the next opening."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rules import holidays, windows
from ledger.rules.offer import Offer
from tests.ledger.rules.builders import DAY, HOUR, MINUTE, NOW, at, offer

ZONE = "Asia/Shanghai"
HOURS = ["00:00-09:00", "09:00-16:30", "13:00-14:00", "22:00-24:00"]


def opened(one: Offer, text: str) -> bool:
    return windows.open_at(one, at(text), ZONE)


@pytest.mark.parametrize(
    ("fields", "inside", "outside"),
    [
        ({"hours": ["09:00-16:30"]}, "2026-05-02 09:00", "2026-05-02 08:59:59"),
        ({"hours": ["09:00-16:30"]}, "2026-05-02 16:29:59", "2026-05-02 16:30"),
        ({"hours": ["22:00-24:00"]}, "2026-05-02 23:59:59", "2026-05-03 00:00"),
        ({"weekdays": ["sat"]}, "2026-05-02 00:00", "2026-05-03 00:00"),
        ({"weekdays": ["sun"]}, "2026-05-03 23:59:59", "2026-05-04 00:00"),
        ({"holidays": "closed"}, "2026-05-06 10:00", "2026-05-05 10:00"),
        ({"holidays": "only"}, "2026-05-05 10:00", "2026-05-06 10:00"),
        ({"holidays": "open", "weekdays": ["wed"]}, "2026-05-05 10:00", "2026-05-07 10:00"),
        ({"sessions": ["10:30-12:00"]}, "2026-05-02 10:30", "2026-05-02 12:00"),
    ],
)
def test_windows_are_half_open(fields: dict[str, Any], inside: str, outside: str) -> None:
    one = offer(**fields)
    assert opened(one, inside)
    assert not opened(one, outside)


def test_a_single_sitting_holds_at_its_instant_whatever_the_weekday() -> None:
    one = offer(
        weekdays=["mon"],
        sessions=[{"from": "2026-05-02T19:00:00+08:00", "until": "2026-05-02T21:00:00+08:00"}],
    )
    assert opened(one, "2026-05-02 19:00")
    assert not opened(one, "2026-05-02 21:00")
    assert windows.sitting(one, at("2026-05-02 20:00"), ZONE) == (
        at("2026-05-02 19:00"),
        at("2026-05-02 21:00"),
    )
    assert windows.sitting(one, at("2026-05-02 22:00"), ZONE) is None


def test_tolerance_reaches_over_midnight_for_hours_and_not_for_weekdays() -> None:
    late = offer(weekdays=["sat"], hours=["22:00-24:00"], tolerance_minutes=10)
    assert opened(late, "2026-05-02 21:50")
    assert opened(late, "2026-05-03 00:09:59")
    assert not opened(late, "2026-05-03 00:10")
    whole = offer(weekdays=["sat"], tolerance_minutes=10)
    assert not opened(whole, "2026-05-03 00:05")
    sitting = offer(sessions=["10:30-12:00", "12:05-13:00"], tolerance_minutes=10)
    # Where two sittings overlap by tolerance, the one whose own time it is counts.
    found = windows.sitting(sitting, at("2026-05-02 12:06"), ZONE)
    assert found == (at("2026-05-02 12:05"), at("2026-05-02 13:00"))


def test_an_offer_without_sittings_has_one_a_day() -> None:
    assert windows.sitting(offer(), NOW, ZONE) == (at("2026-05-02 00:00"), at("2026-05-03 00:00"))


@pytest.mark.parametrize(
    ("fields", "now", "found"),
    [
        ({}, "2026-05-02 10:00", "2026-05-02 10:00"),
        ({}, "2025-05-02 10:00", "2026-01-01 00:00"),
        ({"hours": ["09:00-10:00"]}, "2026-05-02 10:00", "2026-05-03 09:00"),
        ({"weekdays": ["mon"], "hours": ["09:00-10:00"]}, "2026-05-02 10:00", "2026-05-04 09:00"),
        (
            {"hours": ["09:00-10:00"], "tolerance_minutes": 5},
            "2026-05-02 11:00",
            "2026-05-03 08:55",
        ),
        (
            {"until": "2026-05-03T09:00:00+08:00", "hours": ["09:00-10:00"]},
            "2026-05-02 11:00",
            None,
        ),
        ({}, "2027-01-01 00:00", None),
        ({"holidays": "only"}, "2026-05-06 10:00", "2026-06-19 00:00"),
    ],
)
def test_the_next_opening(fields: dict[str, Any], now: str, found: str | None) -> None:
    expected = None if found is None else at(found)
    assert windows.next_open(offer(**fields), at(now), ZONE) == expected


def test_an_offer_that_never_opens_is_given_up() -> None:
    never = replace(offer(holidays="only"), holiday_dates=frozenset())
    assert windows.next_open(never, NOW, ZONE) is None


offers = st.builds(
    lambda days, hours, slack: offer(
        **({"weekdays": sorted(days)} if days else {}),
        **({"hours": hours} if hours else {}),
        tolerance_minutes=slack,
    ),
    st.sets(st.sampled_from(["mon", "wed", "sat"])),
    st.lists(st.sampled_from(HOURS), max_size=2),
    st.sampled_from([0, 10, 90]),
)


@given(offers, st.integers(NOW, NOW + 30 * DAY))
def test_the_next_opening_is_open_and_nothing_before_it_is(one: Offer, now: int) -> None:
    found = windows.next_open(one, now, ZONE)
    assert found is not None
    assert windows.open_at(one, found, ZONE)
    assert found >= now
    step = max(1, (found - now) // 50)
    assert not any(windows.open_at(one, moment, ZONE) for moment in range(now, found, step))


@given(
    offers,
    st.integers(NOW - 300 * DAY, NOW + 700 * DAY),
    st.sampled_from([ZONE, "Europe/Berlin", "America/Sao_Paulo"]),
    st.floats(0, 1),
)
def test_an_offer_is_given_alike_within_a_steady_span(
    one: Offer, now: int, zone: str, part: float
) -> None:
    def answers(ms: int) -> tuple[bool, ...]:
        return (
            windows.not_started(one, ms),
            windows.ended(one, ms),
            windows.calendar_known(one, ms, zone),
            windows.open_at(one, ms, zone),
        )

    start, end = windows.steady(one, now, zone)
    assert start <= now < end <= start + 25 * HOUR
    for moment in (start, start + int(part * (end - start - 1)), end - 1):
        assert answers(moment) == answers(now)


@given(
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"]),
    st.integers(0, 2 * 10**12),
)
def test_local_days_tile_the_time_line_in_every_zone(zone: str, now: int) -> None:
    start, end = windows.day_start(now, zone), windows.next_day_start(now, zone)
    assert start <= now < end
    assert 22 * HOUR <= end - start <= 49 * HOUR
    assert windows.day_start(end, zone) == end


def test_case_37_a_skipped_local_time_is_read_with_the_offset_before_the_jump() -> None:
    skipped = windows.instant_of(date(2026, 3, 29), 2 * 60 + 30, "Europe/Berlin")
    before = windows.instant_of(date(2026, 3, 29), 60 + 59, "Europe/Berlin")
    assert skipped - before == 31 * MINUTE
    twice = windows.instant_of(date(2026, 10, 25), 2 * 60 + 30, "Europe/Berlin")
    later = windows.instant_of(date(2026, 10, 25), 3 * 60, "Europe/Berlin")
    assert later - twice == 90 * MINUTE


def test_the_shipped_calendar_knows_the_demos_dragon_boat_festival() -> None:
    assert date(2014, 6, 2) in holidays.PUBLIC_HOLIDAYS
    assert date(2014, 5, 30) not in holidays.PUBLIC_HOLIDAYS
    assert date(2026, 10, 7) in holidays.PUBLIC_HOLIDAYS
    assert date(2026, 10, 8) not in holidays.PUBLIC_HOLIDAYS
