"""The month's report: persons (人) and person-times (人次), by offer and by level.

Every figure carries its definition (口径), and the whole its as-of time: a terminal that is online
late restates days that were told already, because a use counts on the day it happened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from ledger.rules.offer import VENUE_ZONE, BrokenOffer, Level, Offer
from ledger.rules.windows import instant_of
from server.errors import ImportRefused
from server.offers import Published
from server.schema import entries, events, ledgers
from sync.feed import Verdict

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])\Z")

#: What each figure counts, as it is printed below the report.
DEFINITIONS: Final[Mapping[str, tuple[str, str]]] = {
    "person_times": (
        (
            "人次：本月发生的核销笔数，已撤销、重复上传、重复入馆和被拒的不计；家属与加领份数不计；按核销"
            "发生日（北京时间）归月，补传计入发生月"
        ),
        (
            "Person-times: redemptions that happened in the month, net of voids; repeated "
            "uploads, re-entries and declines not counted; companions and extra units not counted; "
            "by event date in Asia/Shanghai, late uploads count in the month they happened"
        ),
    ),
    "persons": (
        "人：上述核销中不同会员的人数；合计按会员去重，不等于各行之和",
        "Persons: distinct members among these; the total counts each once, so it is no sum",
    ),
    "quantity": ("份数：核销的张、套、份，另计", "Units: what was handed out, counted apart"),
    "companions": ("同行：随会员同行的家属人数，另计", "Companions: counted apart"),
    "manual": (
        "手工补录：断电断网时按编号纸质表补录的笔数，另计，不含在人次内",
        "Manual: late entries from numbered paper sheets, counted apart and not among person-times",
    ),
    "flagged": (
        "待核：人次中被标记、待人工核对的笔数",
        "Flagged: of the person-times, those flagged for somebody to look at",
    ),
    "offers_running": (
        "在线项目：本月内至少一天在有效期的不同服务项目数",
        "Offers running: distinct offers whose life has at least one day in the month",
    ),
    "offers_new": (
        "新增项目：有效期自本月开始的服务项目数",
        "New offers: offers whose life begins in the month",
    ),
    "recorded": (
        "已登记：服务器收到的核销笔数（含已撤销）",
        "Recorded: redemptions that the server holds, voided ones included",
    ),
    "confirmed": ("已确认：其中已判定有效的笔数", "Confirmed: of these, judged and accepted"),
    "lost": (
        "丢失：已出具回执而库中缺失的条目数，应为 0",
        "Lost: entries that were receipted and are missing, must be 0",
    ),
    "twice": (
        "重复：同一次刷卡（同一随机号、同卡、同项目）被计入两次的笔数，应为 0",
        "Twice: taps (same nonce, card, offer) counted more than once, must be 0",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Figures of one offer, one level, or the whole.

    Attributes:
        key: offer id, level, or empty for the whole.
        title: what people call it.
        title_en: the same in English.
        level: of the offer, or the level itself.
        persons: distinct members.
        person_times: redemptions, net of voids.
        quantity: units.
        companions: companions.
        flagged: redemptions flagged for a look.
        offers_running: offers with a day in the month.
        offers_new: offers that begin in the month.
    """

    key: str
    title: str = ""
    title_en: str = ""
    level: str = ""
    persons: int = 0
    person_times: int = 0
    quantity: int = 0
    companions: int = 0
    flagged: int = 0
    offers_running: int = 0
    offers_new: int = 0


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
    """

    month: str
    as_of_ms: int
    total: Line
    levels: tuple[Line, ...]
    offers: tuple[Line, ...]
    counts: Mapping[str, int]


async def month_report(
    connection: AsyncConnection, published: Published, month: str, as_of_ms: int
) -> MonthReport:
    """Counts one month.

    Args:
        connection: one reading transaction, so that all figures are of one state.
        published: offers, for titles and levels.
        month: ``yyyy-mm`` of the venues' calendar.
        as_of_ms: server time.

    Raises:
        ImportRefused: not a month.
    """
    first, following = _days_of(month)
    used = (
        events.c.counted.is_(True),
        events.c.kind == Kind.REDEEM.value,
        events.c.day >= _number(first),
        events.c.day < _number(following),
    )
    running, new = _lives(published, first, following)
    by_offer = await _by_offer(connection, used)
    names = sorted(running | set(by_offer), key=lambda name: (_level_rank(published, name), name))
    lines = tuple(_line(published, name, by_offer.get(name), running, new) for name in names)
    levels = []
    for level in Level:
        mine = [line for line in lines if line.level == level]
        persons = await _persons(connection, used, [line.key for line in mine])
        levels.append(_sum(level.value, mine, persons))
    total = _sum("", lines, await _persons(connection, used, None))
    counts = await _month_counts(connection, first, following) | await whole_counts(connection)
    return MonthReport(month, as_of_ms, total, tuple(levels), lines, counts)


def _days_of(month: str) -> tuple[date, date]:
    found = _MONTH.match(month)
    if found is None:
        raise ImportRefused(f"month {month!r}: write yyyy-mm, for example 2014-05")
    year, number = int(found.group(1)), int(found.group(2))
    if not 1970 <= year < 9999:
        raise ImportRefused(f"month {month!r}: the year must be from 1970 to 9998")
    return date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)


def _number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


def _lives(published: Published, first: date, following: date) -> tuple[set[str], set[str]]:
    """Offers that run in the month, and those that begin in it."""
    start_ms = instant_of(first, 0, VENUE_ZONE)
    end_ms = instant_of(following, 0, VENUE_ZONE)
    sound = [offer for offer in published.newest.values() if isinstance(offer, Offer)]
    running = {one.id for one in sound if one.from_ms < end_ms and one.until_ms > start_ms}
    return running, {one.id for one in sound if start_ms <= one.from_ms < end_ms}


async def _by_offer(
    connection: AsyncConnection, used: Sequence[ColumnElement[bool]]
) -> dict[str, Any]:
    flagged = case((events.c.verdict == Verdict.ACCEPTED_FLAGGED.value, 1), else_=0)
    statement = (
        select(
            events.c.offer,
            func.count().label("person_times"),
            func.count(events.c.member.distinct()).label("persons"),
            func.sum(events.c.quantity).label("quantity"),
            func.sum(events.c.companions).label("companions"),
            func.sum(flagged).label("flagged"),
        )
        .where(*used)
        .group_by(events.c.offer)
    )
    return {row.offer: row for row in await connection.execute(statement)}


async def _persons(
    connection: AsyncConnection, used: Sequence[ColumnElement[bool]], names: list[str] | None
) -> int:
    statement: Select[Any] = select(func.count(events.c.member.distinct())).where(*used)
    if names is not None:
        statement = statement.where(events.c.offer.in_(names))
    return int(await connection.scalar(statement) or 0)


def _level_rank(published: Published, name: str) -> int:
    level = _level(published.newest.get(name))
    return list(Level).index(Level(level)) if level in set(Level) else len(Level)


def _level(offer: Offer | BrokenOffer | None) -> str:
    return offer.level if isinstance(offer, Offer) else ""


def _line(published: Published, name: str, row: Any, running: set[str], new: set[str]) -> Line:
    offer = published.newest.get(name)
    return Line(
        key=name,
        title=offer.title or name if isinstance(offer, Offer) else name,
        title_en=offer.title_en or name if isinstance(offer, Offer) else name,
        level=_level(offer),
        persons=int(row.persons) if row else 0,
        person_times=int(row.person_times) if row else 0,
        quantity=int(row.quantity) if row else 0,
        companions=int(row.companions) if row else 0,
        flagged=int(row.flagged) if row else 0,
        offers_running=int(name in running),
        offers_new=int(name in new),
    )


def _sum(key: str, lines: Sequence[Line], persons: int) -> Line:
    return Line(
        key=key,
        level=key,
        persons=persons,
        person_times=sum(line.person_times for line in lines),
        quantity=sum(line.quantity for line in lines),
        companions=sum(line.companions for line in lines),
        flagged=sum(line.flagged for line in lines),
        offers_running=sum(line.offers_running for line in lines),
        offers_new=sum(line.offers_new for line in lines),
    )


async def _month_counts(
    connection: AsyncConnection, first: date, following: date
) -> dict[str, int]:
    inside = and_(events.c.day >= _number(first), events.c.day < _number(following))
    statement = (
        select(events.c.kind, events.c.voided, func.count().label("entries"))
        .where(inside)
        .group_by(events.c.kind, events.c.voided)
    )
    found = {
        (row.kind, bool(row.voided)): row.entries for row in await connection.execute(statement)
    }
    return {
        "voided": found.get((Kind.REDEEM.value, True), 0),
        "declined": found.get((Kind.DECLINE.value, False), 0),
        "reentries": found.get((Kind.REENTRY.value, False), 0),
        "manual": found.get((Kind.MANUAL.value, False), 0),
    }


async def whole_counts(connection: AsyncConnection) -> dict[str, int]:
    """Recorded, confirmed, lost and twice over all that the server holds."""
    good = (Verdict.ACCEPTED.value, Verdict.ACCEPTED_FLAGGED.value)
    sound = func.sum(case((events.c.verdict.in_(good), 1), else_=0))
    statement = select(func.count(), func.coalesce(sound, 0))
    recorded, confirmed = (
        await connection.execute(statement.where(events.c.kind == Kind.REDEEM.value))
    ).one()
    receipted = await connection.scalar(select(func.coalesce(func.sum(ledgers.c.size), 0)))
    held = await connection.scalar(select(func.count()).select_from(entries))
    repeated = (
        select((func.count() - 1).label("surplus"))
        .where(events.c.counted.is_(True), events.c.nonce != "")
        .group_by(events.c.nonce, events.c.card, events.c.offer)
        .having(func.count() > 1)
        .subquery()
    )
    twice = await connection.scalar(select(func.coalesce(func.sum(repeated.c.surplus), 0)))
    return {
        "recorded": int(recorded),
        "confirmed": int(confirmed),
        "lost": int(receipted or 0) - int(held or 0),
        "twice": int(twice or 0),
    }
