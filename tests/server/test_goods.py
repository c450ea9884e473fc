"""Goods between stations: what only one has signed for becomes a case, and explains itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.case_reading import CaseView
from server.core import ServerCore
from server.goods import DIFFERS, NOT_RECEIVED, NOT_SENT, SERVER, WAIT_MS
from server.roles import CONSOLE_ACTOR
from tests.server.world import MINUTE_MS, Terminal, Time, enrol, play, push

PARCEL: dict[str, Any] = {"offer": "pack", "operator": "op1"}


async def stations(core: ServerCore, time: Time) -> tuple[Terminal, Terminal]:
    return await enrol(core, "one", time), await enrol(core, "two", time, venues=["S0201"])


def send(one: Terminal, transfer: str, quantity: int = 50, **more: Any) -> None:
    own = {"movement": "transferred", "venue": "M01", "to_venue": "S0201"}
    one.append("goods", **PARCEL, **own, transfer=transfer, quantity=quantity, **more)


def receive(two: Terminal, transfer: str, quantity: int = 50, **more: Any) -> None:
    own = {"movement": "received", "venue": "S0201", "from_venue": "M01"}
    two.append("goods", **PARCEL, **own, transfer=transfer, quantity=quantity, **more)


async def told(core: ServerCore, *terminals: Terminal, start: int = 0) -> list[CaseView]:
    for one in terminals:
        await push(core, one, start)
    await core.judge()
    return await core.case_desk.all(CONSOLE_ACTOR)


def test_what_one_station_alone_has_signed_opens_when_its_time_is_over(
    home: Path, database_url: str
) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        one, two = await stations(core, time)
        send(one, "t1")
        receive(two, "t2")
        time.pass_(MINUTE_MS)
        assert await told(core, one, two) == []
        time.pass_(WAIT_MS)
        cases = {case.reason: case for case in await core.case_desk.all(CONSOLE_ACTOR)}
        assert set(cases) == {NOT_RECEIVED, NOT_SENT}
        lost = cases[NOT_RECEIVED]
        assert (lost.kind, lost.venue, lost.offer) == ("goods", "M01", "pack")
        assert lost.explained is not None
        assert "S0201 三天内没有签收" in lost.explained[0]
        assert "M01 sent 50" in lost.explained[1]
        # The other side signs after all: the case is closed by that, and says so.
        receive(two, "t1", at_ms=time())
        time.pass_(MINUTE_MS)
        (left,) = await told(core, two, start=1)
        assert left.reason == NOT_SENT
        closed = await core.case_desk.one(CONSOLE_ACTOR, lost.key)
        assert (closed.state, closed.decision, closed.acts[-1].person) == (
            "closed",
            "accept",
            SERVER,
        )
        await core.projector.rebuild()
        assert [one.key for one in await core.case_desk.all(CONSOLE_ACTOR)] == [left.key]

    play(run, home, database_url)


def test_a_transfer_that_both_signed_is_none_in_either_order(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        one, two = await stations(core, time)
        receive(two, "early")
        assert await told(core, two) == []
        send(one, "early")
        send(one, "short", 50)
        receive(two, "short", 48, expected=50, reason_code="missing")
        receive(one, "own")  # nobody is both sides of a transfer
        send(one, "own")
        await push(core, one)
        await push(core, two, 1)
        await core.judge()
        time.pass_(WAIT_MS + MINUTE_MS)
        cases = {case.reason: case for case in await core.case_desk.all(CONSOLE_ACTOR)}
        assert set(cases) == {DIFFERS, NOT_SENT}
        assert cases[NOT_SENT].details["transfer"] == "own"
        assert cases[DIFFERS].explained is not None
        assert "M01 发出 50 份，S0201 签收 48 份" in cases[DIFFERS].explained[0]
        await core.projector.rebuild()
        assert len(await core.case_desk.all(CONSOLE_ACTOR)) == 2

    play(run, home)
