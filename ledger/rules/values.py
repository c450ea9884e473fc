"""Plain JSON values read with their path, so that each fault can name its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.errors import OfferInvalid
from ledger.rules.offer import DAY_MINUTES, DAY_MS, HOUR_MS, MINUTE_MS, Hours

Source = Mapping[str, object]
_Word = TypeVar("_Word", bound=StrEnum)
_Item = TypeVar("_Item")

INTEGER_MAX: Final = 2**53 - 1
#: No instant of an offer lies beyond, so that calendars never run out: the year 9000.
INSTANT_MAX_MS: Final = 221_845_132_800_000
DURATION_MAX_MS: Final = 3660 * DAY_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDENTIFIER: Final = re.compile(r"[^\x00-\x20\x7f]{1,64}\Z")
_HOURS: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)\Z")
_DURATION: Final = re.compile(r"(\d{1,9})([smhd])\Z")
_UNIT_MS: Final = {"s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def mapping(value: object, path: str) -> Source:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise OfferInvalid("must be an object", field=path)
    return value


def only(source: Source, known: Collection[str], path: str) -> None:
    """Refuses keys that nobody reads: a misspelt rule would otherwise not be a rule."""
    for key in source:
        if key not in known:
            raise OfferInvalid("unknown key", field=f"{path}.{key}" if path else str(key))


def text(source: Source, name: str, path: str = "") -> str:
    """A text, empty when absent."""
    value = source.get(name, "")
    if not isinstance(value, str):
        raise OfferInvalid("must be a text", field=path or name)
    return value


def identifier(source: Source, name: str) -> str:
    """A text of 1 to 64 characters without spaces or control bytes."""
    value = source.get(name)
    if not isinstance(value, str) or not _IDENTIFIER.match(value):
        raise OfferInvalid("must be 1 to 64 characters without spaces", field=name)
    return value


def integer(source: Source, name: str, *, default: int | None = None, path: str = "") -> int:
    """A whole number of 0 or more."""
    value = source.get(name, default)
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise OfferInvalid("must be a whole number, 0 or more", field=path or name)
    return value


def flag(source: Source, name: str) -> bool:
    """True or false, false when absent."""
    value = source.get(name, False)
    if not isinstance(value, bool):
        raise OfferInvalid("must be true or false", field=name)
    return value


def word(kind: type[_Word], source: Source, name: str, default: _Word, path: str = "") -> _Word:
    """One of a closed list."""
    value = source.get(name, default)
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            pass
    known = ", ".join(str(one) for one in kind)
    raise OfferInvalid(f"must be one of {known}", field=path or name)


def instant(value: object, path: str) -> int:
    """RFC 3339 with an offset, as milliseconds since the epoch."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            found = (moment - _EPOCH) // (_EPOCH.resolution * 1000)
            if 0 <= found <= INSTANT_MAX_MS:
                return found
    raise OfferInvalid("must be a date and time with an offset, RFC 3339", field=path)


def duration(value: object, path: str) -> int:
    """An integer and s, m, h or d, as milliseconds."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise OfferInvalid("must be a whole number and s, m, h or d, like 180m", field=path)
    return _bounded(int(match[1]) * _UNIT_MS[match[2]], path)


def minutes(source: Source, name: str) -> int:
    """A whole number of minutes as milliseconds, 0 when absent."""
    return _bounded(integer(source, name, default=0) * MINUTE_MS, name)


def _bounded(duration_ms: int, path: str) -> int:
    if duration_ms > DURATION_MAX_MS:
        raise OfferInvalid("must be at most 3660 days", field=path)
    return duration_ms


def clock_window(value: object, path: str) -> Hours:
    """``HH:MM-HH:MM`` of one local day; the end may be 24:00."""
    match = _HOURS.match(value) if isinstance(value, str) else None
    if match is not None:
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if minute < 60 and end_minute < 60 and start < end <= DAY_MINUTES:
            return Hours(start, end)
    raise OfferInvalid("must be like 09:00-16:30, within one day", field=path)


def zone(name: str, path: str) -> None:
    """Refuses a time zone that the system's database does not hold."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise OfferInvalid(f"no time zone is called {name!r}", field=path) from None


def each(value: object, path: str, read: Callable[[object, str], _Item]) -> list[_Item]:
    """An array, each item read with its own path; none when absent."""
    return [read(item, f"{path}[{index}]") for index, item in enumerate(sequence(value, path))]


def sequence(value: object, path: str) -> Sequence[object]:
    """A JSON array; empty when absent."""
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise OfferInvalid("must be an array", field=path)
    return value


def strings(value: object, path: str) -> list[str]:
    """One text or an array of texts."""
    if isinstance(value, str):
        return [value]
    items = sequence(value, path)
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            raise OfferInvalid("must be a text", field=f"{path}[{index}]")
    return [str(item) for item in items]


def names(source: Source, name: str, path: str = "") -> frozenset[str]:
    """A set that restricts, so an empty array is refused: it would restrict to nothing."""
    if name not in source:
        return frozenset()
    found = frozenset(strings(source[name], path or name))
    if not found:
        raise OfferInvalid("must name at least one, or be left out", field=path or name)
    return found
