"""Evidence of one entry: its stored bytes and a proof that anybody's tools verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.merkle import Nodes, leaf_hash, nodes_of
from server.desk import Desk
from server.errors import ImportRefused, NotAllowed
from server.roles import Actor, Right, Role
from server.schema import entries, ledgers, receipts
from server.schema_office import statement_entries, statements


@dataclass(frozen=True, slots=True)
class EntryEvidence:
    """What proves one entry to anybody: its bytes, and a tlog-proof against a cosigned head.

    Attributes:
        position: ``<ledger>/<seq>``.
        entry: the stored bytes, which were hashed.
        leaf: their leaf hash in hexadecimal.
        proof: a ``.tlog-proof`` (C2SP tlog-proof v1).
        vkeys: verifier keys of the ledger.
    """

    position: str
    entry: bytes
    leaf: str
    proof: bytes
    vkeys: tuple[str, ...]


class Evidence:
    """Proves entries."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def of(self, who: Actor, position: str) -> EntryEvidence:
        """The stored bytes of an entry and their proof against the newest receipt.

        Raises:
            NotAllowed: no right, or the entry is in no statement of the own.
            ImportRefused: there is no such entry, or no receipt covers it.
        """
        who.need(Right.SETTLEMENT_VIEW)
        ledger, _, number = position.partition("/")
        if not number.isascii() or not number.isdigit() or len(number) > 15:
            raise ImportRefused("position: <ledger>/<seq>")
        seq = int(number)
        async with self._desk.database.reading() as connection:
            row = (
                await connection.execute(
                    select(ledgers.c.log, ledgers.c.vkeys).where(ledgers.c.ledger == ledger)
                )
            ).one_or_none()
            if row is None:
                raise ImportRefused(f"no ledger {ledger}")
            if who.role is Role.MERCHANT:
                await _own_entry(connection, who, row.log, seq)
            return await _prove(connection, row.log, row.vkeys, seq, position)


async def _own_entry(connection: AsyncConnection, who: Actor, log: int, seq: int) -> None:
    query = (
        select(func.count())
        .select_from(statement_entries)
        .join(statements, statements.c.id == statement_entries.c.statement)
        .where(
            statement_entries.c.log == log,
            statement_entries.c.seq == seq,
            statements.c.merchant == who.scope,
        )
    )
    if not await connection.scalar(query):
        raise NotAllowed("this entry is in no statement of yours")


@dataclass(frozen=True, slots=True)
class _Log:
    """The entries up to one receipt, as ``ledger.log.proof`` asks for them."""

    leaves: Sequence[bytes]
    note: bytes

    def nodes(self) -> Nodes:
        return nodes_of(self.leaves)

    def checkpoint(self, at_least: int | None = None) -> tuple[int, bytes]:
        del at_least
        return len(self.leaves), self.note


async def _prove(
    connection: AsyncConnection, log: int, vkeys: str, seq: int, position: str
) -> EntryEvidence:
    """Proves against the first receipt that covers the entry: its tree is the smallest."""
    from ledger.log.proof import prove

    query = (
        select(receipts.c.size, receipts.c.note)
        .where(receipts.c.log == log, receipts.c.size > seq)
        .order_by(receipts.c.size)
        .limit(1)
    )
    receipt = (await connection.execute(query)).one_or_none()
    if receipt is None:
        raise ImportRefused(f"no receipt covers {position}")
    bodies = list(
        await connection.scalars(
            select(entries.c.body)
            .where(entries.c.log == log, entries.c.seq < receipt.size)
            .order_by(entries.c.seq)
        )
    )
    leaves = [leaf_hash(bytes(body)) for body in bodies]
    return EntryEvidence(
        position=position,
        entry=bytes(bodies[seq]),
        leaf=leaves[seq].hex(),
        proof=prove(_Log(leaves, bytes(receipt.note)), seq),
        vkeys=tuple(vkeys.splitlines()),
    )
