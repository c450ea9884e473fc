"""Reports of a month: persons (人) and person-times (人次), by offer, level, place and category.

Every figure carries its definition (口径), and the whole its as-of time: a terminal that is online
late restates days that were told already, because a use counts on the day it happened. What was
stated of a period is kept, and a later report says by how much it differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.definitions import DEFINITIONS
from server.errors import ImportRefused
from server.offers import Published
from server.report_lines import (
    Compared,
    Line,
    compared,
    group_lines,
    level_lines,
    offer_lines,
    venue_lines,
    whole_line,
)
from server.schema import entries, ledgers
from server.schema_statistics import stated
from server.statistics import (
    NOTHING,
    Counted,
    Counting,
    Dimension,
    counting,
    days_of,
    months_with_events,
)

__all__ = ["DEFINITIONS", "Line", "MonthReport", "Stated", "month_report"]


@dataclass(frozen=True, slots=True)
class Stated:
    """What was stated of a period last, and by how much the figures have changed since.

    Attributes:
        stated_ms: when.
        person: who stated it.
        totals: the figures of the whole then.
        changed: per figure that differs, now minus then.
    """

    stated_ms: int
    person: str
    totals: Mapping[str, int]
    changed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MonthReport:
    """The report of one month.

    Attributes:
        month: ``yyyy-mm``.
        as_of_ms: when it was made.
        total: the whole.
        levels: city, district, street.
        offers: each offer that ran or was used, by level and id.
        counts: voided, declined, reentries, manual in the month; recorded, confirmed, lost, twice
            over all time.
        districts: of the venues, by person-times.
        categories: of the offers, by person-times.
        venues: each that was used, by person-times.
        last_month: the month before.
        last_year: the same month of the year before.
        stated: what was stated of it before, or ``None``.
    """

    month: str
    as_of_ms: int
    total: Line
    levels: tuple[Line, ...]
    offers: tuple[Line, ...]
    counts: Mapping[str, int]
    districts: tuple[Line, ...]
    categories: tuple[Line, ...]
    venues: tuple[Line, ...]
    last_month: Compared
    last_year: Compared
    stated: Stated | None


async def month_report(
    connection: AsyncConnection, published: Published, month: str, as_of_ms: int
) -> MonthReport:
    """Counts one month.

    Args:
        connection: one transaction that may write, so that all figures are of one state.
        published: offers, for titles, levels and categories; venues for districts.
        month: ``yyyy-mm`` of the venues' calendar.
        as_of_ms: server time.

    Raises:
        ImportRefused: not a month.
    """
    if "-" not in month:
        raise ImportRefused(f"month {month!r}: write yyyy-mm, for example 2014-05")
    first, _ = days_of(month)
    count = await counting(connection, published, as_of_ms)
    found = await count.of(month)
    total = whole_line(found, published, month)
    before = f"{first.year - (first.month == 1):04}-{(first.month - 2) % 12 + 1:02}"
    others = [
        await _compared(count, published, total, other)
        for other in (before, f"{first.year - 1:04}-{first.month:02}")
    ]
    counts = _counts(found, ("voided", "declined", "reentries", "manual"))
    counts |= await whole_counts(connection, count)
    return MonthReport(
        month,
        as_of_ms,
        total,
        level_lines(found, published, month),
        offer_lines(found, published, month),
        counts,
        group_lines(found, Dimension.DISTRICT),
        group_lines(found, Dimension.CATEGORY),
        venue_lines(found, published),
        others[0],
        others[1],
        await last_stated(connection, month, total),
    )


# Beside other periods, and beside what was stated before.


async def _compared(count: Counting, published: Published, total: Line, period: str) -> Compared:
    if not int(period[:4]) >= 1970:
        return compared(total, period, Line(""))
    found = await count.of(period)
    return compared(total, period, whole_line(found, published, period))


_STATED: Final = (
    "person_times",
    "persons",
    "quantity",
    "companions",
    "offers_running",
    "offers_new",
)


async def state(
    connection: AsyncConnection, period: str, total: Line, person: str, now_ms: int
) -> None:
    """Keeps the figures of a period as they are stated now, for later reports to refer to."""
    totals = {name: getattr(total, name) for name in _STATED}
    row = {"period": period, "stated_ms": now_ms, "person": person, "totals": json.dumps(totals)}
    await connection.execute(insert(stated), row)


async def last_stated(connection: AsyncConnection, period: str, total: Line) -> Stated | None:
    """What was stated of a period last."""
    statement = (
        select(stated).where(stated.c.period == period).order_by(stated.c.stated_ms.desc()).limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    totals = {str(name): int(value) for name, value in json.loads(row.totals).items()}
    changed = {name: getattr(total, name) - totals.get(name, 0) for name in _STATED}
    changed = {name: value for name, value in changed.items() if value}
    return Stated(row.stated_ms, row.person, totals, changed)


def _counts(found: Counted, names: Iterable[str]) -> dict[str, int]:
    return {name: found.get((Dimension.COUNTS, name), NOTHING).person_times for name in names}


async def whole_counts(connection: AsyncConnection, count: Counting) -> dict[str, int]:
    """Recorded, confirmed, lost and twice over all that the server holds."""
    whole = dict.fromkeys(("recorded", "confirmed", "lost", "twice"), 0)
    for month in await months_with_events(connection):
        found = await count.of(month)
        for name, number in _counts(found, ("recorded", "confirmed", "twice")).items():
            whole[name] += number
    receipted = await connection.scalar(select(func.coalesce(func.sum(ledgers.c.size), 0)))
    held = await connection.scalar(select(func.count()).select_from(entries))
    whole["lost"] = int(receipted or 0) - int(held or 0)
    return whole
