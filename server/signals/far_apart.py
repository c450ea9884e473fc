"""One card at two places in less time than the way between them takes.

A chip that was authenticated is hard to copy, so this tells of a terminal that was carried about,
of clocks that differ, or of a card that was read at one place and entered at another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Final

from ledger.rules.offer import Venue
from server.signals.signal import Details, Pattern, Surroundings, Use

#: Seat of each district's government (latitude, longitude in degrees), and how far from it its
#: towns commonly lie, in km; by GB/T 2260, the counties of 2014 under their later codes too.
SEATS: Final = {
    "110101": (39.93, 116.42, 4),
    "110102": (39.91, 116.37, 4),
    "110105": (39.92, 116.44, 10),
    "110106": (39.86, 116.29, 9),
    "110107": (39.91, 116.22, 5),
    "110108": (39.96, 116.30, 10),
    "110109": (39.94, 116.10, 12),
    "110111": (39.75, 116.14, 15),
    "110112": (39.91, 116.66, 12),
    "110113": (40.13, 116.65, 12),
    "110114": (40.22, 116.23, 14),
    "110115": (39.73, 116.34, 14),
    "110116": (40.32, 116.63, 14),
    "110117": (40.14, 117.12, 10),
    "110118": (40.38, 116.84, 14),
    "110119": (40.46, 115.98, 12),
    "110228": (40.38, 116.84, 14),
    "110229": (40.46, 115.98, 12),
}
#: Faster than a car through the city at night.
SPEED_KMH_MAX: Final = 80
#: Two counters in one district cannot see one card within less than this.
GAP_MS_MIN: Final = 120_000
#: By how much the clocks of two terminals may differ without anybody's fault.
CLOCKS_MS_MAX: Final = 60_000
_EARTH_KM: Final = 6371.0
_HOUR_MS: Final = 3_600_000


class FarApart:
    """Looks at where a card was, one redemption after the other."""

    name = "far_apart"
    title = ("一卡异地", "One card far apart")

    def look(self, uses: Sequence[Use], known: Surroundings) -> Iterator[Pattern]:
        """Looks at all uses of one day."""
        seen: dict[str, list[Use]] = defaultdict(list)
        for use in uses:
            if use.card:
                seen[use.card].append(use)
        for card, mine in sorted(seen.items()):
            for number, (before, after) in enumerate(pairwise(mine)):
                span_ms = after.at_ms - before.at_ms
                needed_ms = _way_ms(known.venue_of(before), known.venue_of(after))
                if before.venue != after.venue and span_ms + CLOCKS_MS_MAX < needed_ms:
                    yield Pattern(
                        f"{card}/{number}",
                        "",
                        (before, after),
                        {
                            "from": known.name_of(before),
                            "to": known.name_of(after),
                            "first": known.clock_of(before),
                            "last": known.clock_of(after),
                            "minutes": span_ms // 60_000,
                            "km": round(apart_km(known.venue_of(before), known.venue_of(after))),
                        },
                    )

    def explain(self, details: Details) -> tuple[str, str]:
        """Says where the card was, and how far that is."""
        km = int(details["km"])
        way_zh = f"两地至少相距 {km} 公里" if km else "两个点位不在一处"
        way_en = f"at least {km} km apart" if km else "two counters that are not one place"
        zh = (
            f"同一张卡 {details['first']} 在「{details['from']}」、{details['last']} 在"
            f"「{details['to']}」核销，间隔 {details['minutes']} 分钟，{way_zh}。"
            "请核对两台终端的时钟和当时的经办人"
        )
        en = (
            f"One card was used at {details['from']} at {details['first']} and at {details['to']} "
            f"at {details['last']}, {details['minutes']} minutes later, {way_en}. Compare the two "
            "terminals' clocks, and ask who served"
        )
        return zh, en


def apart_km(one: Venue, other: Venue) -> float:
    """Least distance between two venues' districts, 0 within one or where a seat is not known."""
    if one.district == other.district or not {one.district, other.district} <= SEATS.keys():
        return 0.0
    (lat_1, lon_1, reach_1), (lat_2, lon_2, reach_2) = SEATS[one.district], SEATS[other.district]
    # Great circle by haversine.
    rise = sin(radians(lat_2 - lat_1) / 2) ** 2
    turn = cos(radians(lat_1)) * cos(radians(lat_2)) * sin(radians(lon_2 - lon_1) / 2) ** 2
    return max(0.0, 2 * _EARTH_KM * asin(sqrt(rise + turn)) - reach_1 - reach_2)


def _way_ms(one: Venue, other: Venue) -> int:
    return max(GAP_MS_MIN, int(apart_km(one, other) / SPEED_KMH_MAX * _HOUR_MS))


SIGNAL: Final = FarApart()
