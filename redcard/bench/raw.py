"""The limits that figures stand beside: what the disk and the hash cost with nothing of ours."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from ledger.log.store import WAL_PAGES_MAX

#: A disk is measured in as many rounds; the best of them counts, for both sides.
ROUNDS: Final = 5


_APPENDING: Final = """
CREATE TRIGGER appending INSTEAD OF INSERT ON append BEGIN
    INSERT INTO entry VALUES (NEW.seq, NEW.entry);
    UPDATE head SET note = NEW.note WHERE id = 0;
END
"""


def _nothing() -> None:
    """What most steps need before they are timed."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is timed again and again.

    Attributes:
        act: is timed.
        prepare: is called before each, and is not.
    """

    act: Callable[[], object]
    prepare: Callable[[], object] = _nothing


@dataclass(frozen=True, slots=True)
class Samples:
    """Durations of one round, in seconds, in ascending order."""

    seconds: tuple[float, ...]

    @classmethod
    def of(cls, *steps: Step, count: int) -> list[Self]:
        """Runs steps in turn, ``count`` times each, and times each: what disturbs one disturbs all.

        Returns:
            The samples of every step, in their order.
        """
        taken: list[list[float]] = [[] for _ in steps]
        for _ in range(count):
            for step, into in zip(steps, taken, strict=True):
                step.prepare()
                before = time.perf_counter()
                step.act()
                into.append(time.perf_counter() - before)
        return [cls(tuple(sorted(one))) for one in taken]

    def quantile(self, part: float) -> float:
        """The duration below which ``part`` (0 to 1) of the samples lie, in microseconds."""
        return self.seconds[min(int(len(self.seconds) * part), len(self.seconds) - 1)] * 1e6

    def rate(self) -> float:
        """Steps a second."""
        return len(self.seconds) / sum(self.seconds)


class RawAppend:
    """Writes records into a preallocated file, each flushed by fdatasync."""

    def __init__(self, directory: Path, record: bytes, count: int) -> None:
        """Makes a file with room for ``count`` records, every block written once and flushed."""
        self._path = directory / "raw-append"
        self._record = record
        self._offset = 0
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        block = bytes([255]) * (1 << 20)
        for at in range(0, count * len(record), len(block)):
            os.pwrite(self._file, block, at)
        os.fsync(self._file)

    def append(self) -> None:
        """Writes one record and waits until it is on disk."""
        os.pwrite(self._file, self._record, self._offset)
        os.fdatasync(self._file)
        self._offset += len(self._record)

    def close(self) -> None:
        """Removes the file."""
        os.close(self._file)
        self._path.unlink()


class BareAppend:
    """What any signed log in SQLite costs: a row, a signature and the head's row, a commit each.

    Nothing is checked, hashed or encoded: beside `RawAppend` this shows how far below a log in
    SQLite can come, whatever writes it.
    """

    def __init__(self, directory: Path, record: str, sign: Callable[[bytes], bytes]) -> None:
        """Makes a database as durable as a ledger's: WAL, ``synchronous=FULL``."""
        self._path = directory / "bare-append.db"
        self._record, self._sign, self._number = record, sign, 0
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}",
            "CREATE TABLE entry (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
            "CREATE TABLE head (id INTEGER PRIMARY KEY, note BLOB NOT NULL)",
            "INSERT INTO head VALUES (0, '')",
            # One statement, as the ledger's own: fewer steps than a transaction of two.
            "CREATE VIEW append AS SELECT seq, entry, x'' AS note FROM entry",
            _APPENDING,
        ):
            self._connection.execute(statement)

    def append(self) -> None:
        """Writes one record and a head signed for it, and waits until both are on disk."""
        self._number += 1
        note = b"bench\n%d\n" % self._number
        row = self._number, self._record, note + self._sign(note)
        self._connection.execute("INSERT INTO append VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Removes the database."""
        self._connection.close()
        self._path.unlink()


def hash_leaves(entries: Sequence[bytes]) -> float:
    """Seconds to compute the leaf hashes of entries that are in memory, and nothing else."""
    before = time.perf_counter()
    for data in entries:
        sha256(b"\x00" + data).digest()
    return time.perf_counter() - before


def best(rounds: Iterable[float]) -> float:
    """The smallest of the rounds: what the machine can do when nothing else runs."""
    return min(rounds)
