"""A stock as the desk sees it: its parts, its leases, what is at risk, and when it will be gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import Offer, StockMode, Venue
from server.errors import PublicationRefused
from server.forecast import Forecast, forecast
from server.holds import given_out
from server.offers import Published, bucket_of, capacity_of
from server.schema import events, leases, ledgers, stock
from server.schema_office import write_offs
from server.stock import Bucket, StockState, state_of


@dataclass(frozen=True, slots=True)
class PartView:
    """One part of a stock: a venue, a day, a session, or the whole pool.

    Attributes:
        part: venue id, day, session's start, or empty for a pool.
        name: what people call it.
        units: how many it holds from the start.
        redeemed: of these, redeemed and not voided.
        left: what may still be granted or held.
    """

    part: str
    name: str
    units: int
    redeemed: int
    left: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease as the desk sees it.

    Attributes:
        lease: identifier.
        terminal: which terminal has it.
        ledger: on which ledger.
        part: of which part.
        units: granted.
        spent: of these, redeemed as far as is known.
        state: ``open``, ``expired`` (stopped, not returned), ``closed``, ``written_off``.
        granted_ms: since when.
        expires_ms: when the terminal stops.
    """

    lease: str
    terminal: str
    ledger: str
    part: str
    units: int
    spent: int
    state: str
    granted_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StockView:
    """An offer's stock.

    Attributes:
        offer: offer id.
        mode: of the stock.
        whole: over all parts.
        at_risk: units returned by write-off that a terminal may still hand out.
        parts: by name.
        leases: the newest first.
        forecast: when it will be gone.
    """

    offer: str
    mode: str
    whole: StockState
    at_risk: int
    parts: tuple[PartView, ...]
    leases: tuple[LeaseView, ...]
    forecast: Forecast


async def stock_view(
    connection: AsyncConnection, published: Published, offer: str, now_ms: int
) -> StockView:
    """Reads an offer's stock.

    Raises:
        PublicationRefused: no such offer, or it has no stock.
    """
    held = stocked(published, offer)
    whole = await state_of(connection, published, offer, now_ms)
    return StockView(
        offer=offer,
        mode=held.stock.mode.value,
        whole=whole,
        at_risk=await _at_risk(connection, offer),
        parts=await _parts(connection, published, held, now_ms),
        leases=await _leases(connection, offer, now_ms),
        forecast=await forecast(connection, held, whole.stock_left, now_ms),
    )


def stocked(published: Published, offer: str) -> Offer:
    """An offer that has a stock.

    Raises:
        PublicationRefused: no such offer, or it has none.
    """
    held = published.newest.get(offer)
    if not isinstance(held, Offer) or held.stock.mode is StockMode.NONE:
        raise PublicationRefused(f"{offer} has no stock")
    return held


async def _parts(
    connection: AsyncConnection, published: Published, held: Offer, now_ms: int
) -> tuple[PartView, ...]:
    known = select(stock.c.bucket, stock.c.redeemed).where(stock.c.offer == held.id)
    redeemed = {row.bucket: row.redeemed for row in await connection.execute(known)}
    names = set(redeemed) | set(held.stock.per_venue)
    if held.stock.mode is not StockMode.PER_VENUE:
        names.add(bucket_of(held, Venue(""), now_ms))
    views = []
    for name in sorted(names):
        units = capacity_of(held, name) or 0
        out = await given_out(connection, Bucket(held.id, name), now_ms)
        venue = published.venues.get(name)
        views.append(
            PartView(
                part=name,
                name=venue.name if venue else name,
                units=units,
                redeemed=redeemed.get(name, 0),
                left=max(0, units - out),
            )
        )
    return tuple(views)


async def _leases(connection: AsyncConnection, offer: str, now_ms: int) -> tuple[LeaseView, ...]:
    spent = (
        select(func.coalesce(func.sum(events.c.quantity), 0))
        .where(events.c.lease != "", events.c.lease == leases.c.lease, events.c.counted.is_(True))
        .scalar_subquery()
    )
    query = (
        select(
            leases,
            ledgers.c.ledger,
            ledgers.c.terminal,
            spent.label("spent"),
            write_offs.c.units.label("lost"),
        )
        .join(ledgers, ledgers.c.log == leases.c.log)
        .join(write_offs, write_offs.c.lease == leases.c.lease, isouter=True)
        .where(leases.c.offer == offer)
        .order_by(leases.c.granted_ms.desc(), leases.c.lease)
    )
    return tuple(
        LeaseView(
            lease=row.lease,
            terminal=row.terminal,
            ledger=row.ledger,
            part=row.bucket,
            units=row.units,
            spent=int(row.spent),
            state=_lease_state(row, now_ms),
            granted_ms=row.granted_ms,
            expires_ms=row.expires_ms,
        )
        for row in await connection.execute(query)
    )


def _lease_state(row: Any, now_ms: int) -> str:
    if row.lost is not None:
        return "written_off"
    if row.closed_ms is not None:
        return "closed"
    return "open" if row.expires_ms > now_ms else "expired"


async def _at_risk(connection: AsyncConnection, offer: str) -> int:
    """Units written off, less those of leases that a terminal closed after all."""
    query = (
        select(func.coalesce(func.sum(write_offs.c.units), 0))
        .join(leases, leases.c.lease == write_offs.c.lease)
        .where(leases.c.offer == offer)
    )
    return int(await connection.scalar(query) or 0)
