"""The campaign ``year``: the federation's published year, from signed entries to its report.

Every redemption goes the whole way: a signed ledger, batches, receipts, judgements, statistics. The
report must then say what was published, to the digit.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from ledger.log import canonical
from ledger.rules.offer import VENUE_ZONE
from ledger.rules.windows import instant_of
from server.card_list import Membership
from server.core import ServerCore
from server.schema import events
from server.statistics import days_of
from server.year_report import YearReport
from tests.campaigns import yearbook
from tests.campaigns.report import Budget, Report
from tests.campaigns.yearbook import YEAR
from tests.server.world import Terminal, Time, card, enrol, make_home, member, push

#: Thousandths of the published person-times in a full run.
WHOLE = 1_000
TERMINALS_MAX = 342 + 18
#: Members a thousandth of the year has: one card of eight is ever used.
MEMBERS_A_PART = 450
#: Of a hundred redemptions so many are of members who live near the terminal.
NEAR_PERCENT = 90
BATCH_ENTRIES = 500
JUDGED_AT_ONCE = 7_500
#: In which the whole must be done, and a report be read, seconds.
REACH_S = 900
REPORT_S = 2.0

#: What the federation published of 2014, and the reading of it that fits.
PUBLISHED = {
    "offers": 1_029,
    "offer-months": 1_121,
    "offers a month": "93.42",
    "April": 135,
    "May": 118,
    "the other ten months": 868,
    "most of these": True,
    "peak months": ("2014-04", "2014-05"),
    "offers of the year before": 415,
    "growth of offers, %": 148,
    "growth of person-times, %": 234,
}


def run(budget: Budget) -> Report:
    """Two years at ``budget.rounds`` thousandths of their person-times."""
    part = min(budget.rounds, WHOLE)
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), part, budget, report))
    return report


async def _play(folder: Path, part: int, budget: Budget, report: Report) -> None:
    started = time.monotonic()
    home, clock = make_home(folder / "server"), Time(_start_ms(YEAR - 1, 1))
    async with await ServerCore.open(home, clock) as core:
        core.repository.create(home.custodians())
        terminals = await _found(core, clock, part)
        core.projector.step_entries_max = JUDGED_AT_ONCE  # nobody else waits to write
        began = time.monotonic()
        for year in (YEAR - 1, YEAR):
            for month in range(1, 13):
                await _serve(core, clock, terminals, (year, month), part)
                budget.say(f"{year}-{month:02}: {sum(len(one.stored) for one in terminals):,}")
        entries = sum(len(one.stored) for one in terminals)
        held = time.monotonic()
        report.figures["entries"] = entries
        report.figures["entries a second, signed to receipted"] = int(entries / (held - began))
        done = 0
        while taken := await core.projector.step():
            done += taken
            budget.say(f"judged: {done:,}, of terminals {entries:,}")
        report.figures["entries a second, judged"] = int(entries / (time.monotonic() - held))
        told = await _timed(core, report)
        _compare(told, part, report)
        await _control(core, clock, terminals[0], told, report)
    spent_s = time.monotonic() - started
    report.figures["seconds in all"] = round(spent_s, 1)
    if part == WHOLE:
        report.need(spent_s <= REACH_S, f"it took {spent_s:.0f} s, more than {REACH_S}")


async def _found(core: ServerCore, clock: Time, part: int) -> list[Terminal]:
    count = min(TERMINALS_MAX, 4 + part)
    places = [
        {
            "id": f"V{n:03}",
            "name": f"服务站{n}",
            "district": f"1101{n % 16 + 1:02}",
            "level": "street",
        }
        for n in range(count)
    ]
    await core.import_venues(json.dumps(places).encode())
    await core.publish_offers(json.dumps(yearbook.offers()).encode())
    people = range(MEMBERS_A_PART * part)
    await core.take_members([Membership(card(n), member(n)) for n in people])
    return [await enrol(core, f"t{n:03}", clock, venues=[f"V{n:03}"]) for n in range(count)]


async def _serve(
    core: ServerCore, clock: Time, terminals: list[Terminal], when: tuple[int, int], part: int
) -> None:
    """Plays one month: every terminal signs, then sends what it has at the month's end."""
    first_ms, end_ms = _start_ms(*when), _start_ms(when[0], when[1] + 1)
    offers = yearbook.running(yearbook.offers())[when]
    chance = random.Random(f"{when} {part}")
    total, people = yearbook.a_month(*when, part), MEMBERS_A_PART * part
    clock.now_ms = end_ms
    done = 0
    for number, terminal in enumerate(terminals, 1):
        count = total * number // len(terminals) - done
        done += count
        moments = sorted(chance.randrange(first_ms, end_ms) for _ in range(count))
        held = len(terminal.stored)
        for start in range(0, count, BATCH_ENTRIES):
            some = moments[start : start + BATCH_ENTRIES]
            bodies = _bodies(terminal, some, offers, chance, people, people // len(terminals))
            terminal.commit(*bodies)
        await push(core, terminal, held)


def _bodies(
    terminal: Terminal,
    moments: list[int],
    offers: list[str],
    chance: random.Random,
    people: int,
    near: int,
) -> Iterator[bytes]:
    for place, at_ms in enumerate(moments, len(terminal.stored)):
        who = _member_near(terminal, chance, people, near)
        entry: dict[str, Any] = terminal.entry("redeem", at_ms=at_ms)
        yield canonical.encode(
            entry
            | {
                "seq": place,
                "nonce": f"{terminal.venue}-{place}",
                "card": card(who),
                "member": member(who),
                # The first of a month's redemptions bring out each of its offers once.
                "offer": offers[place % len(offers)],
                "venue": terminal.venue,
                "operator": "op1",
                "code": "A00",
                "scheme": "unionpay",
                "assurance": "authenticated",
                "offer_version": 1,
                "quantity": 1,
                "mode": "online",
            }
        )


def _member_near(terminal: Terminal, chance: random.Random, people: int, near: int) -> int:
    """Most who come live near: members by terminal stand one after the other."""
    who = chance.randrange(people)
    if chance.randrange(100) >= NEAR_PERCENT:
        return who
    return (int(terminal.venue[1:]) * near + who % near) % people


async def _timed(core: ServerCore, report: Report) -> YearReport:
    """The report with nothing counted, and again when it is; beside one scan of the rows."""
    began = time.monotonic()
    async with core.database.reading() as connection:
        await connection.scalar(select(func.count(events.c.member.distinct())))
    scanned = time.monotonic()
    await core.year_report(str(YEAR))
    cold = time.monotonic()
    await core.count_statistics()
    counted = time.monotonic()
    told = await core.year_report(str(YEAR))
    warm = time.monotonic()
    report.figures["raw: one count of distinct members, s"] = round(scanned - began, 3)
    report.figures["year's report with nothing counted, s"] = round(cold - scanned, 3)
    report.figures["year's report as a reader gets it, s"] = round(warm - counted, 3)
    if told.total.person_times >= yearbook.THOUSANDS[YEAR] * WHOLE:
        report.need(warm - counted <= REPORT_S, f"the report took {warm - counted:.1f} s")
    return told


def _compare(told: YearReport, part: int, report: Report) -> None:
    others = [line.offers_running for line in told.months if line.key[5:] not in {"04", "05"}]
    found = {
        "offers": told.total.offers_running,
        "offer-months": told.offer_months,
        "offers a month": told.mean_offers,
        "April": told.months[3].offers_running,
        "May": told.months[4].offers_running,
        "the other ten months": sum(others),
        "most of these": max(others) <= 117,
        "peak months": told.peak_offers,
        "offers of the year before": told.last_year.offers_running,
        "growth of offers, %": told.last_year.growth["offers_running"],
        "growth of person-times, %": told.last_year.growth["person_times"],
    }
    wanted = PUBLISHED | {
        "person-times": yearbook.THOUSANDS[YEAR] * part,
        "person-times a month": (yearbook.THOUSANDS[YEAR] * part + 6) // 12,
        "person-times of the year before": yearbook.THOUSANDS[YEAR - 1] * part,
        "flagged": 0,
    }
    found |= {
        "person-times": told.total.person_times,
        "person-times a month": told.mean_person_times,
        "person-times of the year before": told.last_year.person_times,
        "flagged": told.total.flagged,
    }
    for name, value in wanted.items():
        report.need(found[name] == value, f"{name}: {found[name]}, published {value}")
        report.figures[name] = _plain(found[name])
    report.figures["persons"] = told.total.persons
    by_month = sum(line.person_times for line in told.months)
    report.need(by_month == told.total.person_times, "the months do not make the year")
    by_venue = sum(line.person_times for line in told.venues)
    report.need(by_venue == told.total.person_times, "the venues do not make the year")


def _plain(value: object) -> str | int:
    if isinstance(value, tuple):
        return " ".join(value)
    return value if isinstance(value, int) else str(value)


async def _control(
    core: ServerCore, clock: Time, terminal: Terminal, told: YearReport, report: Report
) -> None:
    """A redemption that is voided after all must be missing from the year."""
    held = len(terminal.stored)
    terminal.void(held - 1, "void", at_ms=clock() + 60_000)
    clock.pass_(120_000)
    await push(core, terminal, held)
    await core.judge()
    again = await core.year_report(str(YEAR))
    report.controls["a void of the last redemption is seen"] = (
        told.total.person_times - again.total.person_times == 1
    )


def _start_ms(year: int, month: int) -> int:
    period = f"{year + (month > 12):04}-{(month - 1) % 12 + 1:02}"
    return instant_of(days_of(period)[0], 0, VENUE_ZONE)
