"""What the server orders of a terminal: the wipe, and its supervisors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keys.errors import KeyUnknown
from keys.keystore import MemoryKeyStore
from keys.pin import pin_verifier
from ledger.log import canonical
from readers.virtual.authority import TestCa
from sync.roster import MAGIC
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.station import Station


@pytest.fixture
def federation(tmp_path: Path, founded: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(founded, tmp_path / "server"), HandClock())
    made.members(1, 2, 3)
    yield made
    made.close()


@pytest.fixture
def station(tmp_path: Path, world: TestCa, federation: Federation) -> Iterator[Station]:
    assert isinstance(federation.clock, HandClock)
    made = Station(tmp_path / "terminal", world, federation, federation.clock)
    assert made.service.sync_now().status == "ok"
    yield made
    made.close()


def rosters(station: Station) -> list[Path]:
    """Files of the home that are a roster, whatever their name."""
    files = [path for path in station.home.path.rglob("*") if path.is_file()]
    return [path for path in files if path.read_bytes().startswith(MAGIC)]


def revoke(station: Station, reason: str) -> None:
    ledger = station.home.enrolment().ledger
    station.federation.run(station.federation.core.revoke(ledger, reason))


# The wipe.


@pytest.mark.parametrize("reason", ["retired", "lost", "compromised"])
def test_a_revoked_terminal_forgets_cards_and_key_and_keeps_its_ledger(
    station: Station, reason: str
) -> None:
    assert station.kiosk(station.card(1)).code == "A00"
    before = len(station.entries())
    assert len(rosters(station)) == 2  # in force, and kept
    station.keys.mac("card", b"x")
    revoke(station, reason)
    assert station.service.sync_now().status == "revoked"
    assert rosters(station) == []
    with pytest.raises(KeyUnknown):
        station.keys.mac("card", b"x")
    assert station.kiosk(station.card(2)).code == "T01"
    assert [entry["kind"] for entry in station.entries()[:before]].count("redeem") == 1
    assert station.keys.public_key("ledger")
    status = station.service.status()
    assert (status.cards, status.offers) == (0, 0)
    assert any("wiped" in problem for problem in status.problems)
    # Nothing is fetched again, now or after a restart without a network.
    answer = station.service.sync_now()
    assert answer.status == "revoked"
    assert rosters(station) == []
    station.federation.transport.connected = False
    station.restart()
    assert station.kiosk(station.card(2)).code == "T01"
    assert rosters(station) == []
    if reason != "compromised":
        station.federation.transport.connected = True
        assert station.service.sync_now().pending == 0  # its ledger is still taken


def test_a_wipe_that_the_power_cut_short_is_finished_at_the_next_start(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(_store: object, _name: str) -> None:
        raise PowerCut

    revoke(station, "lost")
    with monkeypatch.context() as broken:
        broken.setattr(MemoryKeyStore, "erase", cut)
        with pytest.raises(PowerCut):
            station.service.sync_now()
    station.keys.mac("card", b"x")
    assert rosters(station)
    station.federation.transport.connected = False
    station.restart()
    with pytest.raises(KeyUnknown):
        station.keys.mac("card", b"x")
    assert rosters(station) == []
    assert station.kiosk(station.card(1)).code == "T01"


def test_a_wipe_does_not_wait_for_a_ledger_that_fails(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke(station, "lost")
    with station.service.parts.writer.turn:
        station.service.parts.writer.log.close()
    station.service.sync_now()
    assert rosters(station) == []


def test_a_wiped_terminal_stays_closed_whatever_the_server_says_later(station: Station) -> None:
    revoke(station, "lost")
    station.service.sync_now()
    station.service.parts.courier._stand("ok")
    assert station.service.parts.facts.link.revoked


# Supervisors.


def provide(station: Station, name: str, pin: str = "", card: str = "", **more: bool) -> None:
    core = station.federation.core
    station.federation.run(
        core.provide_supervisor("t-1", name, pin=pin, card=card, active=more.get("active", True))
    )


def test_a_supervisor_is_provided_by_the_server_and_withdrawn(station: Station) -> None:
    provide(station, "chief", pin_verifier("24680"))
    assert station.service.sync_now().status == "ok"
    assert station.counter(station.card(1), "film", "n1").code == "A00"
    order = {"supervisor": "chief", "supervisor_pin": "24680", "reason": "other"}
    assert station.counter(station.card(1), "film", "n2", **order).code == "A02"
    assert station.entries()[-1]["supervisor"] == "chief"
    provide(station, "chief", active=False)
    station.service.sync_now()
    assert station.counter(station.card(1), "film", "n3", **order).code == "T05"
    assert "feed" not in station.entries()[-1]


def test_a_repeated_order_ends_no_lockout(station: Station) -> None:
    verifier = pin_verifier("24680")
    provide(station, "chief", verifier)
    station.service.sync_now()
    supervisors, now_ms = station.service.parts.supervisors, station.clock.wall
    for _ in range(5):
        assert not supervisors.prove("chief", "1111", "counter", now_ms).ok
    provide(station, "chief", verifier)
    station.service.sync_now()
    station.restart()
    station.service.sync_now()
    supervisors = station.service.parts.supervisors
    assert not supervisors.prove("chief", "24680", "counter", now_ms).ok
    provide(station, "chief", pin_verifier("13579"))
    station.service.sync_now()
    assert supervisors.prove("chief", "13579", "counter", now_ms).ok


def test_an_order_that_makes_no_sense_stops_no_other(station: Station) -> None:
    state = station.service.parts.courier.client
    assert state is not None
    number = 1_000
    records: list[dict[str, Any]] = [
        {"kind": "supervisor", "id": "a b", "pin": "", "card": "", "active": True},
        {"kind": "supervisor", "id": "bad", "pin": "1234", "card": "", "active": True},
        {"kind": "later", "x": 1},
        {
            "kind": "supervisor",
            "id": "good",
            "pin": pin_verifier("1234"),
            "card": "",
            "active": True,
        },
    ]
    state._state.add_feed(
        [
            (number + place, canonical.encode({**record, "number": number + place}))
            for place, record in enumerate(records)
        ],
        number + len(records),
        0,
    )
    assert station.service.sync_now().status == "ok"
    supervisors = station.service.parts.supervisors
    assert supervisors.prove("good", "1234", "counter", 0).ok
    assert not supervisors.prove("bad", "1234", "counter", 0).ok


def test_the_terminal_that_takes_a_place_is_told_of_its_supervisors(
    tmp_path: Path, world: TestCa, station: Station
) -> None:
    provide(station, "chief", pin_verifier("24680"))
    provide(station, "gone", pin_verifier("24680"))
    provide(station, "gone", active=False)
    revoke(station, "retired")
    spare = Station(tmp_path / "spare", world, station.federation, station.clock)
    try:
        spare.service.sync_now()
        assert spare.service.parts.supervisors.prove("chief", "24680", "counter", 0).ok
        assert not spare.service.parts.supervisors.prove("gone", "24680", "counter", 0).ok
    finally:
        spare.close()
