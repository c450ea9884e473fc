"""What is said for each code, to the member and to the clerk, in Chinese and English.

The words stand in ``wording_zh`` and ``wording_en``; here they are filled with the details of a
decision. A line whose details are missing falls back to one that needs none, so that a text never
shows a gap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from ledger.codes import Code
from ledger.rules import wording_en, wording_zh
from ledger.rules.published_words import (
    BIG_CHARACTERS_MAX,
    NO_WORDS,
    SMALL_CHARACTERS_MAX,
    Audience,
    Lang,
    PublishedWords,
)
from ledger.rules.terms import VENUE_ZONE
from ledger.rules.windows import local
from ledger.rules.wording_zh import Line

__all__ = ["BIG_CHARACTERS_MAX", "SMALL_CHARACTERS_MAX", "Audience", "Lang", "Message", "message"]

Details: TypeAlias = Mapping[str, str | int]

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


@dataclass(frozen=True, slots=True)
class Message:
    """Two lines: large words that can be read from afar, and a small line below."""

    big: str
    small: str


def message(
    code: Code,
    lang: Lang,
    audience: Audience,
    details: Details | None = None,
    *,
    published: PublishedWords = NO_WORDS,
) -> Message:
    """The words for a code.

    Args:
        code: of the decision.
        lang: ``zh`` or ``en``.
        audience: ``member`` at the reader, ``operator`` at the counter.
        details: of the decision; keys ending in ``_ms`` are instants, ``zone`` the venue's zone.
        published: the federation's own texts; one that cannot be filled leaves ours in place.
    """
    wording = wording_zh if lang == "zh" else wording_en
    first = 0 if audience == "member" else 2
    lines = wording.WORDS[code]
    values = _values(code, lang, details or {})
    big = _fill(lines[first], values)
    if code is Code.L02 and audience == "member" and values.get("kind") == "entry":
        big = wording.ENTERED_TODAY
    own = [published.line(code, audience, lang, small=small) for small in (False, True)]
    small = _fill(lines[first + 1], values)
    return Message(_filled(own[0], values) or big, _filled(own[1], values) or small)


def _filled(choice: str, values: Mapping[str, str]) -> str:
    """A line with its values, empty if one of them is missing."""
    names = _PLACEHOLDER.findall(choice)
    if not all(values.get(name) for name in names):
        return ""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], choice)


def _fill(line: Line, values: Mapping[str, str]) -> str:
    choices = (line,) if isinstance(line, str) else line
    for choice in choices:
        if filled := _filled(choice, values):
            return filled
    raise AssertionError(f"every last choice must be fillable: {choices[-1]}")


def _values(code: Code, lang: Lang, details: Details) -> dict[str, str]:
    wording = wording_zh if lang == "zh" else wording_en
    zone = str(details.get("zone") or VENUE_ZONE)
    values = {name: str(value) for name, value in details.items() if not name.endswith("_ms")}
    for name, value in details.items():
        if name.endswith("_ms") and isinstance(value, int):
            moment = local(value, zone)
            values.setdefault(name.removesuffix("_ms"), _date(moment, lang))
            if name == "time_ms":
                values["time"] = f"{moment:%H:%M}"
            if name == "until_ms":
                values["next"] = _date_and_time(moment, lang)
    values["approved"] = wording.APPROVED.get(values.get("kind", ""), wording.APPROVED["service"])
    values["period"] = wording.PERIODS.get(values.get("per", ""), wording.PERIODS["offer"])
    if code is Code.O09:
        values["why"] = wording.RESERVATION.get(values.get("why", ""), "")
    return values


def _date(moment: datetime, lang: Lang) -> str:
    if lang == "zh":
        return f"{moment.month}月{moment.day}日"
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def _date_and_time(moment: datetime, lang: Lang) -> str:
    day = _date(moment, lang)
    return day if (moment.hour, moment.minute) == (0, 0) else f"{day} {moment:%H:%M}"
