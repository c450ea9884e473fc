"""What small faults in the federation's own words, and in ours, changed unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.codes import Code
from ledger.errors import WordsInvalid
from ledger.rules.messages import message
from ledger.rules.published_words import FILE_BYTES_MAX, load_words
from ledger.rules.terms import Venue
from tests.ledger.rules.builders import at
from tests.ledger.rules.test_published_words import GONE, NOTICE, words

HERE = Venue("v1", district="xicheng")


def refused(data: bytes) -> str:
    with pytest.raises(WordsInvalid) as caught:
        load_words(data)
    return str(caught.value)


def noticed(**changes: Any) -> bytes:
    return words(notices=[{**NOTICE, **changes}])


def said(lang: str, big: str, small: str, code: str = "L05", audience: str = "member") -> bytes:
    own = {name: list(lines) for name, lines in GONE.items()} | {lang: [big, small]}
    return words({code: {audience: own}})


def test_a_file_is_as_large_as_it_may_be() -> None:
    assert FILE_BYTES_MAX == 262_144
    load_words(words().ljust(FILE_BYTES_MAX))
    assert "262144 bytes" in refused(words().ljust(FILE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("lang", "big", "small"), [("zh", "满" * 10, "满" * 18), ("en", "f" * 32, "f" * 48)]
)
def test_lines_are_as_long_as_the_pages_are_drawn_for(lang: str, big: str, small: str) -> None:
    load_words(said(lang, big, small))
    assert "large" in refused(said(lang, big + big[0], small))
    assert "small" in refused(said(lang, big, small + small[0]))


def test_notices_are_as_many_and_as_long_as_they_may_be() -> None:
    many = [{**NOTICE, "id": f"n{number}"} for number in range(101)]
    assert len(load_words(words(notices=many[:100])).notices) == 100
    assert "at most 100" in refused(words(notices=many))
    assert "notices" in refused(words(notices={"id": "rain"}))
    load_words(noticed(zh="雨" * 60, en="r" * 160))
    assert "zh" in refused(noticed(zh="雨" * 61))
    assert "en" in refused(noticed(en="r" * 161))
    assert len(load_words(noticed(venues=[f"v{n}" for n in range(500)])).notices[0].venues) == 500
    wrong: list[Any] = [[f"v{n}" for n in range(501)], [""], [7], ["v1", 7], "v1", {}]
    for places in wrong:
        assert "rain venues" in refused(noticed(venues=places))


def test_a_notice_has_a_name_and_a_time() -> None:
    last = 2**53 - 1
    assert load_words(noticed(from_ms=0, until_ms=1)).notices[0].from_ms == 0
    assert load_words(noticed(until_ms=9_007_199_254_740_991)).notices[0].until_ms == last
    for changes in (
        {"until_ms": last + 1},
        {"from_ms": -1},
        {"from_ms": 2_000},
        {"from_ms": "1000"},
        {"from_ms": True},
        {"from_ms": 1.5},
        {"until_ms": None},
    ):
        assert "from_ms before until_ms" in refused(noticed(**changes))
    for name in (7, "", "Rain", None):
        assert "id of a notice" in refused(noticed(id=name))


def test_a_notice_is_shown_where_and_when_it_says() -> None:
    def shown(now_ms: int = 1_000, **where: Any) -> bool:
        return load_words(noticed(**where)).notices[0].holds(HERE, now_ms)

    assert [shown(now) for now in (999, 1_000, 1_999, 2_000)] == [False, True, True, False]
    assert shown(districts=["xicheng"])
    assert not shown(districts=["dongcheng"])
    assert shown(venues=["v1"])
    assert not shown(venues=["v2"])
    assert shown(districts=["dongcheng"], venues=["v1"])


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"[]", "the file: an object"),
        (words(texts=[1]), "texts: an object"),
        (words({"L05": {"member": {**GONE, "zh": "今天领完了"}}}), "member zh"),
        (words({"L05": {"member": {**GONE, "zh": ["今天领完了"]}}}), "member zh"),
        (words(notices=[7]), "a notice: an object"),
        (noticed(zh=7), "rain zh: words"),
        (noticed(en="中文"), "rain en: this is not English"),
        (noticed(zh="rain"), "rain zh: this is not Chinese"),
        (noticed(zh="请{offer}"), "rain zh: a brace"),
        (noticed(en="take {offer}"), "rain en: a brace"),
        (said("zh", "今天}领", "下周"), "a brace"),
        (said("zh", "今天{领", "下周"), "a brace"),
        (said("en", 7, "Back"), "words"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_named(data: bytes, named: str) -> None:
    assert named in refused(data)


def test_a_place_holder_is_enough_chinese_and_takes_no_room() -> None:
    own = {"zh": ["已领过", "{date}{place}"], "en": ["Taken", "{date} at {place}"]}
    load_words(words({"L01": {"member": own}}))
    long = {**own, "zh": ["已领过", "满" * 17 + "在{date}{place}"]}
    load_words(words({"L01": {"member": long}}))


def test_a_published_line_is_held_against_ours_of_the_same_place() -> None:
    for code in Code:
        for audience in ("member", "operator"):
            for lang in ("zh", "en"):
                ours = message(code, lang, audience, {"offer": "x"})
                assert ours.big
    operator = {"zh": ["已领过", "{date}在{place}领的"], "en": ["Taken", "{date} at {place}"]}
    for audience in ("member", "operator"):
        unknown = json.loads(words({"L01": {audience: operator}}))
        unknown["texts"]["L01"][audience]["zh"][1] += "{nobody}"
        assert "nobody" in refused(json.dumps(unknown).encode())


def test_the_days_of_a_message_are_the_venues() -> None:
    told = message(Code.O02, "en", "member", {"until_ms": at("2026-06-01 00:00")})
    assert "00:00" not in told.big + told.small
    told = message(Code.O02, "en", "member", {"until_ms": at("2026-06-01 08:30")})
    assert "1 Jun" in told.big + told.small or told == message(Code.O02, "en", "member")
    plain = message(Code.A00, "en", "member", {"kind": "nothing of ours"})
    assert plain == message(Code.A00, "en", "member", {"kind": "service"})
    assert plain == message(Code.A00, "en", "member")
    period = message(Code.L03, "en", "operator", {"per": "nothing of ours"})
    assert period == message(Code.L03, "en", "operator", {"per": "offer"})
    assert period == message(Code.L03, "en", "operator")
