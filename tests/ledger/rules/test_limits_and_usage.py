"""Limits against a naive reading of the same uses, and usage as a fold in any order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codes import Code
from ledger.entry import Entry
from ledger.rules import limits
from ledger.rules.catalogue import share_groups
from ledger.rules.offer import Offer, Period
from ledger.rules.usage import Usage, UsageView
from tests.ledger.rules.builders import (
    DAY,
    HOUR,
    MEMBER,
    MINUTE,
    NOW,
    SHANGHAI,
    at,
    offer,
    redeem,
    used,
    void,
)

ZONE = "Asia/Shanghai"


def judged(one: Offer, usage: UsageView, now: int = NOW, quantity: int = 1) -> Code | None:
    found = limits.used_up(one, usage, quantity=quantity, venue="v1", zone=ZONE, now_ms=now)
    return None if found is None else found.code


def test_an_entry_counts_in_the_day_in_which_it_happened() -> None:
    one = offer(limits=[{"count": 1, "per": "day"}])
    usage = used(one, at("2026-05-01 23:59:59"))
    assert judged(one, usage, at("2026-05-02 00:00")) is None
    assert judged(one, usage, at("2026-05-01 23:59:59")) is Code.L02


def test_a_later_day_does_not_count_against_a_late_upload() -> None:
    one = offer(limits=[{"count": 1, "per": "day"}])
    usage = used(one, at("2026-05-03 10:00"))
    assert judged(one, usage, at("2026-05-02 10:00")) is None


@pytest.mark.parametrize(
    ("rule", "moments", "now", "code"),
    [
        ({"days": 2}, ["05-01 10:00", "05-02 10:00"], "05-03 10:00", Code.L01),
        ({"days": 2}, ["05-01 10:00", "05-02 10:00"], "05-02 23:00", None),
        ({"days": 1, "per": "week"}, ["05-01 10:00"], "05-02 10:00", Code.L03),
        ({"within": "180m"}, ["05-01 10:00"], "05-01 12:59:59", None),
        ({"within": "180m"}, ["05-01 10:00"], "05-01 13:01", Code.L01),
        ({"within": "180m", "per": "day"}, ["05-01 10:00"], "05-01 13:01", Code.L02),
        ({"within": "180m", "per": "day"}, ["05-01 10:00"], "05-02 13:01", None),
        (
            {"count": 1, "since": "2026-05-01T10:00:00+08:00"},
            ["05-01 09:59:59"],
            "05-02 10:00",
            None,
        ),
        (
            {"count": 1, "since": "2026-05-01T10:00:00+08:00"},
            ["05-01 10:00"],
            "05-02 10:00",
            Code.L01,
        ),
        (
            {"count": 1, "before": "2026-05-03T10:00:00+08:00"},
            ["05-02 10:00"],
            "05-03 09:59:59",
            Code.L01,
        ),
        ({"count": 1, "before": "2026-05-03T10:00:00+08:00"}, ["05-02 10:00"], "05-03 10:00", None),
        ({"count": 2, "per": "offer"}, ["05-01 10:00"], "05-01 11:00", None),
        ({"count": 2, "per": "offer"}, ["05-01 10:00", "05-01 10:30"], "05-01 11:00", Code.L01),
    ],
)
def test_limits_one_by_one(
    rule: dict[str, Any], moments: list[str], now: str, code: Code | None
) -> None:
    one = offer(limits=[rule])
    usage = used(one, *(at(f"2026-{moment}") for moment in moments))
    assert judged(one, usage, at(f"2026-{now}")) is code


def test_a_limit_by_venue_counts_each_venue_apart() -> None:
    one = offer(limits=[{"count": 1, "per": "offer", "scope": "member_venue"}])
    assert judged(one, used(one, NOW, venue="v2")) is None
    assert judged(one, used(one, NOW, venue="v1")) is Code.L01


def test_more_units_than_the_limit_are_never_possible() -> None:
    one = offer(limits=[{"count": 2, "per": "day"}])
    found = limits.used_up(one, UsageView(), quantity=3, venue="v1", zone=ZONE, now_ms=NOW)
    assert found is not None
    assert found.until_ms is None


def test_the_interval_is_over_exactly_at_its_end() -> None:
    one = offer(interval="180m")
    assert judged(one, used(one, NOW - 180 * MINUTE)) is None
    assert judged(one, used(one, NOW - 180 * MINUTE + 1)) is Code.L04


def test_re_entry_is_by_venue_and_half_open() -> None:
    one = offer(re_entry_minutes=30)
    assert limits.re_entry(one, used(one, NOW - 30 * MINUTE), venue="v1", now_ms=NOW) is None
    last = limits.re_entry(one, used(one, NOW - 30 * MINUTE + 1), venue="v1", now_ms=NOW)
    assert last is not None
    assert limits.re_entry(one, used(one, NOW), venue="v2", now_ms=NOW) is None
    assert limits.re_entry(offer(), used(one, NOW), venue="v1", now_ms=NOW) is None


@pytest.mark.parametrize(
    ("per", "first", "following"),
    [
        (Period.DAY, "2026-05-02 00:00", "2026-05-03 00:00"),
        (Period.WEEK, "2026-04-27 00:00", "2026-05-04 00:00"),
        (Period.MONTH, "2026-05-01 00:00", "2026-06-01 00:00"),
        (Period.QUARTER, "2026-04-01 00:00", "2026-07-01 00:00"),
        (Period.HALF_YEAR, "2026-01-01 00:00", "2026-07-01 00:00"),
        (Period.YEAR, "2026-01-01 00:00", "2027-01-01 00:00"),
    ],
)
def test_periods_by_the_calendar(per: Period, first: str, following: str) -> None:
    assert limits.period_of(per, NOW, ZONE) == (at(first), at(following))


@given(st.sampled_from(list(Period)), st.integers(0, 2 * 10**12))
def test_periods_tile_the_time_line(per: Period, now: int) -> None:
    start, end = limits.period_of(per, now, ZONE)
    assert start <= now < end
    if per is not Period.OFFER:
        assert limits.period_of(per, end, ZONE)[0] == end
        assert limits.period_of(per, start - 1, ZONE)[1] == start


# A second reading of the same rules, by datetime and lists alone.


def same_period(per: str, first: datetime, second: datetime) -> bool:
    if per == "offer":
        return True
    if per == "day":
        return first.date() == second.date()
    if per == "week":
        return first.isocalendar()[:2] == second.isocalendar()[:2]
    length = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}[per]
    return (first.year, (first.month - 1) // length) == (
        second.year,
        (second.month - 1) // length,
    )


moments = st.lists(st.integers(0, 500), max_size=12)


@given(
    st.sampled_from([str(one) for one in Period]), st.integers(1, 4), moments, st.integers(0, 500)
)
def test_counts_agree_with_a_naive_reading(
    per: str, count: int, hours: list[int], now_hour: int
) -> None:
    one = offer(limits=[{"count": count, "per": per}])
    base = datetime(2026, 5, 20, 0, 0, tzinfo=SHANGHAI)
    stamps = [base + timedelta(hours=3 * hour) for hour in hours]
    now = base + timedelta(hours=3 * now_hour)
    usage = used(one, *(round(stamp.timestamp() * 1000) for stamp in stamps))
    counted = sum(same_period(per, stamp, now) for stamp in stamps)
    expected = counted + 1 > count
    assert (judged(one, usage, round(now.timestamp() * 1000)) is not None) is expected


@given(st.integers(1, 3), moments, st.integers(0, 500))
def test_distinct_days_agree_with_a_naive_reading(
    days: int, hours: list[int], now_hour: int
) -> None:
    one = offer(limits=[{"days": days}])
    base = datetime(2026, 5, 20, 0, 0, tzinfo=SHANGHAI)
    stamps = [base + timedelta(hours=3 * hour) for hour in hours]
    now = base + timedelta(hours=3 * now_hour)
    usage = used(one, *(round(stamp.timestamp() * 1000) for stamp in stamps))
    seen = {stamp.date() for stamp in stamps}
    expected = now.date() not in seen and len(seen) >= days
    assert (judged(one, usage, round(now.timestamp() * 1000)) is not None) is expected


# Groups.


def grouped() -> tuple[Offer, Offer]:
    rule = {"count": 3, "per": "year", "group": "spring"}
    shared = share_groups({"a": offer(id="a", limits=[rule]), "b": offer(id="b", limits=[rule])})
    first, second = shared["a"], shared["b"]
    assert isinstance(first, Offer)
    assert isinstance(second, Offer)
    return first, second


def test_a_group_shares_one_count_and_leaves_usage_apart() -> None:
    first, second = grouped()
    usage = Usage()
    usage.apply(redeem(0, NOW - HOUR, offer="a", quantity=2))
    usage.apply(redeem(1, NOW - MINUTE, offer="b", quantity=1))
    view = usage.view(MEMBER.ref, second)
    assert view.units == 1
    assert judged(second, view) is Code.L03
    assert judged(first, usage.view(MEMBER.ref, first)) is Code.L03
    usage.apply(void(2, 0))
    assert judged(second, usage.view(MEMBER.ref, second), quantity=2) is None


# The fold.

steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20), st.integers(1, 3), st.sampled_from("ab")),
    max_size=25,
)


def ledger_of(plan: list[tuple[bool, int, int, str]]) -> list[Entry]:
    """A ledger of redemptions and voids of earlier ones."""
    entries: list[Entry] = []
    for seq, (is_void, moment, quantity, name) in enumerate(plan):
        originals = [one["seq"] for one in entries if one["kind"] == "redeem"]
        if is_void and originals:
            entries.append(void(seq, int(str(originals[moment % len(originals)]))))
        else:
            entries.append(redeem(seq, NOW + moment, quantity=quantity, offer=name))
    return entries


@given(steps, st.randoms())
def test_the_fold_does_not_depend_on_the_order_of_arrival(plan: Any, chance: Any) -> None:
    entries = ledger_of(plan)
    straight, shuffled = Usage(), Usage()
    straight.apply_all(entries)
    mixed = list(entries)
    chance.shuffle(mixed)
    shuffled.apply_all([*mixed, *mixed])
    voided = {one["orig_seq"] for one in entries if one["kind"] == "void"}
    for name in "ab":
        one = offer(id=name)
        view = straight.view(MEMBER.ref, one)
        assert list(view.uses) == list(shuffled.view(MEMBER.ref, one).uses)
        live = [
            int(str(entry["quantity"]))
            for entry in entries
            if entry["kind"] == "redeem" and entry["offer"] == name and entry["seq"] not in voided
        ]
        assert view.units == sum(live) == straight.units(name) == shuffled.units(name)
        assert straight.units_reversed(name) == shuffled.units_reversed(name)
    assert straight.units_since(0) == straight.units("a") + straight.units("b")


def test_a_void_names_its_own_ledger_unless_it_says_another() -> None:
    usage = Usage()
    usage.apply(redeem(0, NOW), ledger="one")
    usage.apply(void(0, 0), ledger="two")
    assert usage.units("museum") == 1
    usage.apply(void(1, 0, orig_ledger="one"), ledger="two")
    assert usage.units("museum") == 0
    assert usage.is_voided(0, ledger="one")
    assert usage.use_at(0, ledger="one") is None


def test_a_void_with_another_nonce_takes_nothing_back() -> None:
    usage = Usage()
    usage.apply(redeem(0, NOW))
    usage.apply({**void(1, 0), "orig_nonce": "other"})
    assert usage.units("museum") == 1


def test_units_are_counted_by_time_and_venue_and_position() -> None:
    usage = Usage()
    usage.apply(redeem(0, NOW, venue="v1"))
    usage.apply(redeem(1, NOW + DAY, venue="v2", quantity=2))
    usage.apply(redeem(2, NOW + 2 * DAY, venue="v2", quantity=4))
    assert usage.units("museum", start_ms=NOW, end_ms=NOW + DAY) == 1
    assert usage.units("museum", start_ms=NOW + 1) == 6
    assert usage.units_at("museum", "v2", end_ms=NOW + 2 * DAY) == 2
    assert usage.units_since(1) == 6
    assert usage.units_since(2, offer="other") == 0
    assert [use.seq for use in usage.all_uses()] == [0, 1, 2]


def test_a_used_set_joins_what_the_terminal_saw_itself() -> None:
    first, second = grouped()
    own, others = Usage(), Usage()
    own.apply(redeem(0, NOW, offer="a"))
    others.apply(redeem(0, NOW - HOUR, offer="a", quantity=2), ledger="other")
    known = Usage()
    for use in others.all_uses():
        known.add(use)
    view = own.view(MEMBER.ref, first).joined(known.view(MEMBER.ref, first))
    assert view.units == 3
    assert [use.ledger for use in view.uses] == ["other", ""]
    joined = own.view(MEMBER.ref, second).joined(known.view(MEMBER.ref, second))
    assert judged(second, joined) is Code.L03
    assert own.view(MEMBER.ref, first).joined(UsageView()) == own.view(MEMBER.ref, first)


def test_kinds_that_neither_use_nor_void_are_passed_over() -> None:
    usage = Usage()
    usage.apply({**redeem(0, NOW), "kind": "reentry"})
    usage.apply({**redeem(1, NOW), "kind": "decline"})
    usage.apply({"kind": "boot", "seq": 2})
    usage.apply({**redeem(3, NOW), "kind": "manual"})
    assert usage.units("museum") == 1
    assert usage.view("nobody", offer()) == UsageView()
    assert usage.view(MEMBER.ref, None) == UsageView()


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 3)), max_size=40))
def test_units_since_a_size_follow_every_use_and_void(steps: list[tuple[int, bool, int]]) -> None:
    usage, live = Usage(), dict[int, tuple[str, int]]()
    for number, (size, voids, quantity) in enumerate(steps):
        if voids and live:
            seq = min(live)
            usage.apply(void(number + 100, seq))
            del live[seq]
        else:
            name = "museum" if number % 2 else "film"
            usage.apply(redeem(number, NOW, offer=name, quantity=quantity))
            live[number] = (name, quantity)
        for asked in (size, 5):
            found = [one for seq, one in live.items() if seq >= asked]
            assert usage.units_since(asked) == sum(units for _, units in found)
            mine = sum(units for name, units in found if name == "film")
            assert usage.units_since(asked, offer="film") == mine
