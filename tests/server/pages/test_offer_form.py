"""An offer as a form: nothing is lost by looking at it, and each fault stands at its field."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rules.catalogue import load_offers
from screens.language import Language
from server.pages import offer_faults
from server.pages.faults import said
from server.pages.filled import Filled, rows_in, with_row, without_row
from server.pages.offer_form import document_of_form, field_of, fields_of
from tests.server.pages.asking import Desk, at_a_desk

RULES = Path(__file__).parents[3] / "ledger" / "rules"
PLAIN = {
    "id": "X-1",
    "title": "讲座",
    "kind": "service",
    "from": "2014-05-01",
    "until": "2014-06-30",
}
FULL: dict[str, Any] = {
    "id": "X-2",
    "from": "2014-05-01T09:30:00+08:00",
    "until": "2014-07-01T00:00:00+08:00",
    "weekdays": ["mon", "sun"],
    "hours": ["09:00-16:30", "18:00-24:00"],
    "sessions": [
        "10:30-12:00",
        {"from": "2014-05-03T22:00:00+08:00", "until": "2014-05-04T00:00:00+08:00"},
    ],
    "tolerance": "15m",
    "limits": [
        {"count": 2, "per": "month", "scope": "member_venue", "group": "spring"},
        {"days": 3, "per": "year", "scope": "member"},
        {"within": "3h", "per": "day", "scope": "member", "since": "2014-05-02T10:00:00+08:00"},
    ],
    "stock": {"mode": "per_venue", "quantity": {"S0101": 40, "S0102": 20}, "lease_ttl": "2d"},
    "offline": "leased",
    "eligibility": {"district": ["东城区"], "tags_none": ["retired"]},
    "scope": {"level": ["street"]},
    "member_price_fen": 0,
    "list_price_fen": 1050,
    "discount_per_mille": 905,
    "companions": {"max": 1, "rule": "家属"},
    "evidence": [{"name": "number", "required": False, "title": "证件号"}],
    "bring_text": ["本人红卡", "身份证"],
    "cap": 0,
    "booking_days": 1,
}


def read(fields: dict[str, str]) -> dict[str, Any]:
    filled = Filled(fields)
    document = document_of_form(filled)
    assert not filled.faults
    return document


def test_every_rule_has_its_field_and_comes_back_as_it_was() -> None:
    fields = fields_of(FULL)
    assert fields["rest"] == ""
    assert fields["until"] == "2014-06-30"
    assert fields["hours.1.end"] == "00:00"
    assert read(fields) == FULL
    load_offers(json.dumps([FULL]).encode())


def test_short_ways_of_the_format_mean_the_same() -> None:
    short = {
        "id": "X-3",
        "stock": {"pool": 100},
        "companions": 2,
        "discount_percent": 90,
        "interval_minutes": 30,
        "limits": [{"count": 1}],
        "weekdays": "mon",
    }
    fields = fields_of(short)
    assert fields["rest"] == ""
    found = read(fields)
    assert found["stock"] == {"mode": "pool", "quantity": 100}
    assert found["companions"] == {"max": 2}
    assert (found["discount_per_mille"], found["interval"]) == (900, "30m")
    assert found["limits"] == [{"count": 1, "per": "offer", "scope": "member"}]


@pytest.mark.parametrize(
    "more",
    [
        {"interval": "90s"},
        {"limits": [{"count": 1, "each": "day"}]},
        {"limits": "none"},
        {"stock": {"mode": "pool", "quantity": "many"}},
        {"until": "tomorrow"},
        {"nothing": {"like": ["this"]}},
        {"eligibility": {"age": ["60"]}},
        {"sessions": [{"from": "2014-05-03T22:00:00+08:00", "until": "2014-05-09T00:00:00+08:00"}]},
    ],
)
def test_what_the_form_cannot_show_is_kept_as_it_is(more: dict[str, Any]) -> None:
    fields = fields_of({"id": "X-4", **more})
    assert json.loads(fields["rest"]) == more
    assert read(fields) == {"id": "X-4", **more}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.sampled_from(["", "mon", "30m", "12:00"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(list(FULL)), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*FULL, "title", "phone", "basis"]), _JSON, max_size=5))
def test_any_document_can_be_looked_at(document: dict[str, Any]) -> None:
    fields = fields_of(document)
    assert all(isinstance(value, str) for value in fields.values())
    once = read(fields)
    assert read(fields_of(once)) == once


@given(
    st.dictionaries(
        st.sampled_from(
            "from from_time until hours.0.start hours.0.end sessions.1.date sessions.1.start "
            "limits.0.n limits.0.bound limits.9.since stock.per_venue stock.mode cap member_price "
            "discount evidence.0.name rest interval interval_unit limits.x.n".split()
        ),
        st.text(max_size=12) | st.sampled_from(["9:00", "09:00", "2014-05-01", "1", "１", "{"]),
    )
)
def test_any_form_is_read_or_faulted_at_its_field(form: dict[str, str]) -> None:
    filled = Filled(form)
    document = document_of_form(filled)
    json.dumps(document)
    rows = {name.rpartition(".")[0] for name in form}
    assert all(one in form or one.rpartition(".")[0] in rows for one in filled.faults)


def test_rows_come_and_go() -> None:
    form = {"limits.0.n": "1", "limits.1.n": "2", "id": "X"}
    more = with_row(form, "limits", {"n": "", "per": "day"})
    assert rows_in(more, "limits") == 3
    assert without_row(more, "limits", 0) == {
        "limits.0.n": "2",
        "limits.1.n": "",
        "limits.1.per": "day",
        "id": "X",
    }
    for _ in range(40):
        more = with_row(more, "limits", {"n": "1"})
    assert rows_in(more, "limits") == 12


def test_a_fault_of_a_row_stands_at_the_row_of_the_form() -> None:
    form = {
        **PLAIN,
        "limits.0.n": "",
        "limits.1.n": "0",
        "limits.2.n": "1",
        "limits.2.bound": "days",
        "limits.2.per": "day",
        "limits.2.group": "spring",
        "limits.2.scope": "member",
        "limits.1.per": "day",
        "limits.1.scope": "member",
    }
    filled = Filled(form)
    found = offer_faults.faults_in(document_of_form(filled), {})
    places = [field_of(path, filled, {}) for path, _ in found]
    assert places == ["limits.1.n", "limits.2.group"]


def test_all_faults_are_told_at_once() -> None:
    faulty = {**FULL, "id": "", "from": "", "weekdays": ["x"], "cap": -1, "offline": "open"}
    paths = [path for path, _ in offer_faults.faults_in(faulty, {})]
    assert set(paths) == {"id", "from", "weekdays[0]", "cap", "offline"}


def rule_faults() -> Iterator[str]:
    """What the rules say when they refuse an offer, with made-up names."""
    for name in ("fields", "values", "catalogue"):
        for node in ast.walk(ast.parse((RULES / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "OfferInvalid":
                told = node.args[0]
                if isinstance(told, ast.Constant):
                    yield str(told.value)
                elif isinstance(told, ast.JoinedStr):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else f"x{at}"
                        for at, part in enumerate(told.values)
                    )


def test_every_fault_of_the_rules_is_said_in_both_languages() -> None:
    found = set(rule_faults())
    assert len(found) > 25
    for language in Language:
        assert not [one for one in found if offer_faults.said_at("x", one, language) is None]
    told, tongue = said("field limits[1].per: must be one of day, week", Language.ZH)
    assert (told, tongue) == ("限次第 2 项：请从列表中选择", "zh-CN")
    assert said("line 3, field until: until must lie after from", Language.EN)[0].startswith("Last")


def test_a_draft_is_tried_gets_rows_and_is_kept(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        page = await desk.get("/offers/new?lang=zh")
        assert "未设限次" in page.text
        await desk.post("/offers/new", do="add:limits", **PLAIN)
        assert 'name="limits.0.n"' in desk.page.text
        assert 'value="讲座"' in desk.page.text
        row = {"limits.0.n": "0", "limits.0.per": "day", "limits.0.scope": "member"}
        await desk.post("/offers/new", do="try", **PLAIN, **row)
        assert "至少为 1；如要停止发放，请暂停项目" in desk.page.text
        assert 'aria-describedby="f-limits-0-n-fault"' in desk.page.text
        row["limits.0.n"] = "1"
        tried = await desk.post("/offers/new?lang=en", do="try", **PLAIN, **row)
        assert "cards could take it" in tried.text
        assert not await desk.core.drafts.all(desk.actor())
        await desk.post("/offers/new", do="drop:limits:0", **PLAIN, **row)
        assert 'name="limits.0.n"' not in desk.page.text
        refused = await desk.post("/offers/new?lang=zh", do="save", **PLAIN, cap="many", **row)
        assert refused.status_code == 400
        assert "请填写整数" in refused.text
        kept = await desk.post("/offers/new", do="save", **PLAIN, **row)
        assert kept.headers["location"] == "/offers/drafts/1?said=draft"
        held = (await desk.core.drafts.all(desk.actor()))[0].document
        assert held["limits"] == [{"count": 1, "per": "day", "scope": "member"}]
        assert held["until"] == "2014-07-01T00:00:00+08:00"
        assert (await desk.get("/offers/new?copy=none")).status_code == 404
        await desk.get("/offers/new")
        assert (await desk.post("/offers/new", do="burn", **PLAIN)).status_code == 400

    at_a_desk(run, home)


def test_an_unfinished_draft_says_what_is_missing(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        await desk.core.drafts.write(desk.actor(), {"id": "X-9", "venues": ["nowhere"]})
        page = await desk.get("/offers/drafts/1?edit=1&lang=zh")
        for said_there in ("请填写开始日期", "请填写截止日期", "没有编号为 nowhere 的点位"):
            assert said_there in page.text
        english = await desk.get("/offers/drafts/1?lang=en")
        assert "First day: name the first day" in english.text

    at_a_desk(run, home)
