"""Which panel stands open at a counter, and which keys open one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from terminal.answers import PositionView, Totals, Wording
from terminal.web.asking import Override, OverridePanel, PracticePanel
from terminal.web.booked import BookedPanel
from terminal.web.collecting import CollectPanel
from terminal.web.finding import AccountPanel, FindPanel
from terminal.web.late import LatePanel
from terminal.web.panels import Panel, PrintJob, SheetJob, WorkJob
from terminal.web.shelf import ShelfPanel
from terminal.web.shifting import ShiftPanel
from terminal.web.trouble import TroublePanel

#: Keys that open a panel, by their DOM names; the same action opens it by mouse.
KEYS: Final[Mapping[str, str]] = {
    "F1": "trouble",
    "F2": "practice",
    "F3": "account",
    "F4": "collect",
    "F6": "shelf",
    "F7": "booked",
    "F10": "shift",
    "F12": "late",
}
_MAKERS: Final[Mapping[str, Callable[[], Panel]]] = {
    "practice": PracticePanel,
    "account": AccountPanel,
    "booked": BookedPanel,
    "collect": CollectPanel,
    "find": FindPanel,
    "late": LatePanel,
    "shelf": ShelfPanel,
    "shift": ShiftPanel,
    "trouble": TroublePanel,
}


class Rack:
    """Holds at most one panel."""

    def __init__(self) -> None:
        self.panel: Panel | None = None

    def opens(self, action: str) -> bool:
        """Whether this action opens a panel."""
        return action in _MAKERS

    def open(self, action: str, view: PositionView, totals: Totals) -> WorkJob | None:
        """Opens a panel; the first question it has."""
        self.panel = _MAKERS[action]()
        if isinstance(self.panel, ShelfPanel):
            self.panel.watch(totals)
        return self.panel.begin(view)

    def override(self, offer: str, message: Wording) -> None:
        """Opens the question to a supervisor."""
        self.panel = OverridePanel(offer, message)

    def take(self, action: str, value: str) -> WorkJob | PrintJob | SheetJob | Override | None:
        """A press for the open panel; a panel that is done is put away."""
        panel = self.panel
        if panel is None:
            return None
        job: WorkJob | PrintJob | SheetJob | Override | None
        job = panel.key(value) if action == "key" else panel.press(action, value)
        if isinstance(panel, OverridePanel) and panel.given is not None:
            job, panel.done = panel.given, True
        self._put_away()
        return job

    def observe(self, view: PositionView, totals: Totals) -> WorkJob | None:
        """The position changed; what the panel wants to know now."""
        if self.panel is None:
            return None
        if isinstance(self.panel, ShelfPanel):
            self.panel.watch(totals)
        return self.panel.changed(view)

    def answered(self, job: WorkJob, result: Any, word: str) -> WorkJob | None:
        """The service's answer to a panel's job, or the word of its refusal."""
        if self.panel is None:
            return None
        if word:
            self.panel.refused(word)
            return None
        following = self.panel.answered(job, result)
        self._put_away()
        return following

    def _put_away(self) -> None:
        if self.panel is not None and self.panel.done:
            self.panel = None
