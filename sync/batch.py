"""From a position and a log to one bounded batch that ends at a stored checkpoint: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from sync.errors import BatchTooLarge
from sync.protocol import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, CHECKPOINT_BYTES_MAX, Batch

#: Room that the header lines take at most.
_HEAD_BYTES: Final = 128


class Entries(Protocol):
    """The part of ``ledger.log.reading.EntrySource`` that a batch is made of."""

    @property
    def size(self) -> int:
        """Number of durable entries."""

    @property
    def origin(self) -> str:
        """Identity of the log."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The stored bytes of the entries ``[start, stop)``, in order."""

    def checkpoint_for_batch(self, start: int, limit: int) -> tuple[int, bytes] | None:
        """The largest checkpoint with ``start < size <= start + limit``; None if there is none."""


def ledger_of(origin: str) -> str:
    """Ledger id of an origin, its last path element."""
    return origin.rpartition("/")[2]


def next_batch(
    source: Entries,
    start: int,
    *,
    entries_max: int = BATCH_ENTRIES_MAX,
    bytes_max: int = BATCH_BYTES_MAX,
) -> Batch | None:
    """The largest batch from ``start`` that keeps both limits and ends at a stored checkpoint.

    Args:
        source: the log.
        start: position of the first entry, the size that the server holds.
        entries_max: most entries.
        bytes_max: longest encoded batch.

    Returns:
        The batch, or None if the log ends at ``start``.

    Raises:
        BatchTooLarge: even the smallest piece between two checkpoints breaks a limit.
        LedgerError: the log cannot be read.
    """
    if start >= source.size:
        return None
    room = bytes_max - _HEAD_BYTES - CHECKPOINT_BYTES_MAX
    limit = entries_max
    found = source.checkpoint_for_batch(start, limit)
    while found is not None:
        stop, note = found
        entries: list[bytes] = []
        used = 0
        for entry in source.entries(start, stop):
            used += len(entry) + 1
            if used > room:
                break
            entries.append(entry)
        if len(entries) == stop - start:
            return Batch(ledger_of(source.origin), start, tuple(entries), note)
        limit = len(entries)
        found = source.checkpoint_for_batch(start, limit) if limit else None
    raise BatchTooLarge(
        f"no checkpoint follows entry {start} within {entries_max} entries and {bytes_max} bytes; "
        "nothing was sent. Run `redcard ledger verify` and call the operator"
    )
