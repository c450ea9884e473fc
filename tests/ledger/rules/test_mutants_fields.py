"""What small faults in the reading of offers, and in their words, changed unseen."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ledger.codes import Code
from ledger.errors import OfferInvalid
from ledger.rules import holidays, terms, windows
from ledger.rules.catalogue import faults, held_at, load_offers, load_venues
from ledger.rules.lines import line_of
from ledger.rules.messages import Details, message
from ledger.rules.offer import Offer, VenueScope
from ledger.rules.values import DURATION_MAX_MS, INSTANT_MAX_MS, INTEGER_MAX
from tests.ledger.rules.builders import DAY, MINUTE, NOW, at, offer


def fault(**fields: Any) -> tuple[str, str]:
    """Field and message of the fault of an offer."""
    with pytest.raises(OfferInvalid) as caught:
        offer(**fields)
    return caught.value.field, str(caught.value)


def test_what_an_offer_is_when_it_says_nothing() -> None:
    one = offer()
    assert (one.version, one.proxy_cards, one.cap) == (1, 200, 20)
    assert (one.companions_max, one.companions_rule, one.keywords) == (0, "", ())
    assert (one.stock.quantity, one.stock.leases) == (0, {})
    assert (terms.MINUTE_MS, terms.HOUR_MS, terms.DAY_MS) == (60_000, 3_600_000, 86_400_000)


def test_what_is_written_is_what_is_read() -> None:
    one = offer(
        proxy_cards=3,
        keywords=["庙会", "春节"],
        companions={"max": 2, "rule": "children"},
        evidence=[{"name": "receipt", "title": "小票", "title_en": "receipt"}],
        stock={"mode": "per_venue", "quantity": {"v1": 3, "v2": 4}},
        sessions=["09:00-12:00"],
    )
    assert (one.proxy_cards, one.keywords) == (3, ("庙会", "春节"))
    assert (one.companions_max, one.companions_rule) == (2, "children")
    assert (one.evidence[0].title, one.evidence[0].title_en) == ("小票", "receipt")
    assert (one.stock.per_venue, one.stock.quantity) == ({"v1": 3, "v2": 4}, 7)
    for count in (0, 1, 4):
        plain = offer(companions=count)
        assert (plain.companions_max, plain.companions_rule) == (count, "")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"proxy_cards": "3"}, "proxy_cards"),
        ({"keywords": [3]}, "keywords[0]"),
        ({"keywords": {}}, "keywords"),
        ({"weekdays": 3}, "weekdays"),
        ({"weekdays": [""]}, "weekdays[0]"),
        ({"sessions": [{"from": "2026-05-01T00:00:00+08:00", "to": "x"}]}, "sessions[0].to"),
        ({"scope": "xicheng"}, "scope"),
        ({"eligibility": "xicheng"}, "eligibility"),
        ({"stock": 3}, "stock"),
        ({"stock": {"pool": 3, "poool": 3}}, "stock.poool"),
        ({"stock": {"per_venue": 3}}, "stock.per_venue"),
        ({"stock": {"mode": "per_venue"}}, "stock.per_venue"),
        ({"stock": {"pool": "x"}}, "stock"),
        ({"stock": {"pool": 3, "leases": 3}}, "stock.leases"),
        ({"evidence": [{"name": "a", "titel": "x"}]}, "evidence[0].titel"),
        ({"evidence": [{"name": 3}]}, "evidence[0].name"),
        ({"evidence": [{"name": ""}]}, "evidence[0].name"),
        ({"evidence": [{"name": "a", "title": 3}]}, "evidence[0].title"),
        ({"companions": -1}, "companions"),
        ({"companions": "two"}, "companions"),
        ({"companions": {"max": "two"}}, "companions.max"),
        ({"companions": {"max": 2, "rule": 3}}, "companions.rule"),
        ({"venues": ["v1", ""]}, "venues[1]"),
        ({"venues": [3]}, "venues[0]"),
        ({"venues": []}, "venues"),
        ({"scope": {"district": []}}, "scope.district"),
        ({"scope": {"district": [3]}}, "scope.district[0]"),
    ],
)
def test_a_fault_names_the_field_that_has_it(fields: dict[str, Any], where: str) -> None:
    assert fault(**fields)[0] == where


def test_a_sitting_needs_a_length() -> None:
    moment, later = "2026-05-01T09:00:00+08:00", "2026-05-01T09:00:01+08:00"
    assert fault(sessions=[{"from": moment, "until": moment}])[0] == "sessions[0].until"
    (session,) = offer(sessions=[{"from": moment, "until": later}]).sessions
    assert (session.until_ms or 0) - (session.from_ms or 0) == 1000


def test_stock_without_a_quantity_is_none_at_all() -> None:
    assert offer(stock={"mode": "pool"}).stock.quantity == 0


def test_a_closed_list_is_shown_to_who_missed_it() -> None:
    _, said = fault(kind="gift")
    assert "ticket, coupon, entry, discount, service, enrolment" in said
    _, said = fault(level="nation")
    assert "city district street" in said


@pytest.mark.parametrize(
    "hours",
    ["09:60-10:00", "09:00-10:60", "09:00-09:00", "09:00-24:01", "10:00-09:00", "09:61-10:61"],
)
def test_hours_that_no_clock_shows_are_refused(hours: str) -> None:
    assert fault(hours=[hours])[0] == "hours[0]"


def test_hours_to_the_last_minute() -> None:
    (whole,) = offer(hours=["00:00-24:00"]).hours
    assert (whole.start, whole.end) == (0, 1440)
    (short,) = offer(hours=["08:59-09:59"]).hours
    assert (short.start, short.end) == (539, 599)


def test_numbers_and_instants_reach_as_far_as_they_may() -> None:
    assert INTEGER_MAX == 9_007_199_254_740_991, "beyond it a JSON number is no longer exact"
    assert offer(member_price_fen=INTEGER_MAX).member_price_fen == INTEGER_MAX
    assert fault(member_price_fen=INTEGER_MAX + 1)[0] == "member_price_fen"
    assert fault(member_price_fen=-1)[0] == "member_price_fen"
    assert offer(**{"from": "1970-01-01T00:00:00Z"}).from_ms == 0
    assert fault(**{"from": "1969-12-31T23:59:59Z"})[0] == "from"
    assert fault(**{"from": "2026-05-01T00:00:00"})[0] == "from", "an instant without an offset"
    assert fault(**{"from": "tomorrow"})[0] == "from"
    last = "8999-12-29T00:00:00+00:00"
    assert offer(until=last).until_ms == INSTANT_MAX_MS
    assert fault(until="8999-12-29T00:00:00.001+00:00")[0] == "until"


def test_a_duration_lasts_at_most_ten_years() -> None:
    assert offer(interval="3660d").interval_ms == DURATION_MAX_MS == 3660 * DAY
    assert fault(interval="87841h")[0] == "interval"
    assert fault(interval_minutes=DURATION_MAX_MS // MINUTE + 1)[0] == "interval_minutes"


def test_a_scope_restricts_by_each_of_its_parts() -> None:

    def held(**scope: str) -> bool:
        venue = terms.Venue("v1", district="xicheng", street="desheng", level="street")
        return held_at(offer(scope=scope), venue)

    assert held(district="xicheng", street="desheng", level="street")
    assert not held(district="dongcheng")
    assert not held(street="elsewhere")
    assert not held(level="city")
    assert offer(scope={"district": "xicheng"}).scope == VenueScope(district=frozenset({"xicheng"}))


TEXT = """[
  {"id": "a",
   "limits": [
     {"count": 1,
      "per": "day"},
     {"count": "]}[{",
      "per": "weak"}],
   "stock": {"pool": 3,
             "leases": {"t1": 1, "t2":
                4}},
   "last": [[1], [2,
      3]],
   "end": 1},
  {"id": "b"}]"""


@pytest.mark.parametrize(
    ("index", "path", "line"),
    [
        (0, "id", 2),
        (0, "limits", 3),
        (0, "limits[0]", 4),
        (0, "limits[0].per", 5),
        (0, "limits[1]", 6),
        (0, "limits[1].count", 6),
        (0, "limits[1].per", 7),
        (0, "limits[1].missing", 6),
        (0, "limits[7].per", 3),
        (0, "stock.leases.t2", 9),
        (0, "stock.lease_ttl", 8),
        (0, "last[1]", 11),
        (0, "last[1][1]", 12),
        (0, "end", 13),
        (0, "missing", 2),
        (1, "id", 14),
        (1, "missing", 14),
        (9, "missing", 1),
    ],
)
def test_the_line_of_a_field(index: int, path: str, line: int) -> None:
    assert line_of(TEXT, index, path) == line


def test_line_of_an_object_that_is_no_array() -> None:
    assert line_of("7", 0, "id") == 1
    assert line_of("\n\n[\n{}]", 0, "") == 4


def test_the_holidays_that_were_announced() -> None:
    by_year: dict[int, int] = {}
    for day in holidays.PUBLIC_HOLIDAYS:
        by_year[day.year] = by_year.get(day.year, 0) + 1
    assert by_year == {2014: 27, 2015: 28, 2024: 28, 2025: 28, 2026: 33}
    for first in (date(2024, 2, 10), date(2025, 1, 28), date(2026, 2, 15), date(2015, 2, 18)):
        assert first in holidays.PUBLIC_HOLIDAYS
        assert first.replace(day=first.day - 1) not in holidays.PUBLIC_HOLIDAYS


def test_words_for_entries_that_were_used_today() -> None:
    used: Details = {"kind": "entry", "time_ms": NOW, "venue": "v"}
    entered = message(Code.L02, "zh", "member", used).big
    assert entered != message(Code.L02, "zh", "member", {**used, "kind": "coupon"}).big
    assert entered != message(Code.L02, "zh", "operator", used).big
    assert entered != message(Code.L03, "zh", "member", used).big


def test_words_without_details_are_still_words() -> None:
    for code in Code:
        for audience in ("member", "operator"):
            said = message(code, "en", audience)
            assert said.big
            assert "{" not in said.big + said.small
            assert "~" not in said.big + said.small


def test_instants_are_told_by_the_venues_clock_and_other_values_as_they_are() -> None:
    told = message(Code.O02, "zh", "member", {"date_ms": at("2026-06-01 08:30")})
    assert "6月1日" in told.big + told.small
    untold = message(Code.O02, "zh", "member", {"date_ms": "never"})
    assert "never" not in untold.big + untold.small
    why = [message(Code.O09, "zh", "operator", {"why": one}) for one in ("used", "expired", "new")]
    assert len({one.small + one.big for one in why}) == 3
    assert "new" not in why[2].big + why[2].small


def test_all_faults_of_a_broken_file_are_told() -> None:
    found = faults(b"[")
    assert [(one.line, one.field) for one in found] == [(1, "")]
    assert len(faults(b'{"id": "a"}')) == 1
    (fault_of_it,) = faults(b'[{"id": "a",\n"from": 3}]')
    assert str(fault_of_it).startswith("line 2")


def test_a_booking_comes_as_many_local_days_before_as_it_must() -> None:
    assert offer().booking_days == 0
    one = offer(booking="required", booking_days=1)
    assert one.booking_days == 1
    session = at("2026-05-03 09:00")
    assert windows.booked_in_time(one, at("2026-05-02 23:59"), session, "Asia/Shanghai")
    assert not windows.booked_in_time(one, at("2026-05-03 00:00"), session, "Asia/Shanghai")
    assert windows.booked_in_time(offer(), session, session, "Asia/Shanghai")
    assert fault(booking_days="1")[0] == "booking_days"


def test_a_limit_between_two_instants_needs_some_time_between_them() -> None:
    moment, epoch = "2026-05-01T00:00:00+08:00", "1970-01-01T00:00:00Z"
    limit = {"count": 1, "since": moment, "before": moment}
    assert fault(limits=[limit])[0] == "limits[0].before"
    offer(limits=[{"count": 1, "before": moment}, {"count": 1, "since": epoch}])
    offer(limits=[{"count": 1, "since": epoch, "before": "1970-01-01T00:00:00.001Z"}])


def test_stock_of_a_venue_that_does_not_give_the_offer_is_refused() -> None:
    stock = {"per_venue": {"v1": 1, "v2": 1}}
    assert fault(venues=["v1"], stock=stock)[0] == "stock.per_venue"
    offer(venues=["v1", "v2"], stock=stock)
    offer(stock=stock)
    offer(venues=["v1"], stock={"pool": 3})
    assert fault(stock={"per_day": 3}, offline="open")[0] == "offline"
    assert offer(stock={"per_day": 3}, offline="capped").offline == "capped"


def test_what_is_no_object_is_named_by_its_line() -> None:
    life = '"from": "2026-05-01T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"'
    with pytest.raises(OfferInvalid) as caught:
        load_offers(f'[{{"id": "a", {life}}},\n3]'.encode(), lenient=True)
    assert (caught.value.line, caught.value.field) == (2, "")
    with pytest.raises(OfferInvalid) as caught:
        load_offers(f"[\n{{{life}}}]".encode(), lenient=True)
    assert (caught.value.line, caught.value.field) == (2, "id")
    with pytest.raises(OfferInvalid) as caught:
        load_venues(b'[{"id": "v"},\n"w"]')
    assert (caught.value.line, caught.value.field) == (2, "")
    given = load_offers(
        f'[{{"id": "a", "holidays": "only", {life}}}]'.encode(),
        holiday_dates=frozenset({date(2026, 6, 1)}),
    ).offers["a"]
    assert isinstance(given, Offer)
    assert given.holiday_dates == {date(2026, 6, 1)}
    shipped = load_offers(f'[{{"id": "a", "holidays": "only", {life}}}]'.encode()).offers["a"]
    assert isinstance(shipped, Offer)
    assert shipped.holiday_dates == holidays.PUBLIC_HOLIDAYS


def test_limits_without_a_group_are_shared_with_nobody() -> None:
    life = '"from": "2026-05-01T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"'
    plain, grouped = '{"count": 1}', '{"count": 1, "group": "g"}'
    text = ", ".join(
        f'{{"id": "{name}", "limits": [{limits}], {life}}}'
        for name, limits in (
            ("a", plain), ("b", plain), ("c", grouped), ("d", f"{plain}, {grouped}, {grouped}"),
        )
    )  # fmt: skip
    found = load_offers(f"[{text}]".encode()).offers
    shared = {
        name: [limit.offers for limit in one.limits]
        for name, one in found.items()
        if isinstance(one, Offer)
    }
    both = ("c", "d")
    assert shared == {"a": [()], "b": [()], "c": [both], "d": [(), both, both]}
