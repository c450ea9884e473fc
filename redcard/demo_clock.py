"""The demo's date: a fixed offset beside a home, so that every command on it agrees.

A fresh demo starts on Friday 2014-05-30 at 10:00 in Shanghai and runs at real speed; a second
start resumes at the later of the last ledger time and 10:00. A home without the file runs on the
machine's own clock.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from terminal.clock import Clock, ShiftedClock, SystemClock

#: Friday 2014-05-30 10:00 in Shanghai, three days before that year's Dragon Boat festival.
DEMO_START_MS: Final = int(
    datetime(2014, 5, 30, 10, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000
)
_FILE: Final = "demo-clock.json"


def clock_of(home: Path) -> Clock:
    """The clock that a home runs on: the machine's, or the demo's."""
    base = SystemClock()
    try:
        offset_ms = json.loads((home / _FILE).read_bytes())["offset_ms"]
    except FileNotFoundError:
        return base
    except (ValueError, KeyError, TypeError):
        offset_ms = DEMO_START_MS - base.wall_ms()
    return ShiftedClock(base, int(offset_ms))


def set_clock(homes: tuple[Path, ...], last_ms: int) -> Clock:
    """Puts homes on the demo clock.

    Args:
        homes: folders of server and terminal; they exist.
        last_ms: last time in the ledger, 0 for none.
    """
    base = SystemClock()
    offset_ms = max(DEMO_START_MS, last_ms) - base.wall_ms()
    for home in homes:
        (home / _FILE).write_text(json.dumps({"offset_ms": offset_ms}))
    return ShiftedClock(base, offset_ms)


def is_demo(home: Path) -> bool:
    """Whether a home belongs to a demo."""
    return (home / _FILE).exists()
