"""When a stock will be gone, from how fast it went of late.

The pace is that of the shortest of some spans that saw enough, so that a rush shows within minutes
and a quiet offer is judged by its week. It is a forecast: queues, closing hours and a second wave
are not in it, and the span it rests on is told with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.offer import Offer
from server.schema import events

MINUTE_MS: Final = 60_000
#: Spans that are looked at, the shortest first.
SPANS_MS: Final = tuple(span * MINUTE_MS for span in (10, 60, 6 * 60, 24 * 60, 7 * 24 * 60))
#: Redemptions that make a span worth believing.
ENOUGH: Final = 10


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast.

    Attributes:
        as_of_ms: when it was made.
        left: units that may still be granted, ``None`` where nothing bounds the offer.
        per_hour: units handed out an hour of late.
        span_ms: over which span that was; 0 if nothing was handed out.
        gone_ms: when nothing will be left; ``None`` if it will last as long as the offer.
    """

    as_of_ms: int
    left: int | None
    per_hour: float
    span_ms: int
    gone_ms: int | None


async def forecast(
    connection: AsyncConnection, offer: Offer, left: int | None, now_ms: int
) -> Forecast:
    """Forecasts one offer.

    Args:
        connection: a reading transaction.
        offer: which.
        left: units that may still be granted.
        now_ms: server time.
    """
    span_ms, units = 0, 0
    for span in SPANS_MS:
        statement = select(func.count(), func.coalesce(func.sum(events.c.quantity), 0)).where(
            events.c.offer == offer.id,
            events.c.counted.is_(True),
            events.c.kind == Kind.REDEEM.value,
            events.c.at_ms > now_ms - span,
            events.c.at_ms <= now_ms,
        )
        uses, quantity = (await connection.execute(statement)).one()
        if uses:
            span_ms, units = span, int(quantity)
        if uses >= ENOUGH:
            break
    per_hour = units * 60 * MINUTE_MS / span_ms if span_ms else 0.0
    gone_ms = gone(left, per_hour, now_ms)
    if gone_ms is not None and gone_ms >= offer.until_ms:
        gone_ms = None
    return Forecast(now_ms, left, round(per_hour, 2), span_ms, gone_ms)


def gone(left: int | None, per_hour: float, now_ms: int) -> int | None:
    """When so many units are gone at this pace; ``None`` if never."""
    if left is None:
        return None
    if left <= 0:
        return now_ms
    return now_ms + int(left * 60 * MINUTE_MS / per_hour) if per_hour > 0 else None
