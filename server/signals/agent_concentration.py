"""One representative who collects for very many members on one day.

Collecting for colleagues (代领) is what representatives are for; forty cards are a good day. It is
unusual when one of them takes the cards of a large firm at several stations, or a large share of
all that was handed out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from server.signals.signal import Details, Pattern, Surroundings, Use

#: Members served through one representative for one offer on one day.
MEMBERS_DAY_MAX: Final = 80
#: Stations at which one representative collects for one offer on one day.
VENUES_DAY_MAX: Final = 2
#: A share is told only of a day on which at least this many units were handed out.
SHARE_UNITS_MIN: Final = 200
SHARE_PERMILLE_MAX: Final = 250


class AgentConcentration:
    """Counts members, stations and share of each representative for each offer."""

    name = "agent_concentration"
    title = ("代领集中", "Collection by one representative")

    def look(self, uses: Sequence[Use], known: Surroundings) -> Iterator[Pattern]:
        """Looks at all uses of one day."""
        handed: dict[str, int] = defaultdict(int)
        collected: dict[tuple[str, str], list[Use]] = defaultdict(list)
        for use in uses:
            handed[use.offer] += use.quantity
            if use.agent:
                collected[use.agent, use.offer].append(use)
        for (agent, offer), mine in sorted(collected.items()):
            details = _measure(mine, handed[offer])
            if _unusual(details):
                told = details | {"offer": known.title_of(mine[0])}
                yield Pattern(agent, offer, tuple(mine), told)

    def explain(self, details: Details) -> tuple[str, str]:
        """Says how many, where and which share."""
        share = int(details["permille"]) / 10
        zh = (
            f"同一位代领人一天内在 {details['venues']} 个点位为 {details['members']} 名会员代领"
            f"「{details['offer']}」{details['units']} 份，占当天全部发放的 {share:.1f}%。"
            "请核对这些点位的代领签收表"
        )
        en = (
            f"One representative collected {details['units']} units of “{details['offer']}” for "
            f"{details['members']} members at {details['venues']} stations in one day, "
            f"{share:.1f} % of all that was handed out. Compare the sign-off sheets of these "
            "stations"
        )
        return zh, en


def _measure(mine: Sequence[Use], handed: int) -> dict[str, int]:
    units = sum(use.quantity for use in mine)
    return {
        "members": len({use.member or use.card for use in mine}),
        "venues": len({use.venue for use in mine}),
        "units": units,
        "handed": handed,
        "permille": units * 1000 // handed if handed else 0,
    }


def _unusual(found: dict[str, int]) -> bool:
    much = found["handed"] >= SHARE_UNITS_MIN and found["permille"] > SHARE_PERMILLE_MAX
    return found["members"] > MEMBERS_DAY_MAX or found["venues"] > VENUES_DAY_MAX or much


SIGNAL: Final = AgentConcentration()
