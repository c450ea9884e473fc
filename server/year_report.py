"""The report of a year: what the federation publishes of its service, each figure defined.

The mean number of offers a month is offer-months divided by twelve, where an offer counts in every
month in which it ran: the only reading that gives two decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

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
from server.reports import Stated, last_stated
from server.statistics import Counting, Dimension, counting, days_of, months_of

_CENT: Final = Decimal("0.01")
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class YearReport:
    """The report of one year.

    Attributes:
        year: ``yyyy``.
        as_of_ms: when it was made.
        total: the whole; its offers are distinct.
        months: the whole of each month, ``key`` is ``yyyy-mm``.
        offer_months: offers summed over the months they ran in.
        mean_offers: offer-months a month, two decimals, as text.
        mean_person_times: person-times a month, rounded half up.
        peak_offers: the months with most offers, most first, two of them or more that are equal.
        peak_person_times: the same by person-times.
        levels: city, district, street.
        offers: each offer that ran or was used, by level and id.
        districts: of the venues, by person-times.
        categories: of the offers, by person-times.
        venues: each that was used, by person-times.
        last_year: the year before.
        stated: what was stated of it before, or ``None``.
    """

    year: str
    as_of_ms: int
    total: Line
    months: tuple[Line, ...]
    offer_months: int
    mean_offers: str
    mean_person_times: int
    peak_offers: tuple[str, ...]
    peak_person_times: tuple[str, ...]
    levels: tuple[Line, ...]
    offers: tuple[Line, ...]
    districts: tuple[Line, ...]
    categories: tuple[Line, ...]
    venues: tuple[Line, ...]
    last_year: Compared
    stated: Stated | None


async def year_report(
    connection: AsyncConnection, published: Published, year: str, as_of_ms: int
) -> YearReport:
    """Counts one year.

    Args:
        connection: one transaction that may write, so that all figures are of one state.
        published: offers and venues.
        year: ``yyyy`` of the venues' calendar.
        as_of_ms: server time.

    Raises:
        ImportRefused: not a year.
    """
    if "-" in year:
        raise ImportRefused(f"year {year!r}: write yyyy, for example 2014")
    number = days_of(year)[0].year
    count = await counting(connection, published, as_of_ms)
    found = await count.of(year)
    months = []
    for month in months_of(number):
        mine = await count.of(month)
        months.append(replace(whole_line(mine, published, month), key=month))
    total = whole_line(found, published, year)
    before = await _year_before(count, published, number)
    offer_months = sum(line.offers_running for line in months)
    return YearReport(
        year,
        as_of_ms,
        total,
        tuple(months),
        offer_months,
        str((Decimal(offer_months) / _MONTHS).quantize(_CENT, ROUND_HALF_UP)),
        (total.person_times * 2 + _MONTHS) // (_MONTHS * 2),
        _peaks({line.key: line.offers_running for line in months}),
        _peaks({line.key: line.person_times for line in months}),
        level_lines(found, published, year),
        offer_lines(found, published, year),
        group_lines(found, Dimension.DISTRICT),
        group_lines(found, Dimension.CATEGORY),
        venue_lines(found, published),
        compared(total, before[0], before[1]),
        await last_stated(connection, year, total),
    )


async def _year_before(count: Counting, published: Published, year: int) -> tuple[str, Line]:
    name = f"{year - 1:04}"
    if year == 1970:
        return name, Line("")
    found = await count.of(name)
    return name, whole_line(found, published, name)


def _peaks(by_month: Mapping[str, int]) -> tuple[str, ...]:
    """The two largest, and whatever equals the second; months without anything are no peak."""
    ranked = sorted(by_month.items(), key=lambda pair: (-pair[1], pair[0]))
    if not ranked[0][1]:
        return ()
    least = max(ranked[1][1], 1)
    return tuple(month for month, number in ranked if number >= least)
