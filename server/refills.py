"""More units of a leased stock for a terminal that has too few while a card lies on its reader.

When the pool is empty, units that lie idle on other terminals are called back.

The lease itself comes by the terminal's feed; the answer only says whether to look there. A lease
that was granted after the last record that the terminal has is on its way and is not granted again,
so that neither a lost answer nor a repeated question takes units twice.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log import canonical
from ledger.rules.leases import refill_units
from ledger.rules.offer import Offer, OfflineMode, Venue
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.holds import given_out
from server.leases import grant, renew, stock_lock, tell
from server.offers import Published, bucket_of, capacity_of
from server.online import left_elsewhere
from server.schema import events, feed, leases, ledgers
from server.stock import Bucket
from sync.asking import LeaseQuestion, Word

#: Leases called back by one tap that found the pool empty; the next such tap calls more.
RECALLS_MAX: Final = 8
#: How far back a feed is looked through for what it says of a lease.
FEED_TAIL_RECORDS: Final = 50


async def refill(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    ledger: str,
    question: LeaseQuestion,
    now_ms: int,
) -> Word:
    """Grants what the tap needs and a few more, while there are some.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        published: offers and venues.
        ledger: ledger id of the terminal.
        question: what is asked.
        now_ms: server time.

    Raises:
        TerminalUnknown: no such ledger.
        PublicationRefused: the offer is not one that is leased.
    """
    offer = published.newest.get(question.offer)
    if not isinstance(offer, Offer) or offer.offline is not OfflineMode.LEASED:
        raise PublicationRefused(f"{question.offer} is not leased to terminals")
    await stock_lock(connection, database)
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    if log is None:
        raise TerminalUnknown(f"no ledger is called {ledger}")
    if await _is_on_its_way(connection, log, question):
        return Word.GRANTED
    venue = published.venues.get(question.venue) or Venue(question.venue)
    part = Bucket(offer.id, bucket_of(offer, venue, now_ms))
    capacity = capacity_of(offer, part.bucket)
    if capacity is None:
        raise PublicationRefused(f"{question.offer} has no stock to lease")
    held = await _open_lease(connection, log, part, question.lease)
    needed = max(0, question.units - (question.left if held is not None else 0))
    free = capacity - await given_out(connection, part, now_ms)
    if free < needed:
        await _call_back(connection, part, log, now_ms)
        elsewhere = await left_elsewhere(connection, offer, part, now_ms)
        return Word.VENUE_EMPTY if elsewhere else Word.POOL_EMPTY
    units = refill_units(needed, free) if needed else 0
    if held is not None:
        await renew(connection, published, held, units=units, now_ms=now_ms)
    else:
        await grant(
            connection, database, published, part, ledger=ledger, units=units, now_ms=now_ms
        )
    return Word.GRANTED


async def _call_back(connection: AsyncConnection, part: Bucket, log: int, now_ms: int) -> None:
    """Asks terminals that hold unspent units of a part for them, each lease once an epoch.

    Whoever is connected closes its lease at its next sync; the next tap finds the units.
    """
    spent = (
        select(func.coalesce(func.sum(events.c.quantity), 0))
        .where(events.c.lease != "", events.c.lease == leases.c.lease, events.c.counted.is_(True))
        .scalar_subquery()
    )
    statement = (
        select(leases.c.lease, leases.c.epoch, leases.c.log)
        .where(
            leases.c.offer == part.offer,
            leases.c.bucket == part.bucket,
            leases.c.closed_ms.is_(None),
            leases.c.log != log,
            leases.c.units > spent,
        )
        .order_by(leases.c.granted_ms, leases.c.lease)
    )
    asked = 0
    for row in (await connection.execute(statement)).all():
        if asked < RECALLS_MAX and not await _called_back(connection, row):
            record = {"kind": "recall", "lease": row.lease, "offer": part.offer}
            await tell(connection, row.log, record | {"lease_epoch": row.epoch}, now_ms)
            asked += 1


async def _called_back(connection: AsyncConnection, lease: Any) -> bool:
    """Whether the newest that the feed says of a lease is that it is wanted back."""
    statement = select(feed.c.record).where(feed.c.log == lease.log).order_by(feed.c.number.desc())
    for body in await connection.scalars(statement.limit(FEED_TAIL_RECORDS)):
        record = canonical.decode(bytes(body))
        if record.get("lease") == lease.lease:
            return record.get("kind") == "recall"
    return False


async def _is_on_its_way(connection: AsyncConnection, log: int, question: LeaseQuestion) -> bool:
    """Whether the feed has a lease of this offer that the terminal has not seen."""
    statement = select(feed.c.record).where(feed.c.log == log, feed.c.number > question.after)
    for body in await connection.scalars(statement):
        record = canonical.decode(bytes(body))
        if (record.get("kind"), record.get("offer")) == ("lease", question.offer):
            return True
    return False


async def _open_lease(connection: AsyncConnection, log: int, part: Bucket, name: str) -> Any:
    """The lease that the terminal names, if it is its own, open, and of this part of the stock."""
    if not name:
        return None
    statement = select(leases).where(
        leases.c.lease == name,
        leases.c.log == log,
        leases.c.offer == part.offer,
        leases.c.bucket == part.bucket,
        leases.c.closed_ms.is_(None),
    )
    return (await connection.execute(statement)).one_or_none()
