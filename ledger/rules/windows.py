"""When an offer is given: its life, weekdays, hours, holidays and sittings.

All windows are half-open. Local times are the venue's; a local time that a daylight-saving jump
skips is read with the offset before the jump, one that happens twice is its first occurrence, so
that every terminal gets the same answer. Tolerance widens the life of an offer, its hours and its
sittings at both ends, not its weekdays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ledger.rules.offer import DAY_MINUTES, HolidayRule, Hours, Offer

DAYS_AHEAD_MAX: Final = 800

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_ONE_DAY: Final = timedelta(days=1)
_WHOLE_DAY: Final = (Hours(0, DAY_MINUTES),)


def local(ms: int, zone: str) -> datetime:
    """An instant as the venue's clock shows it."""
    return (_EPOCH + ms * _MS).astimezone(ZoneInfo(zone))


def local_day(ms: int, zone: str) -> date:
    """The venue's day that an instant falls in."""
    return local(ms, zone).date()


def booked_in_time(offer: Offer, now_ms: int, from_ms: int, zone: str) -> bool:
    """Whether so many local days lie between now and a session as its booking asks for (须提前)."""
    return (local_day(from_ms, zone) - local_day(now_ms, zone)).days >= offer.booking_days


def instant_of(day: date, minute: int, zone: str) -> int:
    """The instant of a local minute of a day; 1440 is the start of the next day."""
    if minute >= DAY_MINUTES:
        day, minute = day + _ONE_DAY, minute - DAY_MINUTES
    naive = datetime.combine(day, time(minute // 60, minute % 60))
    return (naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - _EPOCH) // _MS


def day_start(ms: int, zone: str) -> int:
    """The first instant of the local day."""
    return instant_of(local_day(ms, zone), 0, zone)


def next_day_start(ms: int, zone: str) -> int:
    """The first instant of the following local day."""
    return instant_of(local_day(ms, zone), DAY_MINUTES, zone)


def not_started(offer: Offer, now_ms: int) -> bool:
    """Before the offer's life, tolerance included."""
    return now_ms < offer.from_ms - offer.tolerance_ms


def ended(offer: Offer, now_ms: int) -> bool:
    """At or after the end of the offer's life, tolerance included."""
    return now_ms >= offer.until_ms + offer.tolerance_ms


def calendar_known(offer: Offer, now_ms: int, zone: str) -> bool:
    """Whether the holidays of this year are known, for offers that depend on them."""
    if offer.holidays is HolidayRule.ORDINARY:
        return True
    year = local_day(now_ms, zone).year
    return any(day.year == year for day in offer.holiday_dates)


def open_at(offer: Offer, now_ms: int, zone: str) -> bool:
    """Whether weekdays, hours, holidays and sittings allow a use at this instant.

    The life of the offer is judged apart by ``not_started`` and ``ended``.
    """
    if not _restricted(offer):
        return True
    today = local_day(now_ms, zone)
    around = (today - _ONE_DAY, today, today + _ONE_DAY) if offer.tolerance_ms else (today,)
    return any(start <= now_ms < end for day in around for start, end in _windows(offer, day, zone))


def steady(offer: Offer, now_ms: int, zone: str) -> tuple[int, int]:
    """The span ``[start, end)`` around an instant in which the offer is given or not given alike.

    ``not_started``, ``ended``, ``calendar_known`` and ``open_at`` say the same of every instant in
    it. It lies within one local day; where the clocks are changed it may be shorter than need be.
    """
    today = local_day(now_ms, zone)
    dawn, dusk = instant_of(today, 0, zone), instant_of(today, DAY_MINUTES, zone)
    if not dawn <= now_ms < dusk:
        return now_ms, now_ms + 1
    turns = {offer.from_ms - offer.tolerance_ms, offer.until_ms + offer.tolerance_ms}
    if _restricted(offer):
        for day in (today - _ONE_DAY, today, today + _ONE_DAY):
            turns.update(*_windows(offer, day, zone))
    start = max((turn for turn in turns if dawn < turn <= now_ms), default=dawn)
    end = min((turn for turn in turns if now_ms < turn < dusk), default=dusk)
    return start, end


def next_open(offer: Offer, from_ms: int, zone: str) -> int | None:
    """The first instant from ``from_ms`` on at which the offer is given, or ``None`` for never.

    Looks at most ``DAYS_AHEAD_MAX`` days ahead.
    """
    earliest = max(from_ms, offer.from_ms - offer.tolerance_ms)
    if ended(offer, earliest):
        return None
    if not _restricted(offer):
        return earliest
    day = local_day(earliest, zone) - _ONE_DAY
    for _ in range(DAYS_AHEAD_MAX):
        found = [
            max(start, earliest) for start, end in _windows(offer, day, zone) if end > earliest
        ]
        if found:
            first = min(found)
            return None if ended(offer, first) else first
        day += _ONE_DAY
        if ended(offer, instant_of(day, 0, zone) - offer.tolerance_ms):
            return None
    return None


def sitting(offer: Offer, now_ms: int, zone: str) -> tuple[int, int] | None:
    """The sitting in which an instant lies, without tolerance at its ends if another one holds.

    An offer without sittings has one a day, the whole day.
    """
    today = local_day(now_ms, zone)
    if not offer.sessions:
        return instant_of(today, 0, zone), instant_of(today, DAY_MINUTES, zone)
    found = sorted(
        (start, end)
        for day in (today - _ONE_DAY, today, today + _ONE_DAY)
        for start, end in _sittings(offer, day, zone)
    )
    for slack in (0, offer.tolerance_ms):
        for start, end in found:
            if start - slack <= now_ms < end + slack:
                return start, end
    return None


def _restricted(offer: Offer) -> bool:
    return bool(
        offer.weekdays
        or offer.hours
        or offer.sessions
        or offer.holidays in {HolidayRule.CLOSED, HolidayRule.ONLY}
    )


def _windows(offer: Offer, day: date, zone: str) -> Iterator[tuple[int, int]]:
    """Windows that begin on a local day, widened by tolerance."""
    slack = offer.tolerance_ms
    if offer.sessions:
        for start, end in _sittings(offer, day, zone):
            yield start - slack, end + slack
    elif _given_on(offer, day):
        slack = slack if offer.hours else 0
        for hours in offer.hours or _WHOLE_DAY:
            yield (
                instant_of(day, hours.start, zone) - slack,
                instant_of(day, hours.end, zone) + slack,
            )


def _sittings(offer: Offer, day: date, zone: str) -> Iterator[tuple[int, int]]:
    for session in offer.sessions:
        if session.hours is None:
            if local_day(session.from_ms, zone) == day:
                yield session.from_ms, session.until_ms
        elif _given_on(offer, day):
            yield (
                instant_of(day, session.hours.start, zone),
                instant_of(day, session.hours.end, zone),
            )


def _given_on(offer: Offer, day: date) -> bool:
    holiday = day in offer.holiday_dates
    if offer.holidays is HolidayRule.ONLY:
        return holiday
    if holiday and offer.holidays is not HolidayRule.ORDINARY:
        return offer.holidays is HolidayRule.OPEN
    return not offer.weekdays or day.weekday() in offer.weekdays
