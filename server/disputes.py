"""Disputes: what a merchant says against a statement, and what is decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.desk import Desk
from server.errors import ImportRefused, NotAllowed
from server.roles import CONSOLE_ACTOR, Actor, Right, Role
from server.schema_office import disputes, statements
from server.statements import own_statement

OPEN: Final = "open"
#: Why a merchant disputes.
DISPUTE_REASONS: Final = ("missing", "amount", "not_ours", "duplicate", "other")


@dataclass(frozen=True, slots=True)
class Dispute:
    """What a merchant says against a statement, and what came of it."""

    id: int
    statement: int
    merchant: str
    month: str
    position: str
    reason: str
    state: str
    opened_by: str
    opened_ms: int
    decided_by: str
    decided_ms: int | None


class Disputes:
    """Takes and decides disputes."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def open(self, who: Actor, statement: int, *, reason: str, position: str = "") -> int:
        """Disputes a statement, or one entry of it; it cannot be settled until that is decided.

        Returns:
            Number of the dispute.

        Raises:
            NotAllowed: not the merchant's own, nor somebody who settles.
            ImportRefused: settled already, or an unknown reason.
        """
        if not who.may(Right.DISPUTE):
            who.need(Right.SETTLEMENT_CLOSE)
        if reason not in DISPUTE_REASONS or len(position) > 64:
            raise ImportRefused(f"reason: one of {', '.join(DISPUTE_REASONS)}")
        async with self._desk.database.writing() as connection:
            held = await own_statement(connection, who, statement)
            if held.state == "settled":
                raise ImportRefused("it is settled; ask for an adjustment; nothing was changed")
            row = {
                "statement": statement,
                "position": position,
                "reason": reason,
                "state": OPEN,
                "opened_by": who.person,
                "decided_by": "",
                "opened_ms": self._desk.now_ms(),
                "decided_ms": None,
            }
            answer = await connection.execute(insert(disputes).returning(disputes.c.id), row)
            number = int(answer.scalar_one())
            await _set_state(connection, statement, "disputed")
            await self._desk.done(
                connection, who, "dispute.open", str(number), statement=statement, reason=reason
            )
        return number

    async def decide(self, who: Actor, dispute: int, *, upheld: bool) -> None:
        """Decides a dispute; what is owed for an upheld one is an adjustment of its own.

        Raises:
            NotAllowed: no right, or the own dispute.
            ImportRefused: there is none that is open.
        """
        who.need(Right.SETTLEMENT_CLOSE)
        async with self._desk.database.writing() as connection:
            query = select(disputes).where(disputes.c.id == dispute, disputes.c.state == OPEN)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise ImportRefused(f"no dispute {dispute} is open; nothing was changed")
            if row.opened_by == who.person and who != CONSOLE_ACTOR:
                raise NotAllowed("nobody decides their own dispute; nothing was changed")
            await connection.execute(
                update(disputes)
                .where(disputes.c.id == dispute)
                .values(
                    state="upheld" if upheld else "rejected",
                    decided_by=who.person,
                    decided_ms=self._desk.now_ms(),
                )
            )
            if not await open_disputes(connection, row.statement):
                await _set_state(connection, row.statement, "stated")
            await self._desk.done(
                connection, who, "dispute.decide", str(dispute), upheld=int(upheld)
            )

    async def all(self, who: Actor, *, statement: int = 0) -> Sequence[Dispute]:
        """Disputes, open ones first.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.SETTLEMENT_VIEW)
        query = (
            select(disputes, statements.c.merchant, statements.c.month)
            .join(statements, statements.c.id == disputes.c.statement)
            .order_by(disputes.c.state != OPEN, disputes.c.id)
        )
        if statement:
            query = query.where(disputes.c.statement == statement)
        if who.role is Role.MERCHANT:
            query = query.where(statements.c.merchant == who.scope)
        async with self._desk.database.reading() as connection:
            return [Dispute(**row) for row in (await connection.execute(query)).mappings()]


async def open_disputes(connection: AsyncConnection, statement: int) -> int:
    """How many disputes of a statement are open."""
    query = select(func.count()).where(disputes.c.statement == statement, disputes.c.state == OPEN)
    return int(await connection.scalar(query) or 0)


async def _set_state(connection: AsyncConnection, statement: int, state: str) -> None:
    await connection.execute(
        update(statements).where(statements.c.id == statement).values(state=state)
    )
