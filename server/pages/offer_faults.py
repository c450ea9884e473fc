"""What is wrong with an offer, field by field, in words for whoever fills in the form.

The rules name a fault by its path and in the words of the format. Here each kind of fault has its
words for the office; where a field needs others, it has its own. A test holds the list against
the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ledger.rules import catalogue
from screens.language import Language, wording
from server.pages.patterns import Patterns, patterns
from server.pages.words import N_

#: Faults told of one offer at once.
FAULTS_MAX: Final = 20
_PLACE: Final = re.compile(r"(?:line \d+, )?field (\S+): (.*)\Z", re.DOTALL)
#: What stands in for a faulty value that an offer cannot be without.
_STAND_INS: Final[Mapping[str, str]] = {
    "id": "x",
    "from": "2000-01-01T00:00:00+08:00",
    "until": "2100-01-01T00:00:00+08:00",
}

#: Kinds of faults as the rules word them, and what the office says.
KINDS: Final[Mapping[str, str]] = {
    "must be 1 to 64 characters without spaces": N_("1 to 64 characters without spaces"),
    "must be a whole number, 0 or more": N_("write a whole number, 0 or more"),
    "must be 1 or more; suspend the offer to allow none": N_(
        "1 or more; to allow none, suspend the offer"
    ),
    "must be a date and time with an offset, RFC 3339": N_("name a day, or day and time"),
    "must be a whole number and s, m, h or d, like 180m": N_(
        "write a whole number and choose its unit"
    ),
    "must be at most 3660 days": N_("at most 3,660 days"),
    "must be like 09:00-16:30, within one day": N_(
        "beginning before end, within one day; 00:00 as the end is midnight"
    ),
    "until must lie after from": N_("the end must lie after the beginning"),
    "before must lie after since": N_("the end must lie after the beginning"),
    "must be one of %(a)s": N_("choose one of the list"),
    "must be a text": N_("write a text"),
    "must be true or false": N_("yes or no"),
    "must be an object": N_("another form is needed here; see docs/offers.md"),
    "must be an array": N_("a list is needed here; see docs/offers.md"),
    "unknown key": N_("no rule has this name; correct or remove it"),
    "must be active or suspended": N_("active or suspended"),
    "must name at least one, or be left out": N_("name at least one, or leave it empty"),
    "must name at least one day, or be left out": N_("tick at least one day, or none at all"),
    "needs exactly one of count, days and within": N_("write how often"),
    "needs exactly one mode of stock": N_("choose how the stock is divided"),
    "a group shares a count": N_("a group shares a count of units; choose units here"),
    "stock %(a)s would oversell with offline %(b)s: use leased, reserved or online (capped only "
    "for a soft count per day or session)": N_(
        "with a stock, terminals without a network give only what they hold, what was reserved, "
        "or wait; up to a cap will do only for a stock anew each day or session"
    ),
    "venue %(a)s does not give this offer": N_(
        "%(a)s is not among the venues of this offer; add it there or take it out here"
    ),
    "no venue is called %(a)s": N_("no venue has the number %(a)s"),
    "no time zone is called %(a)s": N_("there is no time zone %(a)s"),
    "offer %(a)s is defined twice": N_("another offer has the number %(a)s"),
    "venue %(a)s is defined twice": N_("another venue has the number %(a)s"),
    "the key %(a)s stands twice in one object": N_("%(a)s stands twice"),
    "the file is larger than %(a)s bytes": N_("larger than %(a)s bytes"),
    "the file is not UTF-8": N_("not UTF-8"),
    "not JSON: %(a)s": N_("not JSON: %(a)s"),
    "the file is nested too deeply": N_("nested too deeply"),
    "the file holds a number of thousands of digits": N_("a number is too long"),
    "the file must hold one JSON array": N_("a JSON array of offers is needed"),
}

#: Fields of which a kind of fault says more.
_OF_FIELD: Final[Mapping[tuple[str, str], str]] = {
    ("id", "must be 1 to 64 characters without spaces"): N_(
        "give it a number of 1 to 64 characters without spaces, for example BJ-T-105"
    ),
    ("from", "must be a date and time with an offset, RFC 3339"): N_("name the first day"),
    ("until", "must be a date and time with an offset, RFC 3339"): N_("name the last day"),
    ("until", "until must lie after from"): N_("the last day must not lie before the first"),
    ("stock", "must be an object"): N_("write one a line: a number of a place, a space, units"),
}

#: What a field is called where it is not beside its fault.
FIELDS: Final[Mapping[str, str]] = {
    "id": N_("Number"),
    "title": N_("Title in Chinese"),
    "title_en": N_("Title in English"),
    "kind": N_("Kind"),
    "category": N_("Category"),
    "brand": N_("Brand"),
    "level": N_("Level"),
    "from": N_("First day"),
    "until": N_("Last day, included"),
    "weekdays": N_("Weekdays"),
    "hours": N_("Opening hours"),
    "sessions": N_("Sessions"),
    "holidays": N_("On public holidays"),
    "tolerance": N_("Minutes of grace"),
    "venues": N_("Venues, by number"),
    "scope": N_("Venues, by place"),
    "limits": N_("How often"),
    "interval": N_("Least time between two uses"),
    "re_entry": N_("Going in again without a new use"),
    "stock": N_("Stock"),
    "offline": N_("When there is no network"),
    "cap": N_("Cap of one terminal without a network"),
    "eligibility": N_("Who may take it"),
    "companions": N_("Companions"),
    "evidence": N_("To be brought"),
    "booking": N_("Booking"),
    "booking_days": N_("Days to book before"),
    "member_price_fen": N_("Member pays (yuan)"),
    "list_price_fen": N_("Price otherwise (yuan)"),
    "discount_per_mille": N_("Or member pays (per cent of the price)"),
    "proxy_cards": N_("Colleagues' cards a day"),
}


def faults_in(
    document: Mapping[str, Any], venues: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    """Every fault of a document: path of the format, and what the rules say.

    A faulty value is taken out, or stood in for, and the rest is read again.
    """
    left = json.loads(json.dumps(document))
    found: list[tuple[str, str]] = []
    for _ in range(FAULTS_MAX):
        data = json.dumps([left]).encode("utf-8")
        faults = catalogue.faults(data, venues=venues or None)
        if not faults:
            break
        path, message = parted(str(faults[0]))
        if (path, message) in found:
            break
        found.append((path, message))
        head = re.split(r"[.\[]", path, maxsplit=1)[0]
        if head in _STAND_INS:
            left[head] = _STAND_INS[head]
        elif head in left:
            _take_out(left, path, head)
        else:
            break
    return found


def _take_out(document: dict[str, Any], path: str, head: str) -> None:
    """Removes a faulty row, else the whole field."""
    row = re.match(r"\w+\[(\d+)\]", path)
    rows = document[head]
    if row and isinstance(rows, list) and int(row[1]) < len(rows):
        # The places of the rows behind it stay.
        rows[int(row[1])] = _HARMLESS.get(head, rows[int(row[1]) - 1])
        if head not in _HARMLESS:
            del document[head]
    else:
        del document[head]


_HARMLESS: Final[Mapping[str, Any]] = {
    "limits": {"count": 1},
    "hours": "00:00-24:00",
    "sessions": "00:00-24:00",
    "evidence": {"name": "x"},
}


def parted(text: str) -> tuple[str, str]:
    """The path and the message of a fault; no path where it is of the whole."""
    found = _PLACE.match(text)
    return (found[1], found[2]) if found else ("", text)


def said_at(path: str, message: str, language: Language) -> str | None:
    """What the office says of a fault beside its field; ``None`` for what is not listed."""
    head = re.split(r"[.\[]", path, maxsplit=1)[0]
    for pattern, kind in _patterns():
        found = pattern.fullmatch(message)
        if found is not None:
            text = _OF_FIELD.get((head, kind), KINDS[kind])
            return wording(language).gettext(text) % found.groupdict()
    return None


def said(text: str, language: Language) -> str | None:
    """A fault with the name of its field; ``None`` without a field, or for what is not listed."""
    path, message = parted(text)
    told = said_at(path, message, language) if path else None
    if told is None:
        return None
    head, _, row = path.partition("[")
    words = wording(language)
    name = FIELDS.get(head.partition(".")[0])
    place = words.gettext(name) if name else path
    number = row.partition("]")[0]
    if number.isdecimal():
        place = words.gettext("%(field)s, no. %(n)s") % {"field": place, "n": int(number) + 1}
    return f"{place}{'：' if language is Language.ZH else ': '}{told}"


@cache
def _patterns() -> Patterns:
    return patterns(KINDS)
