"""Lines of a report: the figures of one offer, level, place or category, and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from ledger.rules.offer import VENUE_ZONE, BrokenOffer, Level, Offer
from ledger.rules.windows import instant_of
from server.offers import Published
from server.statistics import NOTHING, Counted, Dimension, Figures, days_of

_COMPARED: Final = ("person_times", "persons", "offers_running")


@dataclass(frozen=True, slots=True)
class Line:
    """Figures of one offer, level, district, category or venue, or of the whole.

    Attributes:
        key: offer id, level, district, category, venue id, or empty for the whole.
        title: what people call it.
        title_en: the same in English.
        level: of the offer, or the level itself.
        persons: distinct members.
        person_times: redemptions, net of voids.
        quantity: units.
        companions: companions.
        flagged: redemptions flagged for a look.
        offers_running: offers with a day in the period.
        offers_new: offers that begin in the period.
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
class Compared:
    """The whole of another period, and by how much this one is larger.

    Attributes:
        period: which one.
        person_times: its person-times.
        persons: its persons.
        offers_running: its offers.
        growth: per figure the growth in whole percent, rounded half away from zero; ``None`` where
            the other period has none.
    """

    period: str
    person_times: int
    persons: int
    offers_running: int
    growth: Mapping[str, int | None]


def lives(published: Published, period: str) -> tuple[set[str], set[str]]:
    """Offers that run in a period, and those that begin in it."""
    first, following = days_of(period)
    start_ms, end_ms = _start_ms(first), _start_ms(following)
    sound = [offer for offer in published.newest.values() if isinstance(offer, Offer)]
    running = {one.id for one in sound if one.from_ms < end_ms and one.until_ms > start_ms}
    return running, {one.id for one in sound if start_ms <= one.from_ms < end_ms}


def _start_ms(day: date) -> int:
    return instant_of(day, 0, VENUE_ZONE)


def whole_line(found: Counted, published: Published, period: str) -> Line:
    """The whole of a period."""
    running, new = lives(published, period)
    return _line(found.get((Dimension.TOTAL, ""), NOTHING), "", running=len(running), new=len(new))


def offer_lines(found: Counted, published: Published, period: str) -> tuple[Line, ...]:
    """Each offer that ran or was used, by level and id."""
    running, new = lives(published, period)
    used = {key for dimension, key in found if dimension == Dimension.OFFER}
    names = sorted(running | used, key=lambda name: (_level_rank(published, name), name))
    lines = []
    for name in names:
        offer = published.newest.get(name)
        titles = (offer.title, offer.title_en) if isinstance(offer, Offer) else ("", "")
        lines.append(
            _line(
                found.get((Dimension.OFFER, name), NOTHING),
                name,
                titles=(titles[0] or name, titles[1] or name),
                level=_level(offer),
                running=int(name in running),
                new=int(name in new),
            )
        )
    return tuple(lines)


def level_lines(found: Counted, published: Published, period: str) -> tuple[Line, ...]:
    """City, district and street, always all three."""
    running, new = lives(published, period)
    lines = []
    for level in Level:
        mine = {name for name in running if _level(published.newest.get(name)) == level}
        figures = found.get((Dimension.LEVEL, level.value), NOTHING)
        lines.append(
            _line(figures, level.value, level=level.value, running=len(mine), new=len(mine & new))
        )
    return tuple(lines)


def group_lines(found: Counted, dimension: Dimension) -> tuple[Line, ...]:
    """The groups of a dimension that were used, most person-times first."""
    mine = [(key, figures) for (one, key), figures in found.items() if one == dimension]
    mine.sort(key=lambda pair: (-pair[1].person_times, pair[0]))
    return tuple(_line(figures, key, titles=(key, key)) for key, figures in mine)


def venue_lines(found: Counted, published: Published) -> tuple[Line, ...]:
    """The venues that were used, most person-times first."""
    lines = []
    for line in group_lines(found, Dimension.VENUE):
        venue = published.venues.get(line.key)
        name, name_en = (venue.name, venue.name_en) if venue is not None else ("", "")
        figures = found[Dimension.VENUE, line.key]
        lines.append(
            _line(figures, line.key, titles=(name or line.key, name_en or name or line.key))
        )
    return tuple(lines)


def _line(
    figures: Figures,
    key: str,
    *,
    titles: tuple[str, str] = ("", ""),
    level: str = "",
    running: int = 0,
    new: int = 0,
) -> Line:
    return Line(
        key=key,
        title=titles[0],
        title_en=titles[1],
        level=level,
        persons=figures.persons,
        person_times=figures.person_times,
        quantity=figures.quantity,
        companions=figures.companions,
        flagged=figures.flagged,
        offers_running=running,
        offers_new=new,
    )


def _level_rank(published: Published, name: str) -> int:
    level = _level(published.newest.get(name))
    return list(Level).index(Level(level)) if level in set(Level) else len(Level)


def _level(offer: Offer | BrokenOffer | None) -> str:
    return offer.level if isinstance(offer, Offer) else ""


def growth(now: int, before: int) -> int | None:
    """Growth in whole percent, rounded half away from zero; ``None`` from nothing."""
    if before == 0:
        return None
    change = abs(now - before)
    percent = (change * 200 + before) // (before * 2)
    return percent if now >= before else -percent


def compared(total: Line, period: str, other: Line) -> Compared:
    """Sets a whole beside that of another period."""
    return Compared(
        period,
        other.person_times,
        other.persons,
        other.offers_running,
        {name: growth(getattr(total, name), getattr(other, name)) for name in _COMPARED},
    )
