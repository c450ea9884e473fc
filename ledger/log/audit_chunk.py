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
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from ledger.entry import ENTRY_BYTES_MAX, INTEGER_MAX
from ledger.errors import NotCanonical
from ledger.log import canonical
from ledger.log.audit_course import Stretch, condense
from ledger.log.schema import LEAF_PREFIX_BYTES, TILE_ENTRIES

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized

#: Entries of a chunk: few enough to hold in memory, enough to make handing over cheap.
CHUNK_ENTRIES: Final = 8 * TILE_ENTRIES
_ROWS: Final = "SELECT entry, leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
_TREE_ROWS: Final = "SELECT entry FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
_COUNTED: Final = ("seq", "ts_ms", "mono_ms")
_Integer = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
_DECODER: Final = msgspec.json.Decoder(dict[str, str | bool | _Integer])
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
#: Keys that stood in an entry found canonical; entries use few.
_known: Final[set[str]] = set()
_KNOWN_KEYS_MAX: Final = 1_000


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
    edges: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    stretch: Stretch | None = None
    first: dict[str, Any] | None = None


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


def decode(data: bytes) -> dict[str, Any]:
    """Decodes a canonical entry that counts itself; raises NotCanonical for anything else."""
    entry = canonical.decode(data)
    if any(type(entry.get(name)) is not int for name in _COUNTED):
        raise NotCanonical("not an object with integers seq, ts_ms and mono_ms")
    if len(_known) < _KNOWN_KEYS_MAX:
        _known.update(entry)
    return entry


def _decode_all(entries: Sequence[bytes]) -> list[dict[str, Any]]:
    """Decodes entries, those of usual keys and without arrays in compiled code alone.

    Raises:
        NotCanonical: one of them is not canonical or does not count itself.
    """
    if max(map(len, entries), default=0) > ENTRY_BYTES_MAX:
        raise NotCanonical("an entry is too long")
    try:
        decoded: list[dict[str, Any]] = list(map(_DECODER.decode, entries))
        if list(map(_ENCODER.encode, decoded)) == list(entries) and all(
            map(_known.issuperset, decoded)
        ):
            # A bool counts as an integer everywhere but here.
            for name in _COUNTED:
                if set(map(type, map(itemgetter(name), decoded))) != {int}:
                    raise NotCanonical(f"{name} must be an integer")
            return decoded
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError):
        return [decode(data) for data in entries]
    return [decode(data) for data in entries]


def check_chunk(connection: sqlite3.Connection, job: Job, number: int) -> Chunk:
    """Reads and checks one chunk of a database; an error of SQLite makes it not whole."""
    start = number * CHUNK_ENTRIES
    stop = min(start + CHUNK_ENTRIES, job.size)
    statement = _TREE_ROWS if job.tree else _ROWS
    try:
        # Unique integers in a range, as many as it holds, are all of them, in order.
        rows = connection.execute(statement, (start, stop)).fetchall()
        tiles = connection.execute(
            "SELECT hash FROM tile WHERE tile >= ? AND tile < ? ORDER BY tile",
            (start // TILE_ENTRIES, stop // TILE_ENTRIES),
        ).fetchall()
    except sqlite3.Error:
        return Chunk(start, stop)
    entries = [row[0] for row in rows]
    if len(rows) != stop - start or set(map(type, entries)) != {bytes}:
        return Chunk(start, stop)
    leaves = [sha256(b"\x00" + data).digest() for data in entries]
    if not job.tree and [leaf[:LEAF_PREFIX_BYTES] for leaf in leaves] != [row[1] for row in rows]:
        return Chunk(start, stop)
    chunk = check_rows(job, start, entries, leaves)
    chunk.whole &= chunk.tiles == b"".join([one for (one,) in tiles if type(one) is bytes])
    return chunk


def check_rows(job: Job, start: int, entries: Sequence[bytes], leaves: Sequence[bytes]) -> Chunk:
    """Checks consecutive entries that agree with the leaf hashes stored beside them."""
    chunk = Chunk(start, start + len(entries))
    if job.tree:
        # From the right: what stands before it is long.
        if any(data.rfind(b'"seq":%d,' % seq) < 0 for seq, data in enumerate(entries, start)):
            return chunk
    else:
        chunk.stretch = Stretch()
        for first in range(0, len(entries), TILE_ENTRIES):
            # A tile at a time: more decoded entries at once do not fit in the processor's cache.
            try:
                decoded = _decode_all(entries[first : first + TILE_ENTRIES])
            except NotCanonical:
                return chunk
            seq = start + first
            if list(map(itemgetter("seq"), decoded)) != list(range(seq, seq + len(decoded))):
                return chunk
            condense(seq, decoded, chunk.stretch)
            if seq == 0:
                chunk.first = decoded[0]
    chunk.tiles, chunk.edges = _grow(start, leaves, job.sizes)
    chunk.whole = True
    return chunk


def _grow(
    start: int, leaves: Sequence[bytes], sizes: Sequence[int]
) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
    """Hashes of complete tiles, and of complete subtrees at the given sizes."""
    tiles, edges, stop = [], {}, start + len(leaves)
    within = [size for size in sizes if start < size <= stop]
    at = 0
    for first in range(0, len(leaves), TILE_ENTRIES):
        levels = [list(leaves[first : first + TILE_ENTRIES])]
        while len(levels[-1]) > 1:
            pairs = iter(levels[-1])
            levels.append(
                [
                    sha256(b"\x01" + one + two).digest()
                    for one, two in zip(pairs, pairs, strict=False)
                ]
            )
        if len(levels[0]) == TILE_ENTRIES:
            tiles.append(levels[-1][0])
        while at < len(within) and within[at] <= start + first + len(levels[0]):
            rest = within[at] % TILE_ENTRIES
            edges[within[at]] = tuple(
                levels[bit][(rest >> bit) - 1] for bit in range(8, -1, -1) if rest >> bit & 1
            )
            at += 1
    return b"".join(tiles), edges


def work(job: Job, counter: Synchronized[int], pipe: Connection) -> None:
    """Another process: takes chunks until there are none and sends what it finds."""
    from pathlib import Path

    from ledger.log.schema import connect_reader

    connection = connect_reader(Path(job.path))
    try:
        while (number := take(counter)) < job.chunks:
            pipe.send((number, check_chunk(connection, job, number)))
    finally:
        connection.close()
        pipe.close()


def take(counter: Synchronized[int]) -> int:
    """The number of the next chunk that nobody has taken."""
    with counter.get_lock():
        number = counter.value
        counter.value = number + 1
    return number
