"""The stock desk: how an offer's units are split, moved, called back, written off, and used up.

Nothing here may make an offer oversold: a split or transfer never takes from a venue what is given
out there, and a write-off is the one act that returns units which a terminal may still hand out. It
needs a reason, and they are counted as at risk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.catalogue import held_at
from ledger.rules.offer import Offer, StockMode
from server.desk import Desk
from server.errors import ImportRefused, PublicationRefused
from server.holds import given_out
from server.leases import recall, stock_lock
from server.offers import Published, change_offer, newest_documents
from server.roles import Actor, Right
from server.schema import events, leases, ledgers
from server.schema_office import transfers, write_offs
from server.stock import Bucket
from server.stock_view import StockView, stock_view, stocked

#: Why a lease is written off.
WRITE_OFF_REASONS: Final = ("terminal_lost", "terminal_broken", "ledger_compromised", "other")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A request to move units from one venue to another, and what came of it."""

    id: int
    offer: str
    source: str
    target: str
    units: int
    state: str
    requested_by: str
    requested_ms: int
    decided_by: str
    decided_ms: int | None


class StockDesk:
    """Splits and moves stock."""

    def __init__(self, desk: Desk, publish: Callable[[], Awaitable[None]]) -> None:
        """Works at a desk; ``publish`` brings what changed to the terminals."""
        self._desk = desk
        self._publish = publish

    async def view(self, who: Actor, offer: str) -> StockView:
        """An offer's stock, with parts, leases and forecast.

        Raises:
            NotAllowed: no right.
            PublicationRefused: no such offer, or it has no stock.
        """
        who.need(Right.OFFERS_VIEW)
        async with self._desk.database.reading() as connection:
            published = await self._desk.book.read(connection)
            return await stock_view(connection, published, offer, self._desk.now_ms())

    async def split(self, who: Actor, offer: str, units: Mapping[str, int]) -> int:
        """Divides a stock among venues anew; returns the version now in force.

        Raises:
            NotAllowed: no right.
            PublicationRefused: not an offer whose stock is per venue.
            ImportRefused: a venue would have less than is given out there, or does not give the
                offer; nothing was changed.
        """
        who.need(Right.STOCK_MOVE)
        async with self._desk.database.writing() as connection:
            await stock_lock(connection, self._desk.database)
            published = await self._desk.book.read(connection)
            held = _per_venue(published, offer)
            await self._check(connection, who, published, held, units)
            version = await self._resplit(connection, held, units)
            total = sum(units.values())
            await self._desk.done(connection, who, "stock.split", offer, quantity=total)
        await self._publish()
        return version

    async def request_transfer(
        self, who: Actor, offer: str, source: str, target: str, units: int
    ) -> int:
        """Asks that units be moved from one venue to another; returns the request's number.

        Raises:
            NotAllowed: no right.
            PublicationRefused: not an offer whose stock is per venue.
            ImportRefused: no such venue, or no units.
        """
        who.need(Right.OFFERS_VIEW)
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            _per_venue(published, offer)
            for venue in (source, target):
                if venue not in published.venues:
                    raise ImportRefused(f"no venue is called {venue}; nothing was asked")
            if units < 1 or source == target:
                raise ImportRefused("a transfer moves one unit or more between two venues")
            row = {
                "offer": offer,
                "source": source,
                "target": target,
                "units": units,
                "state": "requested",
                "requested_by": who.person,
                "decided_by": "",
                "requested_ms": self._desk.now_ms(),
                "decided_ms": None,
            }
            answer = await connection.execute(insert(transfers).returning(transfers.c.id), row)
            number = int(answer.scalar_one())
            await self._desk.done(connection, who, "stock.request", str(number), offer=offer)
        return number

    async def decide_transfer(self, who: Actor, transfer: int, *, do: bool) -> Transfer:
        """Moves the units, or refuses to.

        Raises:
            NotAllowed: no right at both venues.
            ImportRefused: no such open request, or the source has not so many left.
        """
        who.need(Right.STOCK_MOVE)
        async with self._desk.database.writing() as connection:
            await stock_lock(connection, self._desk.database)
            query = select(transfers).where(
                transfers.c.id == transfer, transfers.c.state == "requested"
            )
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise ImportRefused(f"no request {transfer} is open; nothing was changed")
            if do:
                published = await self._desk.book.read(connection)
                held = _per_venue(published, row.offer)
                units = dict(held.stock.per_venue)
                units[row.source] = units.get(row.source, 0) - row.units
                units[row.target] = units.get(row.target, 0) + row.units
                await self._check(connection, who, published, held, units)
                await self._resplit(connection, held, units)
            await connection.execute(
                update(transfers)
                .where(transfers.c.id == transfer)
                .values(
                    state="done" if do else "refused",
                    decided_by=who.person,
                    decided_ms=self._desk.now_ms(),
                )
            )
            await self._desk.done(connection, who, "stock.transfer", str(transfer), done=int(do))
            again = select(transfers).where(transfers.c.id == transfer)
            moved = Transfer(**(await connection.execute(again)).mappings().one())
        if do:
            await self._publish()
        return moved

    async def transfers(self, who: Actor, *, state: str = "") -> list[Transfer]:
        """Requests, the newest first.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.OFFERS_VIEW)
        query = select(transfers).order_by(transfers.c.id.desc())
        if state:
            query = query.where(transfers.c.state == state)
        async with self._desk.database.reading() as connection:
            return [Transfer(**row) for row in (await connection.execute(query)).mappings()]

    async def recall_all(self, who: Actor, offer: str) -> int:
        """Asks every terminal for its unused units of an offer; returns how many were asked.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.STOCK_MOVE)
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            query = (
                select(ledgers.c.ledger)
                .join(leases, leases.c.log == ledgers.c.log)
                .where(leases.c.offer == offer, leases.c.closed_ms.is_(None))
                .distinct()
                .order_by(ledgers.c.ledger)
            )
            asked = 0
            for ledger in (await connection.scalars(query)).all():
                asked += await recall(connection, ledger=ledger, offer=offer, now_ms=now_ms)
            await self._desk.done(connection, who, "stock.recall", offer, quantity=asked)
        return asked

    async def write_off(self, who: Actor, lease: str, reason: str) -> int:
        """Returns the unused units of a lease that no terminal will give back; at risk from then.

        Returns:
            How many units returned to the pool.

        Raises:
            NotAllowed: no right.
            ImportRefused: no such open lease, or an unknown reason.
        """
        who.need(Right.STOCK_MOVE)
        if reason not in WRITE_OFF_REASONS:
            raise ImportRefused(f"reason: one of {', '.join(WRITE_OFF_REASONS)}")
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            query = select(leases).where(leases.c.lease == lease, leases.c.closed_ms.is_(None))
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise ImportRefused(f"no lease {lease} is open; nothing was changed")
            units = max(0, row.units - await _spent(connection, lease))
            await connection.execute(
                update(leases).where(leases.c.lease == lease).values(closed_ms=now_ms)
            )
            given = {"lease": lease, "units": units, "person": who.person, "reason": reason}
            await connection.execute(insert(write_offs), given | {"at_ms": now_ms})
            await self._desk.done(
                connection, who, "stock.write_off", lease, quantity=units, offer=row.offer
            )
        return int(units)

    async def _check(
        self,
        connection: AsyncConnection,
        who: Actor,
        published: Published,
        held: Offer,
        units: Mapping[str, int],
    ) -> None:
        """Refuses a division that takes away what is given out, or that is not one's own."""
        now_ms = self._desk.now_ms()
        for name in {*units, *held.stock.per_venue}:
            venue, wished = published.venues.get(name), units.get(name, 0)
            if wished == held.stock.per_venue.get(name, 0):
                continue
            if venue is None or not held_at(held, venue):
                raise ImportRefused(f"{name} does not give {held.id}; nothing was changed")
            who.need(Right.STOCK_MOVE, district=venue.district, street=venue.street)
            out = await given_out(connection, Bucket(held.id, name), now_ms)
            if wished < out:
                raise ImportRefused(
                    f"{name} has given out {out} units; it cannot have {wished}; recall them "
                    "first; nothing was changed"
                )

    async def _resplit(
        self, connection: AsyncConnection, held: Offer, units: Mapping[str, int]
    ) -> int:
        document = (await newest_documents(connection))[held.id]
        kept = {
            key: document["stock"][key]
            for key in ("leases", "lease_ttl")
            if key in document["stock"]
        }
        fresh = {"per_venue": {name: n for name, n in sorted(units.items()) if n}, **kept}
        version: int = await change_offer(
            connection, held.id, {"stock": fresh}, self._desk.now_ms()
        )
        return version


def _per_venue(published: Published, offer: str) -> Offer:
    held = stocked(published, offer)
    if held.stock.mode is not StockMode.PER_VENUE:
        raise PublicationRefused(
            f"the stock of {offer} is not divided among venues; terminals lease from one pool"
        )
    return held


async def _spent(connection: AsyncConnection, lease: str) -> int:
    query = select(func.coalesce(func.sum(events.c.quantity), 0)).where(
        events.c.lease != "",
        events.c.lease == lease,
        events.c.counted.is_(True),
        events.c.kind == Kind.REDEEM.value,
    )
    return int(await connection.scalar(query) or 0)
