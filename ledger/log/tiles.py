"""Tiles and entry bundles of C2SP tlog-tiles, height 8: names, bytes, and how to check them.

A log of any size is a set of files that never change, but for the checkpoint. A tile holds up to
256 hashes of one level, 8 levels of the tree apart from the next; a bundle holds up to 256 entries.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.errors import NotCanonical, ProofInvalid
from ledger.log import canonical
from ledger.log.audit_report import Report, Roster, open_head, parse_keys
from ledger.log.merkle import EMPTY_FRONTIER, HASH_BYTES, join, leaf_hash

#: Levels of the tree in a tile; fixed by tlog-tiles.
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
LEVEL_MAX: Final = 63
ENTRY_BYTES_MAX: Final = (1 << 16) - 1
#: File beside the checkpoint of a pruned log: the least index whose entry is still there.
MINIMUM: Final = "minimum_index"
_MINIMUM: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)

#: Reads a resource by its path below the log's prefix; None if it is not there.
Read: TypeAlias = Callable[[str], "bytes | None"]


@dataclass(frozen=True, slots=True)
class Tile:
    """Coordinates of a tile or a bundle.

    Attributes:
        level: 0 to 63, or None for a bundle of entries.
        index: place within its level, from 0.
        width: hashes or entries in it, 256 if it is full.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Path below the prefix: ``tile/<L>/<N>[.p/<W>]`` (tlog-tiles, Merkle Tree)."""
        number = f"{self.index:03d}"
        number = number.zfill(-(-len(number) // 3) * 3)
        groups = [number[at : at + 3] for at in range(0, len(number), 3)]
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width != TILE_WIDTH else ""
        return f"tile/{level}/{name}{partial}"

    @property
    def end(self) -> int:
        """End index of a full tile or bundle (tlog-tiles, Merkle Tree)."""
        return (self.index + 1) << TILE_HEIGHT * ((self.level or 0) + 1)

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Inverse of `path`; raises ProofInvalid for any other text."""
        found = _PATH.match(path)
        if found is None:
            raise ProofInvalid(f"{path[:80]!r} is no path of a tile")
        level = None if found["level"] == "entries" else int(found["level"])
        index = int(found["index"].replace("x", "").replace("/", ""))
        tile = cls(level, index, int(found["width"] or TILE_WIDTH))
        if tile.path != path or tile.width > TILE_WIDTH:
            raise ProofInvalid(f"{path[:80]!r} is not the one path of its tile")
        return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles of hashes of a tree, level by level; a partial one ends a level."""
    level = 0
    while width := size >> TILE_HEIGHT * level:
        for index in range(width >> TILE_HEIGHT):
            yield Tile(level, index)
        if rest := width % TILE_WIDTH:
            yield Tile(level, width >> TILE_HEIGHT, rest)
        level += 1


def bundles_of(size: int) -> Iterator[Tile]:
    """All bundles of entries of a tree."""
    for tile in tiles_of(size):
        if tile.level:
            return
        yield Tile(None, tile.index, tile.width)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each after its length as 2 big-endian bytes; ProofInvalid if one is too long."""
    parts = []
    for data in entries:
        if len(data) > ENTRY_BYTES_MAX:
            raise ProofInvalid(f"an entry of {len(data)} bytes does not fit in a bundle")
        parts += [struct.pack(">H", len(data)), data]
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """Inverse of `encode_bundle`; raises ProofInvalid if the bundle is torn or over-full."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ProofInvalid("a bundle is torn within a length")
        (length,) = struct.unpack_from(">H", data, at)
        at += 2
        if at + length > len(data) or len(entries) == TILE_WIDTH:
            raise ProofInvalid("a bundle is torn within an entry, or holds more than 256")
        entries.append(data[at : at + length])
        at += length
    return entries


def tile_hash(hashes: Iterable[bytes]) -> bytes:
    """The hash of a full tile, as it stands in the tile above."""
    return EMPTY_FRONTIER.extend(hashes).root()


def split_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile; raises ProofInvalid unless it holds exactly so many."""
    if len(data) != HASH_BYTES * width:
        raise ProofInvalid(f"a tile of {width} hashes has {len(data)} bytes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def upper_tiles(hashes: Sequence[bytes], level: int = 1) -> Iterator[tuple[Tile, bytes]]:
    """Tiles of level 1 and above, from the hashes of all full tiles of level 0."""
    while hashes:
        above = []
        for first in range(0, len(hashes), TILE_WIDTH):
            row = hashes[first : first + TILE_WIDTH]
            yield Tile(level, first // TILE_WIDTH, len(row)), b"".join(row)
            if len(row) == TILE_WIDTH:
                above.append(tile_hash(row))
        hashes, level = above, level + 1


def verify_tiles(
    read: Read, vkeys: Sequence[str] = (), tick: Callable[[int], object] = bool
) -> Report:
    """Checks a whole log of tiles: checkpoint, every entry, every tile of every level.

    Args:
        read: gives the resources, of a folder or a web server.
        vkeys: keys that are trusted, instead of the file ``vkeys`` beside the checkpoint.
        tick: called with entries done.
    """
    report = Report()
    stated = (read("vkeys") or b"").decode(errors="replace").splitlines()
    roster = Roster(tuple(parse_keys(vkeys or stated, report)))
    head = open_head(read("checkpoint") or b"", roster, "signature", report)
    if head is None:
        return report
    minimum = _minimum(read, head.size, report)
    tiles, tail, below = EMPTY_FRONTIER, EMPTY_FRONTIER, list[bytes]()
    for bundle in bundles_of(head.size):
        if bundle.end <= minimum and read(bundle.path) is None:
            below.append(_pruned(read, bundle, head.size, report))
        else:
            leaves = _check_bundle(read, bundle, report)
            if len(leaves) != bundle.width:
                # Without this bundle nothing after it has its place in the tree.
                tail = EMPTY_FRONTIER.extend(leaves)
                break
            if bundle.width == TILE_WIDTH:
                below.append(tile_hash(leaves))
            else:
                tail = EMPTY_FRONTIER.extend(leaves)
        tick(bundle.index * TILE_WIDTH + bundle.width)
    else:
        for tile, expected in upper_tiles(below):
            if _resource(read, tile, report) not in {None, expected}:
                report.add(None, "tile", f"{tile.path} is not what the tiles below it hash to")
    tiles = EMPTY_FRONTIER.extend(below)
    size, root = tiles.size * TILE_WIDTH + tail.size, join(tiles.nodes + tail.nodes)
    if size != head.size:
        report.add(None, "root", f"head of {head.size}: only {size} entries are there")
    elif root != head.root:
        report.add(None, "root", f"head of {head.size}: the entries have another root")
    report.close(size, root)
    return report


def _minimum(read: Read, size: int, report: Report) -> int:
    """The minimum index that a pruned log states; 0 for one with all its entries."""
    stated = read(MINIMUM)
    if stated is None:
        return 0
    text = stated.decode(errors="replace").strip()
    if not _MINIMUM.match(text) or int(text) > size:
        report.add(None, "file", f"{MINIMUM} is no index of this log: {text[:40]!r}")
        return 0
    return int(text)


def _pruned(read: Read, bundle: Tile, size: int, report: Report) -> bytes:
    """The hash of a full tile whose entries were pruned, from the tile above it."""
    full = size // TILE_WIDTH
    index, place = divmod(bundle.index, TILE_WIDTH)
    above = Tile(1, index, min(full - index * TILE_WIDTH, TILE_WIDTH))
    try:
        return split_tile(_resource(read, above, report) or b"", above.width)[place]
    except ProofInvalid as error:
        report.add(None, "tile", f"{above.path}: {error}")
        return bytes(HASH_BYTES)


def _check_bundle(read: Read, bundle: Tile, report: Report) -> list[bytes]:
    """Leaf hashes of a bundle's entries, compared with its tile of level 0."""
    first, tile = bundle.index * TILE_WIDTH, Tile(0, bundle.index, bundle.width)
    try:
        entries = decode_bundle(_resource(read, bundle, report) or b"")
    except ProofInvalid as error:
        report.add(None, "file", f"{bundle.path}: {error}")
        return []
    if len(entries) != bundle.width:
        report.add(first + len(entries), "missing", f"{bundle.path} ends before its last entry")
    leaves = [leaf_hash(data) for data in entries]
    try:
        stored = split_tile(_resource(read, tile, report) or b"", tile.width)
    except ProofInvalid as error:
        report.add(None, "tile", f"{tile.path}: {error}")
        stored = leaves
    for seq, (data, leaf, expected) in enumerate(zip(entries, leaves, stored, strict=False), first):
        if leaf != expected:
            report.add(seq, "leaf", f"does not hash to what {tile.path} says")
        try:
            if canonical.decode(data).get("seq") != seq:
                report.add(seq, "order", "states another seq than its place")
        except NotCanonical as error:
            report.add(seq, "canonical", f"not an entry: {error}")
    return leaves


def _resource(read: Read, tile: Tile, report: Report) -> bytes | None:
    data = read(tile.path)
    if data is None:
        report.add(None, "file", f"{tile.path} is not there")
    return data
