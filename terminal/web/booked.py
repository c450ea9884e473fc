"""Who is expected today: the bookings of this venue by their sessions, and booking for a caller."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from screens.language import Language, Wording, local
from terminal.answers import PositionView
from terminal.web.panels import Button, Panel, PanelScene, WorkJob, fields_of, whole
from terminal.work_answers import BookingShown, Found

OFFERS_ASKED: Final = 50
UNITS_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 64
_DIGITS: Final = re.compile(r"[0-9]{4}\Z")
#: Nine, 9:30, 0930: as it is said on the telephone; a Chinese keyboard types the wide colon.
_TIME: Final = re.compile("([0-9]{1,2})(?:[:\uff1a]?([0-9]{2}))?\\Z")


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


_STATES: Final = {
    "booked": _("expected"),
    "used": _("has come"),
    "missed": _("did not come"),
    "cancelled": _("cancelled"),
    "moved": _("moved"),
}


@dataclass(frozen=True, slots=True)
class BookingRow:
    """One booking; ``who`` is masked, or empty."""

    time: str
    title: str
    quantity: int
    who: str
    state: str
    open: bool


@dataclass(frozen=True, slots=True)
class BookedData:
    """The list, or the form with what was typed before; name and digits are never kept."""

    rows: tuple[BookingRow, ...]
    form: bool
    offers: tuple[tuple[str, str], ...]
    offer: str
    day: str
    time: str
    units: str
    position: str


def session_of(day: str, time: str) -> str:
    """Beginning of a session in ISO 8601 from a day and a time as people type them, or nothing."""
    found = _TIME.match(time.strip())
    if found is None:
        return ""
    hour, minute = int(found[1]), int(found[2] or 0)
    try:
        on = date.fromisoformat(day.strip())
    except ValueError:
        return ""
    return f"{on.isoformat()}T{hour:02}:{minute:02}" if hour < 24 and minute < 60 else ""


class BookedPanel(Panel):
    """F7: today's bookings; ``+`` books for somebody who telephones."""

    name = "booked"

    def __init__(self) -> None:
        super().__init__()
        self._bookings: tuple[BookingShown, ...] = ()
        self._offers: tuple[Found, ...] = ()
        self._form = False
        self._kept: dict[str, str] = {}
        self._booked: BookingShown | None = None

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks for today."""
        self._kept = {"day": local(view.now_ms).date().isoformat(), "units": "1"}
        return WorkJob("bookings")

    def key(self, name: str) -> WorkJob | None:
        """``+`` opens the form."""
        if name in ("+", "="):
            return self.press("book", "")
        return self.press("back", "") if name == "Escape" else None

    def press(self, action: str, value: str) -> WorkJob | None:
        """Opens the form, sends it, or goes back."""
        self.refusal = ""
        if action == "book" and self._offers:
            self._form, self._booked = True, None
        elif action == "book-send" and self._form and not self.waiting:
            return self._send(fields_of(value))
        elif action == "back":
            self.done = not self._form
            self._form = False
        return None

    def _send(self, form: dict[str, str]) -> WorkJob | None:
        self._kept = {name: form.get(name, "") for name in ("offer", "day", "time", "units")}
        session = session_of(self._kept["day"], self._kept["time"])
        units = whole(self._kept["units"], UNITS_MAX)
        last4 = form.get("last4", "")
        known = {one.id for one in self._offers}
        if not (session and units and _DIGITS.match(last4) and self._kept["offer"] in known):
            self.refusal = "invalid"
            return None
        self.waiting = True
        name = form.get("name", "")[:NAME_CHARACTERS_MAX]
        return WorkJob(
            "book",
            {
                "offer": self._kept["offer"],
                "session": session,
                "last4": last4,
                "name": name,
                "units": units,
            },
        )

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """The list, the offers that are booked, or the booking made."""
        if job.method == "bookings":
            self._bookings = tuple(result)
            return WorkJob("search", {"query": "", "limit": OFFERS_ASKED})
        if job.method == "search":
            self._offers = tuple(one for one in result if one.here and one.offline == "reserved")
            return None
        self.waiting, self._form, self._booked = False, False, result
        self._kept |= {"time": "", "units": "1"}
        return WorkJob("bookings")

    def refused(self, word: str) -> None:
        """The form stays open with what was typed."""
        super().refused(word)
        self.waiting = False

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """By session, those who are still expected counted apart; or the form."""
        _ = words.gettext
        data = BookedData(
            rows=tuple(_row(one, words) for one in self._bookings),
            form=self._form,
            offers=tuple((one.id, _title(one, words)) for one in self._offers),
            offer=self._kept.get("offer", ""),
            day=self._kept.get("day", ""),
            time=self._kept.get("time", ""),
            units=self._kept.get("units", ""),
            position=view.position,
        )
        back = Button("back", _("Back"), "Esc")
        if self._form:
            return PanelScene(
                self.name,
                _("Booking by telephone"),
                data,
                facts=(_("The name is only compared; neither name nor digits stay here."),),
                buttons=(
                    Button("book-send", _("Book it"), "Enter", primary=True, enabled=self._idle),
                    back,
                ),
                said=self.said(words),
                hints=(("Enter", _("next field, then book")), ("Esc", _("back"))),
            )
        calls = (Button("book", _("Book by telephone"), "+"),) if self._offers else ()
        return PanelScene(
            self.name,
            _("Bookings of %(day)s") % {"day": words.full_date(view.now_ms)},
            data,
            facts=tuple(self._facts(words)),
            buttons=(*calls, back),
            said=self.said(words),
            hints=(("+", _("book by telephone")), ("Esc", _("back"))),
        )

    @property
    def _idle(self) -> bool:
        return not self.waiting

    def _facts(self, words: Wording) -> list[str]:
        expected = sum(one.quantity for one in self._bookings if one.state == "booked")
        text = words.ngettext("%(n)s is still expected", "%(n)s are still expected", expected)
        facts = [text % {"n": words.number(expected)}]
        if self._booked is not None:
            when = f"{words.full_date(self._booked.from_ms)} {words.clock(self._booked.from_ms)}"
            said = words.gettext("Booked: %(title)s, %(when)s")
            facts.insert(0, said % {"title": _title(self._booked, words), "when": when})
        return facts


def _title(line: Found | BookingShown, words: Wording) -> str:
    return line.title if words.language is Language.ZH else line.title_en or line.title


def _row(booking: BookingShown, words: Wording) -> BookingRow:
    return BookingRow(
        f"{words.clock(booking.from_ms)}–{words.clock(booking.until_ms)}",
        _title(booking, words),
        booking.quantity,
        booking.who,
        words.gettext(_STATES.get(booking.state, booking.state)),
        booking.state == "booked",
    )
