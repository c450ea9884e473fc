"""The federation's own texts and notices: both languages, within bounds, never a gap on a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codes import Code
from ledger.errors import WordsInvalid
from ledger.rules.messages import message
from ledger.rules.published_words import FORMAT, NO_WORDS, PublishedWords, load_words
from ledger.rules.terms import Venue

GONE = {"zh": ["今天领完了", "下周一再来"], "en": ["Gone for today", "Back on Monday"]}
NOTICE = {
    "id": "rain",
    "zh": "汛期：请提醒会员改期",
    "en": "Flood season: ask members to come later",
    "from_ms": 1_000,
    "until_ms": 2_000,
}


def words(texts: Any = None, notices: Any = None, **more: Any) -> bytes:
    document = {"format": FORMAT, "texts": texts or {}, "notices": notices or []} | more
    return json.dumps(document).encode()


def test_a_published_text_stands_in_for_ours() -> None:
    published = load_words(words({"L05": {"member": GONE}}))
    found = message(Code.L05, "zh", "member", {}, published=published)
    assert (found.big, found.small) == ("今天领完了", "下周一再来")
    assert message(Code.L05, "en", "member", {}, published=published).big == "Gone for today"
    for audience, code in (("operator", Code.L05), ("member", Code.L01)):
        assert message(code, "zh", audience, {}, published=published) == message(  # type: ignore[arg-type]
            code,
            "zh",
            audience,  # type: ignore[arg-type]
            {},
        )


def test_a_text_that_cannot_be_filled_leaves_ours_in_place() -> None:
    own = {"zh": ["已领过", "{date}在{place}领的"], "en": ["Taken", "{date} at {place}"]}
    published = load_words(words({"L01": {"member": own}}))
    bare = message(Code.L01, "zh", "member", {}, published=published)
    assert (bare.big, bare.small) == ("已领过", message(Code.L01, "zh", "member", {}).small)
    full: dict[str, Any] = {"date_ms": 1_400_000_000_000, "place": "德胜"}
    assert message(Code.L01, "zh", "member", full, published=published).small == "5月14日在德胜领的"


def _swapped(lang: str, place: int, text: str) -> dict[str, Any]:
    own = {name: list(lines) for name, lines in GONE.items()}
    own[lang][place] = text
    return {"L05": {"member": own}}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (words({"L05": {"member": {"zh": GONE["zh"]}}}), "in both languages"),
        (words({"L99": {"member": GONE}}), "L99 is no code"),
        (words({"L05": {}}), "member, operator or both"),
        (words({"L05": {"clerk": GONE}}), "clerk is unknown"),
        (words(_swapped("zh", 0, "今天的已经全部领完了呢")), "at most 10"),
        (words(_swapped("en", 1, "x" * 49)), "at most 48"),
        (words(_swapped("zh", 0, "Gone")), "not Chinese"),
        (words(_swapped("en", 0, "领完")), "not English"),
        (words(_swapped("en", 0, " ")), "words on one line"),
        (words(_swapped("zh", 1, "领完\n了")), "words on one line"),
        (words(_swapped("en", 1, "{secret}")), "not known there"),
        (words(_swapped("en", 1, "{offer")), "brace"),
        (words({"A00": {"member": GONE}}), "must stay"),
        (words(notices=[NOTICE | {"until_ms": 1_000}]), "before until_ms"),
        (words(notices=[NOTICE | {"en": ""}]), "notice rain en"),
        (words(notices=[NOTICE | {"zh": "雨" * 61}]), "at most 60"),
        (words(notices=[NOTICE, NOTICE]), "same id"),
        (words(notices=[NOTICE | {"id": "A b"}]), "id of a notice"),
        (words(notices=[NOTICE | {"venues": "S01"}]), "a list"),
        (words(format="other"), "format"),
        (words(more=1), "more is unknown"),
        (b"[]", "an object"),
        (b"{", "not JSON"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, said: str) -> None:
    with pytest.raises(WordsInvalid, match=said):
        load_words(data)


def test_a_code_of_a_newer_server_is_passed_over_in_a_signed_snapshot() -> None:
    both = words({"L99": {"member": GONE}, "L05": {"member": GONE}})
    assert {key[0] for key in load_words(both, lenient=True).texts} == {Code.L05}


def test_a_notice_holds_where_and_while_it_is_meant() -> None:
    here = NOTICE | {"id": "here", "venues": ["S01"], "districts": ["haidian"]}
    found = load_words(words(notices=[NOTICE, here])).notices
    desheng = Venue("S01", district="xicheng")

    def shown(venue: Venue, now_ms: int) -> list[str]:
        return [one.id for one in found if one.holds(venue, now_ms)]

    assert shown(desheng, 1_000) == ["here", "rain"]
    assert shown(desheng, 999) == shown(desheng, 2_000) == []
    assert shown(Venue("S09", district="haidian"), 1_500) == ["here", "rain"]
    assert shown(Venue("S10", district="fengtai"), 1_500) == ["rain"]


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda some: (
            st.lists(some, max_size=3)
            | st.dictionaries(
                st.sampled_from(["texts", "notices", "L05", "member", "zh", "id"]), some
            )
        ),
        max_leaves=8,
    ).map(lambda more: words(more, more))
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = load_words(data)
    except WordsInvalid:
        return
    assert isinstance(found, PublishedWords)
    assert message(Code.L05, "zh", "member", {}, published=found).big
    assert message(Code.L05, "zh", "member", {}, published=NO_WORDS).big
