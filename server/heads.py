"""Heads of ledgers as stored, and the pure admission run over them.

Admission asks for stored leaves only where a batch overlaps what is held; they are read when it
does, and it is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import Ed25519Verifier
from server.commits import StoredLog
from server.errors import TerminalUnknown
from server.schema import entries, ledgers, receipts
from sync import admission
from sync.admission import LedgerState, LogState, admit
from sync.protocol import Batch

UNKNOWN_TEXT: Final = (
    "no ledger of this name is enrolled here; nothing was taken. "
    "Check the server's address, or enrol the terminal"
)


class LeavesWanted(Exception):
    """Admission asked for stored leaf hashes that were not read yet."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(start, stop)
        self.start, self.stop = start, stop


async def read_log(connection: AsyncConnection, ledger: str) -> StoredLog:
    """Reads a ledger's head.

    Raises:
        TerminalUnknown: there is no such ledger.
    """
    found = (
        (await connection.execute(select(ledgers).where(ledgers.c.ledger == ledger)))
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise TerminalUnknown(UNKNOWN_TEXT)
    return stored_log(found)


def stored_log(row: Mapping[Any, Any]) -> StoredLog:
    """A row of ``ledgers`` as a head."""
    vkeys = tuple(row["vkeys"].splitlines())
    state = LogState(
        ledger=row["ledger"],
        origin=row["origin"],
        vkeys=vkeys,
        size=row["size"],
        root=bytes(row["root"]),
        frontier=Frontier.from_bytes(bytes(row["frontier"])),
        state=LedgerState(row["state"]),
    )
    return StoredLog(row["log"], state, tuple(Ed25519Verifier.from_vkey(key) for key in vkeys))


def nothing_held(start: int, stop: int) -> Sequence[bytes]:
    """Leaves for a batch that follows what is held, which asks for none."""
    if start < stop:
        raise LeavesWanted(start, stop)
    return ()


async def admit_stored(
    connection: AsyncConnection, stored: StoredLog, batch: Batch
) -> admission.Admission:
    """Runs the pure admission, reading stored leaves only when it asks for them."""
    known: dict[tuple[int, int], list[bytes]] = {}
    root = await connection.scalar(
        select(receipts.c.root).where(receipts.c.log == stored.log, receipts.c.size == batch.end)
    )

    def held(start: int, stop: int) -> Sequence[bytes]:
        if start >= stop:
            return []
        if (start, stop) not in known:
            raise LeavesWanted(start, stop)
        return known[start, stop]

    def receipted_root(size: int) -> bytes | None:
        return bytes(root) if root is not None and size == batch.end else None

    while True:
        try:
            return admit(stored.state, batch, held, stored.verifiers, receipted_root)
        except LeavesWanted as wanted:
            known[wanted.start, wanted.stop] = await _leaves(
                connection, stored.log, wanted.start, wanted.stop
            )


async def _leaves(connection: AsyncConnection, log: int, start: int, stop: int) -> list[bytes]:
    statement = (
        select(entries.c.body)
        .where(entries.c.log == log, entries.c.seq >= start, entries.c.seq < stop)
        .order_by(entries.c.seq)
    )
    return [leaf_hash(bytes(body)) for body in (await connection.scalars(statement)).all()]
