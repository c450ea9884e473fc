"""Stock: what was redeemed, what is out on leases, what is left, what was sold beyond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import Offer, StockMode
from server.facts import Position
from server.judge import USES
from server.known import among
from server.offers import Published, capacity_of
from server.schema import cursors, events, holds, leases, ledgers, reservations, stock

#: States of a hold: neither an entry nor a void has settled it, an entry has, nothing was given.
HELD: Final = "held"
CONFIRMED: Final = "confirmed"
RELEASED: Final = "released"
#: States of a reservation: its token may still be used, was used, was withdrawn.
ISSUED: Final = "issued"
USED: Final = "used"
CANCELLED: Final = "cancelled"
#: PostgreSQL's lock for who gives out units.
STOCK_LOCK: Final = 0x73746F
_FLAGGED: Final = "%oversold%"


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
        leased: units granted or held, not redeemed, not returned.
        stock_left: what may still be granted or held; ``None`` where nothing bounds the offer.
        oversold: units redeemed beyond the stock.
    """

    redeemed: int
    reversed: int
    leased: int
    stock_left: int | None
    oversold: int


@dataclass(slots=True)
class Moved:
    """By how much one step of judging changed the units of a part, and the events flagged."""

    redeemed: int = 0
    reversed: int = 0
    oversold: int = 0


async def move(connection: AsyncConnection, moved: Mapping[Bucket, Moved]) -> None:
    """Adds what changed to the rows of ``stock``, whatever stands in them."""
    changed = {part: one for part, one in moved.items() if one != _NOTHING_MOVED}
    held = await rows_of(connection, changed)
    fresh: list[dict[str, Any]] = []
    former: list[dict[str, Any]] = []
    for (offer, bucket), one in sorted(changed.items()):
        before = held.get(Bucket(offer, bucket))
        row = {
            "of_offer": offer,
            "of_bucket": bucket,
            "redeemed": one.redeemed + (before.redeemed if before else 0),
            "reversed": one.reversed + (before.reversed if before else 0),
            "oversold": one.oversold + (before.oversold if before else 0),
        }
        (former if before else fresh).append(row)
    named: dict[str, Any] = {name: bindparam(name) for name in ("redeemed", "reversed", "oversold")}
    place: dict[str, Any] = {"offer": bindparam("of_offer"), "bucket": bindparam("of_bucket")}
    if fresh:
        await connection.execute(insert(stock).values(place | named), fresh)
    if former:
        mine = (stock.c.offer == place["offer"], stock.c.bucket == place["bucket"])
        await connection.execute(update(stock).where(*mine).values(named), former)


_NOTHING_MOVED: Final = Moved()


async def rows_of(connection: AsyncConnection, parts: Iterable[Bucket]) -> dict[Bucket, Any]:
    """Rows of ``stock`` of some parts; a part of which nothing was ever redeemed has none."""
    wanted = set(parts)
    found: dict[Bucket, Any] = {}
    for which in among(connection, stock.c.offer, {part.offer for part in wanted}):
        for row in await connection.execute(select(stock).where(which)):
            part = Bucket(row.offer, row.bucket)
            if part in wanted:
                found[part] = row
    return found


async def recount(connection: AsyncConnection) -> None:
    """Folds all events into ``stock`` again, as ``move`` has kept it step by step."""
    uses = events.c.kind.in_(USES)
    sums = select(
        events.c.offer,
        events.c.bucket,
        _units(uses & events.c.counted.is_(True)),
        _units(uses & events.c.voided.is_(True)),
        func.sum(case((events.c.reasons.like(_FLAGGED), 1), else_=0)),
    ).group_by(events.c.offer, events.c.bucket)
    names = ["offer", "bucket", "redeemed", "reversed", "oversold"]
    await connection.execute(delete(stock))
    await connection.execute(insert(stock).from_select(names, sums))


def _units(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((which, events.c.quantity), else_=0))


async def beyond(
    connection: AsyncConnection, published: Published, buckets: Iterable[Bucket]
) -> tuple[dict[Position, str], dict[Position, str]]:
    """Who of these parts is beyond the stock, and who is flagged with it.

    Events are looked at only where the stock's row says that there are any.

    Returns:
        Redemptions beyond the stock, the last by event time, with their member; and those that
        were flagged so before.
    """
    now: dict[Position, str] = {}
    before: dict[Position, str] = {}
    for part, row in sorted((await rows_of(connection, buckets)).items()):
        capacity = capacity_of(published.newest.get(part.offer), part.bucket)
        if capacity is not None and row.redeemed > capacity:
            now |= await _beyond(connection, part, capacity)
        if row.oversold:
            before |= await _flagged(connection, part)
    return now, before


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


