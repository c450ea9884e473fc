"""One chunk of an audit: entries that are all as they must be, checked at the speed of the hash.

A chunk is a range of entries that begins at a tile. `check_rows` either finds everything in it as
it must be and condenses it, or says no more than that it is not: then the audit reads the chunk
again, entry by entry, to name each fault. What is condensed is small, so that it can come from
another process; entries never do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from ledger.errors import NotCanonical
from ledger.log.audit_course import Stretch, condense
from ledger.log.audit_decode import decode_all
from ledger.log.leaves import (
    CHUNK_ENTRIES,
    TILE_ENTRIES,
    Edges,
    Grown,
    check_tree,
    chunk_range,
    grow,
    hash_leaves,
    in_order,
    rows_of,
)
from ledger.log.schema import LEAF_PREFIX_BYTES

_ROWS: Final = "SELECT entry, leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"


@dataclass(slots=True)
class Chunk:
    """What was found in the entries ``[start, stop)``.

    Attributes:
        start: a multiple of 256.
        stop: end of the range.
        whole: whether every entry is there and is as it must be.
        tiles: hashes of its complete tiles, one after the other.
        edges: for each size asked for, the complete subtrees of its incomplete tile, largest first.
        stretch: what its entries say of each other; None for a tree alone.
        first: the ledger's first entry, if it is in here and was decoded.
    """

    start: int
    stop: int
    whole: bool = False
    tiles: bytes = b""
    edges: Edges = field(default_factory=dict)
    stretch: Stretch | None = None
    first: dict[str, Any] | None = None

    @classmethod
    def of(cls, start: int, stop: int, grown: Grown | None) -> Self:
        """What was found in the tree alone."""
        return cls(start, stop) if grown is None else cls(start, stop, True, *grown)


@dataclass(frozen=True, slots=True)
class Job:
    """What a process needs to know to take its share of the chunks.

    Attributes:
        path: the database.
        size: entries to check.
        sizes: sizes of signed heads, in ascending order.
        tree: whether only the tree is checked, not what entries say.
    """

    path: str
    size: int
    sizes: tuple[int, ...]
    tree: bool

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.size // CHUNK_ENTRIES)


def check_chunk(connection: sqlite3.Connection, job: Job, number: int) -> Chunk:
    """Reads and checks one chunk of a database; an error of SQLite makes it not whole."""
    start, stop = chunk_range(number, job.size)
    if job.tree:
        return Chunk.of(start, stop, check_tree(connection, start, stop, job.sizes))
    read = rows_of(connection, _ROWS, start, stop)
    if read is None:
        return Chunk(start, stop)
    entries = [row[0] for row in read[0]]
    if {*map(type, entries)} != {bytes}:
        return Chunk(start, stop)
    leaves = hash_leaves(entries)
    if [leaf[:LEAF_PREFIX_BYTES] for leaf in leaves] != [row[1] for row in read[0]]:
        return Chunk(start, stop)
    chunk = check_rows(job, start, entries, leaves)
    chunk.whole &= chunk.tiles == read[1]
    return chunk


def check_rows(job: Job, start: int, entries: Sequence[bytes], leaves: Sequence[bytes]) -> Chunk:
    """Checks consecutive entries that agree with the leaf hashes stored beside them."""
    chunk = Chunk(start, start + len(entries))
    if not job.tree:
        chunk.stretch = Stretch()
    for seq in range(start, chunk.stop, TILE_ENTRIES):
        # A tile at a time: more decoded entries at once do not fit in the processor's cache.
        tile = entries[seq - start : seq - start + TILE_ENTRIES]
        if chunk.stretch is None:
            if not in_order(tile, seq):
                return chunk
            continue
        try:
            decoded = decode_all(tile)
        except NotCanonical:
            return chunk
        if decoded.column("seq") != list(range(seq, seq + len(tile))):
            return chunk
        condense(seq, decoded, chunk.stretch)
        if seq == 0:
            chunk.first = dict(decoded.entry(0))
    chunk.tiles, chunk.edges = grow(start, leaves, job.sizes)
    chunk.whole = True
    return chunk


_UNPACK: Final = msgspec.msgpack.Decoder(tuple[int, Chunk])


def pack_chunk(number: int, chunk: Chunk) -> bytes:
    """What was found, for another process."""
    return msgspec.msgpack.encode((number, chunk))


def unpack_chunk(data: bytes) -> tuple[int, Chunk]:
    """Inverse of `pack_chunk`."""
    return _UNPACK.decode(data)
