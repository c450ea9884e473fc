"""Days looked at on a real database: cases open, follow what arrives late, and stay closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from server.core import ServerCore
from server.errors import ImportRefused
from server.schema import cases
from server.signals.scan import DAYS_MAX
from tests.server.world import DAY_MS, HOUR_MS, START_MS, Time, enrol, play, push

#: 02:00 on Saturday 31 May 2014; nobody hands out packs at this hour.
NIGHT_MS = START_MS + 16 * HOUR_MS
SATURDAY = 20140531


async def night(core: ServerCore, time: Time) -> None:
    """Three redemptions at night, and what the signals say of them."""
    time.now_ms = NIGHT_MS
    terminal = await enrol(core, "desheng", time)
    terminal.venue = "S0201"
    for who in range(3):
        terminal.redeem(who, f"n{who}", "museum", at_ms=NIGHT_MS + who)
    await push(core, terminal, 0)
    await core.judge()


def test_a_night_opens_one_case(tmp_path: Path, database_url: str) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        await night(core, time)
        first = await core.scan_signals()
        assert (first.days, first.uses, first.opened) == ((SATURDAY,), 3, 1)
        assert first.found == {"agent_concentration": 0, "closed_hours": 1, "far_apart": 0}
        again = await core.scan_signals([SATURDAY])
        assert (again.found["closed_hours"], again.opened, again.resolved) == (1, 0, 0)
        (case,) = [one for one in await core.cases() if one["reason"] == "closed_hours"]
        assert case["nonces"] == ["n0", "n1", "n2"]
        assert case["details"]["count"] == 3
        assert case["first_ms"] == NIGHT_MS

    play(scenario, tmp_path, database_url)


def test_a_day_is_looked_at_again_when_something_of_it_arrives(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        await night(core, time)
        await core.scan_signals()
        assert (await core.scan_signals()).days == ()
        time.pass_(HOUR_MS)
        late = await enrol(core, "spare", time)
        late.venue = "S0201"
        late.redeem(5, "late", at_ms=NIGHT_MS + 9)
        await push(core, late, 0)
        await core.judge()
        scan = await core.scan_signals()
        assert (scan.days, scan.opened) == ((SATURDAY,), 0)
        (case,) = [one for one in await core.cases() if one["reason"] == "closed_hours"]
        assert case["nonces"] == ["n0", "n1", "n2", "late"]

    play(scenario, tmp_path)


def test_a_pattern_that_was_voided_is_resolved(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        await night(core, time)
        terminal = await enrol(core, "other", time)
        terminal.venue = "M01"
        for who in range(3):
            terminal.redeem(10 + who, f"v{who}", at_ms=NIGHT_MS + who)
        await push(core, terminal, 0)
        await core.judge()
        assert (await core.scan_signals()).found["closed_hours"] == 2
        terminal.void(0, "v0")
        await push(core, terminal, 3)
        await core.judge()
        scan = await core.scan_signals([SATURDAY])
        assert (scan.uses, scan.resolved) == (5, 1)
        assert sum(one["reason"] == "closed_hours" for one in await core.cases()) == 1

    play(scenario, tmp_path)


def test_a_case_that_a_person_closed_stays_closed(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        await night(core, time)
        await core.scan_signals()
        async with core.database.writing() as connection:
            await connection.execute(update(cases).values(state="closed"))
        scan = await core.scan_signals([SATURDAY])
        assert (scan.found["closed_hours"], scan.opened, scan.resolved) == (1, 0, 0)
        assert await core.cases() == []

    play(scenario, tmp_path)


def test_too_many_days_at_once_are_refused(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        days = [20140101 + n for n in range(DAYS_MAX + 1)]
        with pytest.raises(ImportRefused, match="nothing was looked at"):
            await core.scan_signals(days)

    play(scenario, tmp_path)


def test_a_quiet_day_opens_nothing(tmp_path: Path) -> None:
    async def scenario(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "desheng", time)
        terminal.redeem(0, "n0")
        await push(core, terminal, 0)
        time.pass_(DAY_MS)
        await core.judge()
        scan = await core.scan_signals()
        assert (scan.uses, sum(scan.found.values()), scan.opened) == (1, 0, 0)

    play(scenario, tmp_path)
