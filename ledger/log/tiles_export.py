"""A ledger as a folder of tiles that any tool for tiled logs reads, and back (C2SP tlog-tiles)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ledger.errors import LogFault
from ledger.log.audit_report import Report
from ledger.log.disk import translate
from ledger.log.merkle import leaf_hash
from ledger.log.reading import StoredLog
from ledger.log.tiles import (
    MINIMUM,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    bundles_of,
    encode_bundle,
    tile_hash,
    upper_tiles,
    verify_tiles,
)

CHECKPOINT: Final = "checkpoint"
VKEYS: Final = "vkeys"


def export_tiles(
    log: StoredLog,
    directory: str | Path,
    vkeys: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    minimum: int = 0,
) -> int:
    """Writes a ledger as tiles; the checkpoint last, so that it never promises what is missing.

    Args:
        log: the ledger; it may grow meanwhile, the export ends at its newest checkpoint.
        directory: a new or empty folder.
        vkeys: further verifier keys to name; the ledger's own is added.
        progress: called with entries done and entries in all.
        minimum: the minimum index (tlog-tiles, Pruning): full bundles below it, and their tiles of
            level 0, are left out. Every root and proof from it on can still be made.

    Returns:
        Number of entries written.

    Raises:
        LogFault: the folder is not empty, the disk refuses, or the log has no such minimum index.
        LogCorrupt: an entry is missing.
    """
    place, (size, note), nodes = Path(directory), log.checkpoint(), log.nodes()
    if not 0 <= minimum <= size:
        raise LogFault(f"{minimum} is no minimum index of a log of {size} entries")
    try:
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise LogFault(f"{place}: the folder is not empty; name a new one")
        full = []
        for bundle in bundles_of(size):
            first = bundle.index * TILE_WIDTH
            if bundle.end <= minimum:
                full.append(nodes(TILE_HEIGHT, bundle.index))
                continue
            entries = list(log.entries(first, first + bundle.width))
            leaves = [leaf_hash(data) for data in entries]
            _write(place, bundle.path, encode_bundle(entries))
            _write(place, Tile(0, bundle.index, bundle.width).path, b"".join(leaves))
            if bundle.width == TILE_WIDTH:
                full.append(tile_hash(leaves))
            if progress is not None:
                progress(first + bundle.width, size)
        for tile, data in upper_tiles(full):
            _write(place, tile.path, data)
        keys = dict.fromkeys([log.vkey, *vkeys])
        _write(place, VKEYS, "".join(f"{key}\n" for key in keys).encode())
        if minimum:
            _write(place, MINIMUM, b"%d\n" % minimum)
        _write(place, CHECKPOINT, note)
    except OSError as error:
        raise translate(error, place) from error
    return size


def verify_folder(
    directory: str | Path, vkeys: Sequence[str] = (), tick: Callable[[int], object] = bool
) -> Report:
    """Checks a folder of tiles (`verify_tiles`); raises OSError if a file cannot be read."""
    place = Path(directory)

    def read(path: str) -> bytes | None:
        file = place / path
        return file.read_bytes() if file.is_file() else None

    return verify_tiles(read, vkeys, tick)


def _write(place: Path, name: str, data: bytes) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
