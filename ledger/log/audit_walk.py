"""The walk of an audit along a ledger: the tree grows, and every signed head is held against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ledger.errors import NotCanonical
from ledger.log.audit_chunk import Chunk
from ledger.log.audit_course import Course
from ledger.log.audit_decode import decode
from ledger.log.audit_report import Head, Report
from ledger.log.merkle import HASH_BYTES, Frontier, leaf_hash, node_hash
from ledger.log.schema import TILE_ENTRIES

#: Entries between two reports of progress while entries are read one by one.
_TICK_ENTRIES: Final = 1_000


class Walk:
    """Takes chunks, and entries where a chunk is not whole, in order."""

    def __init__(
        self, report: Report, heads: Sequence[Head], origin: str, tick: Callable[[int], object]
    ) -> None:
        self.report, self.origin, self.tick = report, origin, tick
        self.course = Course(report, origin)
        self.expected = 0
        self._heads, self._at, self._proved = heads, 0, 0
        self._nodes: list[bytes] = []
        self.size, self.tile = 0, b""
        self._torn = False

    def chunk(self, chunk: Chunk) -> None:
        """Takes a whole chunk that begins where the tree ends."""
        for at in range(0, len(chunk.tiles), HASH_BYTES):
            stop = chunk.start + (at // HASH_BYTES + 1) * TILE_ENTRIES
            self._compare_within(stop, chunk)
            self._push(chunk.tiles[at : at + HASH_BYTES], TILE_ENTRIES)
            self._settle()
        self._compare_within(chunk.stop + 1, chunk)
        if chunk.stop > self.size:
            self._nodes += chunk.edges[chunk.stop]
            self.size = chunk.stop
        self.expected, self._torn = chunk.stop, False
        if chunk.stretch is not None:
            self.course.stretch(chunk.stretch, chunk.first)
        self.tick(self.size)

    def entry(
        self, data: bytes, leaf_at: Callable[[int], bytes | None], *, tree: bool = False
    ) -> None:
        """Takes the next entry; ``leaf_at`` gives the leaf hash stored for a seq, or its start."""
        digest, seq, entry = leaf_hash(data), self.expected, None
        if tree:
            if not digest.startswith(leaf_at(seq) or b"none"):
                self.report.add(seq, "leaf", f"is not what is stored for entry {seq}")
            elif b'"seq":%d,' % seq not in data:
                self.report.add(seq, "order", f"is not the entry that belongs at {seq}")
        else:
            try:
                entry = decode(data)
                if digest.startswith(leaf_at(entry["seq"]) or b"none"):
                    seq = entry["seq"]
                else:
                    kind = "order" if digest.startswith(leaf_at(seq) or b"none") else "leaf"
                    detail = f"is not what is stored for entry {entry['seq']}"
                    self.report.add(seq, kind, detail)
            except NotCanonical as error:
                self.report.add(seq, "canonical", f"not an entry: {error}")
        if seq > self.expected:
            self.report.add(self.expected, "missing", f"not there; the next one is entry {seq}")
        elif seq < self.expected and not self._torn:
            self.report.add(seq, "order", f"stands where entry {self.expected} belongs")
        self._push(digest, 1)
        self.expected, self._torn = seq + 1, entry is None and not tree
        if entry is not None:
            self.course.entry(seq, entry)
        self._settle()
        if self.size % _TICK_ENTRIES == 0:
            self.tick(self.size)

    def close(self) -> None:
        """Compares the heads that are left, which are larger than the tree."""
        for head in self._heads[self._at :]:
            self._judge(head, b"")
        self.report.close(self.size, self.root())

    def root(self) -> bytes:
        """The root over all entries so far."""
        return Frontier(self.size, tuple(self._nodes)).root()

    def _push(self, node: bytes, leaves: int) -> None:
        """Appends a complete subtree over so many leaves, at a multiple of as many."""
        self.size += leaves
        while not self.size & leaves:
            node = node_hash(self._nodes.pop(), node)
            leaves <<= 1
            if leaves == TILE_ENTRIES:
                self.tile = node
        self._nodes.append(node)

    def _compare_within(self, stop: int, chunk: Chunk) -> None:
        """Judges the heads that end inside the tile that comes next."""
        while self._at < len(self._heads) and self._heads[self._at].size < stop:
            head = self._heads[self._at]
            nodes = (*self._nodes, *chunk.edges.get(head.size, ()))
            self._judge(head, Frontier(head.size, nodes).root() if head.size else b"")
            self._at += 1

    def _settle(self) -> None:
        """Judges the heads that end where the tree does."""
        while self._at < len(self._heads) and self._heads[self._at].size <= self.size:
            head = self._heads[self._at]
            self._judge(head, self.root() if head.size == self.size else b"")
            self._at += 1

    def _judge(self, head: Head, root: bytes) -> None:
        """Compares a head with the root over as many entries; empty if they are not there."""
        kind, what = head.kind.replace("signature", "root"), f"head of {head.size}"
        if head.origin != self.origin:
            self.report.add(None, kind, f"{what}: of another ledger, {head.origin}")
        elif head.size > self.size and not root:
            self.report.add(None, kind, f"{what}: only {self.size} entries are there")
        elif root and head.root != root:
            since = f"an entry from {self._proved} to {head.size - 1} was changed"
            self.report.add(None, kind, f"{what}: the entries have another root; {since}")
        else:
            self._proved = head.size
