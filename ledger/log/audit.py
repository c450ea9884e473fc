"""The product's audit of a ledger: all faults, at a few times the cost of hashing its entries.

Whole chunks are checked at once, by as many processes as are given (`audit_chunk`); a chunk in
which anything is wrong is read again, entry by entry, to name each fault. The kinds of faults are
those of the auditor's file, which shares no line with this, and a test holds both to one verdict.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

from ledger.entry import ENTRY_BYTES_MAX
from ledger.errors import LogFault
from ledger.log import schema
from ledger.log.audit_chunk import Chunk, Job, check_chunk, check_rows
from ledger.log.audit_crew import Crew, crew
from ledger.log.audit_report import Report, Roster, open_heads, parse_keys, sizes_of
from ledger.log.audit_walk import Walk
from ledger.log.export import CHECKPOINT, COSIGNATURES, ENTRIES, LEAVES, VKEYS
from ledger.log.leaves import CHUNK_ENTRIES, hash_leaves
from ledger.log.merkle import HASH_BYTES
from ledger.log.rotation import roster_of
from ledger.log.schema import TILE_ENTRIES

_SEQ_MIN: Final = -(2**63)


def verify_database(
    path: str | Path,
    vkeys: Sequence[str] = (),
    cosigned: Sequence[bytes] = (),
    *,
    tree: bool = False,
    processes: int = 1,
    tick: Callable[[int], object] = bool,
) -> Report:
    """Audits a database, also beside its writer.

    Args:
        path: the ledger file.
        vkeys: trusted verifier keys instead of the ledger's own word.
        cosigned: heads that the server confirmed, whole notes.
        tree: check roots, signatures and the order of entries, not what entries say.
        processes: how many share the work; this one is one of them.
        tick: called with entries done.

    Raises:
        LogFault: there is no ledger, or SQLite cannot read it at all.
    """
    place, report = Path(path), Report()
    with closing(schema.connect_reader(place)) as connection:
        try:
            # One read transaction: entries and heads of the same moment.
            connection.execute("BEGIN")
            identity = connection.execute("SELECT origin, vkey FROM log").fetchall()
            stored = connection.execute(
                "SELECT size, note FROM checkpoint ORDER BY size"
            ).fetchall()
            first, last = connection.execute(
                "SELECT (SELECT min(seq) FROM entry), (SELECT max(seq) FROM entry)"
            ).fetchone()
            tiles = dict(connection.execute("SELECT tile, hash FROM tile").fetchall())
            connection.execute("COMMIT")
            ((origin, own),) = identity
            keys = vkeys or [schema.text_of(own, str(place))]
            name = schema.text_of(origin, str(place))
        except (sqlite3.Error, ValueError) as error:
            raise LogFault(f"{place}: cannot be read as a ledger: {error}") from error
        notes = [_note(note) for _, note in stored]
        newest = stored[-1][0] if stored else 0
        size = newest if (first, last) == (0, newest - 1) else 0
        sizes = sizes_of([*notes, *cosigned]) | {size}
        job = Job(str(place), size, tuple(sorted(sizes)), tree)
        with crew(job, processes) as others:
            roster = roster_of(connection, name, parse_keys(keys, report), report)
            found = [(note, "signature") for note in notes]
            heads = open_heads([*found, *((note, "cosigned") for note in cosigned)], roster, report)
            _check_columns([column for column, _ in stored], notes, report)
            walk = Walk(report, heads, name, tick)
            _Database(connection, job, walk, tiles, report).walk(others)
        if newest != walk.size:
            report.add(None, "root", f"the newest head is of {newest} entries, not {walk.size}")
    walk.close()
    return report


class _Database:
    """Chunks of a database, in order, from whoever checked them."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        job: Job,
        walk: Walk,
        tiles: dict[int, object],
        report: Report,
    ) -> None:
        self._connection, self._job, self._walk = connection, job, walk
        self._tiles, self._report = tiles, report

    def walk(self, others: Crew) -> None:
        """Goes through all entries, then through what SQLite says of its own file."""
        try:
            reached = 0
            for chunk in self._chunks(others):
                if chunk.whole:
                    self._walk.chunk(chunk)
                    for tile in range(chunk.start // TILE_ENTRIES, chunk.stop // TILE_ENTRIES):
                        self._tiles.pop(tile, None)
                else:
                    self._one_by_one(chunk.start, chunk.stop)
                reached = chunk.stop
                if self._walk.size != reached:
                    break
            if reached != self._job.size or not reached:
                self._one_by_one(reached or _SEQ_MIN, None)
            if not self._job.tree:
                for (line,) in self._connection.execute("PRAGMA integrity_check"):
                    if line != b"ok":
                        self._report.add(None, "file", bytes(line).decode(errors="replace"))
        except (sqlite3.DatabaseError, TypeError) as error:
            at = self._walk.expected
            self._report.add(at, "file", f"SQLite cannot read on: {error}")
        if self._tiles:
            self._report.add(None, "tile", f"{len(self._tiles)} stored tiles have no entries")

    def _chunks(self, others: Crew) -> Iterator[Chunk]:
        """Yields chunks in order; this process checks whatever the others have not taken."""
        ready: dict[int, Chunk] = {}
        following, chunks = 0, self._job.chunks
        while following < chunks:
            number = others.take()
            if number >= chunks and others.alone:
                # Whoever took it is gone without an answer.
                number = following
            if number < chunks:
                ready[number] = check_chunk(self._connection, self._job, number)
            ready.update(others.found(wait=number >= chunks))
            while following in ready:
                yield ready.pop(following)
                following += 1

    def _one_by_one(self, start: int, stop: int | None) -> None:
        """Reads entries again, or on, and names each fault."""
        rows = self._connection.execute(
            "SELECT seq, CAST(ifnull(entry, 0) AS BLOB), leaf FROM entry"
            " WHERE seq >= ? AND seq < ifnull(?, 9223372036854775807) ORDER BY seq",
            (start, stop),
        )
        walk = self._walk
        for seq, data, stored in rows:
            if seq > walk.expected:
                self._report.add(walk.expected, "missing", f"not there; the next one is {seq}")
            walk.expected = seq
            walk.entry(data, {seq: stored}.get, tree=self._job.tree)
            tile, rest = divmod(walk.size, TILE_ENTRIES)
            if not rest and self._tiles.pop(tile - 1, b"") != walk.tile:
                self._report.add(None, "tile", f"the 256 entries before {walk.size}")


def verify_directory(
    path: str | Path,
    vkeys: Sequence[str] = (),
    *,
    tree: bool = False,
    tick: Callable[[int], object] = bool,
) -> Report:
    """Audits an export; arguments as of `verify_database`.

    Raises:
        OSError: a file of the export cannot be read.
    """
    place, report = Path(path), Report()
    keys = parse_keys(vkeys or (place / VKEYS).read_text(encoding="utf-8").splitlines(), report)
    notes = [((place / CHECKPOINT).read_bytes(), "signature")]
    notes += [(note, "cosigned") for note in _split((place / COSIGNATURES).read_bytes())]
    roster = Roster(tuple(keys))
    heads = open_heads(notes[:1], roster, report)
    origin, size = (heads[0].origin, heads[0].size) if heads else ("", 0)
    heads += open_heads(notes[1:], roster, report)
    walk = Walk(report, sorted(heads, key=lambda head: head.size), origin, tick)
    with (place / ENTRIES).open("rb") as entries, (place / LEAVES).open("rb") as leaves:
        job = Job(str(place), size, tuple(sorted({*sizes_of(note for note, _ in notes)})), tree)
        _walk_lines(entries, leaves, walk, job)
        stored = leaves.seek(0, 2)
    if stored != HASH_BYTES * walk.size:
        report.add(None, "file", f"{stored} bytes of leaf hashes are not 32 an entry")
    if size != walk.size:
        report.add(None, "root", f"the checkpoint is of {size} entries, not {walk.size}")
    walk.close()
    return report


def _walk_lines(entries: BinaryIO, leaves: BinaryIO, walk: Walk, job: Job) -> None:
    """Takes lines a chunk at a time; from the first chunk that is not whole, one by one."""

    def leaf_at(seq: int) -> bytes:
        leaves.seek(HASH_BYTES * seq)
        return leaves.read(HASH_BYTES)

    whole = True
    while lines := _lines(entries):
        chunk = Chunk(walk.size, 0)
        stored = leaves.read(HASH_BYTES * len(lines)) if whole else b""
        if whole and all(line.endswith(b"\n") for line in lines):
            data = [line[:-1] for line in lines]
            hashed = hash_leaves(data)
            if b"".join(hashed) == stored:
                sizes = {*job.sizes, walk.size + len(lines)}
                more = Job(job.path, job.size, tuple(sorted(sizes)), job.tree)
                chunk = check_rows(more, walk.size, data, hashed)
        whole = chunk.whole
        if whole:
            walk.chunk(chunk)
            continue
        for line in lines:
            if not line.endswith(b"\n"):
                walk.report.add(walk.expected, "file", "the line does not end with a newline")
            walk.entry(line.removesuffix(b"\n"), leaf_at, tree=job.tree)


def _lines(entries: BinaryIO) -> list[bytes]:
    """The next lines of a chunk; one that is longer than any entry comes in pieces."""
    lines: list[bytes] = []
    while len(lines) < CHUNK_ENTRIES and (line := entries.readline(2 * ENTRY_BYTES_MAX)):
        lines.append(line)
    return lines


def _split(data: bytes) -> list[bytes]:
    """Notes of a ``cosignatures`` file; what is left over is a note that will not open."""
    parts = data.split(b"\n\n")
    parts += [b""] * (len(parts) % 2)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [b"%s\n\n%s\n" % (text, block.strip(b"\n")) for text, block in pairs if text or block]


def _check_columns(columns: Sequence[int], notes: Sequence[bytes], report: Report) -> None:
    """A stored head stands at the size that it signs; one that will not open is told of apart."""
    for column, note in zip(columns, notes, strict=True):
        if sizes_of([note]) not in ({column}, set()):
            report.add(None, "signature", f"the head stored for {column} is of another size")


def _note(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
