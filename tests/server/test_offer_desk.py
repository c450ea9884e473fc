"""An offer's way from draft to end, and its stock on the way: who may, and what is never taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import OfferInvalid
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed, PublicationRefused
from server.forecast import gone
from server.roles import CONSOLE_ACTOR, Actor, Role
from tests.server.world import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, Time, enrol, play, push

STREET = Actor("jie", Role.STREET, "西城区/德胜街道")
DISTRICT = Actor("qu", Role.DISTRICT, "西城区")
OTHER = Actor("dong", Role.DISTRICT, "东城区")


def _offer(**fields: Any) -> dict[str, Any]:
    return {
        "id": "puppets",
        "title": "亲子木偶剧",
        "title_en": "Puppets",
        "kind": "ticket",
        "level": "street",
        "from": "2014-05-20T00:00:00+08:00",
        "until": "2014-08-01T00:00:00+08:00",
        "venues": ["S0201"],
        "limits": [{"count": 1, "per": "offer"}],
        "offline": "open",
    } | fields


def test_from_draft_to_end(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        drafts = core.drafts
        number = await drafts.write(STREET, _offer(until="2014-05-01T00:00:00+08:00"))
        with pytest.raises(OfferInvalid, match="until"):
            await drafts.submit(STREET, number)
        await drafts.write(STREET, _offer(), draft=number)
        with pytest.raises(ImportRefused, match="is draft"):
            await drafts.pass_(DISTRICT, number)
        await drafts.submit(STREET, number)
        await drafts.give_back(DISTRICT, number, "写明领取时间")
        held = await drafts.one(STREET, number)
        assert (held.state, held.remark, held.decided_by) == ("returned", "写明领取时间", "qu")
        await drafts.submit(STREET, number)
        with pytest.raises(NotAllowed):
            await drafts.pass_(STREET, number)
        with pytest.raises(NotAllowed):
            await drafts.pass_(OTHER, number)
        assert await drafts.pass_(DISTRICT, number) == 1
        assert (await drafts.one(STREET, number)).state == "published"
        states = {one.offer: one.state for one in await core.offer_life.all(DISTRICT)}
        assert states["puppets"] == "running"
        assert await core.offer_life.suspend(DISTRICT, "puppets") == 2
        with pytest.raises(NotAllowed):
            await core.offer_life.suspend(STREET, "puppets", resume=True)
        assert await core.offer_life.suspend(DISTRICT, "puppets", resume=True) == 3
        time.pass_(HOUR_MS)
        await core.offer_life.end(DISTRICT, "puppets")
        states = {one.offer: one.state for one in await core.offer_life.all(DISTRICT)}
        assert states["puppets"] == "ended"
        with pytest.raises(PublicationRefused, match="not running"):
            await core.offer_life.end(DISTRICT, "puppets")
        acts = [one.act for one in await core.people.records(CONSOLE_ACTOR, act="draft")]
        assert acts[:2] == ["draft.published", "draft.review"]

    play(run, home, database_url)


def test_nobody_passes_their_own_or_another_places(home: Path) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        number = await core.drafts.write(DISTRICT, _offer(level="district"))
        await core.drafts.submit(DISTRICT, number)
        with pytest.raises(NotAllowed, match="own offer"):
            await core.drafts.pass_(DISTRICT, number)
        for who, document in (
            (DISTRICT, _offer(level="city")),
            (DISTRICT, _offer(venues=["M01"])),
            (DISTRICT, _offer(venues=[])),
            (STREET, _offer(level="district")),
            (Actor("x", Role.HOTLINE), _offer()),
            (DISTRICT, _offer(id="museum")),  # published by the city
        ):
            with pytest.raises(NotAllowed):
                await core.drafts.write(who, document)
        assert await core.drafts.all(OTHER) == []
        assert [one.id for one in await core.drafts.all(STREET)] == []
        assert [one.id for one in await core.drafts.all(DISTRICT)] == [number]

    play(run, home)


def test_units_move_only_where_they_are_free(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        stock = {"per_venue": {"S0201": 5, "M01": 3}}
        document = _offer(level="city", venues=["S0201", "M01"], stock=stock, offline="leased")
        number = await core.drafts.write(CONSOLE_ACTOR, document)
        await core.drafts.submit(CONSOLE_ACTOR, number)
        await core.drafts.pass_(CONSOLE_ACTOR, number)
        terminal = await enrol(core, "desheng", time, venues=["S0201"])
        lease = await core.grant(terminal.ledger, "puppets", 3, "S0201")
        assert lease is not None
        terminal.redeem(1, "a", offer="puppets", lease=lease.lease)
        await push(core, terminal)
        await core.judge()
        with pytest.raises(ImportRefused, match="given out 3"):
            await core.stock_desk.split(CONSOLE_ACTOR, "puppets", {"S0201": 2, "M01": 6})
        with pytest.raises(NotAllowed):
            await core.stock_desk.split(DISTRICT, "puppets", {"S0201": 6, "M01": 2})
        asked = await core.stock_desk.request_transfer(STREET, "puppets", "S0201", "M01", 2)
        with pytest.raises(NotAllowed):
            await core.stock_desk.decide_transfer(STREET, asked, do=True)
        moved = await core.stock_desk.decide_transfer(CONSOLE_ACTOR, asked, do=True)
        assert moved.state == "done"
        again = await core.stock_desk.request_transfer(STREET, "puppets", "S0201", "M01", 1)
        with pytest.raises(ImportRefused, match="recall"):
            await core.stock_desk.decide_transfer(CONSOLE_ACTOR, again, do=True)
        await core.stock_desk.decide_transfer(CONSOLE_ACTOR, again, do=False)
        view = await core.stock_desk.view(STREET, "puppets")
        assert [(part.part, part.units, part.left) for part in view.parts] == [
            ("M01", 5, 5),
            ("S0201", 3, 0),
        ]
        assert [(one.units, one.spent, one.state) for one in view.leases] == [(3, 1, "open")]
        assert await core.stock_desk.recall_all(CONSOLE_ACTOR, "puppets") == 1
        # The terminal is lost: what it has not handed out returns, and is at risk from now on.
        assert await core.stock_desk.write_off(CONSOLE_ACTOR, lease.lease, "terminal_lost") == 2
        view = await core.stock_desk.view(STREET, "puppets")
        assert (view.at_risk, view.whole.stock_left, view.leases[0].state) == (2, 7, "written_off")
        with pytest.raises(ImportRefused):
            await core.stock_desk.write_off(CONSOLE_ACTOR, lease.lease, "terminal_lost")

    play(run, home, database_url)


def test_a_forecast_follows_the_rush(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "desheng", time, venues=["S0201"])
        (lease,) = (await core.stock_desk.view(CONSOLE_ACTOR, "pack")).leases
        quiet = (await core.stock_desk.view(CONSOLE_ACTOR, "pack")).forecast
        assert (quiet.gone_ms, quiet.per_hour) == (None, 0)
        time.pass_(2 * HOUR_MS)
        for n in range(3):
            terminal.redeem(
                n, f"n{n}", offer="pack", lease=lease.lease, at_ms=time() - n * MINUTE_MS
            )
        await push(core, terminal)
        await core.judge()
        view = await core.stock_desk.view(CONSOLE_ACTOR, "pack")
        # Too few for a shorter span to be believed: three a week, of which six are left.
        assert (view.forecast.span_ms, view.forecast.gone_ms) == (7 * DAY_MS, time() + 14 * DAY_MS)
        assert view.forecast.left == view.whole.stock_left

    play(run, home)
    assert gone(10, 20.0, START_MS) == START_MS + HOUR_MS // 2
    assert gone(0, 0.0, START_MS) == START_MS
    assert gone(None, 5.0, START_MS) is None
    assert gone(5, 0.0, START_MS) is None
