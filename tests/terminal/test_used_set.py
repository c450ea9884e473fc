"""A use at one terminal counts at another that is cut off, once both have synced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from readers.virtual.authority import TestCa
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import WINDOW
from tests.terminal.station import Station

PACK = {
    "id": "yearly",
    "title": "年度观影",
    "kind": "ticket",
    **WINDOW,
    "limits": [{"count": 1, "per": "offer"}],
    "offline": "open",
}


@pytest.fixture
def federation(tmp_path: Path, founded: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(founded, tmp_path / "server"), HandClock())
    made.run(made.core.publish_offers(json.dumps([PACK]).encode()))
    made.members(1, 2)
    yield made
    made.close()


@pytest.fixture
def stations(
    tmp_path: Path, world: TestCa, federation: Federation
) -> Iterator[tuple[Station, Station]]:
    assert isinstance(federation.clock, HandClock)
    made = [
        Station(tmp_path / name, world, federation, federation.clock, name)
        for name in ("t-1", "t-2")
    ]
    for one in made:
        assert one.service.sync_now().status == "ok"
    yield made[0], made[1]
    for one in made:
        one.close()


def tell(federation: Federation, *stations: Station) -> None:
    for one in stations:
        assert one.service.sync_now().status == "ok"
    federation.run(federation.core.judge())
    federation.run(federation.core.publish_used())
    for one in stations:
        assert one.service.sync_now().status == "ok"


def test_a_use_elsewhere_counts_without_a_connection(
    federation: Federation, stations: tuple[Station, Station]
) -> None:
    first, second = stations
    assert first.counter(first.card(1), "yearly", "n1").code == "A00"
    tell(federation, first, second)
    federation.transport.connected = False
    assert second.counter(second.card(1), "yearly", "n2").code == "L01"
    assert second.counter(second.card(2), "yearly", "n3").outcome == "approve"
    # Its own uses it knows itself: they are not counted twice.
    assert first.counter(first.card(1), "yearly", "n4").code == "L01"
    assert first.counter(first.card(2), "yearly", "n5").outcome == "approve"


def test_what_was_taken_back_counts_nowhere(
    federation: Federation, stations: tuple[Station, Station]
) -> None:
    first, second = stations
    assert first.counter(first.card(1), "yearly", "n1").code == "A00"
    tell(federation, first, second)
    assert first.service.void("counter", "n1", reason="mistake").outcome == "approve"
    tell(federation, first, second)
    assert second.counter(second.card(1), "yearly", "n2").outcome == "approve"


def test_a_used_set_that_says_the_same_is_not_published_again(federation: Federation) -> None:
    assert not federation.run(federation.core.publish_used())
    versions = federation.core.repository.versions()
    assert not federation.run(federation.core.publish_used())
    assert federation.core.repository.versions() == versions
