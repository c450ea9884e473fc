"""Offer and venue files: what they may say, and faults that name line and field."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import OfferInvalid
from ledger.rules.catalogue import load_offers, load_venues, parse_offer
from ledger.rules.offer import (
    BrokenOffer,
    HolidayRule,
    Hours,
    Offer,
    OfflineMode,
    Period,
    Session,
    StockMode,
    Venue,
)
from tests.ledger.rules.builders import MINUTE, at, offer

LIFE = {"from": "2026-05-01T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"}
WHOLE: dict[str, Any] = {
    "id": "BJ-C-001",
    "version": 3,
    "title": "庙会门票",
    "title_en": "Temple fair",
    "category": "文化体育",
    "brand": "文体推介",
    "programme": "fair",
    "campaign": "两节",
    "keywords": ["庙会"],
    "level": "city",
    "owner": "北京市总工会",
    "kind": "ticket",
    "status": "active",
    **LIFE,
    "weekdays": ["mon", "sun"],
    "hours": ["09:00-16:30", "18:00-24:00"],
    "holidays": "closed",
    "sessions": ["10:30-12:00", {"from": LIFE["from"], "until": LIFE["until"]}],
    "venues": ["S1"],
    "scope": {"district": "xicheng", "street": ["desheng"], "level": "street"},
    "eligibility": {
        "district": ["xicheng"],
        "street": ["desheng"],
        "tags_all": ["nursing"],
        "tags_any": ["outdoor"],
        "tags_none": ["retired"],
    },
    "limits": [
        {"count": 2, "per": "offer", "scope": "member_venue", "group": "spring"},
        {"days": 2, "per": "month"},
        {"within": "180m"},
        {"count": 1, "since": LIFE["from"], "before": LIFE["until"]},
    ],
    "interval": "180m",
    "re_entry_minutes": 30,
    "stock": {"mode": "pool", "quantity": 60000, "split_text": "按站", "leases": {"t1": 4}},
    "member_price_fen": 0,
    "list_price_fen": 1000,
    "discount_per_mille": 900,
    "companions": {"max": 1, "rule": "家属"},
    "evidence": [{"name": "plate", "required": False, "title": "车牌", "title_en": "plate"}],
    "tolerance_minutes": 10,
    "offline": "leased",
    "cap": 5,
    "home_venue": True,
    "proxy_collect": True,
    "identified": True,
    "identity_check": True,
    "phone": "64057214",
    "booking": "optional_by_phone",
    "basis": "种子",
    "venues_text": ["甲", "乙"],
    "opening_text": "发完为止",
}


def file_of(*items: object) -> bytes:
    return json.dumps(items, ensure_ascii=False, indent=1).encode()


def fault_of(change: dict[str, Any], *, drop: str = "") -> OfferInvalid:
    item = {**WHOLE, **change}
    item.pop(drop, None)
    with pytest.raises(OfferInvalid) as raised:
        load_offers(file_of({**WHOLE, "id": "first"}, item))
    return raised.value


def test_every_field_of_an_offer_is_read() -> None:
    (one,) = load_offers(file_of(WHOLE)).offers.values()
    assert isinstance(one, Offer)
    assert (one.id, one.version, one.owner, one.phone) == (
        "BJ-C-001",
        3,
        "北京市总工会",
        "64057214",
    )
    assert one.from_ms == at("2026-05-01 00:00")
    assert one.weekdays == {0, 6}
    assert one.hours == (Hours(540, 990), Hours(1080, 1440))
    assert one.holidays is HolidayRule.CLOSED
    assert date(2026, 10, 1) in one.holiday_dates
    assert one.sessions == (
        Session(Hours(630, 720)),
        Session(None, one.from_ms, one.until_ms),
    )
    assert one.venues == {"S1"}
    assert one.scope is not None
    assert one.scope.district == {"xicheng"}
    assert one.scope.level == {"street"}
    assert one.eligibility.tags_none == {"retired"}
    first, second, third, fourth = one.limits
    assert (first.count, first.per, first.group, first.offers) == (
        2,
        Period.OFFER,
        "spring",
        ("BJ-C-001",),
    )
    assert (second.days, second.per) == (2, Period.MONTH)
    assert third.within_ms == one.interval_ms == 180 * MINUTE
    assert (fourth.since_ms, fourth.before_ms) == (one.from_ms, one.until_ms)
    assert one.re_entry_ms == 30 * MINUTE
    assert (one.stock.mode, one.stock.quantity, one.stock.leases) == (
        StockMode.POOL,
        60000,
        {"t1": 4},
    )
    assert (one.member_price_fen, one.list_price_fen, one.discount_per_mille) == (0, 1000, 900)
    assert (one.companions_max, one.companions_rule) == (1, "家属")
    assert one.evidence[0].title_en == "plate"
    assert not one.evidence[0].required
    assert one.tolerance_ms == 10 * MINUTE
    assert (one.offline, one.cap) == (OfflineMode.LEASED, 5)
    assert one.home_venue
    assert one.proxy_collect
    assert one.identified
    assert one.identity_check
    assert one.texts == {"basis": "种子", "venues_text": "甲；乙", "opening_text": "发完为止"}


def test_a_bare_offer_is_open_everywhere_and_unlimited() -> None:
    one = parse_offer({"id": "x", **LIFE})
    assert (one.offline, one.cap, one.limits, one.venues) == (OfflineMode.OPEN, 20, (), frozenset())
    assert one.stock.mode is StockMode.NONE
    assert parse_offer({"id": "x", **LIFE, "discount_percent": 90}).discount_per_mille == 900
    assert parse_offer({"id": "x", **LIFE, "stock": {"pool": 3}}).offline is OfflineMode.LEASED
    assert parse_offer({"id": "x", **LIFE, "companions": 2}).companions_max == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weekdays": ["monday"]}, "weekdays[0]"),
        ({"weekdays": []}, "weekdays"),
        ({"hours": ["9:00-16:30"]}, "hours[0]"),
        ({"hours": ["16:30-09:00"]}, "hours[0]"),
        ({"hours": ["09:00-24:01"]}, "hours[0]"),
        ({"hours": "09:00-10:00"}, "hours"),
        ({"limits": [{"count": 1, "per": "fortnight"}]}, "limits[0].per"),
        ({"limits": [{"count": 0, "per": "day"}]}, "limits[0]"),
        ({"limits": [{"count": True, "per": "day"}]}, "limits[0].count"),
        ({"limits": [{"per": "day"}]}, "limits[0]"),
        ({"limits": [{"count": 1, "days": 2}]}, "limits[0]"),
        ({"limits": [{"counts": 1}]}, "limits[0].counts"),
        ({"limits": [{"within": "180"}]}, "limits[0].within"),
        ({"limits": [{"days": 1, "group": "g"}]}, "limits[0].group"),
        (
            {"limits": [{"count": 1, "since": LIFE["until"], "before": LIFE["from"]}]},
            "limits[0].before",
        ),
        ({"limits": {"count": 1}}, "limits"),
        ({"interval": "3 hours"}, "interval"),
        ({"interval": "3661d"}, "interval"),
        ({"tolerance_minutes": 2**50}, "tolerance_minutes"),
        ({"from": "9999-01-01T00:00:00+08:00"}, "from"),
        ({"from": "1960-01-01T00:00:00+08:00"}, "from"),
        ({"re_entry_minutes": -1}, "re_entry_minutes"),
        ({"stock": {"pool": 1, "per_day": 2}}, "stock"),
        ({"stock": {"mode": "heap", "quantity": 1}}, "stock.mode"),
        ({"stock": {"per_venue": {"elsewhere": 1}}}, "stock.per_venue"),
        ({"stock": {"pool": "many"}}, "stock"),
        ({"stock": {"pool": 1, "lease_ttl": "soon"}}, "stock.lease_ttl"),
        ({"offline": "open"}, "offline"),
        ({"offline": "capped"}, "offline"),
        ({"offline": "sometimes"}, "offline"),
        ({"category": "运动"}, "category"),
        ({"brand": "x"}, "brand"),
        ({"level": "country"}, "level"),
        ({"kind": "gift"}, "kind"),
        ({"status": "paused"}, "status"),
        ({"from": "2026-05-01"}, "from"),
        ({"from": "2026-05-01T00:00:00"}, "from"),
        ({"until": "2026-05-01T00:00:00+08:00"}, "until"),
        ({"scope": {"city": "x"}}, "scope.city"),
        ({"scope": {"level": "country"}}, "scope.level"),
        ({"eligibility": {"age": 3}}, "eligibility.age"),
        ({"eligibility": {"tags_all": [1]}}, "eligibility.tags_all[0]"),
        ({"venues": []}, "venues"),
        ({"evidence": [{"name": ""}]}, "evidence[0].name"),
        ({"evidence": [{"name": "x", "required": "yes"}]}, "evidence[0].required"),
        ({"companions": {"most": 1}}, "companions.most"),
        ({"sessions": [{"from": LIFE["until"], "until": LIFE["from"]}]}, "sessions[0].until"),
        ({"holidays": "maybe"}, "holidays"),
        ({"home_venue": "yes"}, "home_venue"),
        ({"title": 3}, "title"),
        ({"version": 1.5}, "version"),
        ({"colour": "red"}, "colour"),
        ({"id": "two words"}, "id"),
        ({"id": "first"}, "id"),
    ],
)
def test_a_fault_names_its_field_and_line(change: dict[str, Any], field: str) -> None:
    fault = fault_of(change)
    assert fault.field == field
    assert fault.line is not None
    lines = file_of({**WHOLE, "id": "first"}, {**WHOLE, **change}).decode().splitlines()
    # The line is that of the field, or of the nearest thing around it that is there.
    name = field.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0]
    assert fault.line > len(lines) // 2
    assert any(f'"{name}"' in line for line in lines[: fault.line])
    assert str(fault).startswith(f"line {fault.line}, field {field}: ")


def test_the_line_is_exact_for_a_nested_field() -> None:
    text = """[
 {"id": "x",
  "from": "2026-05-01T00:00:00+08:00",
  "until":
   "2026-06-01T00:00:00+08:00",
  "limits": [
   {"count": 1, "per": "day"},
   {"count": 1,
    "per": "era"}
  ]
 }
]"""
    with pytest.raises(OfferInvalid) as raised:
        load_offers(text.encode())
    assert (raised.value.line, raised.value.field) == (9, "limits[1].per")


def test_a_missing_field_is_named() -> None:
    assert fault_of({}, drop="until").field == "until"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"[\n{,}]", 2),
        (b"{}", 1),
        (b"\n\n\xff", 3),
        (b"[" * 100_000, None),
        (b'[{"id": "x", "id": "y"}]', None),
    ],
)
def test_a_file_that_is_no_array_of_offers_is_refused_whole(data: bytes, line: int | None) -> None:
    for lenient in (False, True):
        with pytest.raises(OfferInvalid) as raised:
            load_offers(data, lenient=lenient)
        assert raised.value.line == line


def test_a_signed_snapshot_keeps_the_sound_offers_and_fails_the_others_closed() -> None:
    broken = {**WHOLE, "id": "second", "hours": ["x"]}
    catalogue = load_offers(file_of(WHOLE, broken, {"no": "id"} | {"id": "third"}), lenient=True)
    assert isinstance(catalogue.offers["BJ-C-001"], Offer)
    second = catalogue.offers["second"]
    assert isinstance(second, BrokenOffer)
    assert (second.version, "hours[0]" in second.fault) == (3, True)
    assert isinstance(catalogue.offers["third"], BrokenOffer)
    with pytest.raises(OfferInvalid):
        load_offers(file_of({"from": "x"}), lenient=True)


def test_offers_may_name_only_venues_that_there_are() -> None:
    venues = {"S1": Venue("S1")}
    assert load_offers(file_of(WHOLE), venues=venues).venues == venues
    with pytest.raises(OfferInvalid, match="no venue is called S1"):
        load_offers(file_of(WHOLE), venues={"S2": Venue("S2")})


def test_offers_at_a_venue() -> None:
    catalogue = load_offers(
        file_of(
            {"id": "b", **LIFE},
            {"id": "a", **LIFE, "venues": ["S1"]},
            {"id": "c", **LIFE, "scope": {"street": "x"}},
        )
    )
    assert [one.id for one in catalogue.at(Venue("S1"))] == ["a", "b"]
    assert [one.id for one in catalogue.at(Venue("S2", street="x"))] == ["b", "c"]


def test_venues_are_read_and_checked() -> None:
    item = {
        "id": "S1",
        "name": "德胜",
        "district": "西城区",
        "street": "德胜",
        "zone": "Asia/Shanghai",
        "demo": True,
    }
    assert load_venues(file_of(item))["S1"].name == "德胜"
    for change, field in (
        ({"zone": "Mars/Base"}, "zone"),
        ({"name": 3}, "name"),
        ({"colour": 1}, "colour"),
        ({"id": ""}, "id"),
    ):
        with pytest.raises(OfferInvalid) as raised:
            load_venues(file_of(item | {"id": "S0"}, {**item, **change}))
        assert raised.value.field == field
    with pytest.raises(OfferInvalid, match="defined twice"):
        load_venues(file_of(item, item))


def test_stock_by_day_may_be_counted_softly() -> None:
    assert offer(stock={"per_day": 3}, offline="capped").stock.quantity == 3
    assert offer(stock={"per_venue": {"v": 3, "w": 4}}, offline="online").stock.quantity == 7


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), json_values, max_size=6))
def test_reading_is_total(change: dict[str, Any]) -> None:
    try:
        parse_offer({**WHOLE, **change})
    except OfferInvalid as fault:
        assert fault.field


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_loading_is_total(data: bytes) -> None:
    try:
        load_offers(data)
        load_venues(data)
    except OfferInvalid:
        pass
