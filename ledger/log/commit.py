"""What one commit writes: entries, the head that covers them, and what is stored once a tile."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.log import schema
from ledger.log.reading import nonce_key
from ledger.log.stamping import Row

_INSERT: Final = "INSERT INTO entry (seq, entry, leaf, refers) VALUES (?, ?, ?, ?)"
#: One entry and the head that it moves, in one statement: fewer steps between card and light.
_APPEND: Final = "INSERT INTO append VALUES (?, ?, ?, ?, ?, ?)"
_APPENDING: Final = (
    "PRAGMA temp_store = MEMORY",
    "CREATE TEMP VIEW append AS SELECT seq, entry, leaf, refers, 0 AS size, '' AS note FROM entry",
    """CREATE TEMP TRIGGER appending INSTEAD OF INSERT ON append BEGIN
    INSERT INTO entry (seq, entry, leaf, refers) VALUES (NEW.seq, NEW.entry, NEW.leaf, NEW.refers);
    UPDATE checkpoint SET size = NEW.size, note = NEW.note WHERE size = NEW.seq;
    END""",
)


class Commit(NamedTuple):
    """What one append made durable.

    Attributes:
        first_seq: seq of its first entry; the others follow without a gap.
        size: number of entries of the log now.
        root: Merkle root over them.
        checkpoint: the signed checkpoint, a whole note.
    """

    first_seq: int
    size: int
    root: bytes
    checkpoint: bytes


def prepare(connection: sqlite3.Connection) -> None:
    """Prepares the writer's connection, once its tables are there; the file is not touched."""
    for statement in _APPENDING:
        connection.execute(statement)


def write_one(connection: sqlite3.Connection, row: Row, size: int, note: bytes) -> None:
    """One entry and the head in place of the one before, in a transaction of their own."""
    connection.execute(_APPEND, (*row, size, note.decode()))


def write_identity(connection: sqlite3.Connection, origin: str, vkey: str) -> None:
    """The log's one row of identity."""
    connection.execute("INSERT INTO log (origin, vkey) VALUES (?, ?)", (origin, vkey))


def write_rows(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Entries."""
    connection.executemany(_INSERT, rows)


def write_head(connection: sqlite3.Connection, size: int, note: bytes, *, instead_of: int) -> None:
    """The head, in place of the one of the size ``instead_of``, or beside all others if that is 0.

    Args:
        connection: the writer's, within a transaction.
        size: entries that the head covers.
        note: the signed checkpoint.
        instead_of: size of the head that goes.
    """
    if instead_of:
        connection.execute(
            "UPDATE checkpoint SET size = ?, note = ? WHERE size = ?",
            (size, note.decode(), instead_of),
        )
    else:
        connection.execute(
            "INSERT INTO checkpoint (size, note) VALUES (?, ?)", (size, note.decode())
        )


def write_tiles(
    connection: sqlite3.Connection,
    first: int,
    hashes: Sequence[bytes],
    nonces: Sequence[tuple[str, int]],
) -> None:
    """Tiles that became complete, and the index of their nonces.

    Args:
        connection: the writer's, within a transaction.
        first: the number of the first of them.
        hashes: theirs, one after the other; there may be none.
        nonces: all nonces that are not indexed yet, with their seqs.
    """
    connection.executemany("INSERT INTO tile (tile, hash) VALUES (?, ?)", enumerate(hashes, first))
    stop = (first + len(hashes)) * schema.TILE_ENTRIES
    connection.executemany(
        "INSERT INTO nonce (key, seq) VALUES (?, ?)",
        sorted((nonce_key(text), seq) for text, seq in nonces if seq < stop),
    )
