"""How the commands of ``redcard ledger`` reach a home's ledger and the server's receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from redcard.console import Session
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from ledger.log.reading import LogReader
    from terminal.home import Home

PLACE = ZoneInfo("Asia/Shanghai")
#: Entries read at once while filtering from the newest backwards.
BLOCK_ENTRIES = 4_096


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries somebody wants to see; an empty field takes all.

    Attributes:
        day: local day, YYYY-MM-DD.
        fields: wanted values by field.
    """

    day: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, day: str, **fields: str) -> Filter:
        """A filter of a day, which must be one, and of fields."""
        if day:
            check_day(day)
        return cls(day, tuple((name, value) for name, value in fields.items() if value))

    def takes(self, entry: dict[str, Any]) -> bool:
        """Whether an entry is wanted."""
        if any(entry.get(name) != value for name, value in self.fields):
            return False
        return not self.day or local_time(entry["ts_ms"]).startswith(self.day)


def check_day(day: str) -> None:
    """Refuses what is no day."""
    try:
        valid = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=PLACE).date().isoformat() == day
    except ValueError:
        valid = False
    if not valid:
        raise UsageInvalid(f"{day!r} is no day", next_step="write it as 2014-05-30")


def ledger_path(session: Session) -> Path:
    """The ledger of the session's home."""
    return session.home_or("terminal") / "ledger.db"


def open_ledger(session: Session) -> tuple[Home, LogReader]:
    """The home, and its ledger for reading."""
    from ledger.log.reading import LogReader
    from terminal.home import Home

    home = Home.open(session.home_or("terminal"))
    return home, LogReader.open(home.ledger_path)


def receipts_of(home: Home | None) -> list[Any]:
    """What the server has confirmed, smallest first; empty before the first sync."""
    from sync.state import SyncState

    if home is None or not home.sync_path.exists():
        return []
    with SyncState.open(home.sync_path, origin=home.enrolment().origin) as state:
        return state.receipts()


def entries_of(reader: LogReader) -> Iterator[dict[str, Any]]:
    """All entries, oldest first."""
    from ledger.log import canonical

    for data in reader.entries(0, reader.size):
        yield dict(canonical.decode(data))


def newest(
    reader: LogReader, wanted: Callable[[dict[str, Any]], bool], limit: int
) -> list[dict[str, Any]]:
    """The newest entries that are wanted, at most so many, oldest first."""
    from ledger.log import canonical

    found: list[dict[str, Any]] = []
    stop = reader.size
    while stop > 0 and len(found) < limit:
        start = max(stop - BLOCK_ENTRIES, 0)
        block = [dict(canonical.decode(data)) for data in reader.entries(start, stop)]
        found[:0] = [entry for entry in block if wanted(entry)]
        stop = start
    return found[-limit:]


def lines_of(path: Path) -> int:
    """Lines of a file."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def local_time(ts_ms: int) -> str:
    """Time of day at the place, to the second."""
    return datetime.fromtimestamp(ts_ms / 1000, PLACE).strftime("%Y-%m-%d %H:%M:%S")


def local_day(ts_ms: int) -> str:
    """Local day, YYYY-MM-DD."""
    return local_time(ts_ms)[:10]
