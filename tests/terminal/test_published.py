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
from server.stick import write_stick
from sync.client import PullResult
from terminal.errand import pull_from
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


def carry(station: Station, stick: Path) -> PullResult:
    """What the server has in force goes on a stick, and from there into the terminal's home."""
    station.federation.run(write_stick(station.federation.core.publications, stick))
    return pull_from(station.home, stick)


def test_the_same_comes_by_stick_while_the_service_runs(station: Station, tmp_path: Path) -> None:
    station.service.sync_now()
    station.federation.transport.connected = False
    core = station.federation.core
    station.federation.members(3)
    data = json.dumps({"format": FORMAT, "texts": {"L02": {"member": CLOSED}}}).encode()
    station.federation.run(core.announcements.put(CONSOLE_ACTOR, data))
    files = {PROFILES_TARGET: encode({"acme-100.toml": ACME})}
    station.federation.run(
        core.publications.signed_by_custodians(PROFILES_TARGET, files[PROFILES_TARGET])
    )
    result = carry(station, tmp_path / "stick")
    assert (result.status, result.snapshot and result.snapshot.changed) == ("ok", True)
    assert station.service.sync_now().status == "offline"
    assert station.service.status().cards == 3
    assert profiles_of(station.home.path).match_name("ACME 100 PICC 00 00") == "acme-100"
    station.kiosk(station.card(3))
    assert station.kiosk(station.card(3)).message.zh.big == "请稍后再来"
    assert not carry(station, tmp_path / "stick").snapshot.changed  # type: ignore[union-attr]


def test_a_stick_that_is_not_whole_changes_nothing(station: Station, tmp_path: Path) -> None:
    station.service.sync_now()
    version = station.service.status().snapshot_version
    station.federation.members(3)
    stick = tmp_path / "stick"
    station.federation.run(write_stick(station.federation.core.publications, stick))
    (newest,) = (stick / "metadata").glob("*.snapshot.json")
    newest.unlink()
    assert pull_from(station.home, stick).status == "offline"
    station.federation.transport.connected = False
    station.service.sync_now()
    assert station.service.status().snapshot_version == version


def test_a_snapshot_that_only_grows_older_is_as_fresh_as_its_last_signature(
    station: Station, tmp_path: Path
) -> None:
    station.service.sync_now()
    signed_ms = station.service.parts.facts.installed.signed_ms
    station.clock.pass_ms(3_600_000)
    station.service.sync_now()
    assert station.service.parts.facts.installed.signed_ms == signed_ms + 3_600_000
    station.federation.transport.connected = False
    station.clock.pass_ms(3_600_000)
    assert carry(station, tmp_path / "stick").status == "ok"
    station.service.sync_now()
    assert station.service.parts.facts.installed.signed_ms == signed_ms + 7_200_000
