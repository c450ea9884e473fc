"""Every code has its words: for member and clerk, in Chinese and English, without a gap."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ledger.codes import Code
from ledger.rules import wording_en, wording_zh
from ledger.rules.messages import (
    BIG_CHARACTERS_MAX,
    SMALL_CHARACTERS_MAX,
    Audience,
    Lang,
    message,
)
from ledger.rules.offer import OfferKind, Period, ReservationState
from tests.ledger.rules.builders import at

FULL: dict[str, Any] = {
    "date_ms": at("2026-12-30 10:12"),
    "time_ms": at("2026-12-30 10:12"),
    "until_ms": at("2026-12-31 09:00"),
    "zone": "Asia/Shanghai",
    "place": "金融街站",
    "who": "女职工",
    "per": "half_year",
    "kind": "entry",
    "offer": "端午优惠券套包",
    "offer_en": "Coupon pack",
    "n": 3,
    "phone": "64057214",
    "why": "used",
    "what": "车牌",
    "what_en": "plate",
    "overridden": "L02",
    "terminal": "1 号柜",
}
AUDIENCES: tuple[Audience, ...] = ("member", "operator")
LANGUAGES: tuple[Lang, ...] = ("zh", "en")
HAN = re.compile(r"[\u4e00-\u9fff]")
FORBIDDEN = re.compile(r"伪卡|假卡|每卡|https?:|per card|fake|forge", re.IGNORECASE)


@pytest.mark.parametrize("code", Code, ids=str)
@pytest.mark.parametrize("details", [{}, FULL], ids=["bare", "full"])
def test_every_code_has_all_its_words(code: Code, details: dict[str, Any]) -> None:
    for language in LANGUAGES:
        for audience in AUDIENCES:
            found = message(code, language, audience, details)
            for line in (found.big, found.small):
                assert line.strip()
                assert "{" not in line
                assert "}" not in line
                assert not FORBIDDEN.search(line)
                assert line != code.value
                assert (
                    bool(HAN.search(line)) is (language == "zh")
                    or "redcard" in line
                    or (language == "en" and details)
                )
            if language == "zh":
                assert len(HAN.findall(found.big)) <= BIG_CHARACTERS_MAX
                assert len(HAN.findall(found.small)) <= SMALL_CHARACTERS_MAX


def test_the_tables_hold_exactly_the_codes() -> None:
    assert set(wording_zh.WORDS) == set(wording_en.WORDS) == set(Code)
    for table in (wording_zh, wording_en):
        assert set(table.APPROVED) == {str(kind) for kind in OfferKind}
        assert set(table.PERIODS) == {str(per) for per in Period}
        assert set(table.RESERVATION) == {str(one) for one in ReservationState} - {"none", "valid"}


def test_the_last_choice_of_each_line_needs_no_detail() -> None:
    always = {"approved", "period"}
    for table in (wording_zh.WORDS, wording_en.WORDS):
        for lines in table.values():
            for line in lines:
                last = line if isinstance(line, str) else line[-1]
                assert set(re.findall(r"\{(\w+)\}", last)) <= always


def test_case_45_a_decline_speaks_the_language_asked_for_and_to_whom_it_speaks() -> None:
    assert message(Code.L01, "zh", "member", FULL).small == "12月30日 在金融街站领取"
    assert message(Code.L01, "en", "member", FULL).big == "Already used"
    member = message(Code.C04, "zh", "member", FULL)
    clerk = message(Code.C04, "zh", "operator", FULL)
    assert member.big == "此卡暂不能使用"
    assert "挂失" not in member.big + member.small
    assert "挂失" in clerk.big


def test_words_follow_the_offer_and_the_period() -> None:
    assert message(Code.A00, "zh", "member", {"kind": "entry"}).big == "请进"
    assert message(Code.A01, "zh", "member", {"kind": "ticket"}).big == "请领取"
    assert message(Code.A00, "en", "member", {"kind": "discount"}).big == "Discount granted"
    assert message(Code.L02, "zh", "member", {"kind": "entry"}).big == "今天已入馆"
    assert message(Code.L02, "zh", "member", {"kind": "coupon"}).big == "今日次数已用完"
    assert message(Code.L03, "zh", "member", {"per": "month"}).big == "本月次数已用完"


def test_instants_are_told_by_the_venues_clock() -> None:
    details: dict[str, Any] = {"until_ms": at("2026-05-03 00:00"), "zone": "Asia/Shanghai"}
    assert message(Code.O06, "zh", "member", details).small == "5月3日 起可办理"
    later = {"until_ms": at("2026-05-03 09:30")}
    assert message(Code.O06, "en", "member", later).small == "Possible from 3 May 09:30"
    abroad: dict[str, Any] = {"time_ms": at("2026-05-03 09:30"), "zone": "Europe/Berlin"}
    assert message(Code.A03, "zh", "member", abroad).small.startswith("03:30")
