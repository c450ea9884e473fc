"""Commits admitted batches together.

Who comes to the turn first takes along everybody who waits: a thousand terminals that each send one
entry cost a few commits, not a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import NotCanonical, NoteInvalid
from ledger.log.note import Ed25519Verifier, Verifier
from ledger.log.rotation import follow
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

    @property
    def number(self) -> int:
        """The server's number of the ledger."""
        return self.log.log

    @property
    def before(self) -> LogState:
        """The head that admission saw."""
        return self.log.state

    @property
    def changes_key(self) -> bool:
        """Whether the ledger has another key from here on."""
        return bool(_new_key(self))

    @property
    def after(self) -> StoredLog:
        """The head once the batch is stored."""
        done = self.admitted
        state = replace(self.log.state, size=done.size, root=done.root, frontier=done.frontier)
        return self.log._replace(state=state)


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
                await self._commit_group(self._next_group(work))
        if work.fault is not None:
            raise work.fault
        return work.won

    def _next_group(self, work: Work) -> list[Work]:
        """This batch and others that wait, one of each ledger: what follows it comes later."""
        group: dict[int, Work] = {}
        for waiting in self._waiting:
            if len(group) < GROUP_BATCHES_MAX or waiting.number == work.number:
                group.setdefault(waiting.number, waiting)
        # Whose turn it is goes now, also if another batch of its ledger came before it.
        group[work.number] = work
        taken = {id(one) for one in group.values()}
        self._waiting = [one for one in self._waiting if id(one) not in taken]
        return list(group.values())

    async def _commit_group(self, group: Sequence[Work]) -> None:
        try:
            await self._write(group)
        except (SQLAlchemyError, OSError, DatabaseFault) as error:
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
        if self._database.hot is not None:
            vkeys = {work.number: key["vkeys"] for work in group if (key := _new_key(work))}
            moved = await self._database.hot.write(group, vkeys)
            for work in group:
                work.won = work.number in moved
            return
        async with self._database.writing() as connection:
            for work in group:
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
            **_new_key(work),
        )
    )
    return changed.rowcount == 1


def _new_key(work: Work) -> dict[str, str]:
    """The ledger's keys with the one that a batch brings in; nothing if it brings none.

    A batch that ends at a ``keyrot`` entry, under a head signed by the old key and the new one
    (``ledger.log.rotation``), replaces the key; anything less changes nothing.
    """
    last = work.admitted.entries[-1]
    if b'"kind":"keyrot"' not in last:
        return {}
    own = [key for key in work.log.verifiers if isinstance(key, Ed25519Verifier)]
    try:
        _, new = follow(work.admitted.checkpoint, last, work.admitted.size, own)
    except (NoteInvalid, NotCanonical):
        return {}
    known = [one for one in work.log.state.vkeys if one != new.vkey]
    return {"vkeys": "\n".join([*known, new.vkey])}


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
