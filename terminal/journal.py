"""``state.db``: what a terminal must remember beside its ledger, none of it money or stock.

Taps under way (so that after a crash the page can say by the nonce what became of them), the last
answer each page has shown, the time floor, and supervisors with their lockout. A tap must not wait
for a second flush, so the file is written in WAL mode with ``synchronous=NORMAL``: it survives the
end of the process at once and a power cut up to its last checkpoint. What a power cut takes from it
is found again in the ledger itself (``terminal.unshown``), and what a lockout needs is flushed.
For the same reason a note that cannot be written is logged and does not stop a tap: if the disk is
full the ledger says so itself.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from terminal.clock import TimeFloor
from terminal.errors import HomeUnsafe, JournalFault

SCHEMA_VERSION: Final = 1
#: Fact that the server has ordered the wipe.
WIPED: Final = "wiped"
#: A tap under way that is older than this is of no interest to any page.
PENDING_AGE_MAX_MS: Final = 12 * 3_600_000

_LOG: Final = logging.getLogger("redcard.journal")

_SCHEMA: Final = """
CREATE TABLE pending (
    nonce TEXT PRIMARY KEY, position TEXT NOT NULL, offer TEXT NOT NULL, ts_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE shown (position TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE floor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    signed_ms INTEGER NOT NULL, boot_id TEXT NOT NULL, boot_ms INTEGER NOT NULL
);
CREATE TABLE supervisor (
    id TEXT PRIMARY KEY, card TEXT NOT NULL, salt BLOB NOT NULL, pin BLOB NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, locked_until_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """A tap that was begun: its nonce was noted before anything could be recorded."""

    nonce: str
    position: str
    offer: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class SupervisorRow:
    """A supervisor as stored: no PIN, but its Argon2id verifier (``keys.pin``), or nothing.

    ``salt`` is empty: the verifier carries its own.
    """

    id: str
    card: str
    salt: bytes
    pin: bytes
    failures: int
    locked_until_ms: int


class Journal:
    """The database ``state.db``. Methods may be called from any thread."""

    def __init__(self, path: Path | str) -> None:
        """Opens or creates the file.

        Raises:
            HomeUnsafe: unreadable, damaged, or written by a newer version.
        """
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate(path)
            if isinstance(path, Path):
                path.chmod(0o600)
        except sqlite3.Error as error:
            raise HomeUnsafe(
                f"{path} cannot be used ({error}); the ledger is untouched: move the file away "
                "and start again, supervisors must then be set anew"
            ) from None

    def _migrate(self, path: Path | str) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise HomeUnsafe(f"{path} was written by a newer version; update this program")
        if version == 0:
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        with self._lock:
            self._db.close()

    def begin(self, tap: Pending) -> None:
        """Notes a tap before it can be recorded; the same nonce again changes nothing."""
        self._note(
            "INSERT OR IGNORE INTO pending VALUES (?, ?, ?, ?)",
            (tap.nonce, tap.position, tap.offer, tap.ts_ms),
        )

    def end(self, nonce: str) -> None:
        """Forgets a tap whose answer was shown."""
        self._note("DELETE FROM pending WHERE nonce = ?", (nonce,))

    def pending(self, position: str) -> list[Pending]:
        """Taps of a position that began and whose answer was not shown, newest first."""
        rows = self._all(
            "SELECT nonce, position, offer, ts_ms FROM pending WHERE position = ?"
            " ORDER BY ts_ms DESC, nonce DESC",
            (position,),
        )
        return [Pending(*row) for row in rows]

    def forget_before(self, ts_ms: int) -> None:
        """Drops taps that began before a moment."""
        self._note("DELETE FROM pending WHERE ts_ms < ?", (ts_ms,))

    def mark_shown(self, position: str, seq: int) -> None:
        """A page has shown the answer of this entry; marks never go back."""
        self._note(
            "INSERT INTO shown VALUES (?, ?) ON CONFLICT (position)"
            " DO UPDATE SET seq = max(seq, excluded.seq)",
            (position, seq),
        )

    def shown(self, position: str) -> int:
        """Sequence number of the last entry that a page has shown, -1 if none."""
        rows = self._all("SELECT seq FROM shown WHERE position = ?", (position,))
        return int(rows[0][0]) if rows else -1

    def floor(self) -> TimeFloor:
        """The time floor last stored; 0 when the server has signed nothing yet."""
        rows = self._all("SELECT signed_ms, boot_id, boot_ms FROM floor")
        return TimeFloor(*rows[0]) if rows else TimeFloor(0, "", 0)

    def store_floor(self, floor: TimeFloor) -> None:
        """Stores the time floor, durable: a rolled-back clock must not survive a power cut."""
        with self._flushed() as db:
            db.execute(
                "INSERT OR REPLACE INTO floor VALUES (1, ?, ?, ?)",
                (floor.signed_ms, floor.boot_id, floor.boot_ms),
            )

    def fact(self, name: str) -> str:
        """A remembered text, empty if none."""
        rows = self._all("SELECT value FROM fact WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def store_fact(self, name: str, value: str) -> None:
        """Remembers a text, durable."""
        with self._flushed() as db:
            db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def facts(self, prefix: str) -> dict[str, str]:
        """Remembered texts whose names begin so, by name."""
        rows = self._all(
            "SELECT name, value FROM fact WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
            (prefix,),
        )
        return {str(name): str(value) for name, value in rows}

    def forget_fact(self, name: str) -> None:
        """Forgets a text, durable; an unknown one is none."""
        with self._flushed() as db:
            db.execute("DELETE FROM fact WHERE name = ?", (name,))

    def supervisors(self) -> list[SupervisorRow]:
        """All supervisors."""
        rows = self._all(
            "SELECT id, card, salt, pin, failures, locked_until_ms FROM supervisor ORDER BY id",
        )
        return [SupervisorRow(*row) for row in rows]

    def store_supervisor(self, row: SupervisorRow) -> None:
        """Adds or replaces a supervisor, durable: a lockout outlives a power cut."""
        with self._flushed() as db:
            db.execute(
                "INSERT OR REPLACE INTO supervisor VALUES (?, ?, ?, ?, ?, ?)",
                (row.id, row.card, row.salt, row.pin, row.failures, row.locked_until_ms),
            )

    def remove_supervisor(self, supervisor: str) -> None:
        """Forgets a supervisor, durable; an unknown one is none."""
        with self._flushed() as db:
            db.execute("DELETE FROM supervisor WHERE id = ?", (supervisor,))

    def _note(self, statement: str, values: tuple[str | int, ...]) -> None:
        with self._lock:
            try:
                self._db.execute(statement, values)
            except sqlite3.Error as error:
                _LOG.warning("a note could not be written: %s", error)

    def _all(self, statement: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise JournalFault(f"state.db cannot be read ({error})") from error

    @contextmanager
    def _flushed(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalFault(
                    f"state.db cannot be written ({error}); free some space, then retry"
                ) from error
            finally:
                if self._db.in_transaction:
                    self._db.rollback()
                self._db.execute("PRAGMA synchronous=NORMAL")
