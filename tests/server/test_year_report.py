"""The year's figures, what they are compared with, and what late ledgers change of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.core import ServerCore
from server.errors import ImportRefused
from server.report_lines import growth
from server.year_report import _peaks
from tests.server.world import DAY_MS, START_MS, Time, enrol, play, push

YEAR_MS = 365 * DAY_MS


def offer(name: str, since: str, until: str, **fields: str) -> dict[str, object]:
    return {
        "id": name,
        "title": name,
        "kind": "service",
        "level": "city",
        "from": f"{since}T00:00:00+08:00",
        "until": f"{until}T00:00:00+08:00",
        "limits": [{"count": 1000, "per": "offer"}],
        "offline": "open",
        **fields,
    }


OFFERS = [
    offer("spring", "2014-03-10", "2014-05-02", category="文化体育", level="district"),
    offer("long", "2013-12-31", "2014-02-01", category="文化体育"),
    offer("one", "2014-06-01", "2014-07-01", category="医药健康"),
    offer("old", "2013-05-01", "2013-06-01", category="医药健康"),
]


def test_offers_are_distinct_and_count_in_every_month_they_run(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps(OFFERS).encode())
        report = await core.year_report("2014")
        # The world's museum runs May to October, its pack May and June.
        assert report.total.offers_running == 5
        by_month = [line.offers_running for line in report.months]
        assert by_month == [1, 0 + 1 - 1, 1, 1, 3, 3, 1, 1, 1, 1, 0, 0]
        assert report.offer_months == 13
        assert report.mean_offers == "1.08"
        assert report.peak_offers == ("2014-05", "2014-06")
        assert report.peak_person_times == ()
        assert report.total.offers_new == 4
        assert report.last_year.offers_running == 2
        assert report.last_year.growth == {
            "person_times": None,
            "persons": None,
            "offers_running": 150,
        }

    play(run, home)


def test_figures_of_a_year_on_both_engines(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps(OFFERS).encode())
        time.pass_(-YEAR_MS)
        counter = await enrol(core, "desheng", time, venues=["S0201"])
        counter.redeem(9, "last-year", offer="old")
        await push(core, counter)
        time.pass_(YEAR_MS)
        museum = await enrol(core, "kiosk", time)
        for who in range(3):
            museum.redeem(who, f"m{who}", offer="museum", quantity=2, companions=1)
            counter.redeem(who, f"s{who}", offer="museum", at_ms=START_MS + 40 * DAY_MS)
        counter.redeem(9, "june", offer="one", at_ms=START_MS + 3 * DAY_MS)
        time.pass_(60 * DAY_MS)
        await push(core, museum)
        await push(core, counter, 1)
        await core.judge()
        report = await core.year_report("2014")
        total = report.total
        assert (total.person_times, total.persons, total.quantity, total.companions) == (
            7,
            4,
            10,
            3,
        )
        assert {line.key: line.person_times for line in report.months if line.person_times} == {
            "2014-05": 3,
            "2014-06": 1,
            "2014-07": 3,
        }
        assert (report.mean_person_times, report.peak_person_times) == (1, ("2014-05", "2014-07"))
        assert [(line.key, line.persons, line.person_times) for line in report.districts] == [
            ("西城区", 4, 4),
            ("东城区", 3, 3),
        ]
        assert [(line.key, line.person_times) for line in report.categories] == [
            ("", 6),
            ("医药健康", 1),
        ]
        assert [(line.key, line.title, line.persons) for line in report.venues] == [
            ("S0201", "德胜", 4),
            ("M01", "孔庙和国子监博物馆", 3),
        ]
        assert [line.persons for line in report.levels] == [4, 0, 0]
        before = report.last_year
        assert (before.period, before.person_times, before.growth["person_times"]) == (
            "2013",
            1,
            600,
        )
        month = await core.month_report("2014-06")
        assert (month.last_month.period, month.last_month.person_times) == ("2014-05", 3)
        assert (month.last_year.period, month.last_year.person_times) == ("2013-06", 0)
        assert month.last_month.growth["person_times"] == -67

    play(run, home, database_url)


def test_what_was_stated_is_restated_by_what_comes_late(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        late = await enrol(core, "late", time)
        terminal.redeem(0, "n0")
        time.pass_(40 * DAY_MS)
        await push(core, terminal)
        await core.judge()
        assert (await core.month_report("2014-05")).stated is None
        assert (await core.state_period("2014-05", "zhao")).person_times == 1
        stated_ms = time()
        told = (await core.month_report("2014-05")).stated
        assert told is not None
        assert (told.stated_ms, told.person, told.changed) == (stated_ms, "zhao", {})
        late.redeem(1, "n1", at_ms=START_MS + 1, quantity=3)
        seq = late.redeem(2, "n2", at_ms=START_MS + 2)
        late.void(seq, "v2", at_ms=START_MS + 3)
        time.pass_(DAY_MS)
        await push(core, late)
        await core.judge()
        told = (await core.month_report("2014-05")).stated
        assert told is not None
        assert told.changed == {"person_times": 1, "persons": 1, "quantity": 3}
        assert told.totals["person_times"] == 1
        assert (await core.year_report("2014")).total.person_times == 2

    play(run, home)


def test_a_void_of_the_next_month_takes_from_the_month_of_its_original(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        may_end_ms = 1_401_552_000_000  # June begins in Shanghai
        terminal = await enrol(core, "kiosk", time)
        seq = terminal.redeem(0, "n0", at_ms=may_end_ms - 60_000)
        time.pass_(3 * DAY_MS)
        await push(core, terminal)
        await core.judge()
        assert (await core.month_report("2014-05")).total.person_times == 1
        terminal.void(seq, "v0", at_ms=may_end_ms + 60_000)
        await push(core, terminal, 1)
        await core.judge()
        assert (await core.month_report("2014-05")).total.person_times == 0
        assert (await core.year_report("2014")).total.person_times == 0

    play(run, home)


def test_an_offer_of_another_category_counts_there_from_now_on(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(0, "n0")
        time.pass_(DAY_MS)
        await push(core, terminal)
        await core.judge()
        assert [one.key for one in (await core.month_report("2014-05")).categories] == [""]
        await core.change_offer("museum", {"category": "文化体育"})
        assert [one.key for one in (await core.month_report("2014-05")).categories] == ["文化体育"]

    play(run, home)


def test_everything_is_counted_when_nobody_waits(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(0, "may")
        terminal.redeem(0, "july", at_ms=START_MS + 40 * DAY_MS)
        time.pass_(41 * DAY_MS)
        await push(core, terminal)
        await core.judge()
        assert await core.count_statistics() == 3  # two months and their year
        await core.projector.rebuild()
        assert (await core.year_report("2014")).total.person_times == 2

    play(run, home)


@pytest.mark.parametrize("year", ["2014-05", "14", "", "20140", "9999", "二〇一四"])
def test_what_is_no_year_is_refused(home: Path, year: str) -> None:
    async def run(core: ServerCore, _time: Time) -> None:
        with pytest.raises(ImportRefused):
            await core.year_report(year)
        with pytest.raises(ImportRefused):
            await core.month_report("2014")

    play(run, home)


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [
        (1029, 415, 148),
        (1_900_000, 569_000, 234),
        (1, 0, None),
        (0, 5, -100),
        (1, 3, -67),
        (3, 3, 0),
    ],
)
def test_growth_is_in_whole_percent(now: int, before: int, percent: int | None) -> None:
    assert growth(now, before) == percent


def test_peaks_are_the_two_largest_and_their_equals() -> None:
    assert _peaks({"a": 3, "b": 5, "c": 1}) == ("b", "a")
    assert _peaks({"a": 3, "b": 3, "c": 3}) == ("a", "b", "c")
    assert _peaks({"a": 3, "b": 0, "c": 0}) == ("a",)
    assert _peaks({"a": 0, "b": 0}) == ()
