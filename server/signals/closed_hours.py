"""Redemptions at a time when nobody should stand at the counter.

The hours are those of the offer, tolerance included; for an offer without hours, the night. The
terminal declines outside an offer's hours, so what is seen here was overridden by a supervisor, was
given by a clock that was wrong, or by an offer that has no hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.rules.offer import Offer
from ledger.rules.windows import local, open_at
from server.signals.signal import Details, Pattern, Surroundings, Use

#: Where an offer names no hours, a counter is taken as closed from here to there.
NIGHT_FROM_HOUR: Final = 22
NIGHT_UNTIL_HOUR: Final = 6
#: Fewer at one venue in a day are a late guest.
USES_DAY_MIN: Final = 3


class ClosedHours:
    """Counts, for each venue, redemptions outside hours."""

    name = "closed_hours"
    title = ("非营业时间核销", "Redemptions in closed hours")

    def look(self, uses: Sequence[Use], known: Surroundings) -> Iterator[Pattern]:
        """Looks at all uses of one day."""
        late: dict[str, list[Use]] = defaultdict(list)
        for use in uses:
            if _closed(use, known):
                late[use.venue].append(use)
        for venue, found in sorted(late.items()):
            if len(found) >= USES_DAY_MIN:
                details: Details = {
                    "venue": known.name_of(found[0]),
                    "count": len(found),
                    "overridden": sum(use.code == "A02" for use in found),
                    "first": known.clock_of(found[0]),
                    "last": known.clock_of(found[-1]),
                }
                yield Pattern(venue, "", tuple(found), details)

    def explain(self, details: Details) -> tuple[str, str]:
        """Says where, when and how many."""
        zh = (
            f"「{details['venue']}」在非营业时间核销 {details['count']} 笔"
            f"（{details['first']} 至 {details['last']}，"
            f"其中主管放行 {details['overridden']} 笔）。"
            "请向点位了解当时是否有人值守，并检查终端时钟"
        )
        en = (
            f"{details['count']} redemptions in closed hours at {details['venue']} "
            f"({details['first']} to {details['last']}, {details['overridden']} of them by a "
            "supervisor's override). Ask who was on duty, and check the terminal's clock"
        )
        return zh, en


def _closed(use: Use, known: Surroundings) -> bool:
    offer, zone = known.offer_of(use), known.venue_of(use).zone
    if offer is not None and _has_hours(offer):
        return not open_at(offer, use.at_ms, zone)
    hour = local(use.at_ms, zone).hour
    return hour >= NIGHT_FROM_HOUR or hour < NIGHT_UNTIL_HOUR


def _has_hours(offer: Offer) -> bool:
    return bool(offer.hours or offer.sessions)


SIGNAL: Final = ClosedHours()
