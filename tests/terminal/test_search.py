"""Search in a whole year's catalogue: by name, pinyin initials, number or keyword."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rules.catalogue import Catalogue, load_offers
from ledger.rules.terms import Venue
from terminal.pinyin import SPELLINGS_MAX, initials, spellings
from terminal.search import RESULTS_MAX, OfferSearch

OFFERS = json.loads(
    (Path(__file__).parents[2] / "redcard" / "demo_data" / "offers.json").read_text("utf-8")
)


@pytest.fixture(scope="module")
def year() -> Catalogue:
    """1,029 offers: the demo's, numbered through."""
    many = [
        {**OFFERS[n % len(OFFERS)], "id": f"{OFFERS[n % 28]['id']}-{n:04}"} for n in range(1029)
    ]
    return load_offers(json.dumps(many, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("XC-L-009", "XC-L-009"),
        ("xc-l", "XC-L-009"),
        ("9", "XC-L-009"),
        ("009", "XC-L-009"),
        ("端午", "XC-L-009"),
        ("dwyhq", "XC-L-009"),
        ("DW YHQ", "XC-L-009"),
        ("桂香村", "XC-L-009"),
        ("gxc", "XC-L-009"),
        ("Dragon-Boat", "XC-L-009"),
        ("taobao", ""),
        ("一元洗车", "BJ-L-018"),
        ("洗车", "BJ-L-018"),
        ("xc", "XC-L-009"),
        ("法律服务", "BJ-I-027"),
    ],
)
def test_what_a_clerk_types_finds_the_offer(query: str, first: str) -> None:
    catalogue = load_offers(json.dumps(OFFERS, ensure_ascii=False).encode())
    found = [one.offer.id for one in OfferSearch().find(catalogue, query)]
    assert (found[0] if found else "") == first, found


def test_offers_given_here_come_first_and_answers_are_bounded(year: Catalogue) -> None:
    search = OfferSearch()
    here = Venue("M01", kind="museum", level="city", district="110101")
    found = search.find(year, "免费", venue=here, limit=1000)
    assert found[0].here and found[0].offer.id.startswith("BJ-T-005")
    assert len(found) <= RESULTS_MAX
    assert len(search.find(year, "", limit=1000)) == RESULTS_MAX
    assert search.find(Catalogue(), "免费") == []


def test_characters_with_several_readings_are_found_by_each() -> None:
    assert {"cq", "zq"} <= set(spellings("重庆"))
    assert len(spellings("长" * 40)) == SPELLINGS_MAX
    assert initials("德胜 2号") == "ds2h"


@given(st.text(max_size=80))
def test_any_query_gives_an_answer(query: str) -> None:
    catalogue = load_offers(json.dumps(OFFERS[:3], ensure_ascii=False).encode())
    assert len(OfferSearch().find(catalogue, query)) <= 3
