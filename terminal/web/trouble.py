"""Reporting a problem (报问题): what it is about, then Enter; the federation's desk gets a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from screens.language import Wording
from terminal.answers import Phase, PositionView
from terminal.web.abouts import ABOUTS, what_becomes
from terminal.web.panels import Button, Panel, PanelScene, WorkJob


@dataclass(frozen=True, slots=True)
class TroubleData:
    """What may be picked, what is, and whether it was kept."""

    abouts: tuple[tuple[str, str], ...]
    picked: str
    kept: bool
    said: str


class TroublePanel(Panel):
    """F1: nothing is typed, so nothing about a person can get in."""

    name = "trouble"

    def __init__(self) -> None:
        super().__init__()
        self._picked = ""
        self._kept = False
        self._tap = ""

    def begin(self, view: PositionView) -> WorkJob | None:
        """A report made over an answer is about that tap."""
        if view.phase is Phase.ANSWER and view.answer is not None:
            self._tap = view.answer.nonce
        return None

    def key(self, name: str) -> WorkJob | None:
        """A number picks, Enter reports."""
        if len(name) == 1 and name in "123456789"[: len(ABOUTS)]:
            return self.press("about", list(ABOUTS)[int(name) - 1])
        if name == "Enter":
            return self.press("confirm", "")
        return self.press("back", "") if name == "Escape" else None

    def press(self, action: str, value: str) -> WorkJob | None:
        """Picks, reports, or goes back."""
        self.refusal = ""
        if action == "about" and value in ABOUTS and not self._kept:
            self._picked = value
        elif action == "confirm" and self._kept:
            self.done = True
        elif action == "confirm" and self._picked and not self.waiting:
            self.waiting = True
            return WorkJob("report_problem", {"about": self._picked, "tap": self._tap})
        elif action == "back":
            self.done = True
        return None

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """It is on this machine's disk."""
        del job, result
        self.waiting, self._kept = False, True
        return None

    def refused(self, word: str) -> None:
        """Nothing was kept."""
        super().refused(word)
        self.waiting = False

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The eight words, or what became of the report."""
        _ = words.gettext
        data = TroubleData(
            tuple((name, _(title)) for name, title in ABOUTS.items()),
            self._picked,
            self._kept,
            what_becomes(view, words) if self._kept else "",
        )
        if self._kept:
            return PanelScene(
                self.name,
                _("Report a problem"),
                data,
                buttons=(Button("confirm", _("Done"), "Enter", primary=True),),
                hints=(("Enter", _("Done")),),
            )
        ready = bool(self._picked) and not self.waiting
        return PanelScene(
            self.name,
            _("Report a problem"),
            data,
            facts=(_("Nothing is typed: the desk calls this venue back."),),
            buttons=(
                Button("confirm", _("Report it"), "Enter", primary=True, enabled=ready),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("1–8", _("pick")), ("Enter", _("report it")), ("Esc", _("back"))),
        )
