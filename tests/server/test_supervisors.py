"""Supervisors at the server, and what a revocation orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from keys.pin import pin_verifier
from ledger.log import canonical
from server import administration
from server.core import ServerCore
from server.errors import ImportRefused, TerminalUnknown
from server.schema import feed, ledgers
from tests.server.world import Terminal, Time, card, enrol, play

VERIFIER = pin_verifier("2468")


async def told(core: ServerCore, terminal: Terminal) -> list[dict[str, Any]]:
    statement = (
        select(feed.c.record)
        .join(ledgers, ledgers.c.log == feed.c.log)
        .where(ledgers.c.ledger == terminal.ledger)
        .order_by(feed.c.number)
    )
    async with core.database.reading() as connection:
        found = [canonical.decode(bytes(one)) for one in await connection.scalars(statement)]
    return [{k: v for k, v in one.items() if k != "number"} for one in found]


def test_a_supervisor_is_told_to_its_terminal_alone(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        first, second = await enrol(core, "first", time), await enrol(core, "second", time)
        act: dict[str, Any] = {"terminal": "first", "supervisor": "chief", "pin": VERIFIER}
        answer = await administration.carry_out(core, "supervisor", act)
        assert answer == {"supervisor": "chief", "terminal": "first", "told": 1}
        record = {"kind": "supervisor", "id": "chief", "pin": VERIFIER, "card": "", "active": True}
        assert await told(core, first) == [record]
        assert await told(core, second) == []
        await administration.carry_out(core, "supervisor", act | {"active": False})
        gone = record | {"pin": "", "active": False}
        assert await told(core, first) == [record, gone]
        await administration.carry_out(
            core, "supervisor", {"terminal": "second", "supervisor": "b", "card": card(1)}
        )
        listed = await administration.carry_out(core, "supervisors", {})
        assert [
            (one["terminal"], one["supervisor"], one["active"], one["pin"], one["card"])
            for one in listed["supervisors"]
        ] == [("first", "chief", False, False, False), ("second", "b", True, False, True)]
        assert VERIFIER not in str(listed)

    play(run, home, database_url)


@pytest.mark.parametrize(
    "changes",
    [
        {"supervisor": "a b"},
        {"pin": "2468"},
        {"pin": VERIFIER.replace("m=19456", "m=9999999")},
        {"card": "A" * 26},
        {"pin": "", "card": ""},
    ],
)
def test_a_malformed_supervisor_changes_nothing(home: Path, changes: dict[str, str]) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        first = await enrol(core, "first", time)
        act = {"terminal": "first", "supervisor": "chief", "pin": VERIFIER, "card": ""} | changes
        with pytest.raises(ImportRefused):
            await administration.carry_out(core, "supervisor", act)
        assert await told(core, first) == []
        assert await core.supervisors() == []

    play(run, home)


def test_a_supervisor_of_no_terminal_is_refused(home: Path) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        with pytest.raises(TerminalUnknown):
            await core.provide_supervisor("x", "chief", pin=VERIFIER, card="", active=True)

    play(run, home)


def test_a_revocation_orders_the_wipe_once(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        first, second = await enrol(core, "first", time), await enrol(core, "second", time)
        await core.revoke("first", "lost")
        assert await told(core, first) == [{"kind": "wipe"}]
        assert await told(core, second) == []
        with pytest.raises(TerminalUnknown):
            await core.revoke("first", "lost")
        assert await told(core, first) == [{"kind": "wipe"}]

    play(run, home, database_url)
