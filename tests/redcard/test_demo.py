"""The demo as a newcomer runs it: real processes, real pcscd, ten fixed taps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redcard.demo import Demo
from redcard.demo_clock import DEMO_START_MS, LastTime, clock_of, set_clock
from redcard.demo_resume import last_time
from redcard.demo_running import _free_port
from redcard.demo_stage import Stage
from redcard.demo_world import Folders
from terminal.clock import SystemClock, TimeFloor, moment

CODES = ["A00", "A03", "C02", "C04", "C03", "A00", "L01", "A01", "T04", "A01"]
pytestmark = pytest.mark.timeout(300)


def redcard(*words: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "redcard", *words],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "LANG": "C.UTF-8"},
    )


def once(place: Path, *words: str, wrapper: tuple[str, ...] = ()) -> dict[str, Any]:
    done = redcard("demo", "--once", "--dir", str(place), "--json", *words, wrapper=wrapper)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    place = tmp_path_factory.mktemp("demo") / "d"
    yield place, once(place)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.pcscd
@pytest.mark.xdist_group("demo")
def test_ten_taps_through_the_real_pcscd(played: tuple[Path, dict[str, Any]]) -> None:
    _, document = played
    assert document["reader"] == "pcscd"
    assert [tap["code"] for tap in document["taps"]] == CODES
    assert document["taps"][9]["replay"]
    assert document["taps"][9]["entry"] == document["taps"][7]["entry"]
    assert document["sync"] == {"status": "ok", "pending": 0}


@pytest.mark.pcscd
@pytest.mark.xdist_group("demo")
def test_the_report_counts_every_redemption_once(played: tuple[Path, dict[str, Any]]) -> None:
    _, document = played
    lines = {
        line["key"]: (line["persons"], line["person_times"])
        for line in document["report"]["offers"]
    }
    assert lines["BJ-T-005"] == (2, 2)
    assert lines["XC-L-009"] == (1, 1)
    counts = document["report"]["counts"]
    assert [counts[name] for name in ("recorded", "confirmed", "lost", "twice")] == [3, 3, 0, 0]


@pytest.mark.pcscd
@pytest.mark.xdist_group("demo")
def test_the_homes_it_leaves_can_be_asked(
    played: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    home = str(played[0] / "terminal")
    status = redcard("sync", "status", "--home", home, "--json")
    assert json.loads(status.stdout)["pending"] == 0
    verified = redcard("ledger", "verify", "--home", home, "--json")
    assert json.loads(verified.stdout)["ok"], verified.stdout
    exported = redcard("ledger", "export", str(tmp_path / "e"), "--home", home)
    assert exported.returncode == 0, exported.stderr
    assert redcard("ledger", "verify", str(tmp_path / "e")).returncode == 0
    entries = tmp_path / "e" / "entries.jsonl"
    data = bytearray(entries.read_bytes())
    data[len(data) // 2] ^= 1
    entries.write_bytes(bytes(data))
    broken = redcard("ledger", "verify", str(tmp_path / "e"), "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["faults"]


@pytest.mark.pcscd
@pytest.mark.xdist_group("demo")
def test_no_card_number_is_left_anywhere(played: tuple[Path, dict[str, Any]]) -> None:
    """The box's PANs are searched in every file that server and terminal left behind."""
    from datetime import date

    from readers.virtual.authority import TestCa
    from readers.virtual.card_box import demo_box
    from redcard.demo_world import GOOD_CARDS, SEED

    place = played[0]
    box = demo_box(
        TestCa.in_folder(place / "cards"), seed=SEED, today=date(2014, 5, 30), good=GOOD_CARDS
    )
    numbers = {card.identifier for card in box}
    files = [path for path in place.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.db" for path in files)
    for path in files:
        data = path.read_bytes()
        found = [number for number in numbers if number in data]
        assert not found, f"{path} holds a card number"


@pytest.mark.xdist_group("demo")
def test_the_in_process_reader_gives_the_same_codes_on_a_monday_night_in_november(
    tmp_path: Path,
) -> None:
    """The demo runs on a date of its own, whatever the machine's clock says."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("faketime is not installed")
    wrapper = (faketime, "-f", "@2025-11-24 23:50:00")
    document = once(tmp_path / "d", "--in-process", wrapper=wrapper)
    assert document["reader"] == "in-process"
    assert [tap["code"] for tap in document["taps"]] == CODES


@pytest.mark.xdist_group("demo")
def test_a_second_start_resumes_where_the_first_stopped(tmp_path: Path) -> None:
    """Time stands still while the demo is off; its terminal must not think its clock set back."""
    place = tmp_path / "d"
    once(place, "--in-process")
    time.sleep(3)
    folders = Folders(place)
    before = last_time(folders.terminal)
    stage = Stage(folders, lambda _what: None, with_pcscd=False)
    demo = Demo(stage)
    try:
        demo.open(_free_port(), lambda _what: None)
        assert 0 <= stage.clock.wall_ms() - before.wall_ms < 60_000
        answer = demo.redeem("good-3", "kiosk", "BJ-T-005", demo.new_nonce())
        assert answer["code"] == "A00"
    finally:
        stage.stop()


@pytest.mark.xdist_group("demo")
def test_the_demo_clock_pauses_with_its_boot_clock(tmp_path: Path) -> None:
    base = SystemClock()
    an_hour_ago = LastTime(DEMO_START_MS + 600_000, base.boot_ms() - 3_600_000)
    clock = set_clock((tmp_path,), an_hour_ago)
    floor = TimeFloor(DEMO_START_MS + 600_000, base.boot_id(), an_hour_ago.boot_ms)
    assert moment(clock, floor).clock_ok
    assert clock_of(tmp_path).boot_ms() < base.boot_ms() - 3_000_000


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    done = redcard("demo", "--once", "--dir", str(tmp_path), "--json")
    assert done.returncode == 3
    assert "left as it is" in json.loads(done.stdout)["error"]
    assert (tmp_path / "letter.txt").read_text() == "mine"


@pytest.mark.xdist_group("demo")
def test_several_workers_play_the_demo_once(request: pytest.FixtureRequest) -> None:
    """With pytest 9.2, pytest-xdist 3.8 forgets its groups: each worker would play it again."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@demo")
