"""Publishes the used-set: what may still count against a member at another terminal.

Without a connection a terminal knows what it gave itself and what this file says; between two of
them a member may be served once at each terminal that has not seen the use.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import DAY_MS, Offer, OfflineMode, Period
from server.offers import Published
from server.schema import events, ledgers
from sync.used import USES_MAX, RemoteUse

#: Longest that a use can matter to a limit of a period: the longest such period and a day.
_REACH_DAYS: Final = {
    Period.DAY: 2,
    Period.WEEK: 8,
    Period.MONTH: 32,
    Period.QUARTER: 93,
    Period.HALF_YEAR: 185,
    Period.YEAR: 367,
}


def reach_ms(offer: Offer) -> int | None:
    """How far back uses of an offer can matter; 0 for not at all, ``None`` for its whole life."""
    shared = any(limit.group for limit in offer.limits)
    if offer.offline is OfflineMode.ONLINE and not shared:
        return 0  # decided at the server, which knows all uses
    reach = max(offer.interval_ms, offer.re_entry_ms)
    for limit in offer.limits:
        days = _REACH_DAYS.get(limit.per)
        if days is None:
            return None
        reach = max(reach, days * DAY_MS)
    return reach


async def uses_that_count(
    connection: AsyncConnection, published: Published, now_ms: int
) -> tuple[RemoteUse, ...]:
    """Uses on all ledgers that a limit may still ask for; the newest if there are too many."""
    found: list[RemoteUse] = []
    for offer in published.newest.values():
        reach = reach_ms(offer) if isinstance(offer, Offer) else 0
        if reach == 0:
            continue
        since_ms = 0 if reach is None else now_ms - reach
        statement = (
            select(
                events.c.member,
                events.c.offer,
                ledgers.c.ledger,
                events.c.seq,
                events.c.at_ms,
                events.c.quantity,
                events.c.venue,
            )
            .join(ledgers, ledgers.c.log == events.c.log)
            .where(
                events.c.offer == offer.id,
                events.c.counted.is_(True),
                events.c.member != "",
                events.c.at_ms >= since_ms,
            )
        )
        found += (RemoteUse(*row) for row in (await connection.execute(statement)).all())
    found.sort(key=lambda use: use.ts_ms, reverse=True)
    return tuple(found[:USES_MAX])
