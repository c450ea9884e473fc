"""A problem that somebody reports: picked by key, kept on the disk, filed once at the server."""

from __future__ import annotations

from typing import Any

import pytest

from server.roles import CONSOLE_ACTOR
from sync.health import PROBLEMS, ProblemReport
from terminal.errors import RequestInvalid
from terminal.problems import REPORTS_KEPT_MAX, ProblemDesk
from terminal.web.abouts import ABOUTS
from tests.terminal.federation import Federation
from tests.terminal.rig import Rig
from tests.terminal.station import Station
from tests.terminal.test_counter_desk import Clerk
from tests.terminal.test_reservations import federation, station

__all__ = ["federation", "station"]


def cases(federation: Federation) -> list[tuple[str, str, str]]:
    found: list[Any] = federation.run(federation.core.case_desk.all(CONSOLE_ACTOR))
    return [(one.reason, one.venue, one.terminal) for one in found if one.kind == "problem"]


def test_a_report_waits_for_the_network_and_is_filed_once(
    station: Station, federation: Federation
) -> None:
    federation.transport.connected = False
    station.service.sync_now()
    clerk = Clerk(station)
    assert "What is it about" in clerk.keys("F1")
    assert 'aria-pressed="true"' in clerk.keys("3")
    assert "Not sent yet" in clerk.keys("Enter")
    clerk.keys("Enter")
    assert "Please tap a card" in clerk.work()
    station.restart()
    federation.transport.connected = True
    assert cases(federation) == []
    station.service.sync_now()
    assert cases(federation) == [("network", "S01", "t-1")]
    station.service.sync_now()
    assert len(cases(federation)) == 1
    assert ProblemDesk(station.service.parts.journal).waiting() == []


def test_enter_without_a_pick_reports_nothing(rig: Rig) -> None:
    clerk = Clerk(rig)
    clerk.keys("F1", "9", "Enter")
    assert "What is it about" in clerk.work()
    assert "missing or wrong" not in clerk.work()
    assert ProblemDesk(rig.service.parts.journal).waiting() == []
    clerk.keys("Escape")
    assert "Please tap a card" in clerk.work()


def test_the_newest_reports_are_kept_and_only_known_words(rig: Rig) -> None:
    assert tuple(ABOUTS) == PROBLEMS
    desk = ProblemDesk(rig.service.parts.journal)
    for number in range(REPORTS_KEPT_MAX + 3):
        kept = desk.keep(ProblemReport(f"n{number:03}", "reader", "S01", "", number))
    assert kept == REPORTS_KEPT_MAX
    assert [one.ts_ms for one in desk.waiting()] == list(range(3, REPORTS_KEPT_MAX + 3))
    with pytest.raises(RequestInvalid):
        rig.service.report_problem("counter", "the clerk's name")
    rig.service.parts.journal.store_fact("problem.x", "{}")
    assert len(desk.waiting()) == REPORTS_KEPT_MAX
