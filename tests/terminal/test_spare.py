"""A spare terminal in service, from the first call to the last entry of the machine it replaces."""

from __future__ import annotations

from pathlib import Path

from readers.virtual.authority import TestCa
from server.roles import CONSOLE_ACTOR
from tests.terminal.clocks import HandClock
from tests.terminal.federation import TERMINAL, Federation
from tests.terminal.station import Station
from tests.terminal.test_orders import federation, rosters, station

__all__ = ["federation", "station"]


def test_a_spare_serves_at_once_and_the_old_machine_is_wiped_when_it_turns_up(
    tmp_path: Path, world: TestCa, station: Station, federation: Federation
) -> None:
    federation.transport.connected = False
    assert station.kiosk(station.card(1)).code in {"A00", "A01"}  # not sent: the machine is gone
    federation.transport.connected = True
    office = federation.core.enrolments
    made = federation.run(office.replace(CONSOLE_ACTOR, TERMINAL, reason="lost"))
    assert isinstance(federation.clock, HandClock)
    spare = Station(tmp_path / "spare", world, federation, federation.clock, code=made.code)
    try:
        assert spare.service.sync_now().status == "ok"
        assert spare.kiosk(spare.card(2)).code == "A00"
        assert spare.home.enrolment().ledger != station.home.enrolment().ledger
        # The old machine turns up: it takes nobody in, and loses all but its signed ledger.
        answer = station.service.sync_now()
        assert (answer.status, answer.pending) == ("revoked", 0)
        assert rosters(station) == []
        assert station.kiosk(station.card(3)).code == "T01"
        assert spare.service.sync_now().status == "ok"
        federation.run(federation.core.judge())
        rows = {one["ledger"]: one for one in federation.run(federation.core.ledgers())}
        old = rows[station.home.enrolment().ledger]
        assert (old["state"], old["terminal"]) == ("revoked_lost", TERMINAL)
        assert old["size"] >= len(station.entries()) - 1, "what it had served is in"
        assert rows[spare.home.enrolment().ledger]["state"] == "ok"
    finally:
        spare.close()
