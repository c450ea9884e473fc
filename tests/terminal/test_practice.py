"""Practice mode: its own ledger and keys, demo cards only, and nothing of it reaches service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keys.passphrase import PassphraseKeyStore
from ledger.log import canonical
from ledger.log.reading import LogReader
from readers.virtual.authority import TestCa
from terminal.answers import Phase
from terminal.errors import PracticeUnavailable
from tests.terminal.rig import Rig
from tests.terminal.test_collection import opened, with_proxies


@pytest.fixture(scope="module")
def demo_world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """A second authority: the one of the demo cards, unlike that of the members' cards."""
    return TestCa.in_folder(tmp_path_factory.mktemp("demo-ca"))


@pytest.fixture
def rig(tmp_path: Path, world: TestCa, demo_world: TestCa) -> Iterator[Rig]:
    made = with_proxies(Rig(tmp_path / "home", world))
    folder = made.home.path / "practice"
    folder.mkdir(mode=0o700)
    bundle = demo_world.bundle(expires=datetime(2049, 1, 1, tzinfo=UTC))
    (folder / "ca_keys.json").write_bytes(bundle)
    yield made
    made.close()


def test_a_terminal_without_demo_cards_says_how_they_come(tmp_path: Path, world: TestCa) -> None:
    rig = Rig(tmp_path / "home", world)
    try:
        with pytest.raises(PracticeUnavailable, match="redcard practice setup"):
            rig.service.work.start_practice("counter")
        assert rig.service.snapshot_view("counter").practice is False
    finally:
        rig.close()


def test_practice_takes_demo_cards_alone_and_writes_to_its_own_ledger(
    rig: Rig, demo_world: TestCa
) -> None:
    real, member = rig.service.status().size, rig.member(1)
    shown = rig.service.work.start_practice("counter")
    assert (shown.on, rig.service.snapshot_view("counter").practice) == (True, True)
    assert rig.service.snapshot_view("kiosk").practice is False
    refused = rig.counter(member, "film", "tap-1")
    assert (refused.code, refused.outcome) == ("C02", "decline")
    rig.world = demo_world
    demo = rig.card(1)
    assert rig.counter(demo, "film", "tap-2").code == "A00"
    assert rig.counter(demo, "film", "tap-3").code == "L01"
    assert rig.counter(demo, "pack", "tap-4").code == "A00"
    assert rig.counter(demo, "clinic", "tap-5").code == "A00"
    voided = rig.service.void("counter", "tap-2", reason="other")
    assert voided.outcome == "approve"
    assert rig.service.status().size == real
    path = rig.home.path / "practice" / "ledger.db"
    with LogReader.open(path) as reader:
        first = canonical.decode(next(reader.entries(0, 1)))
        kinds = [canonical.decode(data)["kind"] for data in reader.entries(0, reader.size)]
    assert str(first["origin"]).startswith("practice.") and first["practice"] is True
    assert kinds.count("redeem") == 3
    keys = PassphraseKeyStore(path.with_name("keys"), rig.home.passphrase())
    assert keys.public_key("ledger") != rig.keys.public_key("ledger")


def test_a_demo_card_is_not_in_service(rig: Rig, demo_world: TestCa) -> None:
    rig.service.work.start_practice("counter")
    rig.service.work.end_practice("counter")
    assert rig.service.snapshot_view("counter").practice is False
    rig.world = demo_world
    assert rig.counter(rig.card(2), "film", "tap-1").code == "C02"
    assert rig.entries()[-1]["code"] == "C02"


def test_the_daily_work_of_a_practising_counter_stays_in_the_room(
    rig: Rig, demo_world: TestCa
) -> None:
    work, real = rig.service.work, rig.service.status().size
    work.start_practice("counter")
    work.open_shift("counter", "wang")
    work.receive_goods("counter", "pack", 5)
    assert work.goods("counter")[0].on_hand == 5
    assert work.goods("kiosk") == []
    rig.world = demo_world
    rig.lay(rig.card(9))
    shown = work.begin_collection("counter", "film")
    rig.readers["counter"].remove()
    rig.readers["counter"].insert(rig.card(1))
    rig.watch("counter", lambda view: bool(opened(rig).cards))
    rig.readers["counter"].remove()
    assert work.confirm_collection("counter", shown.batch).takable == 1
    assert rig.service.status().size == real
    assert work.end_practice("counter").on is False
    assert rig.service.snapshot_view("counter").shift is None
    assert work.collection("counter") is None


def test_both_ledgers_open_again_after_a_restart(rig: Rig, demo_world: TestCa) -> None:
    first = rig.service.work.start_practice("counter").ledger
    rig.restart()
    assert rig.service.snapshot_view("counter").practice is False
    assert rig.service.work.start_practice("counter").ledger == first
    member, world = rig.member(1), rig.world
    rig.world = demo_world
    assert rig.counter(rig.card(1), "film", "tap-1").code == "A00"
    rig.service.work.end_practice("counter")
    rig.world = world
    assert rig.counter(member, "film", "tap-1").code == "A01"
    assert rig.service.snapshot_view("counter").phase is Phase.IDLE
