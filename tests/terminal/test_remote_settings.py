"""Settings from afar: whole or not at all, never an older number, still there after a restart."""

from __future__ import annotations

from pathlib import Path

from terminal.configuration import PositionConfig, TerminalConfig
from terminal.journal import Journal
from terminal.remote_settings import RemoteSettings

LOCAL = TerminalConfig((PositionConfig("counter", "counter", "M01"),), offline_cap=7)


def test_a_set_is_taken_whole_and_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.db")
    settings = RemoteSettings(journal, LOCAL)
    seen: list[TerminalConfig] = []
    settings.use(seen.append)
    assert seen[-1] == LOCAL
    settings.order({"kind": "configuration", "number": 4, "version": 2, "sync_every_ms": 60_000})
    assert (seen[-1].sync_every_ms, seen[-1].offline_cap) == (60_000, 7)
    settings.order({"kind": "configuration", "version": 1, "sync_every_ms": 2_000})
    settings.order({"kind": "configuration", "version": 3, "offline_cap": 3, "brightness": 5})
    settings.order({"kind": "configuration", "version": 3, "offline_cap": True})
    settings.order({"kind": "configuration", "version": 3, "sync_every_ms": 10})
    assert len(seen) == 2, "what is older or not sound changes nothing"
    assert (settings.standing.version, settings.standing.fault) == (2, "3: sync_every_ms")
    journal.close()
    again = RemoteSettings(journal := Journal(tmp_path / "state.db"), LOCAL)
    assert again.effective.sync_every_ms == 60_000
    again.order({"kind": "configuration", "version": 4})
    assert (again.effective, again.standing.fault) == (LOCAL, ""), "set back by a new number"
    journal.close()
