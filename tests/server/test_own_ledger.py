"""What the back office does is an entry of the server's own ledger, together or not at all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger import verify
from ledger.errors import EntryInvalid
from ledger.log import canonical
from server.core import ServerCore
from server.own_ledger import read_ledger, write_ledger
from server.schema import events
from tests.server.world import Time, enrol, open_core, play

ACT: dict[str, Any] = {"kind": "adjust", "operator": "clerk-1", "reason_code": "blocked"}


async def acts(core: ServerCore) -> list[dict[str, Any]]:
    async with core.database.reading() as connection:
        stored = await read_ledger(connection)
    return [canonical.decode(body) for body in stored.bodies]


def test_acts_are_signed_entries_that_the_auditors_file_verifies(
    home: Path, tmp_path: Path, database_url: str
) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        async with core.database.writing() as connection:
            first = await core.own.append(connection, [ACT, {**ACT, "subject": "o1"}])
        time.pass_(-50_000)  # a clock that was set back does not run the ledger's own one back
        async with core.database.writing() as connection:
            assert await core.own.append(connection, [ACT]) == first + 2
        async with core.database.reading() as connection:
            stored = await read_ledger(connection)
        write_ledger(stored, tmp_path / "export", list(core.home.vkeys().values()))

    play(scenario, home, database_url)
    report = verify.verify_directory(tmp_path / "export")
    assert (report.ok, report.faults) == (True, [])
    lines = (tmp_path / "export" / "entries.jsonl").read_text().splitlines()
    assert len(lines) == report.size
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[:2] + kinds[-3:] == ["genesis", "boot", "adjust", "adjust", "adjust"]


def test_an_act_that_is_undone_leaves_no_entry(home: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        async with core.database.writing() as connection:
            await core.own.append(connection, [ACT])
        with pytest.raises(ZeroDivisionError):
            async with core.database.writing() as connection:
                await core.own.append(connection, [{**ACT, "subject": "lost"}])
                raise ZeroDivisionError
        with pytest.raises(EntryInvalid):
            async with core.database.writing() as connection:
                await core.own.append(connection, [{"kind": "adjust", "operator": "clerk-1"}])
        assert [one.get("subject", "") for one in await acts(core)][-1] == ""

    play(scenario, home)


def test_two_servers_append_to_one_ledger(home: Path, postgres: Any) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        async with core.database.writing() as connection:
            await core.own.append(connection, [ACT])
        async with ServerCore(core.home, await type(core.database).open(home, url), time) as other:

            async def act(one: ServerCore, number: int) -> None:
                async with one.database.writing() as connection:
                    await one.own.append(connection, [{**ACT, "subject": f"s{number}"}])

            await asyncio.gather(*(act((core, other)[n % 2], n) for n in range(12)))
        found = await acts(core)
        assert [one["seq"] for one in found] == list(range(len(found)))
        assert {one["subject"] for one in found[-12:]} == {f"s{n}" for n in range(12)}

    url = postgres.database()
    play(scenario, home, url)


def test_the_servers_ledger_is_no_terminal_and_is_folded_like_any(home: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "desheng", time)
        terminal.redeem(1, "n1")
        await core.ingest.take(terminal.ledger, terminal.body(0))
        void: dict[str, Any] = {
            "kind": "void", "nonce": "v1", "card": "a" * 26, "offer": "museum", "venue": "M01",
            "operator": "clerk-1", "code": "A00", "orig_ledger": terminal.ledger, "orig_seq": 0,
            "orig_nonce": "n1", "reason_code": "mistake",
        }  # fmt: skip
        async with core.database.writing() as connection:
            await core.own.append(connection, [void])
        await core.judge()
        assert [row["terminal"] for row in await core.ledgers()] == ["desheng"]
        async with core.database.reading() as connection:
            voided = await connection.scalar(select(events.c.voided).where(events.c.nonce == "n1"))
        assert voided is True

    play(scenario, home)


def test_the_acts_of_the_operator_are_recorded(home: Path) -> None:
    async def whole() -> None:
        time = Time()
        async with await open_core(home, time) as core:
            await core.set_card("a" * 26, "blocked")
            found = (await acts(core))[-1]
            assert (found["kind"], found["reason_code"]) == ("adjust", "card")

    asyncio.run(whole())