async def _flagged(connection: AsyncConnection, part: Bucket) -> dict[Position, str]:
    """Positions of a part that are flagged now, with their member."""
    rows = await connection.execute(
        select(ledgers.c.ledger, events.c.seq, events.c.member)
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(
            events.c.offer == part.offer,
            events.c.bucket == part.bucket,
            events.c.reasons.like(_FLAGGED),
        )
    )
    return {Position(row.ledger, row.seq): row.member for row in rows}


async def state_of(
    connection: AsyncConnection, published: Published, offer: str, now_ms: int
) -> StockState:
    """What the server knows of an offer's stock, over all its parts, at a moment."""
    sums = (
        await connection.execute(
            select(func.sum(stock.c.redeemed), func.sum(stock.c.reversed)).where(
                stock.c.offer == offer
            )
        )
    ).one()
    redeemed, reversed_ = int(sums[0] or 0), int(sums[1] or 0)
    out = await leased(connection, offer) + await held(connection, offer, now_ms)
    out += await promised(connection, offer)
    total = _whole(published.newest.get(offer))
    return StockState(
        redeemed=redeemed,
        reversed=reversed_,
        leased=out,
        stock_left=None if total is None else max(0, total - redeemed - out),
        oversold=0 if total is None else max(0, redeemed - total),
    )


def _whole(offer: object) -> int | None:
    """Units of a stock that is counted once, not anew each day or session."""
    if isinstance(offer, Offer) and offer.stock.mode in {StockMode.POOL, StockMode.PER_VENUE}:
        return offer.stock.quantity
    return None


async def leased(connection: AsyncConnection, offer: str, bucket: str | None = None) -> int:
    """Units out on open leases that are not known to be redeemed."""
    statement = select(leases.c.units, spent_of_lease().label("spent")).where(
        leases.c.offer == offer, leases.c.closed_ms.is_(None)
    )
    if bucket is not None:
        statement = statement.where(leases.c.bucket == bucket)
    return sum(max(0, row.units - row.spent) for row in await connection.execute(statement))


def spent_of_lease() -> ScalarSelect[int]:
    """Units of the lease in the query around it that are known to be redeemed."""
    # The first condition is that of the index of events with a lease.
    return (
        select(func.coalesce(func.sum(events.c.quantity), 0))
        .where(events.c.lease != "", events.c.lease == leases.c.lease, events.c.counted.is_(True))
        .scalar_subquery()
    )


def live(now_ms: int) -> ColumnElement[bool]:
    """Which holds count: not settled, and not over.

    While entries of its ledger wait to be looked at a hold is not over, for its own may be there.
    """
    behind = (
        select(ledgers.c.log)
        .join(cursors, cursors.c.log == ledgers.c.log, isouter=True)
        .where(ledgers.c.log == holds.c.log, ledgers.c.size > func.coalesce(cursors.c.next_seq, 0))
        .exists()
    )
    return and_(holds.c.state == HELD, or_(holds.c.expires_ms > now_ms, behind))


def waiting() -> ColumnElement[bool]:
    """Which reservations hold units: not used, and not proved to be unused.

    ``bound_ms`` says that entries not looked at yet were written after it: a terminal that has
    synced after a token's end knows a time at which it takes it no more.
    """
    unheard = (
        select(cursors.c.log)
        .where(cursors.c.log == reservations.c.log, cursors.c.bound_ms >= reservations.c.until_ms)
        .exists()
    )
    return and_(reservations.c.state != USED, ~unheard)


async def promised(connection: AsyncConnection, offer: str) -> int:
    """Units of an offer that are reserved and neither used nor lapsed."""
    statement = select(func.coalesce(func.sum(reservations.c.units), 0)).where(
        reservations.c.offer == offer, waiting()
    )
    return int(await connection.scalar(statement) or 0)


async def held(connection: AsyncConnection, offer: str, now_ms: int) -> int:
    """Units of an offer that are held now, over all parts of its stock."""
    statement = select(func.coalesce(func.sum(holds.c.quantity), 0)).where(
        holds.c.offer == offer, live(now_ms)
    )
    return int(await connection.scalar(statement) or 0)
