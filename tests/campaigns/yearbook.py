"""The published year: offers month by month, and the redemptions of two years, generated.

What is published of 2014 (and what it grew from) is pinned: 1,029 offers, 1,121 offer-months with
peaks in April and May, 1.9 million person-times; 415 offers and 569,000 person-times before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.rules.fields import CATEGORIES

YEAR = 2014
#: Offers in each month of 2014: April and May as published, the others 868 in sum.
OFFERS_A_MONTH = (87, 87, 87, 135, 118, 87, 87, 87, 87, 87, 86, 86)
OFFERS_A_YEAR = {YEAR: 1_029, YEAR - 1: 415}
OFFER_MONTHS = sum(OFFERS_A_MONTH)
#: Person-times of a year, in thousands.
THOUSANDS = {YEAR: 1_900, YEAR - 1: 569}
#: How the person-times of a year fall on its months, in per mille.
SHARE_A_MONTH = (62, 60, 78, 118, 124, 86, 80, 82, 84, 86, 72, 68)
LEVELS = ("city", "district", "street")


def lives() -> Iterator[tuple[int, int, int]]:
    """Year, first month and last month (1 to 12) of each offer of 2014 and of the year before.

    92 offers of 2014 run for two months each, so that 1,029 of them make 1,121 offer-months.
    """
    longer = [8] * 11 + [0]
    longer[3] += OFFER_MONTHS - OFFERS_A_YEAR[YEAR] - sum(longer)
    for month, count in enumerate(OFFERS_A_MONTH, 1):
        carried = longer[month - 2] if month > 1 else 0
        for number in range(count - carried):
            yield YEAR, month, month + (number < longer[month - 1])
    before = OFFERS_A_YEAR[YEAR - 1]
    for number in range(before):
        month = number * 12 // before + 1
        yield YEAR - 1, month, month


def offers() -> list[dict[str, Any]]:
    """Every offer as its file has it."""
    return [
        {
            "id": f"Y{year}-{number:04}",
            "title": f"{CATEGORIES[number % 6]}服务项目{number}",
            "title_en": f"Offer {number}",
            "kind": "service",
            "category": CATEGORIES[number % 6],
            "level": LEVELS[number % 3],
            "from": f"{year}-{first:02}-01T00:00:00+08:00",
            "until": _first_of(year, last + 1),
            "limits": [],
            "offline": "open",
        }
        for number, (year, first, last) in enumerate(lives())
    ]


def _first_of(year: int, month: int) -> str:
    return f"{year + (month > 12):04}-{(month - 1) % 12 + 1:02}-01T00:00:00+08:00"


def running(published: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], list[str]]:
    """Ids of the offers that run in each month."""
    found: dict[tuple[int, int], list[str]] = {}
    for offer, (year, first, last) in zip(published, lives(), strict=True):
        for month in range(first, last + 1):
            found.setdefault((year, month), []).append(str(offer["id"]))
    return found


def a_month(year: int, month: int, part: int) -> int:
    """Person-times of a month, where a year has ``part`` thousandths of what is published.

    Shares are rounded so that the twelve months make the year exactly.
    """
    whole = THOUSANDS[year] * part
    upto = [whole * sum(SHARE_A_MONTH[:number]) // 1_000 for number in (month - 1, month)]
    return upto[1] - upto[0]
