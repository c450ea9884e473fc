"""Settlement: what is owed to whom for a month, down to the signed entries.

A merchant is the owner of venues that are no stations of ours. Its statement of a month takes every
redemption there that is judged good, not voided and never stated before: those of the month, and
late ones of months stated already, which are its adjustments. What was stated and voided since is
taken off again. What stands in an open case waits for the case; what a case rejected is not paid.

The member's money is the till's and not ours: a unit costs the federation what the tariff says, or
else the list price less the member's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.offer import VENUE_ZONE, BrokenOffer, Offer
from ledger.rules.windows import local_day
from server.casebook import CLOSED, OPEN, decisions
from server.desk import Desk
from server.disputes import open_disputes
from server.errors import ImportRefused
from server.offers import Published, venue_documents
from server.roles import Actor, Right
from server.schema import cases, events, ledgers
from server.schema_office import (
    adjustments,
    statement_entries,
    statements,
    tariffs,
)
from server.statements import Statement, statement_of
from sync.feed import Verdict

STATION: Final = "station"
USE: Final = "use"
BACK: Final = "back"
#: Decision of a case after which its entries are not paid.
REJECTED: Final = "reject"
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z")
_GOOD: Final = (Verdict.ACCEPTED.value, Verdict.ACCEPTED_FLAGGED.value)
_FEN_MAX: Final = 10**9


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the federation pays a merchant for one unit of an offer, in fen."""

    merchant: str
    offer: str
    fen: int


