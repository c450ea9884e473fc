"""Hashing the leaves of a log in bulk, and the tree above them up to its tiles (RFC 6962).

Here a chunk of entries is checked as part of the tree alone. The other processes of an audit begin
with this module, so that it imports nearly nothing: what starts at once is of use at once.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, TypeAlias

#: A complete subtree of 256 entries is a tile.
TILE_LEVEL: Final = 8
TILE_ENTRIES: Final = 1 << TILE_LEVEL

#: Entries of a chunk: few enough to hold in memory, enough to make handing over cheap.
CHUNK_ENTRIES: Final = 8 * TILE_ENTRIES
#: For each size asked for, the complete subtrees of its incomplete tile, largest first.
Edges: TypeAlias = dict[int, tuple[bytes, ...]]
#: Hashes of complete tiles, one after the other, and the edges.
Grown: TypeAlias = tuple[bytes, Edges]

_ROWS: Final = "SELECT entry FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
_TILES: Final = "SELECT hash FROM tile WHERE tile >= ? AND tile < ? ORDER BY tile"
# A copy of a begun hash is cheaper than a new one, and spares joining its first byte to the rest.
_LEAF: Final = sha256(b"\x00")
_NODE: Final = sha256(b"\x01")


def chunk_range(number: int, size: int) -> tuple[int, int]:
    """First entry of a chunk, and the one after its last, of ``size`` entries in all."""
    start = number * CHUNK_ENTRIES
    return start, min(start + CHUNK_ENTRIES, size)


def connect(uri: str) -> sqlite3.Connection:
    """Opens a ledger to read; its texts come as they are stored."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.text_factory = bytes
    return connection


def hash_leaves(entries: Sequence[bytes]) -> list[bytes]:
    """Leaf hashes of entries, RFC 6962 section 2.1."""
    begun, leaves = _LEAF.copy, []
    for data in entries:
        leaf = begun()
        leaf.update(data)
        leaves.append(leaf.digest())
    return leaves


def grow(start: int, leaves: Sequence[bytes], sizes: Sequence[int]) -> Grown:
    """The tree above leaves, as high as tiles.

    Args:
        start: place of the first leaf, a multiple of 256.
        leaves: leaf hashes.
        sizes: sizes of the tree to give the edges for, ascending; those above these leaves count.
    """
    begun, levels = _NODE.copy, [leaves]
    for _ in range(TILE_LEVEL):
        below, level = iter(levels[-1]), list[bytes]()
        for one, two in zip(below, below, strict=False):
            node = begun()
            node.update(one + two)
            level.append(node.digest())
        levels.append(level)
    edges = Edges()
    for size in sizes[bisect_right(sizes, start) : bisect_right(sizes, start + len(leaves))]:
        length = size - start
        edges[size] = tuple(
            levels[bit][(length >> bit) - 1]
            for bit in range(TILE_LEVEL - 1, -1, -1)
            if length >> bit & 1
        )
    return b"".join(levels[-1]), edges


def rows_of(
    connection: sqlite3.Connection, statement: str, start: int, stop: int
) -> tuple[list[tuple[Any, ...]], bytes] | None:
    """Rows of a range of entries and the tiles stored for it; None if SQLite lacks any of it."""
    try:
        # Unique integers in a range, as many as it holds, are all of them, in order.
        rows = connection.execute(statement, (start, stop)).fetchall()
        tiles = connection.execute(_TILES, (start // TILE_ENTRIES, stop // TILE_ENTRIES)).fetchall()
    except sqlite3.Error:
        return None
    if len(rows) != stop - start:
        return None
    return rows, b"".join([tile for (tile,) in tiles if type(tile) is bytes])


def check_tree(
    connection: sqlite3.Connection, start: int, stop: int, sizes: Sequence[int]
) -> Grown | None:
    """Checks that a range of entries is all there, in its order, and in its tiles.

    Returns:
        The tree above it; None if anything is not as it must be.
    """
    read = rows_of(connection, _ROWS, start, stop)
    if read is None:
        return None
    entries = [data for (data,) in read[0]]
    if {*map(type, entries)} != {bytes} or not all(
        in_order(entries[at : at + TILE_ENTRIES], start + at)
        for at in range(0, len(entries), TILE_ENTRIES)
    ):
        return None
    tiles, edges = grow(start, hash_leaves(entries), sizes)
    return (tiles, edges) if tiles == read[1] else None


def in_order(entries: Sequence[bytes], start: int) -> bool:
    """Whether each entry says ``"seq":N`` of its own place, the first of them ``start``."""
    # From the right: what stands before it is long.
    first = b'"seq":%d,' % start
    at = entries[0].rfind(first) - len(entries[0])
    texts = (b'"seq":%d,' * len(entries)) % (*range(start, start + len(entries)),)
    # Mostly at one distance from the end; of one length, so that no two can stand for each other.
    if len(texts) == len(first) * len(entries):
        place = itemgetter(slice(at, at + len(first)))
        if b"".join(map(place, entries)) == texts:
            return True
    return all(data.rfind(b'"seq":%d,' % seq) >= 0 for seq, data in enumerate(entries, start))


def pack(number: int, grown: Grown | None) -> bytes:
    """One line without its end: what was found in the chunk ``number``."""
    if grown is None:
        return b"%d -" % number
    edges = " ".join(f"{size}:{b''.join(nodes).hex()}" for size, nodes in grown[1].items())
    return f"{number} {grown[0].hex()} {edges}".encode()


def unpack(line: bytes) -> tuple[int, Grown | None]:
    """Inverse of `pack`."""
    number, tiles, *edges = line.decode().split(" ")
    if tiles == "-":
        return int(number), None
    grown = Edges()
    for size, nodes in (one.split(":") for one in edges if one):
        data = bytes.fromhex(nodes)
        grown[int(size)] = tuple(data[at : at + 32] for at in range(0, len(data), 32))
    return int(number), (bytes.fromhex(tiles), grown)
