"""Leases at the server's end: granted, recalled, closed.

A lease moves units from the pool to one terminal, for good: expiry stops the terminal and gives
nothing back, because nobody can know what an unheard terminal still handed out. Units come back by
the terminal's own signed ``lease_close``, and then exactly those that it did not spend.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.log import canonical
from ledger.rules.leases import StockPool
from ledger.rules.offer import Offer, OfflineMode, StockMode, Venue
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.facts import Event
from server.holds import given_out
from server.offers import Published, bucket_of, capacity_of
from server.schema import feed, leases, ledgers, terminals
from server.stock import STOCK_LOCK, Bucket


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as granted."""

    lease: str
    offer: str
    units: int
    epoch: int
    expires_ms: int


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
    await stock_lock(connection, database)
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    if log is None:
        raise TerminalUnknown(f"no ledger is called {ledger}")
    granted = min(units, capacity - await given_out(connection, part, now_ms))
    if granted <= 0:
        return None
    expires_ms = await _expiry(connection, published, offer, log, now_ms)
    epoch = await _epochs(connection, log, part.offer) + 1
    lease = Lease(secrets.token_hex(10), part.offer, granted, epoch, expires_ms)
    await _record(connection, log, part, lease, now_ms)
    return lease


async def renew(
    connection: AsyncConnection,
    published: Published,
    held: Any,
    *,
    units: int,
    now_ms: int,
) -> Lease:
    """Adds units to an open lease and lets it run anew: the next epoch of it, into the feed.

    Args:
        connection: inside a transaction that holds the stock's lock.
        published: offers in force.
        held: row of the lease, of an offer that has a stock.
        units: to add, of which so many are free; 0 only renews.
        now_ms: server time.
    """
    offer = published.newest[held.offer]
    assert isinstance(offer, Offer), "only a sound offer has leases"
    expires_ms = await _expiry(connection, published, offer, held.log, now_ms)
    lease = Lease(held.lease, held.offer, held.units + units, held.epoch + 1, expires_ms)
    await connection.execute(
        update(leases)
        .where(leases.c.lease == held.lease)
        .values(units=lease.units, epoch=lease.epoch, expires_ms=expires_ms)
    )
    await tell(connection, held.log, _as_told(lease), now_ms)
    return lease


async def _expiry(
    connection: AsyncConnection, published: Published, offer: Offer, log: int, now_ms: int
) -> int:
    """Until when a lease given now may be spent."""
    venue = await _venue_of(connection, published, log)
    end_ms = StockPool(offer).part_end(venue.zone, now_ms)
    ttl = offer.stock.lease_ttl_ms
    return end_ms if ttl is None else min(now_ms + ttl, end_ms)


async def _epochs(connection: AsyncConnection, log: int, offer: str) -> int:
    """How many leases of an offer a ledger ever had."""
    statement = select(func.count()).where(leases.c.log == log, leases.c.offer == offer)
    return await connection.scalar(statement.select_from(leases)) or 0


async def _record(
    connection: AsyncConnection, log: int, part: Bucket, lease: Lease, now_ms: int
) -> None:
    """Keeps a lease and puts it into the terminal's feed."""
    row = {
        "lease": lease.lease,
        "log": log,
        "offer": lease.offer,
        "bucket": part.bucket,
        "epoch": lease.epoch,
        "units": lease.units,
        "granted_ms": now_ms,
        "expires_ms": lease.expires_ms,
        "closed_ms": None,
    }
    await connection.execute(insert(leases), row)
    await tell(connection, log, _as_told(lease), now_ms)


def _as_told(lease: Lease) -> dict[str, Any]:
    return {
        "kind": "lease",
        "lease": lease.lease,
        "offer": lease.offer,
        "units": lease.units,
        "lease_epoch": lease.epoch,
        "expires_ms": lease.expires_ms,
    }


async def stock_lock(connection: AsyncConnection, database: Database) -> None:
    """Lets one transaction at a time give out units; SQLite has one writer anyway."""
    if database.postgresql:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({STOCK_LOCK})"))


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


async def know_leases(
    connection: AsyncConnection, published: Published, log: int, found: Iterable[Event]
) -> None:
    """Takes leases back into the books that a server restored from a backup has forgotten.

    A terminal records every lease that it was granted; what it may hand out is out of the pool.
    """
    for event in found:
        if event.kind != Kind.LEASE:
            continue
        values = {
            "epoch": event.number("lease_epoch"),
            "units": event.number("units"),
            "expires_ms": event.number("expires_ms"),
        }
        held = leases.c.lease == event.text("lease")
        row = (await connection.execute(select(leases).where(held))).one_or_none()
        if row is None:
            venue = await _venue_of(connection, published, log)
            offer = published.newest.get(event.text("offer"))
            fresh = {
                "lease": event.text("lease"),
                "log": log,
                "offer": event.text("offer"),
                "bucket": bucket_of(offer, venue, event.at_ms),
                "granted_ms": event.at_ms,
                "closed_ms": None,
            }
            await connection.execute(insert(leases), fresh | values)
        elif row.log == log and row.epoch < values["epoch"]:
            await connection.execute(update(leases).where(held).values(values))


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


async def _venue_of(connection: AsyncConnection, published: Published, log: int) -> Venue:
    """The venue at which a ledger's terminal stands."""
    places = await connection.scalar(
        select(terminals.c.venues)
        .join(ledgers, ledgers.c.terminal == terminals.c.terminal)
        .where(ledgers.c.log == log)
    )
    name = (places or "").partition(" ")[0]
    return published.venues.get(name) or Venue(name)


async def grant_first(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    *,
    ledger: str,
    terminal: str,
    now_ms: int,
) -> int:
    """Grants what the published offers name for a terminal and it never had; returns how many."""
    had = set(
        await connection.scalars(
            select(leases.c.offer)
            .join(ledgers, ledgers.c.log == leases.c.log)
            .where(ledgers.c.ledger == ledger)
        )
    )
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    assert log is not None, "only an enrolled terminal begins with leases"
    venue = await _venue_of(connection, published, log)
    granted = 0
    for offer, units in named_leases(published, terminal):
        if offer.id in had or not units:
            continue
        part = Bucket(offer.id, bucket_of(offer, venue, now_ms))
        lease = await grant(
            connection, database, published, part, ledger=ledger, units=units, now_ms=now_ms
        )
        granted += lease is not None
    return granted


def named_leases(published: Published, terminal: str) -> Iterator[tuple[Offer, int]]:
    """Leased offers that name units for a terminal."""
    for offer in published.newest.values():
        if (
            isinstance(offer, Offer)
            and offer.offline is OfflineMode.LEASED
            and offer.stock.mode is not StockMode.NONE
        ):
            yield offer, offer.stock.leases.get(terminal, 0)


async def parts_of_leases(connection: AsyncConnection, names: Iterable[str]) -> Mapping[str, str]:
    """Which part of its offer's stock each lease was cut from."""
    wanted = sorted(set(names) - {""})
    if not wanted:
        return {}
    statement = select(leases.c.lease, leases.c.bucket).where(leases.c.lease.in_(wanted))
    return {row.lease: row.bucket for row in await connection.execute(statement)}
