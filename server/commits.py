"""Commits admitted batches together.

Who comes to the turn first takes along everybody who waits: a thousand terminals that each send one
entry cost a few commits, not a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.note import Verifier
from server.database import Database
from server.errors import DatabaseFault
from server.schema import entries, ledgers, receipts
from sync.admission import Admitted, LogState

#: Batches that share one commit at most.
GROUP_BATCHES_MAX: Final = 200


class StoredLog(NamedTuple):
    """A ledger as read from the database: the server's number of it, and its state."""

    log: int
    state: LogState
    verifiers: tuple[Verifier, ...]


@dataclass(slots=True)
class Work:
    """One admitted batch on its way to the disk."""

    log: StoredLog
    admitted: Admitted
    receipt: bytes
    received_ms: int
    carrier: str
    drained: bool
    done: bool = False
    won: bool = False
    fault: BaseException | None = None


class GroupCommit:
    """The one way by which entries reach the disk."""

    def __init__(self, database: Database) -> None:
        """Writes to ``database``."""
        self._database = database
        self._turn = asyncio.Lock()
        self._waiting: list[Work] = []

    async def commit(self, work: Work) -> bool:
        """Whether the batch is durable now; ``False`` if the head had moved in the meantime."""
        self._waiting.append(work)
        async with self._turn:
            if not work.done:
                group = self._waiting[:GROUP_BATCHES_MAX]
                del self._waiting[:GROUP_BATCHES_MAX]
                await self._commit_group(group)
        if work.fault is not None:
            raise work.fault
        return work.won

    async def _commit_group(self, group: Sequence[Work]) -> None:
        try:
            await self._write(group)
        except (SQLAlchemyError, OSError) as error:
            if len(group) == 1:
                group[0].fault = error
            else:  # one of them may be at fault: each for itself
                for work in group:
                    await self._commit_group([work])
        except BaseException:
            # Cancelled in the middle: whether it was committed is unknown, and asking again tells.
            for work in group:
                work.fault = DatabaseFault("the server is stopping; send the batch again")
                work.done = True
            raise
        for work in group:
            work.done = True

    async def _write(self, group: Sequence[Work]) -> None:
        async with self._database.writing() as connection:
            # In one order everywhere, so that two servers never wait for each other.
            for work in sorted(group, key=lambda one: (one.log.log, one.admitted.size)):
                work.won = await _advance(connection, work)
            winners = [work for work in group if work.won]
            rows = [
                (work.log.log, work.admitted.old_size + index, body)
                for work in winners
                for index, body in enumerate(work.admitted.entries)
            ]
            await self._database.append(connection, entries, rows)
            await self._database.append(
                connection, receipts, [_receipt_row(one) for one in winners]
            )


async def _advance(connection: AsyncConnection, work: Work) -> bool:
    """Moves the head if it still stands where admission saw it."""
    before, after = work.log.state, work.admitted
    changed = await connection.execute(
        update(ledgers)
        .where(
            ledgers.c.log == work.log.log,
            ledgers.c.size == after.old_size,
            ledgers.c.root == before.root,
            ledgers.c.state == before.state.value,
        )
        .values(
            size=after.size,
            root=after.root,
            frontier=after.frontier.to_bytes(),
            received_ms=work.received_ms,
        )
    )
    return changed.rowcount == 1


def _receipt_row(work: Work) -> tuple[Any, ...]:
    done = work.admitted
    return (
        work.log.log,
        done.size,
        done.old_size,
        done.root,
        work.receipt,
        work.received_ms,
        work.carrier,
        work.drained,
    )
