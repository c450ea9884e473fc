"""The pulse of a day: person-times by the hour beside a week ago, refusals, districts.

Counts are the report's (``server.definitions``): net of voids and duplicates, by the time at the
venue. The running hour is not over, and hours to come have no value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, select

from ledger.entry import Kind
from ledger.rules.offer import VENUE_ZONE
from ledger.rules.windows import instant_of
from server.core import ServerCore
from server.offers import Published
from server.roles import Actor, Right
from server.schema import events

HOURS: Final = 24
_HOUR_MS: Final = 3_600_000
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Pulse:
    """One day.

    Attributes:
        day: which.
        hour: the running one.
        hours: person-times of each hour of the day so far, ``None`` for hours to come.
        week_ago: of each hour of the same weekday a week ago.
        week_ago_by_now: of that day until the same time.
        voided: redemptions of the day that were voided.
        refusals: declines of the day by code.
        districts: person-times of the day by the venue's district.
    """

    day: date
    hour: int
    hours: tuple[int | None, ...]
    week_ago: tuple[int, ...]
    week_ago_by_now: int
    voided: int
    refusals: Mapping[str, int]
    districts: Mapping[str, int]

    @property
    def person_times(self) -> int:
        """Of the day so far."""
        return sum(value or 0 for value in self.hours)


async def pulse_of(core: ServerCore, who: Actor) -> Pulse:
    """Counts today for whoever may see the overview, within their own place.

    Raises:
        NotAllowed: no right.
    """
    who.need(Right.OVERVIEW)
    now_ms = core.now_ms()
    now = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(VENUE_ZONE))
    today, before = now.date(), now.date() - _WEEK
    async with core.database.reading() as connection:
        published = await core.book.read(connection)
        mine = _mine(published, who)
        used = and_(events.c.kind == Kind.REDEEM.value, events.c.counted.is_(True), *mine)
        by_hour: dict[date, Counter[int]] = {}
        for day in (today, before):
            hour = (events.c.at_ms - instant_of(day, 0, VENUE_ZONE)) // _HOUR_MS
            rows = await connection.execute(
                select(hour.label("hour"), func.count().label("times"))
                .where(events.c.day == _number(day), used)
                .group_by(hour)
            )
            by_hour[day] = Counter({int(row.hour): int(row.times) for row in rows})
        by_now = await connection.scalar(
            select(func.count()).where(
                events.c.day == _number(before),
                events.c.at_ms <= now_ms - int(_WEEK.total_seconds()) * 1000,
                used,
            )
        )
        of_today = and_(events.c.day == _number(today), *mine)
        refused = await connection.execute(
            select(events.c.code, func.count().label("times"))
            .where(of_today, events.c.kind == Kind.DECLINE.value)
            .group_by(events.c.code)
        )
        voided = await connection.scalar(
            select(func.count()).where(
                of_today, events.c.kind == Kind.REDEEM.value, events.c.voided.is_(True)
            )
        )
        places = await connection.execute(
            select(events.c.venue, func.count().label("times"))
            .where(events.c.day == _number(today), used)
            .group_by(events.c.venue)
        )
        districts: Counter[str] = Counter()
        for row in places:
            venue = published.venues.get(row.venue)
            districts[venue.district if venue else ""] += int(row.times)
        return Pulse(
            day=today,
            hour=now.hour,
            hours=tuple(by_hour[today][at] if at <= now.hour else None for at in range(HOURS)),
            week_ago=tuple(by_hour[before][at] for at in range(HOURS)),
            week_ago_by_now=int(by_now or 0),
            voided=int(voided or 0),
            refusals={row.code: int(row.times) for row in refused},
            districts=dict(districts),
        )


def _mine(published: Published, who: Actor) -> list[ColumnElement[bool]]:
    """Nothing for who has the whole city, else the venues of the own place."""
    if not who.district:
        return []
    own = [
        venue.id
        for venue in published.venues.values()
        if who.may(Right.OVERVIEW, district=venue.district, street=venue.street)
    ]
    return [events.c.venue.in_(own)]


def _number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))
