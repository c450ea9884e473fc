"""Opening is recovering: what is checked before a log accepts its next entry.

There is no other way in. After a clean stop, a crash or an I/O error the same steps find out what
is durable and whether it is what was signed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from ledger.entry import Entry, Kind, Value
from ledger.errors import LogCorrupt, LogFault, LogRolledBack, NotCanonical, NoteInvalid
from ledger.log import canonical, checkpoint, schema
from ledger.log.merkle import EMPTY_FRONTIER, HASH_BYTES, Frontier, leaf_hash
from ledger.log.note import Ed25519Verifier, Signer, Verifier, split_note
from ledger.log.reading import StoredLog

#: Entries re-read at every start, at most, counted back from the newest.
TAIL_ENTRIES_MAX: Final = 10_000

#: Nonces and seqs of the newest entries, those after the last complete tile: not indexed yet.
Nonces: TypeAlias = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class BootFacts:
    """What the machine says of itself when a log is opened.

    Attributes:
        boot: 16 lower-case hexadecimal digits, equal for all processes since the last start of the
            operating system and different after the next.
        ts_ms: wall time, milliseconds since the Unix epoch, UTC.
        mono_ms: CLOCK_BOOTTIME in milliseconds.
        version: version of the program.
        epoch: counts re-imagings of the machine, from 0.
        facts: further fields of the boot entry, such as a hardware counter.
    """

    boot: str
    ts_ms: int
    mono_ms: int
    version: str = "0"
    epoch: int = 0
    facts: Mapping[str, Value] = field(default_factory=dict)

    def entry(self, cosigned_size: int) -> Entry:
        """The boot entry, without what the store stamps."""
        return {
            **self.facts,
            "kind": Kind.BOOT.value,
            "ts_ms": self.ts_ms,
            "mono_ms": self.mono_ms,
            "version": self.version,
            "epoch": self.epoch,
            "cosigned_size": cosigned_size,
        }


class Head(NamedTuple):
    """Where a log stands: all that the next append needs to know.

    Attributes:
        tiles: frontier over the hashes of complete tiles of 256 entries.
        tail: frontier over the entries after the last complete tile.
        anchor: size of the newest checkpoint that stays when the head moves on.
        anchor_bytes: bytes of the entries after the anchor, one newline each.
        boot: boot of the newest entry.
        mono_ms: boot-time clock of the newest entry.
    """

    tiles: Frontier = EMPTY_FRONTIER
    tail: Frontier = EMPTY_FRONTIER
    anchor: int = 0
    anchor_bytes: int = 0
    boot: str = ""
    mono_ms: int = 0

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.tiles.size * schema.TILE_ENTRIES + self.tail.size

    @property
    def frontier(self) -> Frontier:
        """Frontier over all entries."""
        return Frontier(self.size, self.tiles.nodes + self.tail.nodes)

    def extend(self, leaf_hashes: Sequence[bytes]) -> tuple[Frontier, Frontier, list[bytes]]:
        """Tiles and tail after appending leaves, and the hashes of tiles that became complete."""
        tiles, tail, complete = self.tiles, self.tail, []
        at = 0
        while at < len(leaf_hashes):
            room = schema.TILE_ENTRIES - tail.size
            tail = tail.extend(leaf_hashes[at : at + room])
            at += room
            if tail.size == schema.TILE_ENTRIES:
                complete.append(tail.nodes[0])
                tiles, tail = tiles.extend(tail.nodes), EMPTY_FRONTIER
        return tiles, tail, complete


def recover(
    log: StoredLog,
    connection: sqlite3.Connection,
    signer: Signer,
    cosigned: Sequence[bytes],
    cosigners: Sequence[Verifier] = (),
) -> tuple[Head, Nonces, int]:
    """Checks a log and says where it stands. Reads only.

    Args:
        log: the log, read through the writer's connection.
        connection: that connection.
        signer: the key that will sign the next checkpoint and signed the last.
        cosigned: cosigned checkpoints that the server returned, whole notes, in any order.
        cosigners: the server's keys; if given, every cosigned note must verify against one.

    Returns:
        The head, the nonces not indexed yet, and the largest size that the server has cosigned (0
        if none).

    Raises:
        LogCorrupt: bytes, tree or signature do not agree; the message names the entry.
        LogRolledBack: the server has cosigned more, or something else, than is here.
        LogFault: the key does not belong to this log, or the file cannot be read.
    """
    if signer.name != log.origin:
        raise LogFault(
            f"{log.path}: this ledger is {log.origin}, but the key signs for {signer.name};"
            " use the home that belongs to this ledger"
        )
    size, root = _signed_head(log, signer)
    receipts = [_receipt(note, log, cosigners) for note in cosigned]
    acknowledged = max((receipt.size for receipt in receipts), default=0)
    if acknowledged > size:
        raise LogRolledBack(
            f"{log.path}: the server has {acknowledged} entries of this ledger, this disk only"
            f" {size}; the disk was restored or replaced; take no redemptions and call the"
            " federation for a new ledger"
        )
    head, nonces = _rebuild(log, connection, size, max(acknowledged, size - TAIL_ENTRIES_MAX))
    if head.frontier.root() != root:
        raise LogCorrupt(
            f"{log.path}: the {size} entries do not add up to the root that was signed;"
            " run `redcard ledger verify` on a copy to find which"
        )
    for receipt in receipts:
        if log.root_at(receipt.size) != receipt.root:
            raise LogRolledBack(
                f"{log.path}: the first {receipt.size} entries differ from what the server holds;"
                " two machines write one ledger; take no redemptions and call the federation"
            )
    return head, nonces, acknowledged


def _signed_head(log: StoredLog, signer: Signer) -> tuple[int, bytes]:
    size, note = log.checkpoint()
    try:
        head = checkpoint.open_checkpoint(note, [Ed25519Verifier.of(signer)])
    except NoteInvalid as error:
        raise LogCorrupt(f"{log.path}: the newest checkpoint does not hold: {error}") from error
    if head.origin != log.origin or head.size != size:
        raise LogCorrupt(
            f"{log.path}: the newest checkpoint is of {head.origin} at {head.size},"
            f" not of {log.origin} at {size}"
        )
    return size, head.root


def _receipt(note: bytes, log: StoredLog, cosigners: Sequence[Verifier]) -> checkpoint.Checkpoint:
    try:
        if cosigners:
            receipt = checkpoint.open_checkpoint(note, cosigners)
        else:
            receipt = checkpoint.parse(split_note(note)[0])
    except NoteInvalid as error:
        raise LogFault(f"{log.path}: a stored receipt of the server is damaged: {error}") from error
    if receipt.origin != log.origin:
        raise LogFault(f"{log.path}: a stored receipt belongs to another ledger: {receipt.origin}")
    return receipt


def _rebuild(
    log: StoredLog, connection: sqlite3.Connection, size: int, unchecked: int
) -> tuple[Head, Nonces]:
    """Reads the tail, checks it against its stored hashes, and builds the frontier."""
    (last,) = connection.execute("SELECT max(seq) FROM entry").fetchone()
    if last is None or last + 1 != size:
        raise LogCorrupt(
            f"{log.path}: the newest checkpoint covers {size} entries,"
            f" but {0 if last is None else last + 1} are stored"
        )
    stored = connection.execute("SELECT tile, hash FROM tile ORDER BY tile").fetchall()
    whole = size // schema.TILE_ENTRIES
    if [(tile, type(node)) for tile, node in stored] != [(at, bytes) for at in range(whole)] or any(
        len(node) != HASH_BYTES for _, node in stored
    ):
        raise LogCorrupt(f"{log.path}: {len(stored)} stored tiles do not cover {size} entries")
    tile = min(unchecked // schema.TILE_ENTRIES, whole)
    while tile < whole:
        found = _leaves(log, tile * schema.TILE_ENTRIES, (tile + 1) * schema.TILE_ENTRIES)
        if EMPTY_FRONTIER.extend(found).root() != stored[tile][1]:
            raise LogCorrupt(f"{log.path}: the stored hash of tile {tile} is damaged")
        tile += 1
    tiles = EMPTY_FRONTIER.extend(node for _, node in stored)
    tail = EMPTY_FRONTIER.extend(_leaves(log, whole * schema.TILE_ENTRIES, size))
    newest = log.entry(size - 1) or {}
    nonces = [
        (str(fields["nonce"]), seq)
        for seq in range(whole * schema.TILE_ENTRIES, size)
        if "nonce" in (fields := log.entry(seq) or {})
    ]
    below = connection.execute("SELECT max(size) FROM checkpoint WHERE size < ?", (size,))
    anchor = below.fetchone()[0] or 0
    anchored = connection.execute(
        "SELECT coalesce(sum(length(CAST(entry AS BLOB)) + 1), 0) FROM entry WHERE seq >= ?",
        (anchor,),
    )
    head = Head(
        tiles=tiles,
        tail=tail,
        anchor=anchor,
        anchor_bytes=anchored.fetchone()[0],
        boot=str(newest.get("boot")),
        mono_ms=int(str(newest.get("mono_ms", 0))),
    )
    return head, nonces


def _leaves(log: StoredLog, start: int, stop: int) -> list[bytes]:
    found = []
    for seq, (data, leaf) in enumerate(log.rows(start, stop), start):
        digest = leaf_hash(data)
        if digest[: schema.LEAF_PREFIX_BYTES] != leaf:
            raise LogCorrupt(
                f"{log.path}: entry {seq} is damaged: its bytes do not hash to its leaf"
            )
        try:
            fields = canonical.decode(data)
        except NotCanonical as error:
            raise LogCorrupt(f"{log.path}: entry {seq} is damaged: {error}") from error
        if fields.get("seq") != seq:
            raise LogCorrupt(f"{log.path}: entry {seq} says that it is entry {fields.get('seq')}")
        found.append(digest)
    return found
