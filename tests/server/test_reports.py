"""The month's figures: each counted by its definition, restated when ledgers come in late."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.core import ServerCore
from server.errors import ImportRefused
from server.reports import DEFINITIONS, Line
from tests.server.world import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, Time, enrol, play, push


def test_figures_of_a_month(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        museum = await enrol(core, "kiosk", time)
        counter = await enrol(core, "desheng", time, venues=["S0201"])
        for n in range(3):
            museum.redeem(n, f"m{n}", companions=n)
        museum.redeem(0, "m-next-day", at_ms=START_MS + DAY_MS)
        museum.decline(5, "no")
        museum.append(
            "reentry",
            nonce="again",
            card="a" * 26,
            offer="museum",
            venue="M01",
            operator="op1",
            code="A03",
            member=f"{1:016x}",
            scheme="unionpay",
            assurance="authenticated",
            offer_version=1,
            mode="online",
        )
        counter.redeem(0, "p0", offer="pack")
        seq = counter.redeem(1, "p1", offer="pack")
        counter.void(seq, "v1")
        counter.redeem(2, "june", offer="pack", at_ms=START_MS + 3 * DAY_MS)
        counter.redeem(1, "over", at_ms=START_MS + MINUTE_MS)
        time.pass_(4 * DAY_MS)
        await push(core, museum)
        await push(core, counter)
        await core.judge()
        report = await core.month_report("2014-05")
        assert report.as_of_ms == time()
        total = report.total
        assert (total.person_times, total.persons) == (6, 3)
        assert (total.quantity, total.companions, total.flagged) == (6, 3, 1)
        assert (total.offers_running, total.offers_new) == (2, 2)
        by_level = {line.key: (line.persons, line.person_times) for line in report.levels}
        assert by_level == {"city": (3, 5), "district": (0, 0), "street": (1, 1)}
        by_offer = {line.key: line for line in report.offers}
        assert by_offer["museum"].title_en == "Confucian Temple"
        assert by_offer["pack"].person_times == 1
        assert report.counts == {
            "voided": 1,
            "declined": 1,
            "reentries": 1,
            "manual": 0,
            "recorded": 8,
            "confirmed": 8,
            "lost": 0,
            "twice": 0,
        }
        june = await core.month_report("2014-06")
        assert (june.total.person_times, june.total.offers_new) == (1, 0)

    play(run, home, database_url)


def test_a_day_is_the_venues_day(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        # Shanghai's June begins at 16:00 UTC on 31 May.
        june_ms = 1_401_552_000_000
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "may", at_ms=june_ms - 1)
        terminal.redeem(2, "june", at_ms=june_ms)
        time.pass_(3 * DAY_MS)
        await push(core, terminal)
        await core.judge()
        for month in ("2014-05", "2014-06"):
            assert (await core.month_report(month)).total.person_times == 1

    play(run, home)


def test_late_ledgers_restate_the_day_of_the_event(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        time.pass_(40 * DAY_MS)
        assert (await core.month_report("2014-05")).total == Line(
            "", offers_running=2, offers_new=2
        )
        await push(core, terminal)
        await core.judge()
        report = await core.month_report("2014-05")
        assert (report.total.person_times, report.as_of_ms) == (1, time())
        assert (await core.month_report("2014-07")).total.person_times == 0

    play(run, home)


def test_a_wrong_clock_counts_when_it_was_received(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        time.pass_(HOUR_MS)
        terminal.redeem(1, "2031", at_ms=1_924_905_600_000)
        await push(core, terminal)
        await core.judge()
        assert (await core.month_report("2014-05")).total.person_times == 1

    play(run, home)


def test_months_are_checked(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        for bad in ("2014-13", "2014", "14-05", "0000-01", "9999-12", "2014-05-01"):
            with pytest.raises(ImportRefused):
                await core.month_report(bad)

    play(run, home)


def test_every_figure_has_its_definition() -> None:
    figures = set(Line.__dataclass_fields__) - {"key", "title", "title_en", "level"}
    counts = {"manual", "recorded", "confirmed", "lost", "twice"}
    assert figures | counts == set(DEFINITIONS)
    assert all(zh and en for zh, en in DEFINITIONS.values())


@pytest.mark.parametrize(
    ("named", "month"),
    [
        ("2014-05-29", "2014-05"),
        ("2014-04-30", "2014-04"),
        ("2014-06-01", "2014-05"),
        ("yesterday", "2014-05"),
    ],
)
def test_a_late_entry_counts_on_the_day_that_its_sheet_names(
    home: Path, named: str, month: str
) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.append(
            "manual",
            nonce="m",
            card="",
            offer="museum",
            venue="M01",
            operator="op1",
            code="A02",
            sheet="0001-01",
            day=named,
            reason_code="power",
            supervisor="s1",
            quantity=1,
        )
        await push(core, terminal)
        await core.judge()
        counts = (await core.month_report(month)).counts
        assert (counts["manual"], counts["recorded"]) == (1, 0)

    play(run, home)
