"""Stock: what was redeemed, what is out on leases, what is left, what was sold beyond.

A lease moves units from the pool to one terminal, for good: expiry stops the terminal and gives
nothing back, because nobody can know what an unheard terminal still handed out. Units come back by
the terminal's own signed ``lease_close``, and then exactly those that it did not spend.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.log import canonical
from ledger.rules.offer import Offer, StockMode
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.facts import Event, Position
from server.judge import USES
from server.offers import Published, capacity_of
from server.schema import events, feed, leases, ledgers, stock

_STOCK_LOCK: Final = 0x73746F


class Bucket(NamedTuple):
    """One part of one offer's stock."""

    offer: str
    bucket: str


@dataclass(frozen=True, slots=True)
class StockState:
    """Units of one offer as the server knows them.

    Attributes:
        redeemed: units not voided.
        reversed: units voided.
        leased: units granted, not redeemed, not returned.
        stock_left: what may still be granted or held; ``None`` where nothing bounds the offer.
        oversold: units redeemed beyond the stock.
    """

    redeemed: int
    reversed: int
    leased: int
    stock_left: int | None
    oversold: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as granted."""

    lease: str
    offer: str
    units: int
    epoch: int
    expires_ms: int


async def recount(connection: AsyncConnection, buckets: Iterable[Bucket]) -> None:
    """Folds the events of some buckets into their row of ``stock`` again."""
    for offer, bucket in sorted(set(buckets)):
        units = func.coalesce(func.sum(events.c.quantity), 0)
        mine = (events.c.offer == offer, events.c.bucket == bucket, events.c.kind.in_(USES))
        redeemed = await connection.scalar(select(units).where(*mine, events.c.counted.is_(True)))
        back = await connection.scalar(select(units).where(*mine, events.c.voided.is_(True)))
        await connection.execute(
            delete(stock).where(stock.c.offer == offer, stock.c.bucket == bucket)
        )
        await connection.execute(
            insert(stock),
            {"offer": offer, "bucket": bucket, "redeemed": redeemed, "reversed": back},
        )


async def beyond(
    connection: AsyncConnection, published: Published, buckets: Iterable[Bucket]
) -> dict[Position, str]:
    """Redemptions beyond the stock of these parts, the last by event time, with their member."""
    found: dict[Position, str] = {}
    for offer, bucket in sorted(set(buckets)):
        capacity = capacity_of(published.newest.get(offer), bucket)
        if capacity is None:
            continue
        total = await connection.scalar(
            select(stock.c.redeemed).where(stock.c.offer == offer, stock.c.bucket == bucket)
        )
        if (total or 0) > capacity:
            found |= await _beyond(connection, Bucket(offer, bucket), capacity)
    return found


async def _beyond(connection: AsyncConnection, part: Bucket, capacity: int) -> dict[Position, str]:
    statement = (
        select(
            ledgers.c.ledger,
            events.c.seq,
            events.c.member,
            events.c.quantity,
            events.c.at_ms,
            events.c.after_ms,
            events.c.before_ms,
        )
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(
            events.c.offer == part.offer,
            events.c.bucket == part.bucket,
            events.c.counted.is_(True),
        )
    )
    rows = sorted(
        await connection.execute(statement),
        key=lambda row: (
            max(min(row.at_ms, row.before_ms), min(row.after_ms, row.before_ms)),
            row.ledger,
            row.seq,
        ),
    )
    sold = 0
    found: dict[Position, str] = {}
    for row in rows:
        sold += row.quantity
        if sold > capacity:
            found[Position(row.ledger, row.seq)] = row.member
    return found


async def flagged_oversold(
    connection: AsyncConnection, buckets: Iterable[Bucket]
) -> dict[Position, str]:
    """Positions of these buckets that are flagged now, with their member."""
    found: dict[Position, str] = {}
    for offer, bucket in sorted(set(buckets)):
        rows = await connection.execute(
            select(ledgers.c.ledger, events.c.seq, events.c.member)
            .join(ledgers, ledgers.c.log == events.c.log)
            .where(
                events.c.offer == offer,
                events.c.bucket == bucket,
                events.c.reasons.like("%oversold%"),
            )
        )
        found |= {Position(row.ledger, row.seq): row.member for row in rows}
    return found


async def state_of(connection: AsyncConnection, published: Published, offer: str) -> StockState:
    """What the server knows of an offer's stock, over all its parts."""
    sums = (
        await connection.execute(
            select(func.sum(stock.c.redeemed), func.sum(stock.c.reversed)).where(
                stock.c.offer == offer
            )
        )
    ).one()
    redeemed, reversed_ = int(sums[0] or 0), int(sums[1] or 0)
    leased = await _leased(connection, offer)
    total = _whole(published.newest.get(offer))
    return StockState(
        redeemed=redeemed,
        reversed=reversed_,
        leased=leased,
        stock_left=None if total is None else max(0, total - redeemed - leased),
        oversold=0 if total is None else max(0, redeemed - total),
    )


def _whole(offer: object) -> int | None:
    """Units of a stock that is counted once, not anew each day or session."""
    if isinstance(offer, Offer) and offer.stock.mode in {StockMode.POOL, StockMode.PER_VENUE}:
        return offer.stock.quantity
    return None


