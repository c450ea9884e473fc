"""Work of the counter beside a single tap: what all its panels have in common.

A panel takes the middle of the page. It is a small state machine without I/O: presses go in, a
:class:`WorkJob` may come out, the service's answer comes back. Whoever holds the panel carries the
jobs out over ``terminal.counterwork.CounterWork``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from screens.language import Wording
from terminal.answers import PositionView
from terminal.receipts.layout import Line
from terminal.work_answers import CollectionShown

FORM_CHARACTERS_MAX: Final = 8_000
FIGURE_DIGITS_MAX: Final = 9


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


#: What a refusal of the service means to a clerk, by its stable word; nothing was recorded by any.
_REFUSALS: Final[Mapping[str, str]] = {
    "no_card": _("No card is at hand. Nothing was recorded; please tap the card again."),
    "collection_state": _("This list is not open any more. Nothing was recorded."),
    "shift_state": _("The shift is not as this page thought. Nothing was recorded."),
    "invalid": _("Something here is missing or wrong. Nothing was recorded; please check."),
    "ledger_fault": _("The ledger cannot be written. Nothing was recorded; see the doctor."),
    "proxy_not_allowed": _("This offer is for members in person. Nothing was recorded."),
    "agent_refused": _("This card cannot act for others. Nothing was recorded."),
    "reason_required": _("The count differs from the ledger; please pick the reason."),
    "not_leased": _("This counter has no units of its own to hold. Nothing was recorded."),
    "beyond_lease": _("So many are not free here. Nothing was recorded."),
    "not_on_hand": _("So many do not lie on the shelf. Nothing was recorded."),
    "booking_refused": _(
        "Not booked: no card in force ends so, or the session is full or not given. Please check."
    ),
    "booking_no_card": _(
        "Not booked: no card in force ends so. Please ask for the digits once more."
    ),
    "booking_several_cards": _(
        "Not booked: several members' cards end so. Please ask for the name and enter it."
    ),
    "booking_no_session": _(
        "Not booked: there is no session at that time. Please look the offer up for the next one."
    ),
    "booking_full": _(
        "Not booked: this session has no room or is not given. Please offer another one."
    ),
    "booking_too_late": _(
        "Not booked: this must be booked days before. On the day a supervisor may let them in."
    ),
    "server_needed": _(
        "The server does not answer. Note the call and book later; asking twice books once."
    ),
    "sheet_unknown": _("This sheet was not printed here; its number stands on top of the paper."),
    "line_entered": _("This line was entered before. Nothing was recorded."),
    "supervisor_needed": _("Number and PIN do not fit, or no own card was tapped. Not recorded."),
    "manual_not_allowed": _("This offer is never given out on paper. Nothing was recorded."),
    "practice": _("Practice needs its demo cards first; connect this machine once."),
}
_REFUSED: Final = _("The terminal refused this. Nothing was recorded; please try again.")


@dataclass(frozen=True, slots=True)
class WorkJob:
    """A question to, or an act of, the counter's work: its method, and arguments by name."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrintJob:
    """Print these lines; the redemption does not wait for it."""

    lines: tuple[Line, ...]
    qr: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class SheetJob:
    """Print the sign-off sheet of a collection."""

    collection: CollectionShown


@dataclass(frozen=True, slots=True)
class Button:
    """A button of the side column; ``key`` is the key that does the same."""

    action: str
    label: str
    key: str = ""
    primary: bool = False
    enabled: bool = True
    value: str = ""


@dataclass(frozen=True, slots=True)
class PanelScene:
    """A panel as the templates draw it.

    Attributes:
        name: which template draws its middle: ``panel_<name>.html``.
        data: what that template needs.
        facts: lines of the side column.
        said: what went wrong or was done, in the page's language.
        form: whether the side's primary button sends the form in the middle.
    """

    name: str
    title: str
    data: Any
    facts: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    said: str = ""
    hints: tuple[tuple[str, str], ...] = ()


class Panel:
    """One panel; subclasses fill in what their work needs."""

    name = ""

    def __init__(self) -> None:
        self.done = False
        self.refusal = ""
        self.waiting = False

    def begin(self, view: PositionView) -> WorkJob | None:
        """What to ask when the panel opens."""
        del view
        return None

    def press(self, action: str, value: str) -> WorkJob | PrintJob | SheetJob | None:
        """A click or a sent form; one without a meaning now does nothing."""
        del value
        if action in ("back", "confirm"):
            self.done = True
        return None

    def key(self, name: str) -> WorkJob | PrintJob | SheetJob | None:
        """A key by its DOM name."""
        if name == "Escape":
            return self.press("back", "")
        return self.press("confirm", "") if name == "Enter" else None

    def changed(self, view: PositionView) -> WorkJob | None:
        """The position changed: a card came, or the line to the server."""
        del view
        return None

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """The service's answer; the next question, if there is one."""
        del job, result
        return None

    def refused(self, word: str) -> None:
        """The service said no, by a stable word."""
        self.refusal = word

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The panel now."""
        raise NotImplementedError

    def said(self, words: Wording) -> str:
        """The refusal in words, or nothing."""
        return words.gettext(_REFUSALS.get(self.refusal, _REFUSED)) if self.refusal else ""


def fields_of(value: str) -> dict[str, str]:
    """The fields of a form that was sent, without spaces around; none if it is no form."""
    try:
        document = json.loads(value or "{}")
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {str(name): str(text).strip() for name, text in document.items()}


def whole(text: str, most: int) -> int:
    """A whole number from 1 to ``most``, or 0 where the text is none."""
    if not text.isascii() or not text.isdigit() or len(text) > FIGURE_DIGITS_MAX:
        return 0
    return int(text) if int(text) <= most else 0
