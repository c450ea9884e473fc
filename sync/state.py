"""The terminal end's own database: what the server has receipted, said and sent.

It never holds an entry and is never a reason to lose one: if it is gone, the terminal sends its
ledger again from the beginning and the server answers with replays.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from ledger.errors import ProofInvalid
from ledger.log.merkle import Frontier
from sync.errors import StateFault
from sync.feed import Judgement

_VERSION: Final = 1
_BUSY_TIMEOUT_S: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE receipt (
    size INTEGER NOT NULL, digest BLOB NOT NULL, note BLOB NOT NULL, time_s INTEGER NOT NULL,
    PRIMARY KEY (size, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE judgement (
    seq INTEGER PRIMARY KEY, revision INTEGER NOT NULL, verdict TEXT NOT NULL,
    reasons TEXT NOT NULL, nonce TEXT NOT NULL, counterpart TEXT NOT NULL
) STRICT;
CREATE TABLE feed (number INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt as it came.

    Attributes:
        size: ledger size that it covers.
        note: the cosigned checkpoint, byte for byte.
        time_s: when the server cosigned it, seconds since the epoch.
    """

    size: int
    note: bytes
    time_s: int


class SyncState:
    """Cursor, receipts, judgements and feed of one ledger; safe from several threads."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        """Use ``open``."""
        self._connection = connection
        self._path = path
        self._guard = threading.RLock()

    @classmethod
    def open(cls, path: Path | str, *, origin: str) -> Self:
        """Opens or creates the database.

        Args:
            path: the file, or ``:memory:``.
            origin: the ledger that it belongs to.

        Raises:
            StateFault: it belongs to another ledger, a newer version wrote it, or it cannot be
                read; it may be moved away without losing an entry.
        """
        try:
            connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                _migrate(connection, str(path))
                state = cls(connection, str(path))
                state._claim(origin)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise _fault(str(path), error) from error
        return state

    def close(self) -> None:
        """Closes the file."""
        with self._guard:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acknowledged(self) -> Frontier:
        """The tree that the server holds as far as it has receipted it; empty at first."""
        data = self.fact("frontier")
        try:
            return Frontier.from_bytes(data) if data else Frontier()
        except ProofInvalid as error:
            raise StateFault(
                f"{self._path}: the cursor is damaged ({error}); move the file away, the ledger "
                "will be sent again"
            ) from error

    def add_receipt(self, receipt: StoredReceipt, frontier: Frontier) -> None:
        """Stores a verified receipt and moves the cursor to it, durable on return."""
        digest = sha256(receipt.note).digest()
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO receipt VALUES (?, ?, ?, ?)",
                (receipt.size, digest, receipt.note, receipt.time_s),
            )
            # Eight big-endian bytes of size come first: a slower process never moves it back.
            database.execute(
                "INSERT INTO fact VALUES ('frontier', ?) ON CONFLICT (name) "
                "DO UPDATE SET value = excluded.value "
                "WHERE substr(excluded.value, 1, 8) > substr(fact.value, 1, 8)",
                (frontier.to_bytes(),),
            )
            _raise_number(database, "signed_ms", receipt.time_s * 1_000)

    def rewind(self, frontier: Frontier) -> None:
        """Moves the cursor back to what the server now holds; receipts stay as proof."""
        with self._transaction() as database:
            _put(database, "frontier", frontier.to_bytes())

    def receipts(self) -> list[StoredReceipt]:
        """All receipts, by size and then by time."""
        rows = self._all("SELECT size, note, time_s FROM receipt ORDER BY size, time_s")
        return [StoredReceipt(int(size), bytes(note), int(time_s)) for size, note, time_s in rows]

    def receipt_at_least(self, size: int) -> StoredReceipt | None:
        """The receipt of the smallest size that covers ``size`` entries."""
        rows = self._all(
            "SELECT size, note, time_s FROM receipt WHERE size >= ? ORDER BY size, time_s LIMIT 1",
            size,
        )
        return StoredReceipt(int(rows[0][0]), bytes(rows[0][1]), int(rows[0][2])) if rows else None

    def add_judgements(self, judgements: Iterable[Judgement], upto: int, signed_ms: int) -> None:
        """Stores one page of judgements; of each entry the newest revision stays."""
        with self._transaction() as database:
            database.executemany(
                "INSERT INTO judgement VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (seq) DO UPDATE SET revision = excluded.revision, "
                "verdict = excluded.verdict, reasons = excluded.reasons, "
                "nonce = excluded.nonce, counterpart = excluded.counterpart "
                "WHERE excluded.revision > judgement.revision",
                [
                    (
                        one.seq,
                        one.revision,
                        one.verdict,
                        " ".join(one.reasons),
                        one.nonce,
                        one.counterpart,
                    )
                    for one in judgements
                ],
            )
            _raise_number(database, "judgements", upto)
            _raise_number(database, "signed_ms", signed_ms)

    def judgements(self) -> list[Judgement]:
        """The newest judgement of each judged entry, by position."""
        rows = self._all(
            "SELECT seq, revision, verdict, reasons, nonce, counterpart FROM judgement ORDER BY seq"
        )
        return [
            Judgement(
                int(seq),
                int(revision),
                str(verdict),
                tuple(str(reasons).split()),
                str(nonce),
                str(counterpart),
            )
            for seq, revision, verdict, reasons, nonce, counterpart in rows
        ]

    def flagged(self) -> int:
        """How many entries the newest judgement does not simply accept."""
        rows = self._all("SELECT count(*) FROM judgement WHERE verdict != 'accepted'")
        return int(rows[0][0])

    def add_feed(self, records: Iterable[tuple[int, bytes]], upto: int, signed_ms: int) -> None:
        """Stores one page of the feed, each record's canonical bytes by its number."""
        with self._transaction() as database:
            database.executemany("INSERT OR IGNORE INTO feed VALUES (?, ?)", list(records))
            _raise_number(database, "feed", upto)
            _raise_number(database, "signed_ms", signed_ms)

    def feed(self, after: int = 0) -> list[tuple[int, bytes]]:
        """Stored feed records with a number above ``after``."""
        rows = self._all("SELECT number, record FROM feed WHERE number > ? ORDER BY number", after)
        return [(int(number), bytes(record)) for number, record in rows]

    def number(self, name: str) -> int:
        """A stored number: ``judgements``, ``feed``, ``signed_ms``, ``last_sync_ms``; 0 if none."""
        data = self.fact(name)
        return int.from_bytes(data, "big") if data else 0

    def raise_number(self, name: str, value: int) -> None:
        """Stores a number that never decreases."""
        with self._transaction() as database:
            _raise_number(database, name, value)

    def fact(self, name: str) -> bytes | None:
        """A stored value."""
        rows = self._all("SELECT value FROM fact WHERE name = ?", name)
        return bytes(rows[0][0]) if rows else None

    def put_facts(self, facts: dict[str, bytes]) -> None:
        """Stores values, all or none."""
        with self._transaction() as database:
            for name, value in facts.items():
                _put(database, name, value)

    def _claim(self, origin: str) -> None:
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO fact VALUES ('origin', ?)", (origin.encode("utf-8"),)
            )
        found = self.fact("origin")
        if found != origin.encode("utf-8"):
            raise StateFault(
                f"{self._path} belongs to the ledger {(found or b'').decode()}, not to {origin}; "
                "move it away"
            )

    def _all(self, statement: str, *values: int | str) -> list[tuple[Any, ...]]:
        with self._guard:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise _fault(self._path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise _fault(self._path, error) from error


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in _SCHEMA.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_VERSION}")
    connection.execute("COMMIT")
    if version > _VERSION:
        raise StateFault(f"{path} was written by a newer version ({version}); update this program")


def _put(database: sqlite3.Connection, name: str, value: bytes) -> None:
    database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def _raise_number(database: sqlite3.Connection, name: str, value: int) -> None:
    # Eight big-endian bytes compare as the numbers do.
    database.execute(
        "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
        "WHERE excluded.value > fact.value",
        (name, value.to_bytes(8, "big")),
    )


def _fault(path: str, error: sqlite3.Error) -> StateFault:
    return StateFault(
        f"{path}: the sync database cannot be used ({error}); the ledger is untouched. If the file "
        "is damaged, move it away: the ledger will be sent again"
    )
