import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.web.pinyin import initials, matches

OFFERS = Path(__file__).parents[3] / "redcard" / "demo_data" / "offers.json"


@pytest.mark.parametrize(
    ("title", "letters"),
    [
        ("端午优惠券套包", "dwyhqtb"),
        ("十元看电影", "sykdy"),
        ("孔庙和国子监博物馆免费参观", "kmhgzjbwgmfcg"),
        ("地坛庙会门票", "dtmhmp"),
        ("公园优惠年票（会员价）", "gyyhnphyj"),
        ("2014 年 VIP 卡", "2014nvipk"),
        ("啊芭擦搭蛾发噶哈击喀垃妈拿哦啪期然撒塌挖昔压匝座", "abcdefghjklmnopqrstwxyzz"),
        ("", ""),
    ],
)
def test_initials_of_titles(title: str, letters: str) -> None:
    assert initials(title) == letters


def test_every_demo_offer_is_found_by_its_initials() -> None:
    for offer in json.loads(OFFERS.read_text("utf-8")):
        title = offer["title"]
        ideographs = sum("\u4e00" <= one <= "\u9fff" for one in title)
        letters = sum(one.isascii() and one.isalnum() for one in title)
        assert len(initials(title)) == ideographs + letters, title
        assert matches(initials(title), title)


@given(st.text(), st.text())
def test_any_search_gives_an_answer(query: str, title: str) -> None:
    assert isinstance(matches(query, title), bool)
    assert matches("", title)
    assert set(initials(title)) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
