"""Staff cards whose roots the federation publishes, and cards known by their number alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from readers.cards.scheme import AuthenticatedCard, CardAssurance
from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.piv import Recipe, TestPivAuthority, VirtualPivCard
from server.publications import PIV_ROOTS_TARGET
from tests.readers.cards.bench import Wire
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.station import Station


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestPivAuthority:
    return TestPivAuthority.in_folder(tmp_path_factory.mktemp("staff-piv"))


@pytest.fixture
def station(tmp_path: Path, world: TestCa, founded: Path) -> Iterator[Station]:
    clock = HandClock()
    federation = Federation(shutil.copytree(founded, tmp_path / "server"), clock)
    federation.members(1)
    made = Station(tmp_path / "terminal", world, federation, clock)
    yield made
    made.close()
    federation.close()


class NumberOnly:
    """A card that has a number and nothing else."""

    interface = Interface.CONTACTLESS

    def process(self, command: bytes) -> bytes:
        return bytes.fromhex("04A1B2C3D4E5F69000" if command[:2] == b"\xff\xca" else "6A81")


def _read(station: Station, card: object) -> AuthenticatedCard | None:
    """What the terminal makes of a card."""
    return station.service.parts.present(Wire(card)).card


def test_staff_cards_are_read_once_their_roots_are_published(
    station: Station, authority: TestPivAuthority
) -> None:
    card = VirtualPivCard(authority, Recipe(), interface=Interface.CONTACTLESS)
    assert station.service.sync_now().status == "ok"
    assert _read(station, card) is None
    bundle = authority.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
    federation = station.federation
    federation.run(federation.core.publish_ca_keys(bundle, target=PIV_ROOTS_TARGET))
    assert station.service.sync_now().status == "ok"
    found = _read(station, card)
    assert found is not None
    assert (found.scheme, found.assurance) == ("piv", CardAssurance.AUTHENTICATED)
    supervisors = station.service.parts.supervisors
    supervisors.provide("chen", "", found.card, active=True)
    assert supervisors.card_tapped(found.card, "counter", station.clock.wall_ms()) == "chen"
    assert station.kiosk(station.card(1)).code == "A00"


def test_roots_that_make_no_sense_leave_the_red_card_alone(station: Station) -> None:
    federation = station.federation
    federation.run(federation.core.publish_ca_keys(b"{}", target=PIV_ROOTS_TARGET))
    assert station.service.sync_now().status == "ok"
    assert any("staff cards" in one for one in station.service.parts.problems())
    assert station.kiosk(station.card(1)).code == "A00"


def test_numbers_are_read_only_where_an_offer_takes_them(station: Station) -> None:
    assert station.service.sync_now().status == "ok"
    assert _read(station, NumberOnly()) is None
    station.federation.publish_offers(museum={"version": 2, "identified": True})
    assert station.service.sync_now().status == "ok"
    found = _read(station, NumberOnly())
    assert found is not None
    assert (found.scheme, found.assurance) == ("uid", CardAssurance.IDENTIFIED)
    assert station.kiosk(station.card(1)).code == "A00"
