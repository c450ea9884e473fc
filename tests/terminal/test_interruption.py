"""Power cuts, full and failing disks: never a lost or doubled entry, never green without one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LogFault, LogFull, LogLocked
from ledger.log.store import LogStore
from ledger.verify import verify_database
from readers.virtual.authority import TestCa
from terminal.answers import Phase
from tests.terminal.rig import Rig


def _child(path: Path, folder: Path, step: str, nonce: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.terminal.crash_child", str(path), str(folder), step, nonce],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def ca_folder(tmp_path_factory: pytest.TempPathFactory, world: TestCa) -> Path:
    return tmp_path_factory.getbasetemp() / "terminal-ca0"


@pytest.mark.parametrize(("step", "recorded"), [("before_commit", 0), ("after_commit", 1)])
def test_case_78_killed_around_the_commit_the_nonce_says_what_was_recorded(
    tmp_path: Path, world: TestCa, ca_folder: Path, step: str, recorded: int
) -> None:
    home = tmp_path / "terminal"
    killed = _child(home, ca_folder, step, "n1")
    assert killed.returncode == -9, killed.stderr
    assert killed.stdout == ""  # nothing was answered before the cut
    rig = Rig(home, world)
    try:
        assert rig.kinds().count("redeem") == recorded
        unshown = rig.service.last_unshown("counter")
        assert unshown is not None
        assert (unshown.nonce, unshown.recorded) == ("n1", bool(recorded))
        assert unshown.message.zh.big == ("10:00 已登记" if recorded else "请重新刷卡")
        assert ("未登记" in unshown.message.zh.small) == (not recorded)
        again = rig.counter(rig.member(1), "film", "n1")
        assert (again.code, again.replay) == ("A01", bool(recorded))
        assert rig.kinds().count("redeem") == 1
        assert rig.service.last_unshown("counter") is None
    finally:
        rig.close()


def test_a_tap_in_which_nothing_failed_leaves_nothing_to_confirm(rig: Rig) -> None:
    answer = rig.kiosk(rig.member(1))
    rig.service.acknowledge("kiosk", answer.nonce)
    rig.restart()
    assert rig.service.last_unshown("kiosk") is None
    assert rig.service.last_unshown("counter") is None


def test_an_answer_that_no_page_acknowledged_is_told_again_after_a_restart(rig: Rig) -> None:
    answer = rig.kiosk(rig.member(1))
    rig.restart()
    unshown = rig.service.snapshot_view("kiosk").unshown
    assert unshown is not None
    assert (unshown.nonce, unshown.recorded) == (answer.nonce, True)
    assert unshown.message.en.big == "Recorded at 10:00"
    assert unshown.answer is not None
    assert unshown.answer.replay
    rig.service.acknowledge("kiosk", answer.nonce)
    assert rig.service.last_unshown("kiosk") is None
    rig.restart()
    assert rig.service.last_unshown("kiosk") is None


def test_a_power_cut_that_takes_the_note_cannot_take_the_entry(rig: Rig) -> None:
    answer = rig.kiosk(rig.member(1))
    rig.close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (rig.home.path / name).unlink(missing_ok=True)
    rig.start()
    unshown = rig.service.last_unshown("kiosk")
    assert unshown is not None
    assert (unshown.nonce, unshown.recorded) == (answer.nonce, True)


def test_a_hidden_decline_says_its_reason_with_the_time(rig: Rig) -> None:
    rig.kiosk(rig.card(99))
    rig.restart()
    unshown = rig.service.last_unshown("kiosk")
    assert unshown is not None
    assert (unshown.message.zh.big, unshown.recorded) == ("此卡尚未登记", True)
    assert unshown.message.zh.small.startswith("10:00 ")


def fail_append(error: LogFault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(LogStore, "append", refuse)


@pytest.mark.parametrize("error", [LogFull("full"), LogFault("disk I/O error")])
def test_case_79_a_write_that_fails_is_t06_and_no_green_and_the_next_tap_recovers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: LogFault
) -> None:
    card = rig.member(1)
    size = len(rig.entries())
    fail_append(error, monkeypatch)
    answer = rig.kiosk(card)
    assert (answer.outcome, answer.code, answer.green, answer.entry) == (
        "error",
        "T06",
        False,
        None,
    )
    rig.service.dismiss("kiosk")
    assert rig.service.snapshot_view("kiosk").phase is Phase.CLOSED
    assert rig.service.snapshot_view("kiosk").closed_code == "T06"
    assert rig.service.status().fault
    monkeypatch.undo()
    assert len(rig.entries()) == size
    assert rig.kiosk(card).code == "A01"
    assert rig.service.snapshot_view("kiosk").closed_code == ""
    kinds = rig.kinds()[size:]
    # A failed write is put on record once the log takes entries again; a full disk is not.
    assert kinds == (["redeem"] if isinstance(error, LogFull) else ["fault", "redeem"])


def test_a_commit_whose_answer_was_an_error_is_found_by_its_nonce(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = rig.member(1)
    real = LogStore.append

    def durable_but_failed(store: LogStore, entries: Any) -> None:
        real(store, entries)
        raise LogFault("fsync said no")

    monkeypatch.setattr(LogStore, "append", durable_but_failed)
    rig.lay(card)
    answer = rig.service.tap("counter", "film", "n1")
    assert (answer.code, answer.green) == ("T06", False)
    monkeypatch.undo()
    again = rig.service.tap("counter", "film", "n1")
    assert (again.code, again.replay) == ("A01", True)
    assert rig.kinds().count("redeem") == 1
    rig.lift()
    assert rig.counter(card, "film", "n2").code == "L01"  # the folds know it too


def test_a_failed_tap_stays_to_be_confirmed_after_a_restart(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_append(LogFault("disk I/O error"), monkeypatch)
    answer = rig.kiosk(rig.member(1))
    rig.service.dismiss("kiosk")
    rig.close()
    monkeypatch.undo()
    rig.start()
    unshown = rig.service.last_unshown("kiosk")
    assert unshown is not None
    assert (unshown.nonce, unshown.recorded) == (answer.nonce, False)


def test_a_void_on_a_failing_disk_is_t06_and_voids_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.counter(rig.member(1), "film", "n1")
    fail_append(LogFault("disk I/O error"), monkeypatch)
    answer = rig.service.void("counter", "n1", reason="other", void_nonce="v1")
    assert (answer.outcome, answer.code) == ("error", "T06")
    monkeypatch.undo()
    assert rig.service.void("counter", "n1", reason="other", void_nonce="v1").code == "A01"
    assert rig.kinds().count("void") == 1


def test_a_file_size_limit_is_a_real_full_disk(tmp_path: Path, ca_folder: Path) -> None:
    """The kernel refuses to let any file grow: SQLite's own error path, not a patched one."""
    home = tmp_path / "terminal"
    assert _child(home, ca_folder, "never", "n0").returncode == 0
    script = f"""
import resource, sys
from pathlib import Path
import signal
from readers.virtual.authority import TestCa
from tests.terminal.rig import Rig
rig = Rig(Path({str(home)!r}), TestCa.in_folder(Path({str(ca_folder)!r})))
rig.lay(rig.member(2))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
answer = rig.service.tap("counter", "film", "n1")
print(answer.code, answer.green)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
answer = rig.service.tap("counter", "film", "n1")
print(answer.code, answer.green)
print(rig.kinds().count("redeem"))
rig.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:3] == ["T06 False", "A01 True", "2"], done.stdout + done.stderr


def test_a_second_process_is_told_who_holds_the_ledger(rig: Rig) -> None:
    with pytest.raises(LogLocked, match=f"process {os.getpid()}"):
        Rig(rig.home.path, rig.world)


def test_after_all_faults_the_ledger_verifies(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    card = rig.member(1)
    fail_append(LogFault("disk I/O error"), monkeypatch)
    rig.kiosk(card)
    monkeypatch.undo()
    rig.kiosk(card)
    rig.service.void("counter", "nothing", reason="other")
    rig.close()
    report = verify_database(rig.home.ledger_path)
    assert report.ok, report.faults


def test_nothing_on_disk_or_in_a_log_names_a_card(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    import re

    from readers.virtual.unionpay import make_pan

    caplog.set_level("DEBUG")
    serials = range(1, 4)
    for serial in serials:
        rig.kiosk(rig.member(serial))
        rig.counter(rig.member(serial), "proof", f"n{serial}", evidence={"ticket": "7"})
    rig.kiosk(rig.card(99))
    rig.close()
    found = [caplog.text.encode()]
    found += [path.read_bytes() for path in rig.home.path.rglob("*") if path.is_file()]
    ledger = sqlite3.connect(rig.home.ledger_path)
    found += [str(row[0]).encode() for row in ledger.execute("SELECT entry FROM entry")]
    ledger.close()
    for data in found:
        for serial in (*serials, 99):
            pan = make_pan(serial).encode()
            assert pan not in data
            assert pan[-10:] not in data
        # No run of digits that could be a card number but times, counters and hashes in hex.
        for run in re.findall(rb"(?<![0-9a-f])62[0-9]{14,17}(?![0-9a-f])", data):
            raise AssertionError(run)
