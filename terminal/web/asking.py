"""Two short questions of the counter: practice mode on or off, and a supervisor's yes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from screens.language import Wording
from terminal.answers import PositionView
from terminal.answers import Wording as Spoken
from terminal.web.panels import Button, Panel, PanelScene, WorkJob
from terminal.web.view import text_for_operator

SUPERVISOR_CHARACTERS_MAX: Final = 32
PIN_CHARACTERS_MAX: Final = 12


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


#: Reasons of an override, as the ledger keeps them.
OVERRIDE_REASONS: Final = {
    "hardship": _("Hardship, seen by the supervisor"),
    "system_error": _("The record here is wrong"),
    "replacement": _("Replaces a damaged one"),
    "other": _("Other"),
}


class PracticePanel(Panel):
    """F2: practice with a ledger of its own; nothing counts."""

    name = "practice"

    def __init__(self) -> None:
        super().__init__()
        self._on = False

    def begin(self, view: PositionView) -> WorkJob | None:
        """Says what would happen; nothing yet."""
        self._on = view.practice
        return None

    def press(self, action: str, value: str) -> WorkJob | None:
        """Yes, or back."""
        del value
        self.refusal = ""
        if action == "confirm":
            return WorkJob("end_practice" if self._on else "start_practice")
        self.done = action == "back"
        return None

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """Done."""
        del job, result
        self.done = True
        return None

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The question in words."""
        del view
        _ = words.gettext
        title = _("End practice?") if self._on else _("Begin practice?")
        text = (
            _("Cards count again from the next tap on.")
            if self._on
            else _("Only demo cards work, nothing counts, and slips say so.")
        )
        label = _("End practice") if self._on else _("Begin practice")
        return PanelScene(
            self.name,
            title,
            text,
            buttons=(
                Button("confirm", label, "Enter", primary=True),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("Enter", label), ("Esc", _("back"))),
        )


@dataclass(frozen=True, slots=True)
class Override:
    """A supervisor's yes to a decline, for the same offer with a nonce of its own."""

    offer: str
    supervisor: str
    pin: str
    reason: str


@dataclass(frozen=True, slots=True)
class OverrideData:
    """What was declined, and the reasons to pick from."""

    big: str
    small: str
    reasons: tuple[tuple[str, str], ...]
    supervisor: str


class OverridePanel(Panel):
    """A supervisor lets an overridable decline pass, or a refer that asks for one."""

    name = "override"

    def __init__(self, offer: str, message: Spoken) -> None:
        """For this offer, whose decline was told in these words."""
        super().__init__()
        self._offer = offer
        self._message = message
        self.given: Override | None = None
        self._supervisor = ""

    def press(self, action: str, value: str) -> WorkJob | None:
        """The form was sent, or the way out. The PIN is kept no longer than this press."""
        self.refusal = ""
        if action == "override-send":
            try:
                form = json.loads(value or "{}")
            except ValueError:
                form = {}
            fields = form if isinstance(form, dict) else {}
            self._supervisor = str(fields.get("supervisor", "")).strip()
            self._supervisor = self._supervisor[:SUPERVISOR_CHARACTERS_MAX]
            pin = str(fields.get("pin", ""))[:PIN_CHARACTERS_MAX]
            reason = str(fields.get("reason", ""))
            if not self._supervisor or reason not in OVERRIDE_REASONS:
                self.refusal = "invalid"
            else:
                self.given = Override(self._offer, self._supervisor, pin, reason)
        elif action == "back":
            self.done = True
        return None

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The decline, and the form."""
        del view
        _ = words.gettext
        text = text_for_operator(self._message, words.language)
        data = OverrideData(
            text.big,
            text.small,
            tuple((name, _(title)) for name, title in OVERRIDE_REASONS.items()),
            self._supervisor,
        )
        return PanelScene(
            self.name,
            _("A supervisor decides"),
            data,
            facts=(_("Their number and the reason stand in the signed ledger."),),
            buttons=(
                Button("override-send", _("Let it pass"), "Enter", primary=True),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("Enter", _("let it pass")), ("Esc", _("back"))),
        )
