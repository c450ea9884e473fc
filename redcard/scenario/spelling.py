"""Offers of a scenario in the fields of an offer file: times, durations and short spellings.

The meaning is read by ``ledger.rules.catalogue``, the one reader there is; here only the ways to
write a value are brought to its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ledger.rules.fields import KEYS
from redcard.scenario.errors import DocumentInvalid
from redcard.scenario.yaml_lines import Plain, Table

#: Other ways to name a field of an offer.
SYNONYMS: Final[Mapping[str, str]] = {
    "name": "title",
    "title_zh": "title",
    "minimum_interval": "interval",
    "min_interval": "interval",
    "minimum_interval_minutes": "interval",
    "min_interval_minutes": "interval",
    "interval_minutes": "interval",
    "re_entry_minutes": "re_entry",
    "reentry": "re_entry",
    "reentry_minutes": "re_entry",
    "tolerance_minutes": "tolerance",
    "offline_mode": "offline",
    "mode": "offline",
    "offline_cap": "cap",
    "contact_phone": "phone",
    "contact": "phone",
    "booking_rule": "booking",
    "prices": "member_price_fen",
    "price": "member_price_fen",
    "price_fen": "member_price_fen",
    "member_price": "member_price_fen",
    "companions_max": "companions",
    "max_companions": "companions",
    "list_price": "list_price_fen",
    "original_price": "list_price_fen",
    "discount": "discount_per_mille",
    "allow_identified": "identified",
    "holiday": "holidays",
    "session": "sessions",
    "weekday": "weekdays",
}
_DURATION: Final = re.compile(r"(\d+)\s*(s|m|min|h|d)\Z")
_CLOCK: Final = re.compile(r"\d\d:\d\d\Z")
_ENDS: Final = ("from", "until")
_UNIT_S: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SECONDS_OF_MINUTE: Final = 60
_ONE_OR_MORE: Final = frozenset({"venues", "weekdays", "hours", "sessions", "keywords"})
#: Fields of an offer file that a scenario may also write together, as one mapping.
_TOGETHER: Final[Mapping[str, Mapping[str, str]]] = {
    "title": {"zh": "title", "en": "title_en"},
    "prices": {
        "member": "member_price_fen",
        "member_fen": "member_price_fen",
        "list": "list_price_fen",
        "list_fen": "list_price_fen",
    },
}
#: Texts that YAML reads as numbers when they are digits alone, such as a telephone number.
_TEXTS: Final = frozenset("title title_en programme campaign owner phone".split())
#: Keys inside fields that are mappings, or lists of them.
_NESTED: Final[Mapping[str, str]] = {
    "limits": "count per period scope group days distinct_days within since after before",
    "stock": "mode quantity pool per_venue per_day per_session none leases lease_ttl",
    "eligibility": "district street tags_all tags_any tags_none",
    "scope": "district street level",
    "companions": "max rule",
    "sessions": "from until name",
    "evidence": "name required title title_en",
}
_LIMIT_SYNONYMS: Final = {"distinct_days": "days", "after": "since", "period": "per"}


def known_offer_key(key: str) -> bool:
    """Whether a scenario's offer may have this key."""
    return key in KEYS or key in SYNONYMS


