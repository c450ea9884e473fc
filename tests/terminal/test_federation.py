"""From enrolment to judgement with the real server: every port joined as in the field."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keys.keystore import MemoryKeyStore
from ledger.errors import OfferInvalid
from ledger.log.reading import LogReader
from ledger.rules.catalogue import Catalogue, load_offers
from ledger.rules.terms import CardStatus
from readers.virtual.authority import TestCa
from server.roles import CONSOLE_ACTOR
from sync.errors import Unreachable
from terminal.enrolment import enrol
from terminal.errors import EnrolmentRefused, NotEnrolled
from terminal.home import Home
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import CONFIG
from tests.terminal.station import Station


@pytest.fixture
def federation(tmp_path: Path, founded: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(founded, tmp_path / "server"), HandClock())
    yield made
    made.close()


@pytest.fixture
def station(tmp_path: Path, world: TestCa, federation: Federation) -> Iterator[Station]:
    federation.members(1, 2, 3)
    federation.members(4, status=CardStatus.BLOCKED)
    clock = federation.clock
    assert isinstance(clock, HandClock)
    made = Station(tmp_path / "terminal", world, federation, clock)
    yield made
    made.close()


def test_enrol_pull_tap_sync_and_be_judged(station: Station) -> None:
    pulled = station.service.sync_now()
    assert pulled.status == "ok", pulled.problem
    status = station.service.status()
    assert (status.offers, status.cards) == (5, 4)
    assert status.link.connected
    assert [station.kiosk(station.card(serial)).code for serial in (1, 1, 4, 99)] == [
        "A00",
        "L02",
        "C04",
        "C03",
    ]
    assert station.service.snapshot_view("kiosk").signed == 1
    assert station.service.snapshot_view("kiosk").confirmed == 0
    answer = station.service.sync_now()
    assert (answer.status, answer.pending) == ("ok", 0), answer.problem
    view = station.service.snapshot_view("kiosk")
    assert (view.signed, view.confirmed) == (1, 1)
    assert station.service.sync_now().status == "ok"
    recent = station.service.recent("kiosk")
    assert all(tap.confirmed for tap in recent)
    (told,) = station.federation.run(station.federation.core.fleet_desk.all(CONSOLE_ACTOR))
    assert (told.snapshot, told.configuration, told.queue) == ("fresh", 0, 0)
    assert told.version
    assert {tap.verdict for tap in recent} == {"accepted"}


def test_offline_taps_are_provisional_and_counted_once_after_reconnecting(
    station: Station,
) -> None:
    station.service.sync_now()
    station.federation.transport.connected = False
    assert station.service.sync_now().status == "offline"
    assert station.kiosk(station.card(1)).code == "A01"
    assert station.counter(station.card(2), "clinic", "n1").code == "T04"
    pending = station.service.status().link.pending
    assert pending >= 2
    station.federation.transport.connected = True
    station.federation.transport.lose_answers = 1
    assert station.service.sync_now().status == "offline"
    answer = station.service.sync_now()
    assert (answer.status, answer.pending) == ("ok", 0)
    assert station.kinds().count("redeem") == 1


def test_a_lease_arrives_by_the_feed_is_spent_and_recalled(station: Station) -> None:
    federation = station.federation
    federation.publish_offers(
        pack={"version": 2, "stock": {"mode": "pool", "quantity": 100, "leases": {"t-1": 3}}}
    )
    station.service.sync_now()
    assert station.kinds().count("lease") == 1
    assert station.counter(station.card(1), "pack", "n1").code == "A00"
    assert station.entries()[-1]["lease"] == station.entries()[-2]["lease"]
    view = station.service.snapshot_view("counter")
    assert view.link.connected
    ledger = station.home.enrolment().ledger
    federation.run(federation.core.recall(ledger, "pack"))
    station.service.sync_now()
    closed = station.entries()[-1]
    assert (closed["kind"], closed["spent"]) == ("lease_close", 1)
    station.federation.transport.connected = False
    assert station.counter(station.card(2), "pack", "n2").code == "L07"
    station.federation.transport.connected = True
    station.service.sync_now()
    station.restart()
    station.service.sync_now()
    assert station.kinds().count("lease_close") == 1  # the ledger is the feed's cursor
    assert station.kinds().count("lease") == 1


def test_a_blocked_card_is_refused_after_the_next_pull(station: Station) -> None:
    station.service.sync_now()
    assert station.kiosk(station.card(1)).code == "A00"
    station.federation.members(2, status=CardStatus.BLOCKED)
    assert station.service.sync_now().status == "ok"
    assert station.kiosk(station.card(2)).code == "C04"


def test_snapshot_and_receipts_survive_a_restart_without_a_network(station: Station) -> None:
    station.service.sync_now()
    station.kiosk(station.card(1))
    station.service.sync_now()
    station.federation.transport.connected = False
    station.restart()
    status = station.service.status()
    assert (status.offers, status.cards, status.link.pending) == (5, 4, 0)
    assert station.kiosk(station.card(1)).code == "L02"
    assert station.kiosk(station.card(2)).code == "A01"


def test_before_the_first_pull_every_card_is_unknown(station: Station) -> None:
    assert station.kiosk(station.card(1)).code == "C03"


def test_a_malformed_signed_snapshot_is_refused_whole(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.service.sync_now()
    version = station.service.status().snapshot_version

    def broken(*_: object, **__: object) -> None:
        raise OfferInvalid("offers must be a list", line=1)

    monkeypatch.setattr("terminal.install.load_offers", broken)
    station.federation.publish_offers(film={"version": 2, "cap": 4})
    answer = station.service.sync_now()
    assert answer.status == "refused"
    assert "line 1" in answer.problem
    assert station.service.status().snapshot_version == version
    assert station.kiosk(station.card(1)).code == "A01"
    monkeypatch.setattr("terminal.install.load_offers", _refusing_version_2)
    station.restart()
    status = station.service.status()
    assert (status.snapshot_version, status.cards) == (version, 4)
    assert any("stays in force" in problem for problem in status.problems)
    assert station.kiosk(station.card(2)).code == "A01"
    monkeypatch.undo()
    assert station.service.sync_now().status == "ok"
    assert station.service.status().snapshot_version > version


def _refusing_version_2(data: bytes, **more: Any) -> Catalogue:
    """Makes sense of every catalogue but the one that was refused."""
    if b'"cap": 4' in data or b'"cap":4' in data:
        raise OfferInvalid("offers must be a list", line=1)
    return load_offers(data, **more)


def test_a_kept_snapshot_that_the_disk_has_altered_is_not_used(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.service.sync_now()
    station.federation.publish_offers(film={"version": 2, "cap": 4})
    monkeypatch.setattr("terminal.install.load_offers", _refusing_version_2)
    assert station.service.sync_now().status == "refused"
    kept = station.home.path / "kept" / "offers_offers.json"
    station.close()
    data = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(data.replace(b"film", b"folm"))
    station.start()
    assert station.service.status().offers == 0


def test_a_roster_of_another_card_key_is_told(station: Station) -> None:
    enrolment = station.home.enrolment()
    station.home.write_enrolment(replace(enrolment, card_key_id="older"))
    station.restart()
    station.service.sync_now()
    assert any("card key" in problem for problem in station.service.status().problems)


def test_a_revoked_terminal_takes_no_more_taps(station: Station) -> None:
    station.service.sync_now()
    station.kiosk(station.card(1))
    ledger = station.home.enrolment().ledger
    station.federation.run(station.federation.core.revoke(ledger, "retired"))
    answer = station.service.sync_now()
    assert answer.status == "revoked"
    assert answer.pending == 0  # what was signed before is still taken
    assert station.kiosk(station.card(2)).code == "T01"
    station.federation.transport.connected = False
    station.restart()
    assert station.kiosk(station.card(2)).code == "T01"


def test_signed_time_becomes_the_floor(station: Station) -> None:
    station.service.sync_now()
    station.clock.wall -= 600_000
    assert station.kiosk(station.card(1)).code == "T03"


def test_a_used_code_and_a_second_enrolment_are_refused(
    tmp_path: Path, world: TestCa, federation: Federation
) -> None:
    clock, code = HandClock(), federation.code()
    home = Home.create(tmp_path / "a", CONFIG.format(extra=""))
    enrol(home, code, federation.transport, clock, keys=MemoryKeyStore())
    with LogReader.open(home.ledger_path) as reader:
        assert reader.origin == home.enrolment().origin
    with pytest.raises(EnrolmentRefused, match="enrolled already"):
        enrol(home, federation.code(), federation.transport, clock, keys=MemoryKeyStore())
    other = Home.create(tmp_path / "b", CONFIG.format(extra=""))
    for wrong in (code, "AAAAA-BBBBB-CCCCC-DDDDD", "x"):
        with pytest.raises(EnrolmentRefused, match=r"[Nn]othing was enrolled"):
            enrol(other, wrong, federation.transport, clock, keys=MemoryKeyStore())
        with pytest.raises(NotEnrolled):
            other.enrolment()


def test_an_enrolment_whose_answer_was_lost_is_begun_again_with_the_same_code(
    tmp_path: Path, federation: Federation
) -> None:
    keys, code = MemoryKeyStore(), federation.code()
    home = Home.create(tmp_path / "a", CONFIG.format(extra=""))
    federation.transport.lose_answers = 1
    with pytest.raises(Unreachable):
        enrol(home, code, federation.transport, HandClock(), keys=keys)
    enrolment = enrol(home, code, federation.transport, HandClock(), keys=keys)
    assert home.enrolment() == enrolment


def test_a_ledger_with_redemptions_is_never_replaced_by_an_enrolment(station: Station) -> None:
    station.kiosk(station.card(1))
    station.close()
    (station.home.path / "enrolment.json").rename(station.home.path / "aside")
    before = station.home.ledger_path.read_bytes()
    with pytest.raises(EnrolmentRefused, match="holds redemptions"):
        enrol(
            station.home,
            station.federation.code(),
            station.federation.transport,
            station.clock,
            keys=station.keys,
        )
    assert station.home.ledger_path.read_bytes() == before
    (station.home.path / "aside").rename(station.home.path / "enrolment.json")
    station.start()


def test_settings_come_from_afar_and_are_reported(station: Station) -> None:
    federation, service = station.federation, station.service
    settings = {"offline_cap": 3, "sync_every_ms": 45_000}
    federation.run(federation.core.configurations.set(CONSOLE_ACTOR, settings))
    assert service.sync_now().status == "ok"
    assert (service.parts.flow.offline_cap, service.parts.courier.every_ms) == (3, 45_000)
    (told,) = federation.run(federation.core.fleet_desk.all(CONSOLE_ACTOR))
    assert (told.configuration, told.wished) == (1, 1)
    federation.run(federation.core.configurations.set(CONSOLE_ACTOR, {"offline_cap": 9}))
    federation.run(federation.core.configurations.roll_back(CONSOLE_ACTOR, 1))
    assert service.sync_now().status == "ok"
    assert service.parts.flow.offline_cap == 3
