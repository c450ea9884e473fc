"""Reservations from the server's promise to the tap: checked offline, taken once, in one place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readers.virtual.authority import TestCa
from readers.virtual.unionpay import make_pan
from server.reservations import Issued
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import OFFERS, WINDOW
from tests.terminal.station import Station

TOUR = {
    "id": "tour",
    "title": "导览",
    "kind": "ticket",
    **WINDOW,
    "limits": [{"count": 2, "per": "day"}],
    "stock": {"per_day": 5},
    "offline": "reserved",
}


@pytest.fixture
def federation(tmp_path: Path, founded: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(founded, tmp_path / "server"), HandClock())
    made.run(made.core.publish_offers(json.dumps([*OFFERS, TOUR]).encode()))
    made.members(1, 2, 3)
    yield made
    made.close()


@pytest.fixture
def station(tmp_path: Path, world: TestCa, federation: Federation) -> Iterator[Station]:
    assert isinstance(federation.clock, HandClock)
    made = Station(tmp_path / "terminal", world, federation, federation.clock, "t-1")
    made.service.sync_now()
    yield made
    made.close()


def reserve(federation: Federation, serial: int, venue: str = "S01", **more: Any) -> Issued:
    from keys.derivation import card_hash

    card = card_hash(federation.home.card_mac(), "unionpay", make_pan(serial).encode("ascii"))
    return federation.run(federation.core.reserve(card, "tour", venue, **more))


def code(station: Station, serial: int, nonce: str, **more: Any) -> str:
    answer = station.counter(station.card(serial), "tour", nonce, **more)
    why = str((answer.details or {}).get("why", ""))
    return f"{answer.code} {why}".strip()


def test_issued_claimed_offline_used_voided_and_counted(
    station: Station, federation: Federation
) -> None:
    assert code(station, 1, "n0") == "O08 none"
    issued = reserve(federation, 1)
    assert code(station, 1, "n1") == "O08 none", "the terminal has not heard of it"
    assert station.service.sync_now().status == "ok"
    federation.transport.connected = False
    assert code(station, 1, "n2", quantity=2) == "O09 too_many"
    assert code(station, 1, "n3") in {"A00", "A01"}
    assert station.entries()[-1]["reservation"] == issued.reservation
    assert code(station, 1, "n4") == "O09 used"
    station.restart()
    assert code(station, 1, "n5") == "O09 used", "a fold over the ledger knows it after a restart"
    assert station.service.void("counter", "n3", reason="mistake").outcome == "approve"
    assert station.entries()[-1]["reservation"] == issued.reservation
    assert code(station, 1, "n6") in {"A00", "A01"}, "a void gives the token back"
    federation.transport.connected = True
    assert station.service.sync_now().status == "ok"
    federation.run(federation.core.judge())
    (row,) = federation.run(federation.core.reservations(offer="tour"))
    assert (row["state"], row["used_seq"] is not None) == ("used", True)
    state = federation.run(federation.core.stock_of("tour"))
    assert (state.redeemed, state.reversed, state.leased) == (1, 1, 0)


def test_a_token_in_the_members_hand_needs_no_feed(
    station: Station, federation: Federation
) -> None:
    issued = reserve(federation, 1)
    shown = {"reservation": issued.token}
    assert code(station, 2, "n1", **shown) == "O09 not_genuine"
    assert code(station, 1, "n2", reservation="a token") == "O09 not_genuine"
    forged = issued.token.replace("units 1", "units 9")
    assert code(station, 1, "n3", reservation=forged) == "O09 not_genuine"
    assert code(station, 1, "n4", **shown) == "A00"
    assert station.service.void("counter", "n4", reason="mistake").outcome == "approve"
    assert code(station, 1, "n5", **shown) == "A00"
    assert code(station, 1, "n6", **shown) == "O09 used"


def test_another_place_time_or_a_withdrawn_one_is_refused(
    station: Station, federation: Federation
) -> None:
    assert isinstance(federation.clock, HandClock)
    reserve(federation, 1, venue="M01")
    withdrawn = reserve(federation, 2)
    short = reserve(federation, 3, until_ms=federation.clock.wall_ms() + 3_600_000)
    station.service.sync_now()
    assert code(station, 1, "n1") == "O09 other_venue"
    assert code(station, 2, "n2", simulate=True) == "A00"
    federation.run(federation.core.cancel_reservation(withdrawn.reservation))
    station.service.sync_now()
    assert code(station, 2, "n3") == "O08 none"
    assert code(station, 2, "n4", reservation=withdrawn.token) == "O09 not_genuine"
    federation.clock.pass_ms(3_600_000)
    assert code(station, 3, "n5") == "O09 expired"
    assert code(station, 3, "n6", reservation=short.token) == "O09 expired"


def test_only_the_counter_that_it_names_takes_it(
    tmp_path: Path, world: TestCa, station: Station, federation: Federation
) -> None:
    assert isinstance(federation.clock, HandClock)
    other = Station(tmp_path / "other", world, federation, federation.clock, "t-2")
    try:
        other.service.sync_now()
        issued = reserve(federation, 1)
        assert code(other, 1, "n1", reservation=issued.token) == "O09 other_terminal"
        assert code(station, 1, "n2", reservation=issued.token) == "A00"
    finally:
        other.close()
