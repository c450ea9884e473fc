"""Counts months and years: person-times, distinct persons, units, by offer, place and kind.

A fold off the ingest path. What was counted stays until a judgement touches the period; then only
the touched months, and their years, are counted again. Distinct persons are counted exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.offer import Offer
from server.errors import ImportRefused
from server.known import pieces
from server.offers import Published
from server.schema import events, judgements, ledgers
from server.schema_statistics import figures, periods, tallied
from sync.feed import Verdict

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])\Z")
_YEAR: Final = re.compile(r"[0-9]{4}\Z")
_KEY_MAX: Final = 64
#: Beyond so many new judgements, every period is counted again instead of looking for theirs.
LOOKED_AT_MAX: Final = 20_000
_GOOD: Final = (Verdict.ACCEPTED.value, Verdict.ACCEPTED_FLAGGED.value)


class Dimension(StrEnum):
    """By what figures are told apart."""

    TOTAL = "total"
    OFFER = "offer"
    VENUE = "venue"
    LEVEL = "level"
    CATEGORY = "category"
    DISTRICT = "district"
    #: Counts of entries, in ``person_times``: recorded, confirmed, twice.
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted of one key in one period.

    Attributes:
        person_times: redemptions, net of voids, each use once.
        persons: distinct members among them.
        quantity: units.
        companions: companions.
        flagged: redemptions flagged for a look.
    """

    person_times: int = 0
    persons: int = 0
    quantity: int = 0
    companions: int = 0
    flagged: int = 0


#: Figures of a period by dimension and key.
Counted = Mapping[tuple[str, str], Figures]
NOTHING: Final = Figures()


def days_of(period: str) -> tuple[date, date]:
    """First day of a period, and the day after its last.

    Raises:
        ImportRefused: neither ``yyyy-mm`` nor ``yyyy``, or a year outside 1970 to 9998.
    """
    month = _MONTH.match(period)
    if month is None and _YEAR.match(period) is None:
        raise ImportRefused(f"period {period!r}: write yyyy-mm or yyyy, for example 2014-05")
    year = int(period[:4])
    if not 1970 <= year < 9999:
        raise ImportRefused(f"period {period!r}: the year must be from 1970 to 9998")
    if month is None:
        return date(year, 1, 1), date(year + 1, 1, 1)
    number = int(month.group(2))
    return date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)


def months_of(year: int) -> list[str]:
    """The twelve periods of a year."""
    return [f"{year:04}-{month:02}" for month in range(1, 13)]


