"""A form that was filled in, read field by field; what cannot be read is noted at its field.

Fields of a row are called ``limits.0.per``: the table, the row, the field. Times are the city's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from screens.language import VENUE_ZONE
from server.pages.words import N_

NUMBER_DIGITS_MAX: Final = 9
#: Rows of one table; a form holds no more fields than ``gate.FORM_FIELDS_MAX``.
ROWS_MAX: Final = 12
UNITS: Final = ("m", "h", "d")
_ZONE: Final = ZoneInfo(VENUE_ZONE)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")
_BREAKS: Final = re.compile(r"[\s,;、，；]+")
_DAY_END: Final = "24:00"

NOT_NUMBER: Final = N_("write a whole number")
NOT_AMOUNT: Final = N_("write yuan with at most two decimals, for example 12.50")
NOT_PERCENT: Final = N_("write per cent with at most one decimal, for example 90")
NOT_DAY: Final = N_("name a day")
NOT_TIMES: Final = N_("name beginning and end, for example 09:00 and 16:30")
NOT_MOMENT: Final = N_("name day and time")
NOT_PAIRS: Final = N_("write one a line: a number of a place, a space, units")


class Filled:
    """One form as it was sent.

    Attributes:
        faults: what is wrong, by the name of the field.
        places: for each table, which row of the form each row of the document came from.
    """

    def __init__(self, form: Mapping[str, str]) -> None:
        """Reads nothing yet."""
        self._form = form
        self.faults: dict[str, str] = {}
        self.places: dict[str, list[int]] = {}

    def text(self, name: str) -> str:
        """What stands in a field, empty if nothing does."""
        return self._form.get(name, "").strip()

    def chosen(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) == "1"

    def names(self, name: str) -> list[str]:
        """Words with spaces, commas or lines between."""
        return [one for one in _BREAKS.split(self.text(name)) if one]

    def lines(self, name: str) -> str | list[str]:
        """One line as a text, several as a list."""
        found = [one.strip() for one in self.text(name).split("\n") if one.strip()]
        return found if len(found) > 1 else "".join(found)

    def number(self, name: str) -> int | None:
        """A whole number of 0 or more."""
        text = self.text(name)
        if not text:
            return None
        if not text.isdecimal() or len(text) > NUMBER_DIGITS_MAX:
            self.faults[name] = NOT_NUMBER
            return None
        return int(text)

    def decimal(self, name: str, digits: int) -> int | None:
        """A number with a few decimals, as a whole number of its smallest units."""
        text = self.text(name)
        if not text:
            return None
        whole, _, rest = text.partition(".")
        sound = whole.isdecimal() and len(whole) <= NUMBER_DIGITS_MAX and len(rest) <= digits
        if not sound or (rest and not rest.isdecimal()):
            self.faults[name] = NOT_AMOUNT if digits == 2 else NOT_PERCENT
            return None
        return int(whole + rest.ljust(digits, "0"))

    def duration(self, name: str) -> str | None:
        """A number and its unit, as ``30m``."""
        number, unit = self.number(name), self.text(f"{name}_unit")
        if number is None:
            return None
        return f"{number}{unit if unit in UNITS else UNITS[0]}"

    def day(self, name: str, *, end: bool = False) -> str | None:
        """A day and perhaps a time, as an instant; the end of a day is where the next begins."""
        text, clock = self.text(name), self.text(f"{name}_time")
        if not text and not clock:
            return None
        moment = day_of(text)
        if moment is None or (clock and not _CLOCK.match(clock)):
            self.faults[name] = NOT_DAY
            return None
        if clock:
            return instant(datetime.combine(moment, time.fromisoformat(clock)))
        return instant(datetime.combine(moment + timedelta(days=end), time()))

    def moment(self, name: str) -> str | None:
        """A field of day and time, as an instant."""
        text = self.text(name)
        if not text:
            return None
        try:
            return instant(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            self.faults[name] = NOT_MOMENT
            return None

    def hours(self, row: str) -> tuple[str, str] | None:
        """Beginning and end of a row; midnight as an end is the end of the day."""
        start, end = self.text(f"{row}.start"), self.text(f"{row}.end")
        if not start and not end:
            return None
        if not _CLOCK.match(start) or not _CLOCK.match(end):
            self.faults[f"{row}.start"] = NOT_TIMES
            return None
        return start, _DAY_END if end == "00:00" else end

    def pairs(self, name: str) -> dict[str, int] | None:
        """Lines of a place's number and its units."""
        found: dict[str, int] = {}
        for line in self.text(name).split("\n"):
            parts = [one for one in re.split(r"[\s,;:，；：]+", line) if one]
            if not parts:
                continue
            sound = len(parts) == 2 and parts[1].isdecimal()
            if not sound or len(parts[1]) > NUMBER_DIGITS_MAX or parts[0] in found:
                self.faults[name] = NOT_PAIRS
                return None
            found[parts[0]] = int(parts[1])
        return found or None

    def rows(self, table: str, telling: tuple[str, ...]) -> Iterator[str]:
        """Rows of a table in which one of some fields is filled in, as ``limits.0``."""
        places = self.places[table] = []
        for number in range(rows_in(self._form, table)):
            row = f"{table}.{number}"
            if any(self.text(f"{row}.{one}") for one in telling):
                places.append(number)
                yield row


def rows_in(form: Mapping[str, str], table: str) -> int:
    """How many rows of a table a form has, empty ones included."""
    numbers = [
        int(number)
        for name in form
        if name.startswith(f"{table}.")
        for number in name.split(".")[1:2]
        if number.isdecimal() and len(number) <= 2
    ]
    return min(max(numbers, default=-1) + 1, ROWS_MAX)


def with_row(form: Mapping[str, str], table: str, fresh: Mapping[str, str]) -> dict[str, str]:
    """A form with one more row at the end of a table."""
    number = rows_in(form, table)
    if number >= ROWS_MAX:
        return dict(form)
    return {**form, **{f"{table}.{number}.{name}": value for name, value in fresh.items()}}


def without_row(form: Mapping[str, str], table: str, gone: int) -> dict[str, str]:
    """A form without one row of a table; those behind it move up."""
    left: dict[str, str] = {}
    for name, value in form.items():
        parts = name.split(".", 2)
        if parts[0] == table and len(parts) == 3 and parts[1].isdecimal():
            number = int(parts[1])
            if number != gone:
                left[f"{table}.{number - (number > gone)}.{parts[2]}"] = value
        else:
            left[name] = value
    return left


def day_of(text: str) -> date | None:
    """``2014-05-30`` as a day, ``None`` if it is none."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def instant(moment: datetime) -> str:
    """A moment as an offer's document has it; without a zone it is the city's time.

    Raises:
        OverflowError: outside the years that there are.
    """
    placed = moment if moment.tzinfo else moment.replace(tzinfo=_ZONE)
    return placed.astimezone(_ZONE).isoformat(timespec="seconds")


def moment_of(text: object) -> datetime | None:
    """An instant of a document in the city's time, ``None`` if it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if found is None or found.tzinfo is None else found.astimezone(_ZONE)
    except (ValueError, OverflowError):
        return None
