"""From the server's publication to the terminal: reader profiles, texts of codes, notices."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_profiles.published import encode
from ledger.rules.published_words import FORMAT
from readers.virtual.authority import TestCa
from server.errors import ImportRefused, PublicationRefused
from server.publications import PROFILES_TARGET
from server.roles import CONSOLE_ACTOR
from terminal.reader_profiles import profiles_of
from tests.firmware_profiles.test_published import ACME
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.station import Station

CLOSED = {"zh": ["请稍后再来", "明天九点起"], "en": ["Come back later", "From nine tomorrow"]}


@pytest.fixture
def station(tmp_path: Path, world: TestCa, founded: Path) -> Iterator[Station]:
    clock = HandClock()
    federation = Federation(shutil.copytree(founded, tmp_path / "server"), clock)
    federation.members(1, 2)
    made = Station(tmp_path / "terminal", world, federation, clock)
    yield made
    made.close()
    federation.close()


def publish_profiles(station: Station, files: dict[str, str], instead_of: str = "") -> None:
    core = station.federation.core
    station.federation.run(
        core.publications.signed_by_custodians(
            PROFILES_TARGET, encode(files), instead_of=instead_of
        )
    )
    station.service.sync_now()


def test_published_profiles_are_in_force_after_the_next_pull(station: Station) -> None:
    home, model = station.home.path, "ACME 100 PICC 00 00"
    assert profiles_of(home).match_name(model) == "generic-short"
    publish_profiles(station, {"acme-100.toml": ACME})
    assert profiles_of(home).match_name(model) == "acme-100"
    assert station.service.status().problems == ()
    publish_profiles(station, {"acme-100.toml": ACME.replace("100'", "1['")})
    (problem,) = station.service.status().problems
    assert "no regular expression" in problem
    assert profiles_of(home).match_name(model) == "acme-100", "the last good ones stay"
    station.federation.members(3)
    station.service.sync_now()
    assert station.service.status().cards == 3, "a bad profile holds up nobody's card"
    _, state = station.federation.run(station.federation.core.publications.profiles())
    publish_profiles(station, {}, state)
    assert profiles_of(home).match_name(model) == "generic-short"
    with pytest.raises(PublicationRefused, match="meanwhile"):
        publish_profiles(station, {"acme-100.toml": ACME}, state)


def put(station: Station, **more: object) -> None:
    core = station.federation.core
    data = json.dumps({"format": FORMAT, **more}).encode()
    station.federation.run(core.announcements.put(CONSOLE_ACTOR, data))
    station.service.sync_now()


def test_the_federations_words_are_said_at_the_reader(station: Station) -> None:
    put(station, texts={"L02": {"member": CLOSED}})
    station.kiosk(station.card(1))
    said = station.kiosk(station.card(1)).message
    assert (said.zh.big, said.zh.small, said.en.big) == (
        "请稍后再来",
        "明天九点起",
        "Come back later",
    )
    assert said.operator_zh.big != "请稍后再来"
    station.restart()
    assert station.kiosk(station.card(1)).message.zh.big == "请稍后再来"
    core = station.federation.core
    station.federation.run(core.announcements.take_back(CONSOLE_ACTOR, codes=["L02"]))
    station.service.sync_now()
    assert station.kiosk(station.card(1)).message.zh.big == "今天已入馆"


def test_notices_are_shown_where_and_while_they_hold(station: Station) -> None:
    now_ms = station.clock.wall_ms()
    there = {
        "id": "desheng",
        "zh": "德胜站下午盘点",
        "en": "Stock-taking at Desheng this afternoon",
        "from_ms": 0,
        "until_ms": now_ms + 60_000,
        "districts": ["xicheng"],
    }
    put(station, notices=[there])
    assert [one.id for one in station.service.snapshot_view("counter").notices] == ["desheng"]
    assert station.service.snapshot_view("kiosk").notices == ()
    station.clock.pass_ms(60_000)
    assert station.service.snapshot_view("counter").notices == ()


def test_what_cannot_be_said_changes_nothing(station: Station) -> None:
    put(station, texts={"L02": {"member": CLOSED}})
    core = station.federation.core
    for wrong in ({"texts": {"L98": {"member": CLOSED}}}, {"notices": [{"id": "x"}]}):
        with pytest.raises(ImportRefused, match="nothing was changed"):
            put(station, **wrong)
    nowhere = {"id": "n", "zh": "通知", "en": "N", "from_ms": 0, "until_ms": 9**15}
    with pytest.raises(ImportRefused, match="X9 is none of the venues"):
        put(station, notices=[nowhere | {"venues": ["X9"]}])
    held = station.federation.run(core.announcements.all(CONSOLE_ACTOR))
    assert (list(held["texts"]), held["notices"]) == (["L02"], [])
