"""The demo's date: a fixed offset beside a home, so that every command on it agrees.

A fresh demo starts on Friday 2014-05-30 at 10:00 in Shanghai and runs at real speed; a second
start resumes at the later of 10:00 and the last time in the ledger or signed by the server. A home
without the file runs on the machine's own clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from terminal.clock import Clock, ShiftedClock, SystemClock

#: Friday 2014-05-30 10:00 in Shanghai, three days before that year's Dragon Boat festival.
DEMO_START_MS: Final = int(
    datetime(2014, 5, 30, 10, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000
)
_FILE: Final = "demo-clock.json"


@dataclass(frozen=True, slots=True)
class LastTime:
    """Where an earlier demo stopped; time stood still for it since.

    Attributes:
        wall_ms: the latest time it knew, by its ledger or signed by its server; 0 for none.
        boot_ms: boot time noted with it, 0 if the machine was started since.
    """

    wall_ms: int = 0
    boot_ms: int = 0


def clock_of(home: Path) -> Clock:
    """The clock that a home runs on: the machine's, or the demo's."""
    base = SystemClock()
    try:
        stored = json.loads((home / _FILE).read_bytes())
        return ShiftedClock(base, int(stored["offset_ms"]), int(stored["paused_ms"]))
    except FileNotFoundError:
        return base
    except (ValueError, KeyError, TypeError):
        return ShiftedClock(base, DEMO_START_MS - base.wall_ms())


def set_clock(homes: tuple[Path, ...], last: LastTime) -> Clock:
    """Puts homes on the demo clock.

    The boot clock resumes as well: a terminal adds what it counts to the time that its server
    signed, and would otherwise find its wall clock far behind.

    Args:
        homes: folders of server and terminal; they exist.
        last: where an earlier demo stopped.
    """
    base = SystemClock()
    offset_ms = max(DEMO_START_MS, last.wall_ms) - base.wall_ms()
    paused_ms = max(0, base.boot_ms() - last.boot_ms) if last.boot_ms else 0
    for home in homes:
        (home / _FILE).write_text(json.dumps({"offset_ms": offset_ms, "paused_ms": paused_ms}))
    return ShiftedClock(base, offset_ms, paused_ms)


def is_demo(home: Path) -> bool:
    """Whether a home belongs to a demo."""
    return (home / _FILE).exists()
