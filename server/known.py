"""Loads the facts that a judgement rests on: what the server knew of cards, members and leases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import CardStatus, MemberStatus, MemberView
from server.database import PARAMETERS_MAX
from server.facts import CardState, Event, Facts, History, LeaseTerm, Position
from server.offers import Published
from server.schema import cards, leases, ledgers, members

T = TypeVar("T")


async def load_facts(
    connection: AsyncConnection,
    found: Sequence[Event],
    published: Published,
    oversold: frozenset[Position] = frozenset(),
) -> Facts:
    """Everything that judging these events needs."""
    card_states = await card_histories(connection, {event.text("card") for event in found})
    references = {event.text("member") for event in found}
    references |= {state.member for held in card_states.values() for _, state in held}
    names = {event.text("lease") for event in found} - {""}
    return Facts(
        versions=published.versions,
        in_force=published.in_force,
        cards={card: History(held) for card, held in card_states.items()},
        members=await member_histories(connection, references),
        venues=published.venues,
        revoked_from=await _revoked(connection),
        leases={
            row.lease: LeaseTerm(row.units, row.expires_ms)
            async for row in _rows(connection, leases, leases.c.lease, names)
        },
        oversold=oversold,
        approvals=published.approvals,
    )


async def card_histories(
    connection: AsyncConnection, names: Iterable[str]
) -> dict[str, list[tuple[int, CardState]]]:
    """States of cards by hash."""
    found: dict[str, list[tuple[int, CardState]]] = {}
    async for row in _rows(connection, cards, cards.c.card, names):
        state = CardState(CardStatus(row.status), row.member)
        found.setdefault(row.card, []).append((row.from_ms, state))
    return found


async def member_histories(
    connection: AsyncConnection, references: Iterable[str]
) -> dict[str, History[MemberView]]:
    """What was known of members, by reference."""
    found: dict[str, list[tuple[int, MemberView]]] = {}
    async for row in _rows(connection, members, members.c.member, references):
        view = MemberView(
            row.member,
            MemberStatus(row.status),
            row.district,
            row.street,
            frozenset(row.tags.split()),
        )
        found.setdefault(row.member, []).append((row.from_ms, view))
    return {reference: History(points) for reference, points in found.items()}


async def _revoked(connection: AsyncConnection) -> dict[str, int]:
    statement = select(ledgers.c.ledger, ledgers.c.revoked_size).where(
        ledgers.c.revoked_size.is_not(None)
    )
    return {row.ledger: row.revoked_size for row in await connection.execute(statement)}


async def _rows(
    connection: AsyncConnection, table: Table, column: ColumnElement[Any], names: Iterable[str]
) -> Any:
    for which in among(connection, column, set(names) - {""}):
        for row in (await connection.execute(select(table).where(which))).all():
            yield row


def among(
    connection: AsyncConnection, column: ColumnElement[Any], values: Collection[Any]
) -> Iterator[ColumnElement[bool]]:
    """Conditions that together choose the rows with one of these values.

    One on PostgreSQL, which takes an array however long; elsewhere as many as the limit of bound
    values makes necessary.
    """
    ordered = sorted(values)
    if not ordered:
        return
    if connection.dialect.name == "postgresql":
        yield column == any_(literal(ordered, ARRAY(column.type)))
        return
    for some in pieces(ordered):
        yield column.in_(some)


def pieces(values: Sequence[T], length: int = PARAMETERS_MAX) -> Iterator[Sequence[T]]:
    """Cuts a sequence so that each piece fits one statement."""
    for start in range(0, len(values), length):
        yield values[start : start + length]