class Settlement:
    """States, settles and corrects months."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def set_tariff(self, who: Actor, merchant: str, offer: str, fen: int) -> None:
        """What one unit is paid from the next statement on.

        Raises:
            NotAllowed: no right.
            ImportRefused: not an amount of fen.
        """
        who.need(Right.SETTLEMENT_CLOSE)
        if not 0 <= fen <= _FEN_MAX:
            raise ImportRefused("fen: from 0 to 1,000,000,000")
        async with self._desk.database.writing() as connection:
            mine = and_(tariffs.c.merchant == merchant, tariffs.c.offer == offer)
            await connection.execute(delete(tariffs).where(mine))
            row = {"merchant": merchant, "offer": offer, "fen": fen, "set_ms": self._desk.now_ms()}
            await connection.execute(insert(tariffs), row)
            await self._desk.done(connection, who, "tariff.set", merchant, offer=offer, fen=fen)

    async def merchants(self, who: Actor) -> dict[str, tuple[str, ...]]:
        """Merchants and the venues of each.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.SETTLEMENT_VIEW)
        async with self._desk.database.reading() as connection:
            return await merchants_of(connection)

    async def state_month(self, who: Actor, month: str, *, merchant: str = "") -> list[Statement]:
        """States a month that is over, for one merchant or for all that have something to state.

        A merchant whose month is stated already keeps that statement; what came since is stated
        with the next month.

        Returns:
            The statements made now.

        Raises:
            NotAllowed: no right.
            ImportRefused: not a month, not over yet, or no such merchant.
        """
        who.need(Right.SETTLEMENT_CLOSE)
        end_day = _end_of(month, self._desk.now_ms())
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            places = await merchants_of(connection)
            if merchant and merchant not in places:
                raise ImportRefused(f"no merchant is called {merchant}; nothing was stated")
            chosen = {merchant: places[merchant]} if merchant else places
            stated = set(
                await connection.scalars(
                    select(statements.c.merchant).where(statements.c.month == month)
                )
            )
            chosen = {name: found for name, found in chosen.items() if name not in stated}
            due = await _due(connection, published, chosen, end_day)
            made = [
                await self._state(connection, who, name, month, items)
                for name, items in sorted(due.items())
            ]
            return [await statement_of(connection, number) for number in made]

    async def _state(
        self,
        connection: AsyncConnection,
        who: Actor,
        merchant: str,
        month: str,
        items: Sequence[dict[str, Any]],
    ) -> int:
        mine = and_(adjustments.c.merchant == merchant, adjustments.c.statement == 0)
        corrections = (await connection.execute(select(adjustments).where(mine))).all()
        answer = await connection.execute(
            insert(statements).returning(statements.c.id),
            {
                "merchant": merchant,
                "month": month,
                "state": "stated",
                "units": sum(one["units"] for one in (*items, *_as_items(corrections))),
                "fen": sum(one["fen"] for one in (*items, *_as_items(corrections))),
                "stated_by": who.person,
                "stated_ms": self._desk.now_ms(),
            },
        )
        number = int(answer.scalar_one())
        first_day = int(month.replace("-", "")) * 100
        rows = [
            (
                one["log"],
                one["seq"],
                one["side"],
                number,
                one["offer"],
                one["units"],
                one["fen"],
                one["day"] < first_day,
            )
            for one in items
        ]
        await self._desk.database.append(connection, statement_entries, rows)
        await connection.execute(update(adjustments).where(mine).values(statement=number))
        units = sum(one["units"] for one in items)
        await self._desk.done(
            connection, who, "settlement.state", merchant, month=month, quantity=units
        )
        return number

    async def settle(self, who: Actor, statement: int) -> Statement:
        """Closes a statement: it is paid, and from now on no void takes its entries back.

        Raises:
            NotAllowed: no right.
            ImportRefused: no such statement, settled already, or a dispute is open.
        """
        who.need(Right.SETTLEMENT_CLOSE)
        async with self._desk.database.writing() as connection:
            held = await statement_of(connection, statement)
            if held.state == "settled":
                raise ImportRefused("it is settled already; nothing was changed")
            if await open_disputes(connection, statement):
                raise ImportRefused("a dispute is open; decide it first; nothing was changed")
            await connection.execute(
                update(statements)
                .where(statements.c.id == statement)
                .values(state="settled", settled_ms=self._desk.now_ms())
            )
            await self._desk.done(
                connection, who, "settlement.settle", held.merchant, month=held.month
            )
            return await statement_of(connection, statement)

    async def adjust(
        self,
        who: Actor,
        statement: int,
        *,
        offer: str,
        units: int,
        fen: int,
        reason: str,
        dispute: int = 0,
    ) -> None:
        """Corrects a month that was stated; the amount is paid or taken with the next statement.

        Raises:
            NotAllowed: no right.
            ImportRefused: no such statement, or the amount is none.
        """
        who.need(Right.SETTLEMENT_CLOSE)
        if not (units or fen) or max(abs(units), abs(fen)) > _FEN_MAX:
            raise ImportRefused("an adjustment has units or an amount; nothing was changed")
        async with self._desk.database.writing() as connection:
            held = await statement_of(connection, statement)
            row = {
                "merchant": held.merchant,
                "month": held.month,
                "dispute": dispute,
                "offer": offer,
                "units": units,
                "fen": fen,
                "reason": reason[:32],
                "person": who.person,
                "at_ms": self._desk.now_ms(),
                "statement": 0,
            }
            await connection.execute(insert(adjustments), row)
            await self._desk.done(
                connection, who, "settlement.adjust", held.merchant, month=held.month, fen=fen
            )


async def merchants_of(connection: AsyncConnection) -> dict[str, tuple[str, ...]]:
    """Merchants and the venues of each: the owner, or the venue itself where none is named."""
    found: dict[str, list[str]] = {}
    for document in await venue_documents(connection):
        if document.get("kind") != STATION:
            found.setdefault(document.get("owner") or document["id"], []).append(document["id"])
    return {name: tuple(sorted(places)) for name, places in found.items()}


async def is_settled(connection: AsyncConnection, log: int, seq: int) -> bool:
    """Whether a redemption is in a settled statement, so that no void takes it back (V05)."""
    statement = (
        select(func.count())
        .select_from(statement_entries)
        .join(statements, statements.c.id == statement_entries.c.statement)
        .where(
            statement_entries.c.log == log,
            statement_entries.c.seq == seq,
            statement_entries.c.side == USE,
            statements.c.state == "settled",
        )
    )
    return bool(await connection.scalar(statement))


