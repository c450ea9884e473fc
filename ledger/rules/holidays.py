"""Public holidays of China with the days off that the State Council announced around them.

A snapshot or file may carry its own calendar; this one serves demo and scenarios. A year that no
calendar covers is not guessed: offers that depend on holidays fail closed in it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

#: First and last day off of each holiday, month and day, by year.
_ANNOUNCED: Final = {
    2014: "0101-0101 0131-0206 0405-0407 0501-0503 0531-0602 0906-0908 1001-1007",
    2015: "0101-0103 0218-0224 0404-0406 0501-0503 0620-0622 0926-0927 1001-1007",
    2024: "0101-0101 0210-0217 0404-0406 0501-0505 0610-0610 0915-0917 1001-1007",
    2025: "0101-0101 0128-0204 0404-0406 0501-0505 0531-0602 1001-1008",
    2026: "0101-0103 0215-0223 0404-0406 0501-0505 0619-0621 0925-0927 1001-1007",
}


def _days(year: int, spans: str) -> list[date]:
    days: list[date] = []
    for span in spans.split():
        first = date(year, int(span[:2]), int(span[2:4]))
        last = date(year, int(span[5:7]), int(span[7:]))
        days += [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return days


PUBLIC_HOLIDAYS: Final = frozenset(
    day for year, spans in _ANNOUNCED.items() for day in _days(year, spans)
)
