"""Reading a log: the port that sync and reports use, and the read-only handle beside a writer.

Reads are short: a long read transaction would keep the writer from reusing its write-ahead log.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, Self

from ledger.entry import Kind, Value
from ledger.errors import LogCorrupt, LogFault, NotCanonical
from ledger.log import canonical, schema
from ledger.log.merkle import HASH_BYTES, Nodes, leaf_hash, node_hash, perfect, root_of

#: Rows that one read transaction fetches at most.
READ_ENTRIES_MAX: Final = 512
#: Most entries of a batch, and so of a commit and between two stored checkpoints.
BATCH_ENTRIES_MAX: Final = 500
#: Most bytes of the entries of a batch, a newline each; header and checkpoint fit in 1 MiB beside.
BATCH_BYTES_MAX: Final = 1_000_000
#: Kinds that bind a nonce: the same nonce always answers with the first of these.
NONCE_KINDS: Final = frozenset({Kind.REDEEM, Kind.REENTRY, Kind.DECLINE, Kind.VOID, Kind.MANUAL})
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z", re.ASCII)
#: From Crockford's base 32, in which a ULID is written, to the digits that `int` knows.
_DIGITS: Final = str.maketrans(
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv"
)


class EntrySource(Protocol):
    """Where entries come from: a store, or a read-only handle beside it."""

    @property
    def size(self) -> int:
        """Number of durable entries."""

    @property
    def origin(self) -> str:
        """Identity of the log, as in its checkpoints."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The stored bytes of the entries ``[start, stop)``, in order."""

    def checkpoint(self, at_least: int | None = None) -> tuple[int, bytes]:
        """Size and note of the newest checkpoint, or of the smallest one that covers a size."""

    def checkpoint_for_batch(self, start: int, limit: int = 500) -> tuple[int, bytes] | None:
        """The largest checkpoint with ``start < size <= start + limit``; None if there is none."""

    def by_nonce(self, nonce: str) -> tuple[int, dict[str, Value]] | None:
        """Seq and fields of the first tap or void with this nonce."""


def nonce_key(nonce: str) -> int:
    """The 64-bit integer under which a nonce is indexed; two nonces may share one.

    The hash of the nonce, and for a ULID its 48 bits of time before 15 bits of that, so that the
    index grows at its end and stays small.
    """
    digest = sha256(nonce.encode()).digest()
    if _ULID.match(nonce):
        return int(nonce[:10].translate(_DIGITS), 32) << 15 | digest[0] << 7 | digest[1] >> 1
    return int.from_bytes(digest[:8], "big", signed=True)


