"""Statements as read: their lines, and their signed entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log.merkle import leaf_hash
from server.desk import Desk
from server.errors import ImportRefused, NotAllowed
from server.roles import Actor, Right, Role
from server.schema import entries, events, ledgers
from server.schema_office import adjustments, statement_entries, statements

ENTRIES_PAGE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One offer of a statement.

    Attributes:
        offer: offer id; empty for corrections of no offer.
        redemptions: entries.
        units: what was handed out, net of what was taken back.
        fen: what is paid for it.
        late_redemptions: of these entries, those of an earlier month.
        kind: ``use``, ``back`` or ``adjustment``.
    """

    offer: str
    redemptions: int
    units: int
    fen: int
    late_redemptions: int
    kind: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What is owed to a merchant for a month.

    Attributes:
        id: number.
        merchant: whose.
        month: ``yyyy-mm``.
        state: ``stated``, ``disputed`` or ``settled``.
        units: over all lines.
        fen: over all lines.
        lines: by kind and offer.
        stated_ms: when it was made: its as-of time.
        stated_by: by whom.
        settled_ms: when it was closed.
    """

    id: int
    merchant: str
    month: str
    state: str
    units: int
    fen: int
    lines: tuple[StatementLine, ...]
    stated_ms: int
    stated_by: str
    settled_ms: int | None


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One signed entry of a statement.

    Attributes:
        position: ``<ledger>/<seq>``.
        leaf: its leaf hash in hexadecimal, as in the tree.
        at_ms: when it happened.
        venue: where.
        offer: what.
        units: of it; negative where it was taken back.
        fen: paid for it.
        late: of an earlier month.
        side: ``use`` or ``back``.
    """

    position: str
    leaf: str
    at_ms: int
    venue: str
    offer: str
    units: int
    fen: int
    late: bool
    side: str


class Statements:
    """Shows statements."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def all(
        self, who: Actor, *, month: str = "", merchant: str = "", state: str = ""
    ) -> list[Statement]:
        """Statements, the newest month first; a merchant sees its own.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.SETTLEMENT_VIEW)
        query = select(statements.c.id).order_by(statements.c.month.desc(), statements.c.merchant)
        own = who.scope if who.role is Role.MERCHANT else merchant
        for column, value in (("merchant", own), ("month", month), ("state", state)):
            if value:
                query = query.where(statements.c[column] == value)
        async with self._desk.database.reading() as connection:
            numbers = list(await connection.scalars(query))
            return [await statement_of(connection, number) for number in numbers]

    async def one(self, who: Actor, statement: int) -> Statement:
        """One statement.

        Raises:
            NotAllowed: no right, or another merchant's.
            ImportRefused: there is none of this number.
        """
        async with self._desk.database.reading() as connection:
            return await own_statement(connection, who, statement)

    async def entries(self, who: Actor, statement: int, *, start: int = 0) -> list[StatementEntry]:
        """Signed entries of a statement, at most a page of 500 from the ``start``-th on.

        Raises:
            NotAllowed: no right, or another merchant's.
            ImportRefused: there is none of this number.
        """
        here = (events.c.log == statement_entries.c.log) & (events.c.seq == statement_entries.c.seq)
        stored = (entries.c.log == statement_entries.c.log) & (
            entries.c.seq == statement_entries.c.seq
        )
        query = (
            select(
                statement_entries,
                events.c.at_ms,
                events.c.venue,
                entries.c.body,
                ledgers.c.ledger,
            )
            .join(events, here)
            .join(entries, stored)
            .join(ledgers, ledgers.c.log == statement_entries.c.log)
            .where(statement_entries.c.statement == statement)
            .order_by(events.c.at_ms, ledgers.c.ledger, statement_entries.c.seq)
            .offset(start)
            .limit(ENTRIES_PAGE_MAX)
        )
        async with self._desk.database.reading() as connection:
            await own_statement(connection, who, statement)
            rows = (await connection.execute(query)).all()
        return [
            StatementEntry(
                position=f"{row.ledger}/{row.seq}",
                leaf=leaf_hash(bytes(row.body)).hex(),
                at_ms=row.at_ms,
                venue=row.venue,
                offer=row.offer,
                units=row.units,
                fen=row.fen,
                late=bool(row.late),
                side=row.side,
            )
            for row in rows
        ]


async def statement_of(connection: AsyncConnection, statement: int) -> Statement:
    """Reads a statement with its lines.

    Raises:
        ImportRefused: there is none of this number.
    """
    row = (
        await connection.execute(select(statements).where(statements.c.id == statement))
    ).one_or_none()
    if row is None:
        raise ImportRefused(f"no statement {statement}")
    lines = await _lines(connection, statement)
    return Statement(
        id=row.id,
        merchant=row.merchant,
        month=row.month,
        state=row.state,
        units=row.units,
        fen=row.fen,
        lines=lines,
        stated_ms=row.stated_ms,
        stated_by=row.stated_by,
        settled_ms=row.settled_ms,
    )


async def _lines(connection: AsyncConnection, statement: int) -> tuple[StatementLine, ...]:
    one = statement_entries.c
    query = (
        select(
            one.side,
            one.offer,
            one.late,
            func.count().label("redemptions"),
            func.sum(one.units).label("units"),
            func.sum(one.fen).label("fen"),
        )
        .where(one.statement == statement)
        .group_by(one.side, one.offer, one.late)
    )
    sums: dict[tuple[str, str], list[int]] = {}
    for row in await connection.execute(query):
        line = sums.setdefault((row.side, row.offer), [0, 0, 0, 0])
        added = (row.redemptions, row.units, row.fen, row.redemptions if row.late else 0)
        line[:] = [held + int(more) for held, more in zip(line, added, strict=True)]
    lines = [
        StatementLine(offer, line[0], line[1], line[2], line[3], side)
        for (side, offer), line in sorted(
            sums.items(), key=lambda pair: (pair[0][0] != "use", pair)
        )
    ]
    made = (
        select(adjustments).where(adjustments.c.statement == statement).order_by(adjustments.c.id)
    )
    lines += [
        StatementLine(row.offer, 0, row.units, row.fen, 0, "adjustment")
        for row in await connection.execute(made)
    ]
    return tuple(lines)


async def own_statement(connection: AsyncConnection, who: Actor, statement: int) -> Statement:
    """A statement that somebody may see.

    Raises:
        NotAllowed: no right, or another merchant's.
        ImportRefused: there is none of this number.
    """
    who.need(Right.SETTLEMENT_VIEW)
    held = await statement_of(connection, statement)
    if who.role is Role.MERCHANT and held.merchant != who.scope:
        raise NotAllowed("this statement is another merchant's")
    return held
