"""What small faults in limits and windows changed without any other test seeing it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.codes import Code
from ledger.rules import limits, windows
from ledger.rules.offer import HolidayRule, Hours, Limit, Offer, Period, Session
from ledger.rules.usage import UsageView
from tests.ledger.rules.builders import DAY, HOUR, MINUTE, NOW, at, offer, used

ZONE = "Asia/Shanghai"


def judged(one: Offer, usage: UsageView, now: int = NOW, quantity: int = 1) -> limits.UsedUp | None:
    return limits.used_up(one, usage, quantity=quantity, venue="v1", zone=ZONE, now_ms=now)


def limited(*found: Limit) -> Offer:
    return replace(offer(), limits=found)


def test_of_limits_that_last_equally_long_the_first_by_precedence_is_said() -> None:
    one = limited(Limit(1, Period.DAY), Limit(1, Period.OFFER))
    found = judged(one, UsageView(), quantity=2)
    assert found is not None
    assert (found.code, found.until_ms, found.last) == (Code.L01, None, None)


def test_a_limit_over_the_life_of_an_offer_never_ends() -> None:
    one = limited(Limit(1))
    found = judged(one, used(one, NOW - 1))
    assert found is not None
    assert found.until_ms is None


def test_a_limit_binds_only_between_its_own_instants() -> None:
    later = limited(Limit(1, since_ms=NOW))
    assert judged(later, UsageView(), NOW - 1, quantity=2) is None
    assert judged(later, UsageView(), NOW, quantity=2) is not None
    earlier = limited(Limit(1, before_ms=NOW))
    assert judged(earlier, used(earlier, NOW), NOW - 1) is None
    assert judged(earlier, used(earlier, NOW - 2), NOW - 1) is not None
    assert judged(earlier, used(earlier, NOW - 2), NOW) is None


def test_the_first_instant_of_all_is_one_like_others() -> None:
    once, one_day = limited(Limit(1)), limited(Limit(days=1))
    assert judged(once, UsageView(), 0, quantity=2) is not None
    assert judged(once, used(once, 0), 5) is not None
    assert judged(one_day, used(one_day, 0), DAY) is not None


def test_time_since_the_first_use_is_over_at_its_end() -> None:
    one = limited(Limit(within_ms=HOUR))
    assert judged(one, used(one, NOW - HOUR + 1)) is None
    assert judged(one, used(one, NOW - HOUR)) is not None


def test_midnight_begins_another_day() -> None:
    one = limited(Limit(days=2))
    two_days = used(one, at("2026-05-01 10:00"), at("2026-05-02 00:00"))
    assert judged(one, two_days, at("2026-05-03 09:00")) is not None


@pytest.mark.parametrize(
    ("month", "following"),
    [("2026-11", "2026-12"), ("2026-12", "2027-01"), ("2027-01", "2027-02")],
)
def test_a_month_ends_where_the_next_begins(month: str, following: str) -> None:
    found = limits.period_of(Period.MONTH, at(f"{month}-15 10:00"), ZONE)
    assert found == (at(f"{month}-01 00:00"), at(f"{following}-01 00:00"))


def test_a_use_later_than_now_is_no_entry_to_come_back_to() -> None:
    one = replace(offer(), re_entry_ms=20 * MINUTE)
    assert limits.re_entry(one, used(one, NOW + 1), venue="v1", now_ms=NOW) is None
    found = limits.re_entry(one, used(one, NOW - 1, NOW + 1), venue="v1", now_ms=NOW)
    assert found is not None
    assert found.ts_ms == NOW - 1


def test_the_look_ahead_ends_after_eight_hundred_days() -> None:
    far = replace(offer(), from_ms=0, until_ms=NOW + 2_000 * DAY, holidays=HolidayRule.ONLY)
    today = windows.local_day(NOW, ZONE)
    reach = windows.DAYS_AHEAD_MAX - 2
    for days, found in ((reach, True), (reach + 1, False)):
        day = today + timedelta(days=days)
        one = replace(far, holiday_dates=frozenset({day}))
        opens = windows.next_open(one, NOW, ZONE)
        assert opens == (windows.instant_of(day, 0, ZONE) if found else None)
    assert windows.DAYS_AHEAD_MAX == 800


def test_tolerance_opens_on_the_evening_before_the_last_night() -> None:
    one = replace(
        offer(hours=["00:10-02:00"]), until_ms=at("2026-05-10 00:00"), tolerance_ms=30 * MINUTE
    )
    assert windows.next_open(one, at("2026-05-09 12:00"), ZONE) == at("2026-05-09 23:40")


def test_half_a_minute_of_a_last_day_is_found() -> None:
    one = replace(offer(hours=["00:00-02:00"]), until_ms=at("2026-05-10 00:00:30"))
    assert windows.next_open(one, at("2026-05-09 12:00"), ZONE) == at("2026-05-10 00:00")


MORNING, NIGHT = Session(Hours(0, 60)), Session(Hours(1380, 1440))


def test_sittings_reach_over_midnight_by_their_tolerance() -> None:
    late = replace(offer(), sessions=(NIGHT,), tolerance_ms=30 * MINUTE)
    early = replace(offer(), sessions=(MORNING,), tolerance_ms=30 * MINUTE)
    night = (at("2026-05-02 23:00"), at("2026-05-03 00:00"))
    morning = (at("2026-05-03 00:00"), at("2026-05-03 01:00"))
    assert windows.sitting(late, at("2026-05-03 00:29:59"), ZONE) == night
    assert windows.sitting(late, at("2026-05-03 00:30"), ZONE) is None
    assert windows.sitting(late, at("2026-05-02 22:30"), ZONE) == night
    assert windows.sitting(late, at("2026-05-02 22:29:59"), ZONE) is None
    assert windows.sitting(early, at("2026-05-02 23:30"), ZONE) == morning
    assert windows.sitting(early, at("2026-05-02 23:29:59"), ZONE) is None
    assert windows.open_at(late, at("2026-05-02 22:30"), ZONE)
    assert not windows.open_at(late, at("2026-05-02 22:29:59"), ZONE)
    assert windows.open_at(late, at("2026-05-03 00:29:59"), ZONE)
    assert not windows.open_at(late, at("2026-05-03 00:30"), ZONE)


def test_sittings_without_tolerance_are_half_open() -> None:
    one = replace(offer(), sessions=(NIGHT, MORNING))
    midnight = at("2026-05-03 00:00")
    assert windows.sitting(one, midnight - 1, ZONE) == (midnight - HOUR, midnight)
    assert windows.sitting(one, midnight, ZONE) == (midnight, midnight + HOUR)
    assert windows.sitting(one, midnight - HOUR - 1, ZONE) is None
    assert windows.sitting(one, midnight + HOUR, ZONE) is None