class StoredLog:
    """What a writer and a reader of the same file have in common."""

    def __init__(self, connection: sqlite3.Connection, path: str, origin: str = "") -> None:
        self._connection = connection
        self._guard = threading.RLock()
        self.path = path
        self._origin = origin

    @property
    def origin(self) -> str:
        """Identity of the log: ``<federation domain>/redcard/<ledger id>``."""
        return self._origin

    @property
    def vkey(self) -> str:
        """Verifier key of the log's own key, as its genesis entry states it."""
        found = self._one("SELECT vkey FROM log")
        if found is None:
            raise LogFault(f"{self.path}: the ledger was never finished")
        return schema.text_of(found[0], self.path)

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self.checkpoint()[0]

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Yields the stored bytes of the entries ``[start, stop)``.

        Raises:
            LogCorrupt: an entry in the range is missing.
            LogFault: the file cannot be read.
        """
        for data, _ in self.rows(start, stop):
            yield data

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Yields the leaf hashes of the entries ``[start, stop)``, computed from their bytes."""
        for data in self.entries(start, stop):
            yield leaf_hash(data)

    def entry(self, seq: int) -> dict[str, Value] | None:
        """Fields of one entry, or None if there is none with this seq."""
        found = self._one("SELECT entry FROM entry WHERE seq = ?", seq)
        return None if found is None else self._decode(seq, found[0])

    def checkpoint(self, at_least: int | None = None) -> tuple[int, bytes]:
        """Size and signed note of a stored checkpoint.

        Args:
            at_least: None for the newest; otherwise the smallest that covers this many entries.

        Raises:
            LogFault: there is no such checkpoint, or the file cannot be read.
        """
        if at_least is None:
            found = self._one("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
        else:
            found = self._one(
                "SELECT size, note FROM checkpoint WHERE size >= ? ORDER BY size LIMIT 1", at_least
            )
        if found is None:
            raise LogFault(f"{self.path}: no signed checkpoint covers {at_least or 0} entries")
        return int(found[0]), self._bytes(found[1], f"the checkpoint of {found[0]}")

    def checkpoint_for_batch(
        self, start: int, limit: int = BATCH_ENTRIES_MAX, bytes_max: int = BATCH_BYTES_MAX
    ) -> tuple[int, bytes] | None:
        """The largest stored checkpoint at which a batch can end.

        Args:
            start: number of entries that the other side already has.
            limit: most entries of the batch; one of 500 always finds a checkpoint.
            bytes_max: most bytes of its entries, a newline each.

        Returns:
            Size and signed note, or None if nothing follows ``start``.
        """
        found = self._all(
            "SELECT size, note FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size DESC",
            start,
            start + limit,
        )
        # A batch never passes the head at which the key was replaced: both keys signed that one
        # alone, and by it the other side learns the new key.
        turns = self._rotations(start, start + limit)[:1]
        for size, note in [*turns, *(one for one in found if not turns or one[0] < turns[0][0])]:
            total = self._one(
                "SELECT sum(length(CAST(entry AS BLOB)) + 1) FROM entry WHERE seq >= ? AND seq < ?",
                start,
                size,
            )
            if total is not None and total[0] is not None and total[0] <= bytes_max:
                return int(size), self._bytes(note, f"the checkpoint of {size}")
        return None

    def _rotations(self, start: int, stop: int) -> list[tuple[Any, ...]]:
        """Heads at which the key was replaced, ``start < size <= stop``; a version 1 has none."""
        named = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'rotation'"
        if not self._all(named):
            return []
        statement = "SELECT size, note FROM rotation WHERE size > ? AND size <= ? ORDER BY size"
        return self._all(statement, start, stop)

    def by_nonce(self, nonce: str) -> tuple[int, dict[str, Value]] | None:
        """The first entry that bound this nonce: what a replay answers with.

        Returns:
            Its seq and fields, or None if the nonce is free.
        """
        rows = self._all(
            "SELECT entry.seq, entry.entry FROM nonce JOIN entry USING (seq)"
            " WHERE nonce.key = ? ORDER BY nonce.seq",
            nonce_key(nonce),
        )
        rows.extend(self._not_indexed(nonce))
        for seq, data in rows:
            fields = self._decode(seq, data)
            if fields.get("nonce") == nonce and fields.get("kind") in NONCE_KINDS:
                return seq, fields
        return None

    def _not_indexed(self, nonce: str) -> list[tuple[Any, ...]]:
        """Rows after the last complete tile that may hold a nonce; the index has no others."""
        size, _ = self.checkpoint()
        needle = canonical.encode({"nonce": nonce})[1:-1]
        first = size - size % schema.TILE_ENTRIES
        tail = self._all("SELECT seq, entry FROM entry WHERE seq >= ? ORDER BY seq", first)
        return [row for row in tail if isinstance(row[1], bytes) and needle in row[1]]

    def voids_of(self, seq: int) -> list[int]:
        """Seqs of the voids that name the entry ``seq`` as their original."""
        rows = self._all("SELECT seq FROM entry WHERE refers = ? ORDER BY seq", seq)
        return [int(row[0]) for row in rows]

    def newest_anchor(self) -> dict[str, Value] | None:
        """Fields of the newest entry that carries a hardware counter, or None."""
        found = self._one(
            "SELECT seq, entry FROM entry WHERE instr(entry, '\"counter\":')"
            " ORDER BY seq DESC LIMIT 1"
        )
        return None if found is None else self._decode(*found)

    def nodes(self) -> Nodes:
        """Hashes of complete subtrees: from stored tiles where there are any, else from bytes."""
        known: dict[tuple[int, int], bytes] = {}
        size, _ = self.checkpoint()

        def nodes(level: int, index: int) -> bytes:
            found = known.get((level, index))
            if found is not None:
                return found
            if level >= schema.TILE_LEVEL:
                count = 1 << level - schema.TILE_LEVEL
                tiles = self._tiles(index * count, (index + 1) * count)
                if len(tiles) == count:
                    known[level, index] = perfect(tiles)
                    return known[level, index]
            if level == 0:
                first = index & ~(schema.TILE_ENTRIES - 1)
                stop = min(first + schema.TILE_ENTRIES, size)
                for at, leaf in enumerate(self.leaves(first, stop), first):
                    known[0, at] = leaf
                if (0, index) not in known:
                    raise LogFault(f"{self.path}: there is no entry {index}")
                return known[0, index]
            left, right = nodes(level - 1, 2 * index), nodes(level - 1, 2 * index + 1)
            known[level, index] = node_hash(left, right)
            return known[level, index]

        return nodes

    def _tiles(self, start: int, stop: int) -> list[bytes]:
        """Stored hashes of the tiles ``[start, stop)``, those that are there."""
        statement = "SELECT hash FROM tile WHERE tile >= ? AND tile < ? ORDER BY tile"
        hashes = [row[0] for row in self._all(statement, start, stop)]
        for tile, node in enumerate(hashes, start):
            self._bytes(node, f"tile {tile}", HASH_BYTES)
        return hashes

    def root_at(self, size: int) -> bytes:
        """Merkle root over the first ``size`` entries."""
        return root_of(size, self.nodes())

    def _bytes(self, value: object, what: str, length: int | None = None) -> bytes:
        """A column of a damaged page may hold anything, whatever the table declares."""
        if not isinstance(value, bytes) or length not in (None, len(value)):
            raise LogCorrupt(f"{self.path}: {what} is damaged")
        return value

    def _decode(self, seq: int, data: object) -> dict[str, Value]:
        try:
            return canonical.decode(self._bytes(data, f"entry {seq}"))
        except NotCanonical as error:
            raise LogCorrupt(f"{self.path}: entry {seq} is damaged: {error}") from error

    def rows(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Entry bytes and leaf column of ``[start, stop)``, a bounded number a transaction."""
        at = start
        while at < stop:
            upto = min(at + READ_ENTRIES_MAX, stop)
            rows = self._all(
                "SELECT seq, entry, leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq",
                at,
                upto,
            )
            for expected, (seq, data, leaf) in enumerate(rows, at):
                if seq != expected:
                    raise LogCorrupt(f"{self.path}: entry {expected} is missing")
                yield self._bytes(data, f"entry {seq}"), self._bytes(leaf, f"entry {seq}")
            if len(rows) != upto - at:
                raise LogCorrupt(f"{self.path}: entry {at + len(rows)} is missing")
            at = upto

    def _one(self, statement: str, *values: int) -> tuple[Any, ...] | None:
        rows = self._all(statement, *values)
        return rows[0] if rows else None

    def _all(self, statement: str, *values: int) -> list[tuple[Any, ...]]:
        try:
            with self._guard:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogFault(f"{self.path}: the ledger cannot be read: {error}") from error


class LogReader(StoredLog):
    """Reads a log beside its writer; never writes, never holds it up."""

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Opens a log for reading.

        Args:
            path: the ledger file; also on a read-only disk if it was closed cleanly.

        Raises:
            SchemaNewer: a newer version wrote it.
            LogFault: it does not exist, is not a ledger or cannot be read.
        """
        connection = schema.connect_reader(Path(path))
        try:
            return cls(connection, str(path), schema.check(connection, str(path)))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Closes the handle."""
        with self._guard:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
