"""Cases: looked at, decided, and not lost when everything is folded anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.codes import Code
from server import case_desk
from server.case_desk import open_matter
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed
from server.roles import CONSOLE_ACTOR, Actor, Role
from tests.server.world import DAY_MS, MINUTE_MS, START_MS, Terminal, Time, enrol, play, push


async def _twice(core: ServerCore, time: Time) -> tuple[Terminal, str]:
    """One member at two terminals on one day; returns the second terminal and the case's key."""
    first = await enrol(core, "kiosk", time)
    second = await enrol(core, "kiosk2", time)
    first.redeem(1, "a")
    second.redeem(1, "b", at_ms=START_MS + MINUTE_MS)
    time.pass_(MINUTE_MS)
    await push(core, first)
    await push(core, second)
    await core.judge()
    (case,) = await core.case_desk.all(CONSOLE_ACTOR)
    return second, case.key


def test_a_decision_outlives_a_rebuild(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        second, key = await _twice(core, time)
        desk = core.case_desk
        await desk.assign(CONSOLE_ACTOR, key, "li")
        await desk.note(CONSOLE_ACTOR, key, "打电话问过站点")
        await desk.decide(CONSOLE_ACTOR, key, "reject", "重复领取")
        with pytest.raises(ImportRefused, match="closed already"):
            await desk.decide(CONSOLE_ACTOR, key, "accept")
        await core.projector.rebuild()
        assert await desk.all(CONSOLE_ACTOR) == []
        case = await desk.one(CONSOLE_ACTOR, key)
        assert (case.state, case.decision, case.assigned) == ("closed", "reject", "li")
        assert [act.act for act in case.acts] == ["assign", "note", "decide"]
        # Somebody who is beyond the limit a third time is looked at again.
        second.redeem(1, "c", at_ms=time())
        await push(core, second, 1)
        await core.judge()
        (again,) = await desk.all(CONSOLE_ACTOR)
        assert (again.key, again.nonces) == (key, ("b", "c"))
        acts = await core.people.records(CONSOLE_ACTOR, act="case")
        assert [one.act for one in acts] == ["case.decide", "case.note", "case.assign"]

    play(run, home, database_url)


def test_what_was_rejected_is_not_paid(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        _, key = await _twice(core, time)
        await core.case_desk.decide(CONSOLE_ACTOR, key, "reject")
        await core.case_desk.reopen(CONSOLE_ACTOR, key)
        await core.case_desk.decide(CONSOLE_ACTOR, key, "accept")
        time.pass_(3 * DAY_MS)
        (may,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        assert may.units == 2, "the last decision holds"

    play(run, home)


def test_a_district_sees_its_own(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        _, key = await _twice(core, time)
        east, west = (Actor("d", Role.DISTRICT, name) for name in ("东城区", "西城区"))
        assert [one.key for one in await core.case_desk.all(east)] == [key]
        assert await core.case_desk.all(west) == []
        with pytest.raises(ImportRefused):
            await core.case_desk.decide(west, key, "accept")
        with pytest.raises(NotAllowed):
            await core.case_desk.decide(Actor("a", Role.AUDITOR), key, "accept")

    play(run, home)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_desk, "LISTED_MAX", 4)


@pytest.mark.usefixtures("small_pages")
def test_cases_come_page_by_page_with_their_numbers(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        _, judged = await _twice(core, time)
        desk, east = core.case_desk, Actor("d", Role.DISTRICT, "东城区")
        async with core.database.writing() as connection:
            for n in range(6):
                await open_matter(
                    connection,
                    key=f"problem|{n}",
                    kind="problem",
                    reason="reader" if n % 2 else "printer",
                    now_ms=START_MS + n * DAY_MS + 5 * MINUTE_MS,
                    venue="S0201" if n < 2 else "M01",
                )
        time.pass_(7 * DAY_MS)
        newest = [f"problem|{n}" for n in (5, 4, 3, 2, 1, 0)]
        wanted = [*newest, judged]
        seen: list[str] = []
        while page := (await desk.page(CONSOLE_ACTOR, start=len(seen), limit=2)).cases:
            seen += [one.key for one in page]
        assert seen == wanted
        page_ = await desk.page(CONSOLE_ACTOR, reason="reader", limit=2)
        assert ([one.key for one in page_.cases], page_.total) == (["problem|5", "problem|3"], 3)
        assert page_.reasons == {"reader": 3, "printer": 3, "over_member_limit": 1}
        assert [one.key for one in await desk.all(CONSOLE_ACTOR)] == newest[:4]
        # A district's numbers are those of its own venues, judged cases among them.
        own = await desk.page(east, start=3, limit=9)
        assert ([one.key for one in own.cases], own.total) == (["problem|2", judged], 5)
        await desk.assign(CONSOLE_ACTOR, judged, "li")
        await desk.assign(CONSOLE_ACTOR, "problem|1", "li")
        await desk.assign(CONSOLE_ACTOR, "problem|3", "li")
        await desk.assign(CONSOLE_ACTOR, "problem|3", "wu")
        given = await desk.page(CONSOLE_ACTOR, assigned="li")
        assert [one.key for one in given.cases] == ["problem|1", judged]
        for key in ("problem|5", judged):
            await desk.decide(CONSOLE_ACTOR, key, "accept")
        assert (await desk.page(CONSOLE_ACTOR)).total == 5
        closed = await desk.page(CONSOLE_ACTOR, state="closed")
        assert ([one.key for one in closed.cases], closed.total) == (["problem|5", judged], 2)
        assert (await desk.page(CONSOLE_ACTOR, state="", limit=0)).total == 7

    play(run, home, database_url)


def test_a_matter_is_a_case_too(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        async with core.database.writing() as connection:
            for expected in (True, False):
                new = await open_matter(
                    connection,
                    key="problem|kiosk|1",
                    kind="problem",
                    reason="reader",
                    now_ms=time(),
                    venue="M01",
                    terminal="kiosk",
                    facts={"ledger_size": 3},
                )
                assert new is expected
        (case,) = await core.case_desk.all(CONSOLE_ACTOR)
        assert (case.kind, case.reason, case.details) == ("problem", "reader", {"ledger_size": 3})
        await core.case_desk.decide(CONSOLE_ACTOR, case.key, "refer")
        assert await core.case_desk.all(CONSOLE_ACTOR) == []
        (closed,) = await core.case_desk.all(CONSOLE_ACTOR, state="closed")
        assert closed.decision == "refer"

    play(run, home, database_url)


def test_the_office_voids_what_the_counter_cannot(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(2):
            terminal.redeem(n, f"n{n}")
        await push(core, terminal)
        await core.judge()
        with pytest.raises(NotAllowed):
            await core.voids.void(
                Actor("d", Role.DISTRICT, "西城区"), f"{terminal.ledger}/0", "mistake"
            )
        with pytest.raises(ImportRefused):
            await core.voids.void(CONSOLE_ACTOR, f"{terminal.ledger}/0", "bored")
        east = Actor("d", Role.DISTRICT, "东城区")
        done = await core.voids.void(east, f"{terminal.ledger}/0", "mistake")
        assert done.code is Code.A00
        await core.judge()
        again = await core.voids.void(east, f"{terminal.ledger}/0", "mistake")
        assert (again.code, again.nonce) == (Code.V03, "")
        assert (await core.voids.void(east, f"{terminal.ledger}/9", "mistake")).code is Code.V04
        time.pass_(3 * DAY_MS)
        (may,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        assert may.units == 1
        await core.settlement.settle(CONSOLE_ACTOR, may.id)
        late = await core.voids.void(CONSOLE_ACTOR, f"{terminal.ledger}/1", "fraud")
        assert late.code is Code.V05, "what is paid stays paid"
        assert (await core.month_report("2014-05")).total.person_times == 1

    play(run, home, database_url)


def test_a_fork_is_a_case(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        clone = Terminal(terminal.keys, terminal.enrolled, time)
        terminal.redeem(1, "a")
        clone.redeem(2, "b")
        await push(core, terminal)
        assert (await push(core, clone)).status == 422
        (case,) = await core.case_desk.all(CONSOLE_ACTOR)
        assert (case.kind, case.reason, case.terminal) == ("fork", "fork", "kiosk")
        await core.case_desk.decide(CONSOLE_ACTOR, case.key, "refer", "换机")
        assert await core.case_desk.all(CONSOLE_ACTOR) == []
        assert (await core.case_desk.one(CONSOLE_ACTOR, case.key)).decision == "refer"

    play(run, home)
