"""Who is expected today: the bookings of this venue, by their sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording
from terminal.answers import PositionView
from terminal.web.panels import Button, Panel, PanelScene, WorkJob
from terminal.work_answers import BookingShown


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


class BookedPanel(Panel):
    """F7: today's bookings."""

    name = "booked"

    def __init__(self) -> None:
        super().__init__()
        self._bookings: tuple[BookingShown, ...] = ()

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks for today."""
        del view
        return WorkJob("bookings")

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """The list."""
        del job
        self._bookings = tuple(result)
        return None

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """By session, those who are still expected counted apart."""
        _ = words.gettext
        rows = tuple(_row(one, words) for one in self._bookings)
        expected = sum(one.quantity for one in self._bookings if one.state == "booked")
        text = words.ngettext("%(n)s is still expected", "%(n)s are still expected", expected)
        return PanelScene(
            self.name,
            _("Bookings of %(day)s") % {"day": words.full_date(view.now_ms)},
            rows,
            facts=(text % {"n": words.number(expected)},),
            buttons=(Button("back", _("Back"), "Esc", primary=True),),
            said=self.said(words),
            hints=(("Esc", _("back")),),
        )


def _row(booking: BookingShown, words: Wording) -> BookingRow:
    chinese = words.language is Language.ZH
    return BookingRow(
        f"{words.clock(booking.from_ms)}–{words.clock(booking.until_ms)}",
        booking.title if chinese else booking.title_en or booking.title,
        booking.quantity,
        booking.who,
        words.gettext(_STATES.get(booking.state, booking.state)),
        booking.state == "booked",
    )
