"""The table of holds: what counts as given out, to whom, and when a hold ends.

A unit moves from its hold to its entry in the judging transaction. Whoever counts must therefore
see both sides in one statement: two would see it twice, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.offer import Offer
from ledger.rules.usage import Usage, UsageView, Use
from server.database import Database
from server.facts import Event
from server.known import among
from server.schema import cursors, events, histories, holds, leases, ledgers, reservations, stock
from server.stock import CONFIRMED, RELEASED, STOCK_LOCK, Bucket, live, spent_of_lease, waiting

#: First numbers of PostgreSQL's locks on one member and on one offer.
MEMBER_LOCK: Final = 0x686D
_OFFER_LOCK: Final = 0x686F


class Key(NamedTuple):
    """Which hold: the server's number of the ledger, and the nonce."""

    log: int
    nonce: str


async def lock(connection: AsyncConnection, database: Database, *, member: str, offer: str) -> None:
    """Lets one transaction at a time hold something for this member or of this offer.

    It shuts out who grants leases too, and is kept until the transaction ends. SQLite has one
    writer anyway.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        member: member reference.
        offer: offer id; empty for an offer of which there is no end.
    """
    if not database.postgresql:
        return
    # One statement each: PostgreSQL promises no order inside one, and another order is a ring.
    await connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({STOCK_LOCK})"))
    statement = text("SELECT pg_advisory_xact_lock(:kind, :name)")
    for kind, name in ((MEMBER_LOCK, member), (_OFFER_LOCK, offer)):
        if name:
            number = int.from_bytes(sha256(name.encode("utf-8")).digest()[:4], "big", signed=True)
            await connection.execute(statement, {"kind": kind, "name": number})


async def given_out(
    connection: AsyncConnection, part: Bucket, now_ms: int, but: Key | None = None
) -> int:
    """Units of a part that nobody else may have: redeemed, on an open lease, held or reserved.

    Args:
        connection: the transaction that decides on it.
        part: offer and part of its stock.
        now_ms: server time.
        but: a hold that is not counted, for it is asked for again.
    """
    redeemed = select(func.coalesce(func.sum(stock.c.redeemed), 0)).where(
        stock.c.offer == part.offer, stock.c.bucket == part.bucket
    )
    held = select(func.coalesce(func.sum(holds.c.quantity), 0)).where(
        holds.c.offer == part.offer, holds.c.bucket == part.bucket, live(now_ms), _not(but)
    )
    out = (
        select(leases.c.units, spent_of_lease().label("spent"))
        .where(
            leases.c.offer == part.offer,
            leases.c.bucket == part.bucket,
            leases.c.closed_ms.is_(None),
        )
        .subquery()
    )
    left = case((out.c.units > out.c.spent, out.c.units - out.c.spent), else_=0)
    leased = select(func.coalesce(func.sum(left), 0))
    promised = select(func.coalesce(func.sum(reservations.c.units), 0)).where(
        reservations.c.offer == part.offer, reservations.c.bucket == part.bucket, waiting()
    )
    sums = [one.scalar_subquery() for one in (redeemed, held, leased, promised)]
    return int(await connection.scalar(select(sums[0] + sums[1] + sums[2] + sums[3])) or 0)


async def uses_of(
    connection: AsyncConnection, member: str, offer: Offer, now_ms: int, but: Key | None = None
) -> UsageView:
    """What a member used of an offer and its groups at all ledgers, live holds included."""
    usage = Usage()
    if not member:
        return usage.view(member, offer)
    names = {offer.id, *(name for limit in offer.limits for name in limit.offers)}
    counted = (
        select(
            events.c.log,
            events.c.seq,
            events.c.at_ms,
            events.c.quantity,
            events.c.venue,
            events.c.offer,
        )
        .join(histories, (histories.c.log == events.c.log) & (histories.c.seq == events.c.seq))
        .where(histories.c.member == member, events.c.offer.in_(names), events.c.counted.is_(True))
        .union_all(
            select(
                holds.c.log,
                literal(-1),
                holds.c.at_ms,
                holds.c.quantity,
                holds.c.venue,
                holds.c.offer,
            ).where(holds.c.member == member, holds.c.offer.in_(names), live(now_ms), _not(but))
        )
    )
    for number, row in enumerate(await connection.execute(counted)):
        seq = row[1] if row[1] >= 0 else -1 - number
        usage.add(Use(row[2], str(row[0]), seq, row[3], row[4], row[5], member))
    return usage.view(member, offer)


def _not(but: Key | None) -> ColumnElement[bool]:
    if but is None:
        return true()
    return not_(and_(holds.c.log == but.log, holds.c.nonce == but.nonce))


async def lagging(connection: AsyncConnection) -> bool:
    """Whether entries are stored that nobody has looked at yet."""
    statement = (
        select(ledgers.c.log)
        .join(cursors, cursors.c.log == ledgers.c.log, isouter=True)
        .where(ledgers.c.size > func.coalesce(cursors.c.next_seq, 0))
        .limit(1)
    )
    return await connection.scalar(statement) is not None


async def settle_holds(connection: AsyncConnection, found: Mapping[int, Iterable[Event]]) -> None:
    """Takes what came in: an uploaded redemption confirms its hold, a void releases it.

    So does a decline, by which the terminal says that it gave nothing.

    Args:
        connection: inside a transaction that may write.
        found: events by the server's number of their ledger.
    """
    # Few ledgers ever ask for a hold, and most events settle none.
    asks = select(holds.c.log).where(holds.c.log == ledgers.c.log).exists()
    asking: set[int] = set()
    for which in among(connection, ledgers.c.log, found):
        asking |= set(await connection.scalars(select(ledgers.c.log).where(which, asks)))
    for log in sorted(asking):
        await _settle(connection, log, found[log])


async def _settle(connection: AsyncConnection, log: int, found: Iterable[Event]) -> None:
    ends: dict[str, str] = {}
    for event in found:
        if event.kind in {Kind.REDEEM, Kind.DECLINE, Kind.REENTRY}:
            ends[event.text("nonce")] = CONFIRMED if event.kind == Kind.REDEEM else RELEASED
        elif event.kind == Kind.VOID and not event.text("orig_ledger"):
            ends[event.text("orig_nonce")] = RELEASED
    for state in (CONFIRMED, RELEASED):
        nonces = [nonce for nonce, end in ends.items() if end == state]
        for which in among(connection, holds.c.nonce, nonces):
            await connection.execute(
                update(holds).where(holds.c.log == log, which).values(state=state)
            )