async def _leased(connection: AsyncConnection, offer: str, bucket: str | None = None) -> int:
    """Units out on open leases that are not known to be redeemed."""
    spent = (
        select(func.coalesce(func.sum(events.c.quantity), 0))
        .where(events.c.lease == leases.c.lease, events.c.counted.is_(True))
        .scalar_subquery()
    )
    statement = select(leases.c.units, spent.label("spent")).where(
        leases.c.offer == offer, leases.c.closed_ms.is_(None)
    )
    if bucket is not None:
        statement = statement.where(leases.c.bucket == bucket)
    return sum(max(0, row.units - row.spent) for row in await connection.execute(statement))


# Leases.


async def grant(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    part: Bucket,
    *,
    ledger: str,
    units: int,
    now_ms: int,
) -> Lease | None:
    """Moves units from the pool to a terminal and puts the lease into its feed.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        published: offers in force.
        part: offer and part of its stock.
        ledger: ledger id of the terminal.
        units: how many are wished; fewer are granted when fewer are left.
        now_ms: server time.

    Returns:
        The lease, or ``None`` when nothing is left.

    Raises:
        PublicationRefused: the offer has no stock to lease.
        TerminalUnknown: no such ledger.
    """
    offer = published.newest.get(part.offer)
    capacity = capacity_of(offer, part.bucket)
    if not isinstance(offer, Offer) or capacity is None:
        raise PublicationRefused(f"{part.offer} has no stock to lease")
    if database.postgresql:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_STOCK_LOCK})"))
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    if log is None:
        raise TerminalUnknown(f"no ledger is called {ledger}")
    left = capacity - await _taken(connection, part)
    granted = min(units, left)
    if granted <= 0:
        return None
    epoch = await connection.scalar(
        select(func.count())
        .select_from(leases)
        .where(leases.c.log == log, leases.c.offer == part.offer)
    )
    ttl = offer.stock.lease_ttl_ms
    expires_ms = offer.until_ms if ttl is None else min(now_ms + ttl, offer.until_ms)
    lease = Lease(secrets.token_hex(10), part.offer, granted, (epoch or 0) + 1, expires_ms)
    await connection.execute(
        insert(leases),
        {
            "lease": lease.lease,
            "log": log,
            "offer": lease.offer,
            "bucket": part.bucket,
            "epoch": lease.epoch,
            "units": lease.units,
            "granted_ms": now_ms,
            "expires_ms": expires_ms,
            "closed_ms": None,
        },
    )
    await tell(
        connection,
        log,
        {
            "kind": "lease",
            "lease": lease.lease,
            "offer": lease.offer,
            "units": lease.units,
            "lease_epoch": lease.epoch,
            "expires_ms": expires_ms,
        },
        now_ms,
    )
    return lease


async def _taken(connection: AsyncConnection, part: Bucket) -> int:
    """Units of a part that nobody else may have: redeemed, or out on an open lease."""
    redeemed = await connection.scalar(
        select(func.coalesce(func.sum(events.c.quantity), 0)).where(
            events.c.offer == part.offer,
            events.c.bucket == part.bucket,
            events.c.counted.is_(True),
        )
    )
    return int(redeemed or 0) + await _leased(connection, part.offer, part.bucket)


async def recall(connection: AsyncConnection, *, ledger: str, offer: str, now_ms: int) -> int:
    """Asks a terminal to close its leases of an offer; returns how many it was asked for."""
    rows = (
        await connection.execute(
            select(leases.c.lease, leases.c.epoch, leases.c.log)
            .join(ledgers, ledgers.c.log == leases.c.log)
            .where(
                ledgers.c.ledger == ledger, leases.c.offer == offer, leases.c.closed_ms.is_(None)
            )
        )
    ).all()
    for row in rows:
        record = {"kind": "recall", "lease": row.lease, "offer": offer, "lease_epoch": row.epoch}
        await tell(connection, row.log, record, now_ms)
    return len(rows)


async def close_leases(connection: AsyncConnection, log: int, found: Iterable[Event]) -> None:
    """Takes back what terminals gave back: leases whose ``lease_close`` has arrived."""
    for event in found:
        if event.kind == Kind.LEASE_CLOSE:
            await connection.execute(
                update(leases)
                .where(
                    leases.c.log == log,
                    leases.c.lease == event.text("lease"),
                    leases.c.closed_ms.is_(None),
                )
                .values(closed_ms=event.before_ms)
            )


async def tell(connection: AsyncConnection, log: int, record: dict[str, Any], now_ms: int) -> None:
    """Adds an item to a terminal's feed; its number is one more than the last."""
    await connection.execute(
        update(ledgers).where(ledgers.c.log == log).values(feed_number=ledgers.c.feed_number + 1)
    )
    number = await connection.scalar(select(ledgers.c.feed_number).where(ledgers.c.log == log))
    assert number is not None, "a feed belongs to a ledger"
    body = canonical.encode({**record, "number": number})
    await connection.execute(
        insert(feed), {"log": log, "number": number, "record": body, "created_ms": now_ms}
    )