async def _due(
    connection: AsyncConnection,
    published: Published,
    places: Mapping[str, tuple[str, ...]],
    end_day: int,
) -> dict[str, list[dict[str, Any]]]:
    """What is to be stated, by merchant."""
    owner = {venue: name for name, venues in places.items() for venue in venues}
    paid = {(row.merchant, row.offer): row.fen for row in await connection.execute(select(tariffs))}
    barred = await _barred(connection)
    due: dict[str, list[dict[str, Any]]] = {}
    for row in await connection.execute(_unstated(end_day)):
        merchant = owner.get(row.venue)
        if merchant is None or (row.ledger, row.seq) in barred:
            continue
        fen = paid.get((merchant, row.offer))
        if fen is None:
            fen = unit_fen(published.newest.get(row.offer))
        item = {"log": row.log, "seq": row.seq, "side": USE, "offer": row.offer, "day": row.day}
        item |= {"units": row.quantity, "fen": fen * row.quantity}
        due.setdefault(merchant, []).append(item)
    for row in await connection.execute(_taken_back(list(places))):
        item = {"log": row.log, "seq": row.seq, "side": BACK, "offer": row.offer, "day": 0}
        item |= {"units": -row.units, "fen": -row.fen}
        due.setdefault(row.merchant, []).append(item)
    return due


def _unstated(end_day: int) -> Any:
    """Redemptions judged good before a day that no statement has."""
    mine = and_(
        statement_entries.c.log == events.c.log,
        statement_entries.c.seq == events.c.seq,
        statement_entries.c.side == USE,
    )
    return (
        select(
            events.c.log,
            events.c.seq,
            events.c.offer,
            events.c.venue,
            events.c.quantity,
            events.c.day,
            ledgers.c.ledger,
        )
        .join(ledgers, ledgers.c.log == events.c.log)
        .join(statement_entries, mine, isouter=True)
        .where(
            events.c.day < end_day,
            events.c.kind == Kind.REDEEM.value,
            events.c.counted.is_(True),
            events.c.verdict.in_(_GOOD),
            statement_entries.c.log.is_(None),
        )
        .order_by(events.c.log, events.c.seq)
    )


def _taken_back(merchants: Iterable[str]) -> Any:
    """Stated redemptions that count no longer and were not taken off yet."""
    again = statement_entries.alias("again")
    back = and_(
        again.c.log == statement_entries.c.log,
        again.c.seq == statement_entries.c.seq,
        again.c.side == BACK,
    )
    here = and_(events.c.log == statement_entries.c.log, events.c.seq == statement_entries.c.seq)
    return (
        select(statement_entries, statements.c.merchant)
        .join(statements, statements.c.id == statement_entries.c.statement)
        .join(events, here)
        .join(again, back, isouter=True)
        .where(
            statements.c.merchant.in_(sorted(merchants)),
            statement_entries.c.side == USE,
            events.c.counted.is_(False),
            again.c.log.is_(None),
        )
    )


async def _barred(connection: AsyncConnection) -> set[tuple[str, int]]:
    """Entries of open cases, and of cases whose decision was that they are not paid."""
    statement = select(cases.c.key, cases.c.positions, cases.c.state).where(
        cases.c.state.in_((OPEN, CLOSED))
    )
    rows = (await connection.execute(statement)).all()
    decided = await decisions(connection, [row.key for row in rows if row.state == CLOSED])
    barred: set[tuple[str, int]] = set()
    for row in rows:
        if row.state == CLOSED and decided.get(row.key) != REJECTED:
            continue
        for position in json.loads(row.positions):
            ledger, _, seq = position.partition("/")
            barred.add((ledger, int(seq)))
    return barred


def unit_fen(offer: Offer | BrokenOffer | None) -> int:
    """What a unit costs the federation without a tariff: the list price less the member's."""
    if not isinstance(offer, Offer) or offer.list_price_fen is None:
        return 0
    return max(0, offer.list_price_fen - (offer.member_price_fen or 0))


def _as_items(corrections: Iterable[Any]) -> list[dict[str, Any]]:
    return [{"units": row.units, "fen": row.fen} for row in corrections]


def _end_of(month: str, now_ms: int) -> int:
    """The first day after a month, as ``yyyymmdd``.

    Raises:
        ImportRefused: not a month, or it is not over yet.
    """
    if not _MONTH.match(month):
        raise ImportRefused(f"month {month!r}: write yyyy-mm, for example 2014-05")
    year, number = (int(part) for part in month.split("-"))
    end = (year + number // 12) * 10_000 + (number % 12 + 1) * 100 + 1
    if int(local_day(now_ms, VENUE_ZONE).strftime("%Y%m%d")) < end:
        raise ImportRefused(f"{month} is not over yet; nothing was stated")
    return end