def seconds(value: Plain, line: int, *, bare_s: int | None = None) -> int:
    """A duration in seconds.

    Args:
        value: an integer and s, m, h or d, such as ``10m``; with a minus sign before it, too.
        line: for the message.
        bare_s: seconds that a number without a unit counts as; without it such a number is refused.

    Raises:
        DocumentInvalid: it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and bare_s is not None:
        return value * bare_s
    text = value if isinstance(value, str) else ""
    sign = -1 if text.startswith("-") else 1
    match = _DURATION.match(text.lstrip("+-"))
    if match is None:
        raise DocumentInvalid(f"{value!r} is no duration: write it like 10m or 12h", line=line)
    return sign * int(match[1]) * _UNIT_S[match[2]]


def moment(value: Plain, zone: str, line: int) -> datetime:
    """A date and time; without an offset it is local, without a time it is midnight.

    Raises:
        DocumentInvalid: it is neither.
    """
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise DocumentInvalid(
            f"{value!r} is no date and time like 2026-05-02T09:00:00+08:00", line=line
        )
    return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))


def milliseconds(value: Plain, zone: str, line: int) -> int:
    """The same as milliseconds since the epoch."""
    return round(moment(value, zone, line).timestamp() * 1000)


def offer_fields(name: str, source: Table, zone: str) -> dict[str, object]:
    """The fields of one offer in the spelling of an offer file; values may still be malformed.

    A malformed value is kept: the offer then fails validation and is O10 at each tap, as it would
    be in a signed snapshot.

    Raises:
        DocumentInvalid: an unknown key.
    """
    fields: dict[str, object] = {"id": name, "title": name}
    for key, value, line in _apart(source):
        if not known_offer_key(key):
            raise DocumentInvalid(f"unknown key {key} in the offer {name}", line=line)
        plain = SYNONYMS.get(key, key)
        if value is None:
            continue  # nothing written after the colon: the same as the key left out
        _check_nested(plain, value)
        fields[plain] = _kept(_READERS[plain], value, zone, line) if plain in _READERS else value
        if plain in _ONE_OR_MORE and isinstance(value, str):
            fields[plain] = [value]
        if plain in _TEXTS and type(value) is int:
            fields[plain] = str(value)
    if "weekdays" in fields and isinstance(fields["weekdays"], list):
        fields["weekdays"] = [str(day)[:3].lower() for day in fields["weekdays"]]
    return fields


def _apart(source: Table) -> Iterator[tuple[str, Plain, int]]:
    """Keys, values and lines, with the fields that were written together each on its own."""
    for key, value in source.items():
        parts = _TOGETHER.get(key)
        if parts is None or not isinstance(value, Table):
            yield key, value, source.line_of(key)
            continue
        for part, inner in value.items():
            if part not in parts:
                raise UnknownKey(part, value.line_of(part))
            yield parts[part], inner, value.line_of(part)


def _check_nested(field: str, value: Plain) -> None:
    """Refuses unknown keys inside a field, also in each item of a list."""
    known = _NESTED.get(field, "").split()
    for item in value if isinstance(value, list) else [value]:
        if known and isinstance(item, Table):
            for key in item:
                if key not in known:
                    raise UnknownKey(key, item.line_of(key))


def _kept(read: Callable[[Plain, str, int], object], value: Plain, zone: str, line: int) -> object:
    try:
        return read(value, zone, line)
    except UnknownKey:
        raise
    except DocumentInvalid:
        return value


def _instant(value: Plain, zone: str, line: int) -> object:
    return moment(value, zone, line).isoformat()


def _duration(value: Plain, _zone: str, line: int) -> object:
    return f"{seconds(value, line, bare_s=_SECONDS_OF_MINUTE)}s"


def _limits(value: Plain, zone: str, line: int) -> object:
    items = value if isinstance(value, list) else [value]
    return [_limit(item, zone, line) if isinstance(item, Table) else item for item in items]


def _limit(source: Table, zone: str, line: int) -> object:
    limit: dict[str, object] = {}
    for key, value in source.items():
        plain = _LIMIT_SYNONYMS.get(key, key)
        if plain in {"since", "before"}:
            limit[plain] = _kept(_instant, value, zone, line)
        elif plain == "within":
            limit[plain] = _kept(_duration, value, zone, line)
        else:
            limit[plain] = value
    return limit


def _sessions(value: Plain, zone: str, line: int) -> object:
    items = value if isinstance(value, list) else [value]
    return [_session(item, zone, line) if isinstance(item, Table) else item for item in items]


def _session(source: Table, zone: str, line: int) -> object:
    """A sitting: of each day if its ends are times of day, else once; its name is a remark."""
    ends = {key: part for key, part in source.items() if key != "name"}
    if len(ends) == len(_ENDS) and all(_CLOCK.match(str(part)) for part in ends.values()):
        return f"{ends['from']}-{ends['until']}"
    return {key: _kept(_instant, part, zone, line) for key, part in ends.items()}


def _stock(value: Plain, zone: str, line: int) -> object:
    if isinstance(value, int):
        return {"pool": value}
    if value == "none":
        return {"mode": value}
    if not isinstance(value, Table):
        return value
    stock: dict[str, object] = dict(value)
    if "lease_ttl" in value:
        stock["lease_ttl"] = _kept(_duration, value["lease_ttl"], zone, line)
    return stock


def _booking(value: Plain, _zone: str, _line: int) -> object:
    """Whether a place must be booked, also as plain true or false."""
    return {True: "required", False: "none"}[value] if isinstance(value, bool) else value


def _evidence(value: Plain, _zone: str, _line: int) -> object:
    items = value if isinstance(value, list) else [value]
    return [{"name": item} if isinstance(item, str) else item for item in items]


class UnknownKey(DocumentInvalid):
    """A key inside an offer that nobody reads; never kept as a malformed value."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"unknown key {key}", line=line)


_READERS: Final[Mapping[str, Callable[[Plain, str, int], object]]] = {
    "from": _instant,
    "until": _instant,
    "interval": _duration,
    "re_entry": _duration,
    "tolerance": _duration,
    "booking": _booking,
    "limits": _limits,
    "sessions": _sessions,
    "stock": _stock,
    "evidence": _evidence,
}
