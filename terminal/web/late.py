"""Late entries (补录): lines of the numbered paper sheet, each entered once by a supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording, local
from terminal.answers import PositionView
from terminal.web.asking import PIN_CHARACTERS_MAX, SUPERVISOR_CHARACTERS_MAX
from terminal.web.panels import Button, Panel, PanelScene, WorkJob, fields_of, whole
from terminal.work_answers import Found, ManualLine

OFFERS_ASKED: Final = 50
LINES_SHOWN: Final = 5
LINE_MAX: Final = 20
QUANTITY_MAX: Final = 1_000
SHEET_CHARACTERS_MAX: Final = 48
#: Offers that are exact by the server or by a token are never given out on paper.
_NEVER_ON_PAPER: Final = frozenset({"online", "reserved"})
#: Value of the form when the member's card lies there.
WITH_CARD: Final = "here"
_KEPT: Final = ("sheet", "line", "offer", "day", "quantity", "reason", "supervisor")


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


#: Why it was written on paper, as the ledger keeps it.
REASONS: Final = {
    "power_cut": _("Power cut"),
    "machine_fault": _("The machine failed"),
    "reader_fault": _("The reader failed"),
    "other": _("Other"),
}


@dataclass(frozen=True, slots=True)
class LateRow:
    """One line entered before."""

    sheet: str
    day: str
    title: str
    quantity: int
    reason: str


@dataclass(frozen=True, slots=True)
class LateData:
    """The form with what was typed before, and the newest lines.

    Attributes:
        turn: how many lines were entered here; a PIN that was typed for one does not fill the next.
        done: which line was entered just now.
    """

    kept: dict[str, str]
    offers: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    rows: tuple[LateRow, ...]
    turn: int
    done: str
    position: str


class LatePanel(Panel):
    """F12: a supervisor enters what stands on paper. The PIN is kept no longer than one press."""

    name = "late"

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[ManualLine, ...] = ()
        self._offers: tuple[Found, ...] = ()
        self._kept: dict[str, str] = {}
        self._turn = 0
        self._done: ManualLine | None = None

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks what was entered before."""
        today = local(view.now_ms).date().isoformat()
        self._kept = dict.fromkeys(_KEPT, "") | {"day": today, "line": "1", "quantity": "1"}
        return WorkJob("manual_lines")

    def press(self, action: str, value: str) -> WorkJob | None:
        """The form was sent, or the way out."""
        self.refusal = ""
        if action == "late-send" and not self.waiting:
            return self._send(fields_of(value))
        self.done = action == "back"
        return None

    def _send(self, form: dict[str, str]) -> WorkJob | None:
        self._done = None
        kept = {name: form.get(name, "")[:SHEET_CHARACTERS_MAX] for name in _KEPT}
        self._kept = kept
        line, quantity = whole(kept["line"], LINE_MAX), whole(kept["quantity"], QUANTITY_MAX)
        supervisor = kept["supervisor"][:SUPERVISOR_CHARACTERS_MAX]
        needed = line and quantity and kept["sheet"] and kept["day"] and supervisor
        if not needed or kept["reason"] not in REASONS or not kept["offer"]:
            self.refusal = "invalid"
            return None
        self.waiting = True
        fields = {name: kept[name] for name in ("sheet", "offer", "day", "reason")}
        return WorkJob(
            "add_manual",
            {
                **fields,
                "line": line,
                "quantity": quantity,
                "supervisor": supervisor,
                "supervisor_pin": form.get("pin", "")[:PIN_CHARACTERS_MAX],
                "with_card": form.get("card", "") == WITH_CARD,
            },
        )

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """Older lines, the offers, or the line that is in the ledger now."""
        if job.method == "manual_lines":
            self._lines = tuple(result)
            return None if self._offers else WorkJob("search", {"query": "", "limit": OFFERS_ASKED})
        if job.method == "search":
            here = (one for one in result if one.here)
            self._offers = tuple(one for one in here if one.offline not in _NEVER_ON_PAPER)
            return None
        self.waiting, self._done = False, result
        self._turn += 1
        following = int(self._kept["line"]) % LINE_MAX + 1
        self._kept |= {"line": str(following), "quantity": "1"}
        return WorkJob("manual_lines")

    def refused(self, word: str) -> None:
        """The form stays with what was typed."""
        super().refused(word)
        self.waiting = False

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The form, and the newest lines under it."""
        _ = words.gettext
        titles = {one.id: _title(one, words) for one in self._offers}
        data = LateData(
            kept=self._kept,
            offers=tuple(titles.items()),
            reasons=tuple((name, _(title)) for name, title in REASONS.items()),
            rows=tuple(_row(one, titles, words) for one in self._lines[:LINES_SHOWN]),
            turn=self._turn,
            done=self._done.sheet if self._done is not None else "",
            position=view.position,
        )
        return PanelScene(
            self.name,
            _("Late entries from paper"),
            data,
            facts=(
                _("Each line counts once, marked as late; the supervisor's number stands by it."),
            ),
            buttons=(
                Button("late-send", _("Enter the line"), "Enter", primary=True, enabled=self._idle),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("Enter", _("next field, then enter the line")), ("Esc", _("back"))),
        )

    @property
    def _idle(self) -> bool:
        return not self.waiting


def _title(offer: Found, words: Wording) -> str:
    return offer.title if words.language is Language.ZH else offer.title_en or offer.title


def _row(line: ManualLine, titles: dict[str, str], words: Wording) -> LateRow:
    return LateRow(
        line.sheet,
        line.day,
        titles.get(line.offer, line.offer),
        line.quantity,
        words.gettext(REASONS.get(line.reason, line.reason)),
    )