def day_number(day: date) -> int:
    """A day as events carry it, ``yyyymmdd``."""
    return int(day.strftime("%Y%m%d"))


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts periods of one state of everything; made by ``counting``."""

    _connection: AsyncConnection
    _now_ms: int
    _groups: Sequence[tuple[str, str, str]]
    _mark: str

    async def of(self, period: str) -> Counted:
        """Figures of a period, counted anew if something touched it.

        Args:
            period: ``yyyy-mm`` or ``yyyy``.

        Raises:
            ImportRefused: no period.
        """
        days, connection = days_of(period), self._connection
        mine = periods.c.period == period
        held = await connection.scalar(select(periods.c.groups_hash).where(mine))
        if held != self._mark:
            await connection.execute(delete(figures).where(figures.c.period == period))
            await connection.execute(delete(periods).where(mine))
            await _count(connection, period, days, self._groups)
            row = {"period": period, "counted_ms": self._now_ms, "groups_hash": self._mark}
            await connection.execute(insert(periods), row)
        rows = await connection.execute(select(figures).where(figures.c.period == period))
        return {
            (row.dimension, row.key): Figures(
                row.person_times, row.persons, row.quantity, row.companions, row.flagged
            )
            for row in rows
        }


async def counting(connection: AsyncConnection, published: Published, now_ms: int) -> Counting:
    """Forgets what was touched since, once for all the periods that are asked for next.

    Args:
        connection: inside a transaction that may write, and used while it lasts.
        published: offers and venues as they are now: groups are by these.
        now_ms: server time.
    """
    await forget_touched(connection)
    groups = sorted(_groups(published))
    return Counting(connection, now_ms, groups, sha256(repr(groups).encode("utf-8")).hexdigest())


# Which periods something touched.


async def forget_touched(connection: AsyncConnection) -> None:
    """Forgets the figures of periods that judgements have touched since they were counted."""
    statement = (
        select(
            ledgers.c.log, ledgers.c.revision, func.coalesce(tallied.c.revision, 0).label("held")
        )
        .join(tallied, tallied.c.log == ledgers.c.log, isouter=True)
        .where(ledgers.c.revision > func.coalesce(tallied.c.revision, 0))
    )
    moved = (await connection.execute(statement)).all()
    if not moved:
        return
    if sum(row.revision - row.held for row in moved) > LOOKED_AT_MAX:
        await connection.execute(delete(periods))
    else:
        touched = await _touched_months(connection, moved)
        names = touched | {month[:4] for month in touched}
        for some in pieces(sorted(names)):
            await connection.execute(delete(periods).where(periods.c.period.in_(some)))
    for some in pieces([row.log for row in moved]):
        await connection.execute(delete(tallied).where(tallied.c.log.in_(some)))
    await connection.execute(
        insert(tallied), [{"log": row.log, "revision": row.revision} for row in moved]
    )


async def _touched_months(connection: AsyncConnection, moved: Iterable[Any]) -> set[str]:
    """Months of the events that new judgements are about, and of what new voids name."""
    days: set[int] = set()
    originals: set[str] = set()
    for row in moved:
        statement = (
            select(events.c.day, events.c.original)
            .join(
                judgements, and_(judgements.c.log == events.c.log, judgements.c.seq == events.c.seq)
            )
            .where(judgements.c.log == row.log, judgements.c.revision > row.held)
            .distinct()
        )
        for event in await connection.execute(statement):
            days.add(event.day)
            originals.add(event.original)
    days |= await _days_at(connection, originals - {""})
    return {f"{day // 10_000:04}-{day // 100 % 100:02}" for day in days}


async def _days_at(connection: AsyncConnection, positions: Iterable[str]) -> set[int]:
    by_ledger: dict[str, list[int]] = {}
    for position in positions:
        ledger, _, seq = position.rpartition("/")
        by_ledger.setdefault(ledger, []).append(int(seq))
    days: set[int] = set()
    for ledger, places in by_ledger.items():
        for some in pieces(places):
            statement = (
                select(events.c.day)
                .join(ledgers, ledgers.c.log == events.c.log)
                .where(ledgers.c.ledger == ledger, events.c.seq.in_(some))
                .distinct()
            )
            days |= set(await connection.scalars(statement))
    return days


# Counting.

# One pass over the wide rows of a period; everything else is counted on this narrow copy.
_scratch = MetaData()
_uses = Table(
    "period_uses",
    _scratch,
    Column("offer", String(64)),
    Column("venue", String(64)),
    Column("member", String(16)),
    Column("quantity", Integer),
    Column("companions", Integer),
    Column("flagged", Integer),
    prefixes=["TEMPORARY"],
)
_grouped = Table(
    "period_groups",
    _scratch,
    Column("dimension", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("grp", String(64)),
    prefixes=["TEMPORARY"],
)
#: Column of the narrow copy that each group is made from.
_GROUPED_BY: Final = {
    Dimension.LEVEL: _uses.c.offer,
    Dimension.CATEGORY: _uses.c.offer,
    Dimension.DISTRICT: _uses.c.venue,
}


def _groups(published: Published) -> Iterator[tuple[str, str, str]]:
    """Dimension, offer or venue, and the group that it belongs to."""
    for offer in published.newest.values():
        if isinstance(offer, Offer):
            yield Dimension.LEVEL, offer.id, str(offer.level)[:_KEY_MAX]
            yield Dimension.CATEGORY, offer.id, str(offer.category)[:_KEY_MAX]
    for venue in published.venues.values():
        yield Dimension.DISTRICT, venue.id, venue.district[:_KEY_MAX]


async def _count(
    connection: AsyncConnection,
    period: str,
    days: tuple[date, date],
    groups: Iterable[tuple[str, str, str]],
) -> None:
    inside = and_(events.c.day >= day_number(days[0]), events.c.day < day_number(days[1]))
    await connection.run_sync(_scratch.create_all)
    flagged = case((events.c.verdict == Verdict.ACCEPTED_FLAGGED.value, 1), else_=0)
    copied = select(
        events.c.offer,
        events.c.venue,
        func.nullif(events.c.member, ""),
        events.c.quantity,
        events.c.companions,
        flagged,
    ).where(inside, events.c.kind == Kind.REDEEM.value, events.c.counted.is_(True))
    await connection.execute(insert(_uses).from_select(_uses.columns.keys(), copied))
    rows = [dict(zip(("dimension", "name", "grp"), one, strict=True)) for one in groups]
    if rows:
        await connection.execute(insert(_grouped), rows)
    for statement in _figure_statements(period):
        await connection.execute(insert(figures).from_select(figures.columns.keys(), statement))
    await connection.run_sync(_scratch.drop_all)
    counts = await _count_entries(connection, inside)
    told = [
        {"period": period, "dimension": Dimension.COUNTS.value, "key": key, "person_times": number}
        | dict.fromkeys(("persons", "quantity", "companions", "flagged"), 0)
        for key, number in counts.items()
    ]
    await connection.execute(insert(figures), told)


def _figure_statements(period: str) -> Iterator[Select[Any]]:
    def told(dimension: Dimension, key: Any) -> Select[Any]:
        return select(
            literal(period),
            literal(dimension.value),
            key,
            func.count(),
            func.count(_uses.c.member.distinct()),
            func.coalesce(func.sum(_uses.c.quantity), 0),
            func.coalesce(func.sum(_uses.c.companions), 0),
            func.coalesce(func.sum(_uses.c.flagged), 0),
        )

    yield told(Dimension.TOTAL, literal("")).select_from(_uses)
    yield told(Dimension.OFFER, _uses.c.offer).group_by(_uses.c.offer)
    yield told(Dimension.VENUE, _uses.c.venue).group_by(_uses.c.venue)
    for dimension, column in _GROUPED_BY.items():
        joined = _uses.join(
            _grouped, and_(_grouped.c.dimension == dimension.value, _grouped.c.name == column)
        )
        yield told(dimension, _grouped.c.grp).select_from(joined).group_by(_grouped.c.grp)


async def _count_entries(connection: AsyncConnection, inside: Any) -> dict[str, int]:
    """Entries of a period: what came, what was judged good, and taps that counted twice."""
    redeemed = and_(inside, events.c.kind == Kind.REDEEM.value)
    good = func.sum(case((events.c.verdict.in_(_GOOD), 1), else_=0))
    recorded, confirmed = (
        await connection.execute(select(func.count(), func.coalesce(good, 0)).where(redeemed))
    ).one()
    repeated = (
        select((func.count() - 1).label("surplus"))
        .where(inside, events.c.counted.is_(True), events.c.nonce != "")
        .group_by(events.c.nonce, events.c.card, events.c.offer)
        .having(func.count() > 1)
        .subquery()
    )
    twice = await connection.scalar(select(func.coalesce(func.sum(repeated.c.surplus), 0)))
    kinds = (
        select(events.c.kind, events.c.voided, func.count().label("entries"))
        .where(inside)
        .group_by(events.c.kind, events.c.voided)
    )
    found = {(row.kind, bool(row.voided)): row.entries for row in await connection.execute(kinds)}
    return {
        "recorded": int(recorded),
        "confirmed": int(confirmed),
        "twice": int(twice or 0),
        "voided": found.get((Kind.REDEEM.value, True), 0),
        "declined": found.get((Kind.DECLINE.value, False), 0),
        "reentries": found.get((Kind.REENTRY.value, False), 0),
        "manual": found.get((Kind.MANUAL.value, False), 0),
    }


async def months_with_events(connection: AsyncConnection) -> list[str]:
    """Every month in which something happened, oldest first; one seek in the index for each."""
    found: list[str] = []
    after = 0
    while True:
        day = await connection.scalar(select(func.min(events.c.day)).where(events.c.day > after))
        if day is None:
            return found
        found.append(f"{day // 10_000:04}-{day // 100 % 100:02}")
        after = day // 100 * 100 + 99
