"""The demo catalogue: every published phrase is a field, or is listed as shown with its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.rules.catalogue import load_offers, load_venues
from ledger.rules.offer import Offer
from ledger.rules.windows import open_at
from tests.redcard import catalogue
from tests.redcard.catalogue import CLOCK, DATA, OFFERS, PHRASES, VENUES

ROOT: Final = Path(__file__).parents[2]
WEEK: Final = "一二三四五六日"
NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: GB/T 2260 as of 2014: sixteen districts and counties of Beijing.
DISTRICTS: Final = {
    *(f"1101{n:02}" for n in (1, 2, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17)),
    "110228",
    "110229",
}
IDS: Final = [offer["id"] for offer in OFFERS]


def test_everything_loads() -> None:
    venues = load_venues((DATA / "venues.json").read_bytes())
    loaded = load_offers((DATA / "offers.json").read_bytes(), venues=venues)
    assert len(loaded.offers) == 28
    stations = [one for one in venues.values() if one.kind == "station"]
    published = [one for one in VENUES if re.fullmatch(r"S\d{4}|M\d{2}", one["id"])]
    assert (len(stations), len(published)) == (342, 360)
    assert {one.district for one in venues.values()} == DISTRICTS
    named = {name for offer in OFFERS for name in offer.get("venues", ())}
    added = [one for one in VENUES if one not in published]
    assert all(one.get("demo") for one in added)
    assert {one["id"] for one in added} <= named


@pytest.mark.parametrize("offer", OFFERS, ids=IDS)
def test_every_phrase_is_structured_or_shown_with_a_reason(offer: dict[str, Any]) -> None:
    for field, text in catalogue.texts(offer):
        for phrase in catalogue.phrases(text):
            found = catalogue.became(offer, phrase)
            said = PHRASES.get(phrase)
            assert said is not None or CLOCK.fullmatch(phrase), f"{field}: {phrase} is unknown"
            wanted = said.get("fields", ()) if said is not None else ("sessions|hours",)
            for group in wanted:
                assert set(group.split("|")) & set(found), f"{field}: {phrase} needs {group}"
            if not wanted:
                assert said is not None
                assert len(said.get("shown", said.get("default", ""))) > 10, phrase


@pytest.mark.parametrize("offer", OFFERS, ids=IDS)
def test_times_and_weekdays_say_what_the_text_says(offer: dict[str, Any]) -> None:
    text = offer["opening_text"]
    stated = {match[0].replace("–", "-") for match in CLOCK.finditer(text)}
    windows = json.dumps([offer.get("hours", []), offer.get("sessions", [])])
    for clock in stated:
        assert all(part in windows for part in clock.split("-")), clock
    if span := re.search(r"周(.)至周(.)", text):
        first, last = (WEEK.index(one) for one in span.groups())
        assert offer["weekdays"] == list(NAMES[first : last + 1])
    elif pair := re.search(r"周([一二三四五六日])、?([一二三四五六日])", text):
        assert offer["weekdays"] == [NAMES[WEEK.index(one)] for one in pair.groups()]
    elif "工作日" in text:
        assert (offer["weekdays"], offer["holidays"]) == (list(NAMES[:5]), "closed")
    elif "节假日除外" in text:
        assert offer["holidays"] == "closed"
    else:
        assert "weekdays" not in offer


def test_the_second_wednesday_is_no_other() -> None:
    offer = load_offers((DATA / "offers.json").read_bytes()).offers["CY-M-013"]
    assert isinstance(offer, Offer)
    for one in offer.sessions:
        day = one.from_ms // 86_400_000
        assert open_at(offer, one.from_ms, "Asia/Shanghai")
        assert not open_at(offer, one.from_ms - 7 * 86_400_000, "Asia/Shanghai"), day
    assert len(offer.sessions) == 7


def test_no_text_says_per_card_and_every_limit_counts_per_member() -> None:
    assert "每卡" not in (DATA / "offers.json").read_text("utf-8")
    for offer in OFFERS:
        for limit in offer["limits"]:
            assert limit["scope"] in {"member", "member_venue"}


def test_tags_say_nothing_about_the_person() -> None:
    tags = {
        tag
        for offer in OFFERS
        for name in ("tags_all", "tags_any", "tags_none")
        for tag in offer.get("eligibility", {}).get(name, ())
    }
    held = re.compile(r"female|male|sex|age|born|plate\b|phone|name")
    assert not [tag for tag in tags if held.search(tag)]


def test_no_phrase_of_the_table_is_left_over() -> None:
    used = {phrase for _, _, phrase, _ in catalogue.rows()}
    assert set(PHRASES) <= used


def test_the_page_is_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    catalogue.main()
    page = (ROOT / "docs" / "catalogue.md").read_text("utf-8")
    assert page == capsys.readouterr().out, "make it anew: python -m tests.redcard.catalogue"
