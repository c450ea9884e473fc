"""Every form of the office by real requests: done once, with the right, and refused in words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from server.roles import CONSOLE_ACTOR
from tests.server.pages.asking import HERE, SITE, Desk, at_a_desk
from tests.server.pages.test_pages import used
from tests.server.world import MINUTE_MS, enrol

STOCKED = {
    "id": "S-1",
    "title": "套包",
    "title_en": "Packs",
    "level": "city",
    "kind": "coupon",
    "from": "2014-01-01T00:00:00+08:00",
    "until": "2015-01-01T00:00:00+08:00",
    "stock": {"per_venue": {"M01": 30, "M02": 10}},
    "offline": "leased",
}


async def done(desk: Desk, path: str, word: str, **fields: str) -> None:
    """Sends a form of a page, and reads that it was done."""
    await desk.get(path)
    answer = await desk.post(path.partition("?")[0], **fields)
    assert answer.status_code == 303, (fields, answer.text[-1500:])
    assert answer.headers["location"].endswith(f"said={word}")


async def refused(desk: Desk, path: str, said: str, **fields: str) -> None:
    """Sends a form of a page that must be refused, in words and on a page."""
    await desk.get(path)
    answer = await desk.post(path, **fields)
    assert answer.status_code in (400, 403), fields
    assert said in answer.text


async def stocked(desk: Desk) -> None:
    """An offer whose stock is split between two museums, beside those of the world."""
    import json

    await desk.core.import_venues(
        json.dumps([{"id": "M01", "name": "孔庙"}, {"id": "M02", "name": "大钟寺"}]).encode()
    )
    await desk.core.publish_offers(json.dumps([STOCKED]).encode())


def test_stock_is_split_moved_and_recalled(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await stocked(desk)
        await desk.sit_down("wang")
        here = "/stock/S-1"
        await done(desk, here, "split", act="split", **{"units-M01": "25", "units-M02": "10"})
        await refused(desk, here, "份数须为整数", act="split", **{"units-M01": "many"})
        moved = {"act": "transfer", "source": "M01", "target": "M02", "units": "5"}
        await done(desk, here, "transfer", **moved)
        await refused(desk, here, "S9", **{**moved, "target": "S9"})
        asked = await desk.core.stock_desk.transfers(CONSOLE_ACTOR)
        decide = {"act": "decide", "transfer": str(asked[0].id), "do": "1"}
        await done(desk, here, "transfer", **decide)
        await refused(desk, here, "未作任何更改", **decide)
        view = await desk.core.stock_desk.view(CONSOLE_ACTOR, "S-1")
        assert {part.part: part.units for part in view.parts} == {"M01": 20, "M02": 15}
        await done(desk, here, "recalled", act="recall")
        await refused(desk, here, "", act="write_off", lease="none", reason="other")
        await refused(desk, here, "", act="burn")
        assert (await desk.get("/stock/none")).status_code == 404

    at_a_desk(run, home)


def test_a_second_click_does_nothing_twice(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await stocked(desk)
        await desk.sit_down("wang")
        page = await desk.get("/stock/S-1")
        form = {"act": "transfer", "source": "M01", "target": "M02", "units": "5"}
        for name in ("csrf", "once"):
            found = re.search(rf'name="{name}" value="([^"]+)"', page.text)
            assert found
            form[name] = found.group(1)

        async def click() -> int:
            answer = await desk.client.post(f"{SITE}/stock/S-1", data=form, headers=HERE)
            return answer.status_code

        assert set(await asyncio.gather(click(), click())) == {303}
        assert await click() == 303
        assert len(await desk.core.stock_desk.transfers(CONSOLE_ACTOR)) == 1
        form["units"] = "6"  # another wish, from the same page
        assert await click() == 303
        assert len(await desk.core.stock_desk.transfers(CONSOLE_ACTOR)) == 2

    at_a_desk(run, home)


def test_a_terminal_is_configured_rolled_back_and_revoked(home: Path) -> None:
    async def run(desk: Desk) -> None:
        first = await enrol(desk.core, "first", desk.time)
        await desk.sit_down("wang")
        here = f"/terminals/{first.ledger}"
        for every in ("60000", "90000"):
            await done(desk, here, "configured", act="configure", sync_every_ms=every)
        await refused(desk, here, "", act="configure", sync_every_ms="1")
        await done(desk, here, "configured", act="roll_back", version="1")
        await refused(desk, here, "没有", act="roll_back", version="99")
        await refused(desk, here, "", act="revoke", reason="tired")
        await done(desk, here, "revoked", act="revoke", reason="lost")
        assert "已挂失" in (await desk.get(here)).text or "遗失" in desk.page.text
        await refused(desk, here, "", act="burn")
        assert (await desk.get("/terminals/none")).status_code == 404
        await desk.get("/terminals/enrol")
        nobody = await desk.post("/terminals/approve", terminal="first", fingerprint="0")
        assert nobody.status_code in (400, 404)

    at_a_desk(run, home)


def test_a_broken_machine_is_replaced_by_a_sheet(home: Path) -> None:
    async def run(desk: Desk) -> None:
        first = await enrol(desk.core, "first", desk.time)
        await desk.sit_down("wang")
        await desk.get(f"/terminals/{first.ledger}")
        sheet = await desk.post("/terminals/replace", terminal="first", reason="lost", sure="1")
        assert sheet.status_code == 200
        assert sheet.text.count('class="panel sheet"') == 1

    at_a_desk(run, home)


def test_people_are_made_changed_and_reset(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        await desk.get("/people")
        li = {"person": "li", "name": "李", "role": "district", "scope": "东城区"}
        assert "初始密码" in (await desk.post("/people", **li)).text
        await refused(desk, "/people", "已有登录名 li", **li)
        await refused(desk, "/people", "登录名", **{**li, "person": "L I"})
        await done(desk, "/people/li", "person", role="auditor", scope="", active="1")
        await desk.get("/people/li")
        assert "初始密码" in (await desk.post("/people/li", act="reset", second_factor="1")).text
        await refused(desk, "/people/wang", "不能修改自己的权限", role="auditor", active="1")
        await done(desk, "/people/li", "person", role="auditor", scope="")
        held = {one.person: one for one in await desk.core.people.all(CONSOLE_ACTOR)}
        assert not held["li"].active
        assert (await desk.get("/people/nobody")).status_code == 404

    at_a_desk(run, home)


def test_a_month_is_stated_disputed_decided_adjusted_and_settled(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await used(desk)
        await desk.sit_down("wang")
        await refused(desk, "/settlement", "尚未结束", month="2014-05")
        await refused(desk, "/settlement", "月份", month="soon")
        desk.time.pass_(40 * 24 * 60 * MINUTE_MS)
        await desk.sit_down("zhao")
        await done(desk, "/settlement", "stated", month="2014-05")
        statements = await desk.core.statements.all(CONSOLE_ACTOR)
        if not statements:
            pytest.fail("the month has nothing to state")
        here = f"/settlement/{statements[0].id}"
        await done(desk, here, "disputed", act="dispute", reason="amount", position="")
        await refused(desk, here, "", act="settle")
        dispute = (await desk.core.disputes.all(CONSOLE_ACTOR))[0]
        decide = {"act": "decide", "dispute": str(dispute.id), "upheld": "1"}
        await refused(desk, here, "不能处理自己提出的异议", **decide)
        await desk.sit_down("chen")
        await done(desk, here, "decided", **decide)
        await refused(desk, here, "金额", act="adjust", yuan="much", reason="count")
        await done(desk, here, "adjusted", act="adjust", yuan="-12.50", reason="count")
        await done(desk, here, "settled", act="settle")
        await refused(desk, here, "已结清", act="settle")
        await refused(desk, here, "", act="burn")
        assert (await desk.get("/settlement/999")).status_code == 404

    at_a_desk(run, home)


#: A form of each kind, and a role that may open no such page.
FORMS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/offers/new", {"id": "X"}, "auditor"),
    ("/offers/offer/S-1", {"act": "suspend"}, "auditor"),
    ("/stock/S-1", {"act": "recall"}, "auditor"),
    ("/terminals/none", {"act": "revoke"}, "hotline"),
    ("/terminals/enrol", {"rows": "x"}, "hotline"),
    ("/terminals/approve", {}, "hotline"),
    ("/terminals/replace", {}, "hotline"),
    ("/cases/case", {"act": "decide"}, "hotline"),
    ("/settlement", {"month": "2014-05"}, "auditor"),
    ("/settlement/entries/x/1", {"reason": "mistake"}, "auditor"),
    ("/people", {"person": "li"}, "auditor"),
    ("/people/wang", {"act": "reset"}, "auditor"),
    ("/members/erase", {}, "hotline"),
    ("/reports/state", {"period": "2014-05"}, "auditor"),
)


def test_a_form_without_the_right_is_refused_on_a_page(home: Path) -> None:
    async def run(desk: Desk) -> None:
        for role in ("auditor", "hotline"):
            await desk.sit_down(role, role)
            for path, fields, whose in FORMS:
                if whose != role:
                    continue
                await desk.get("/offers?lang=zh")
                answer = await desk.post(path, **fields)
                assert answer.status_code == 403, path
                assert "您的权限不包含此操作" in answer.text, path
                assert "<nav" in answer.text

    at_a_desk(run, home)


def test_no_form_is_taken_from_elsewhere(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        for path, fields, _ in FORMS:
            answer = await desk.client.post(f"{SITE}{path}", data=fields, headers=HERE)
            assert answer.status_code == 403, path
            assert "不是从本页面提交" in answer.text

    at_a_desk(run, home)


def test_a_session_that_has_ended_leads_to_the_door(home: Path) -> None:
    async def run(desk: Desk) -> None:
        await desk.sit_down("wang")
        page = await desk.get("/stock")
        assert page.status_code == 200
        desk.time.pass_(24 * 60 * MINUTE_MS)
        away = await desk.post("/stock/S-1", act="recall")
        assert away.status_code == 303
        assert away.headers["location"].startswith("/sign-in?next=")
        door = await desk.get(away.headers["location"])
        assert door.status_code == 200

    at_a_desk(run, home)


def test_a_browser_gets_a_page_and_a_program_a_document(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(desk: Desk) -> None:
        page = await desk.get("/no/such/page?lang=zh", Accept="text/html")
        assert page.status_code == 404
        assert "没有找到此页面" in page.text
        assert 'href="/"' in page.text
        program = await desk.get("/no/such/page", Accept="application/json")
        assert program.headers["content-type"].startswith("application/problem+json")
        api = await desk.get("/v1/nothing", Accept="text/html")
        assert api.headers["content-type"].startswith("application/problem+json")
        await desk.sit_down("wang")
        known = await desk.get("/no/such/page?lang=en", Accept="text/html")
        assert "There is nothing here" in known.text
        assert "<nav" in known.text

        async def broken(*_: object) -> None:
            raise RuntimeError("a secret of the inside")

        monkeypatch.setattr(desk.core.people, "all", broken)
        fault = await desk.get("/people?lang=zh", Accept="text/html")
        assert fault.status_code == 500
        assert "服务器出现故障" in fault.text
        assert "secret" not in fault.text

    at_a_desk(run, home)
