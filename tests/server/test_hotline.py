"""The hotline: one search for four questions, and why a card was declined, masked and recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed
from server.roles import CONSOLE_ACTOR, Actor, Role
from tests.server.world import DAY_MS, HOUR_MS, OFFERS, Time, enrol, people, play, push

AGENT = Actor("li", Role.HOTLINE)
PACK = json.loads(json.dumps(OFFERS[1])) | {
    "keywords": ["端午"],
    "phone": "64057214",
    "proxy_collect": True,
    "identity_check": True,
    "eligibility_text": ["在籍会员"],
    "stock": {"per_venue": {"S0201": 6, "M01": 4}},
}


def test_one_search_answers_four_questions(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps([OFFERS[0], PACK]).encode())
        terminal = await enrol(core, "desheng", time, venues=["S0201"])
        terminal.redeem(1, "a", offer="pack", offer_version=2)
        await push(core, terminal)
        await core.judge()
        for words in ("套包", "优惠券 端午", "coupon", "yhqtb", "pack", "套包 德胜"):
            (found, *_) = await core.hotline.search(AGENT, words, district="西城区")
            assert found.offer == "pack", words
        assert found.left == 9
        assert [(one.name, one.left) for one in found.venues] == [
            ("德胜", 5),
            ("孔庙和国子监博物馆", 4),
        ]
        assert (found.state, found.phone) == ("running", "64057214")
        assert found.bring == (
            "带本人的小红卡",
            "带身份证，工作人员要核对本人",
            "可由单位工会干部带着职工的卡集中代领",
            "限：在籍会员",
        )
        assert len(found.bring_en) == len(found.bring)
        assert await core.hotline.search(AGENT, "火星") == []
        with pytest.raises(ImportRefused):
            await core.hotline.search(AGENT, " ")
        with pytest.raises(NotAllowed):
            await core.hotline.search(Actor("m", Role.MERCHANT, "x"), "套包")
        looks = await core.people.records(CONSOLE_ACTOR, act="hotline")
        assert len(looks) == 7
        assert "火星" not in str(looks), "the words may hold a caller's name"

    play(run, home, database_url)


def test_why_a_card_was_declined(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        both = [replace(one, last4="8821") for one in people(2)]
        await core.take_members(both)
        terminal = await enrol(core, "kiosk", time)
        terminal.decline(0, "no", "C04")
        terminal.redeem(1, "yes", at_ms=time() + HOUR_MS)
        time.pass_(2 * HOUR_MS)
        await push(core, terminal)
        await core.judge()
        time.pass_(DAY_MS)
        taps = await core.hotline.card(AGENT, "8821")
        assert [(one.card, one.code, one.outcome) for one in taps] == [
            ("…8821 A", "A01", "redeem"),
            ("…8821 B", "C04", "decline"),
        ]
        (declined,) = await core.hotline.card(AGENT, "8821", declined=True)
        assert declined.card == "…8821", "one card needs no letter"
        assert declined.say == "此卡暂不能使用。请到发卡银行或服务站核实。"
        assert declined.venue_name == "孔庙和国子监博物馆"
        assert await core.hotline.card(AGENT, "8821", day="2014-05-29") == []
        for last4, day in (("88", ""), ("8821", "yesterday"), ("8821", "2024-01-01")):
            with pytest.raises(ImportRefused):
                await core.hotline.card(AGENT, last4, day=day)
        with pytest.raises(NotAllowed):
            await core.hotline.card(Actor("a", Role.AUDITOR), "8821")
        looks = await core.people.records(CONSOLE_ACTOR, act="hotline.card")
        assert {one.subject for one in looks} == {"*8821"}

    play(run, home, database_url)
