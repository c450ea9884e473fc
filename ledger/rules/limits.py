"""How often a member may use an offer: periods, groups, distinct days, interval, re-entry.

An entry counts in the local period in which it happened. Each used-up limit says until when it is
used up; ``None`` is for ever. Of several the one that lasts longest is the answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final

from ledger.codes import CODES, Code
from ledger.rules.offer import Limit, LimitScope, Offer, Period
from ledger.rules.usage import UsageView, Use, units_of
from ledger.rules.windows import day_start, instant_of, local_day, next_day_start

_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A limit that does not allow the request.

    Attributes:
        code: L01 for a limit over the offer's life, L02 a day, L03 a longer period, L04 interval.
        until_ms: when it allows the request again, or ``None`` for never.
        last: the use that it holds against the member.
        per: name of the period, for the message.
    """

    code: Code
    until_ms: int | None
    last: Use | None
    per: Period


def used_up(
    offer: Offer, usage: UsageView, *, quantity: int, venue: str, zone: str, now_ms: int
) -> UsedUp | None:
    """The used-up limit that lasts longest, or ``None`` if all allow the request.

    Args:
        offer: whose limits and interval are asked.
        usage: what the member used.
        quantity: units asked for.
        venue: identifier of the venue of the tap.
        zone: IANA name of its time zone.
        now_ms: instant of the tap.
    """
    found = [
        one
        for limit in offer.limits
        if (one := _judge(limit, usage, quantity, venue, zone, now_ms)) is not None
    ]
    interval = _interval(offer, usage, now_ms)
    if interval is not None:
        found.append(interval)
    if not found:
        return None
    return max(
        found,
        key=lambda one: (_EVER if one.until_ms is None else one.until_ms, -CODES[one.code].rank),
    )


def re_entry(offer: Offer, usage: UsageView, *, venue: str, now_ms: int) -> Use | None:
    """The use at this venue that a tap inside the re-entry time belongs to."""
    if not offer.re_entry_ms:
        return None
    for use in reversed(usage.uses):
        if use.ts_ms <= now_ms - offer.re_entry_ms:
            return None
        if use.ts_ms <= now_ms and use.venue == venue:
            return use
    return None


def period_of(per: Period, now_ms: int, zone: str) -> tuple[int, int]:
    """The local calendar period around an instant, ``[start, end)``; weeks start on Monday."""
    if per is Period.OFFER:
        return 0, _EVER
    first, following = _CALENDAR[per](local_day(now_ms, zone))
    return instant_of(first, 0, zone), instant_of(following, 0, zone)


def _judge(
    limit: Limit, usage: UsageView, quantity: int, venue: str, zone: str, now_ms: int
) -> UsedUp | None:
    if not (limit.since_ms or 0) <= now_ms < (limit.before_ms or _EVER):
        return None
    uses = usage.grouped.get(limit.group, ()) if limit.group else usage.uses
    start, end = period_of(limit.per, now_ms, zone)
    inside = _inside(uses, max(start, limit.since_ms or 0), min(end, limit.before_ms or _EVER))
    if limit.scope is LimitScope.MEMBER_VENUE:
        inside = [use for use in inside if use.venue == venue]
    if not _exceeded(limit, inside, quantity, zone, now_ms):
        return None
    until: int | None = min(end, limit.before_ms or _EVER)
    if until == _EVER or (limit.count is not None and quantity > limit.count):
        until = None
    code = _CODES.get(limit.per, Code.L03)
    return UsedUp(code, until, inside[-1] if inside else None, limit.per)


def _exceeded(limit: Limit, inside: Sequence[Use], quantity: int, zone: str, now_ms: int) -> bool:
    if limit.count is not None:
        return units_of(inside) + quantity > limit.count
    if limit.days is not None:
        if _inside(inside, day_start(now_ms, zone), next_day_start(now_ms, zone)):
            return False
        # No further than the limit: a look at the calendar costs more than a use.
        return sum(1 for _ in islice(_days(inside, zone), limit.days)) >= limit.days
    assert limit.within_ms is not None  # the catalogue gives each limit exactly one bound
    return bool(inside) and now_ms - inside[0].ts_ms >= limit.within_ms


def _interval(offer: Offer, usage: UsageView, now_ms: int) -> UsedUp | None:
    """A use later than now, by another terminal's clock, counts as just happened."""
    if not offer.interval_ms or not usage.uses:
        return None
    last = usage.uses[-1]
    until = last.ts_ms + offer.interval_ms
    return UsedUp(Code.L04, until, last, Period.OFFER) if now_ms < until else None


def _inside(uses: Sequence[Use], start_ms: int, end_ms: int) -> Sequence[Use]:
    first = bisect_left(uses, start_ms, key=_when) if start_ms else 0
    last = bisect_left(uses, end_ms, key=_when) if end_ms < _EVER else len(uses)
    return uses[first:last]


def _when(use: Use) -> int:
    return use.ts_ms


def _days(uses: Sequence[Use], zone: str) -> Iterator[int]:
    """Ends of the distinct local days of uses sorted by time, one look at the calendar a day."""
    day_end = 0
    for use in uses:
        if use.ts_ms >= day_end:
            day_end = next_day_start(use.ts_ms, zone)
            yield day_end


def _months(day: date, length: int) -> tuple[date, date]:
    first = date(day.year, (day.month - 1) // length * length + 1, 1)
    month = first.month + length
    return first, date(day.year + (month > 12), (month - 1) % 12 + 1, 1)


def _one_day(day: date) -> tuple[date, date]:
    return day, day + timedelta(days=1)


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


_CALENDAR: Final[dict[Period, Callable[[date], tuple[date, date]]]] = {
    Period.DAY: _one_day,
    Period.WEEK: _week,
    Period.MONTH: lambda day: _months(day, 1),
    Period.QUARTER: lambda day: _months(day, 3),
    Period.HALF_YEAR: lambda day: _months(day, 6),
    Period.YEAR: lambda day: _months(day, 12),
}
_CODES: Final = {Period.OFFER: Code.L01, Period.DAY: Code.L02}
