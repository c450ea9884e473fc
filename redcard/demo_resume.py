"""Where an earlier demo stopped, so that the next one goes on from there."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import LogFault
from ledger.log.reading import LogReader
from redcard.demo_clock import LastTime
from sync.state import SyncState
from terminal.clock import SystemClock
from terminal.journal import Journal


def last_time(home: Path) -> LastTime:
    """Where the demo in a terminal's home stopped, from its ledger and what its server signed."""
    boot = SystemClock().boot_id()
    try:
        with LogReader.open(home / "ledger.db") as log:
            newest = log.entry(log.size - 1) or {}
            origin = log.origin
    except LogFault:
        return LastTime()
    known = [(int(str(newest["ts_ms"])), int(str(newest["mono_ms"])), newest.get("boot"))]
    journal = Journal(home / "state.db")
    try:
        floor = journal.floor()
    finally:
        journal.close()
    known.append((floor.signed_ms, floor.boot_ms, floor.boot_id))
    with SyncState.open(home / "sync.db", origin=origin) as state:
        known.append((state.number("signed_ms"), 0, boot))
    return LastTime(
        wall_ms=max(wall_ms for wall_ms, _, _ in known),
        boot_ms=max((boot_ms for _, boot_ms, of in known if of == boot), default=0),
    )
