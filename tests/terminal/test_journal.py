from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from terminal.clock import TimeFloor
from terminal.errors import HomeUnsafe, JournalFault
from terminal.journal import Journal, Pending, SupervisorRow


def test_everything_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    journal = Journal(path)
    journal.begin(Pending("n1", "kiosk", "museum", 10))
    journal.begin(Pending("n2", "kiosk", "museum", 20))
    journal.begin(Pending("n2", "kiosk", "other", 30))
    journal.mark_shown("kiosk", 7)
    journal.mark_shown("kiosk", 3)
    journal.store_floor(TimeFloor(5, "ab", 6))
    journal.store_fact("shift", "x")
    journal.store_supervisor(SupervisorRow("s1", "", b"salt", b"pin", 2, 99))
    journal.close()
    again = Journal(path)
    assert again.pending("kiosk") == [
        Pending("n2", "kiosk", "museum", 20),
        Pending("n1", "kiosk", "museum", 10),
    ]
    assert again.pending("counter") == []
    assert (again.shown("kiosk"), again.shown("counter")) == (7, -1)
    assert again.floor() == TimeFloor(5, "ab", 6)
    assert (again.fact("shift"), again.fact("none")) == ("x", "")
    assert again.supervisors() == [SupervisorRow("s1", "", b"salt", b"pin", 2, 99)]
    again.end("n2")
    again.forget_before(20)
    assert again.pending("kiosk") == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_journal_has_no_floor() -> None:
    assert Journal(":memory:").floor().signed_ms == 0


def test_damage_and_newer_versions_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(HomeUnsafe, match="move the file away"):
        Journal(path)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(HomeUnsafe, match="newer version"):
        Journal(newer)


def test_a_failed_flush_changes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.db")
    journal.store_floor(TimeFloor(5, "ab", 6))
    with pytest.raises(JournalFault, match="cannot be written"):
        journal.store_floor(TimeFloor(None, "ab", 6))  # type: ignore[arg-type]
    assert journal.floor() == TimeFloor(5, "ab", 6)
    journal.store_floor(TimeFloor(7, "ab", 6))
    assert journal.floor().signed_ms == 7
