"""The campaign ``members``: the whole city's members from one list, and then only what differs.

A list of 3,555,000 cards is taken with progress, published as a roster, and taken again with some
cards blocked: only these are new states. A list with a card number in it changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import random
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from server.card_list import luhn
from server.core import ServerCore
from server.errors import ImportRefused
from server.schema import cards
from sync.roster import Roster
from tests.campaigns.report import Budget, Report
from tests.server.world import Time, make_home

#: Cards of a thousandth of the city.
CARDS_A_PART = 3_555
WHOLE = 1_000
#: In which a whole city must be in, seconds.
REACH_S = 300
CHANGED = 400
HEAD = "card,member,status,district,street,tags,last4,year,expires,issued\n"


def run(budget: Budget) -> Report:
    """A city of ``budget.rounds`` thousandths."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), budget, report))
    return report


async def _play(folder: Path, budget: Budget, report: Report) -> None:
    count = CARDS_A_PART * min(budget.rounds, WHOLE)
    first, second = folder / "first.csv", folder / "second.csv"
    write_list(first, count, blocked=0)
    write_list(second, count, blocked=min(CHANGED, count))
    clock = Time()
    home = make_home(folder / "server")
    async with await ServerCore.open(home, clock) as core:
        core.repository.create(home.custodians())
        steps: list[float] = []

        def moved(done: int, total: int) -> None:
            steps.append(done / total)
            budget.say(f"{done:,} of {total:,} rows read")

        began = time.monotonic()
        taken = await core.import_members(first, moved)
        spent_s = time.monotonic() - began
        report.figures["cards"] = count
        report.figures["seconds, read to published"] = round(spent_s, 1)
        report.need((taken.cards, taken.members) == (count, count), f"{taken} of {count}")
        report.need(steps == sorted(steps) and steps[-1] == 1, "progress ran back or did not end")
        if count >= CARDS_A_PART * WHOLE:
            report.need(spent_s <= REACH_S, f"a city took {spent_s:.0f} s, more than {REACH_S}")
        _check_roster(core, count, blocked=0, report=report)

        clock.pass_(1_000)
        began = time.monotonic()
        taken = await core.import_members(second)
        report.figures["seconds, the same again with a few changes"] = round(
            time.monotonic() - began, 1
        )
        blocked = min(CHANGED, count)
        report.need((taken.cards, taken.members) == (blocked, 0), f"not only differences: {taken}")
        _check_roster(core, count, blocked=blocked, report=report)

        with first.open("a", encoding="utf-8") as end:
            end.write(f"{_number()},{1:016x},blocked,,,,,,,\n")
        try:
            await core.import_members(first)
        except ImportRefused as refused:
            report.controls["a card number in the last line"] = f"line {count + 2}:" in str(refused)
        else:
            report.controls["a card number in the last line"] = False
        async with core.database.reading() as connection:
            held = await connection.scalar(select(func.count()).select_from(cards))
        report.need(held == count + blocked, "a refused list changed something")


def write_list(path: Path, count: int, *, blocked: int) -> None:
    """Writes a list of made-up cards and members; the first ``blocked`` of them are blocked."""
    chance = random.Random(count)
    with path.open("w", encoding="utf-8") as out:
        out.write(HEAD)
        for number in range(count):
            card = base64.b32encode(chance.randbytes(16)).decode().lower().rstrip("=")
            member = f"{chance.getrandbits(64) | 0xA:016x}"
            district = chance.randrange(16)
            status = "blocked" if number < blocked else "active"
            out.write(
                f"{card},{member},{status},{district:02}区,{chance.randrange(21):02}街道,,"
                f"{chance.randrange(10_000):04},2014,20{17 + district % 4}-09,2013-11-30\n"
            )


def _check_roster(core: ServerCore, count: int, *, blocked: int, report: Report) -> None:
    path = core.home.path / "look.bin"
    data = core.repository.target("status/roster.bin")
    assert data is not None
    path.write_bytes(data)
    with Roster.open(path) as roster:
        report.need(
            roster.layout.count == count, f"the roster has {roster.layout.count} cards of {count}"
        )
        chance = random.Random(count)
        found = 0
        for _ in range(blocked):
            card = base64.b32encode(chance.randbytes(16)).decode().lower().rstrip("=")
            chance.getrandbits(64)
            for span in (16, 21, 10_000):
                chance.randrange(span)
            entry = roster.lookup(card)
            found += entry is not None and entry.status == "blocked"
        report.need(found == blocked, f"{found} of {blocked} changes are in the roster")


def _number() -> str:
    """A number with its check digit, of nobody's card."""
    head = "621098123456789012"
    return next(head + str(digit) for digit in range(10) if luhn(head + str(digit)))
