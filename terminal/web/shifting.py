"""Opening and closing a shift: four lamps, then goods counted against the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording
from terminal.answers import PositionView, ShiftShown
from terminal.web.panels import Button, Panel, PanelScene, WorkJob, fields_of
from terminal.work_answers import CountLine, Lamp, ShiftClosed

COUNTED_MAX: Final = 1_000_000


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


#: Reasons of a difference, as the ledger keeps them.
REASONS: Final = {
    "damaged": _("Damaged goods"),
    "miscounted": _("Counted wrongly before"),
    "slip_missing": _("A slip is missing"),
    "unknown": _("Not known"),
}


@dataclass(frozen=True, slots=True)
class LampRow:
    """One lamp of the self-test."""

    ok: bool
    big: str
    small: str


@dataclass(frozen=True, slots=True)
class CountRow:
    """Goods of one offer: by the ledger, as counted, and the difference as text."""

    offer: str
    title: str
    expected: int
    counted: str
    difference: str


@dataclass(frozen=True, slots=True)
class ShiftData:
    """The middle of the panel.

    Attributes:
        stage: ``opening``, ``open``, ``closing`` or ``closed``.
    """

    stage: str
    lamps: tuple[LampRow, ...] = ()
    ready: bool = False
    rows: tuple[CountRow, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    operator: str = ""


class ShiftPanel(Panel):
    """F10: opens a shift, or closes the one that is open."""

    name = "shift"

    def __init__(self) -> None:
        super().__init__()
        self._lamps: tuple[Lamp, ...] = ()
        self._goods: tuple[CountLine, ...] = ()
        self._counted: dict[str, int] = {}
        self._reason = ""
        self._operator = ""
        self._closed: ShiftClosed | None = None
        self._opened: ShiftShown | None = None
        self._closing = False

    def begin(self, view: PositionView) -> WorkJob | None:
        """Looks at the machine first, or at the goods."""
        self._closing = view.shift is not None
        return WorkJob("closing" if self._closing else "self_test")

    def press(self, action: str, value: str) -> WorkJob | None:
        """A form that was sent, or the way out."""
        self.refusal = ""
        if action == "shift-open" and not self._closing and not self.waiting:
            self._operator = fields_of(value).get("operator", "")[:32]
            self.waiting = True
            return WorkJob("open_shift", {"operator": self._operator})
        if action == "shift-again":
            return WorkJob("self_test")
        if action == "shift-close" and self._closing and self._closed is None and not self.waiting:
            return self._close(fields_of(value))
        if action in ("back", "confirm"):
            self.done = self._closed is not None or self._opened is not None or action == "back"
        return None

    def _close(self, form: dict[str, str]) -> WorkJob | None:
        self._counted = {}
        for line in self._goods:
            text = form.get(f"count-{line.offer}", "")
            if text.isascii() and text.isdigit() and int(text) <= COUNTED_MAX:
                self._counted[line.offer] = int(text)
        reason = form.get("reason", "")
        self._reason = reason if reason in REASONS else ""
        if self._differs() and not self._reason:
            self.refusal = "reason"
            return None
        self.waiting = True
        return WorkJob("close_shift", {"counted": dict(self._counted), "reason": self._reason})

    def _differs(self) -> bool:
        return any(
            self._counted.get(line.offer, line.expected) != line.expected for line in self._goods
        )

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """Lamps, goods, or what was signed."""
        self.waiting = False
        if job.method == "self_test":
            self._lamps = tuple(result)
        elif job.method == "closing":
            self._goods = tuple(result)
        elif job.method == "open_shift":
            self._opened = result
            self.done = True
        elif job.method == "close_shift":
            self._closed = result
        return None

    def refused(self, word: str) -> None:
        """Nothing was recorded."""
        self.waiting = False
        super().refused(word)

    def said(self, words: Wording) -> str:
        """A difference needs its reason; everything else as usual."""
        if self.refusal == "reason":
            return words.gettext("The count differs from the ledger; please pick the reason.")
        if self.refusal == "invalid" and not self._closing:
            return words.gettext("A staff number has 1 to 32 letters and digits.")
        return super().said(words)

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """One of the four stages."""
        if self._closed is not None:
            return self._draw_closed(self._closed, words)
        return self._draw_closing(view, words) if self._closing else self._draw_opening(words)

    def _draw_opening(self, words: Wording) -> PanelScene:
        _ = words.gettext
        chinese = words.language is Language.ZH
        lines = [(one.ok, one.zh if chinese else one.en) for one in self._lamps]
        data = ShiftData(
            "opening",
            lamps=tuple(LampRow(ok, line.big, line.small) for ok, line in lines),
            ready=all(one.ok or not one.vital for one in self._lamps),
            operator=self._operator,
        )
        return PanelScene(
            self.name,
            _("Opening a shift"),
            data,
            facts=(_("The staff number stands in the ledger, never the name."),),
            buttons=(
                Button(
                    "shift-open",
                    _("Open the shift"),
                    "Enter",
                    primary=True,
                    enabled=bool(self._lamps) and not self.waiting,
                ),
                Button("shift-again", _("Test again")),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("Enter", _("open the shift")), ("Esc", _("back"))),
        )

    def _draw_closing(self, view: PositionView, words: Wording) -> PanelScene:
        _ = words.gettext
        facts = [_("Leave a field empty that was not counted.")]
        if view.link.pending:
            facts.append(_pending(view.link.pending, words))
        data = ShiftData(
            "closing",
            rows=tuple(self._row(one, words) for one in self._goods),
            reasons=tuple((name, _(text)) for name, text in REASONS.items()),
            reason=self._reason,
        )
        return PanelScene(
            self.name,
            _("Closing the shift"),
            data,
            facts=tuple(facts),
            buttons=(
                Button(
                    "shift-close",
                    _("Close and sign"),
                    "Enter",
                    primary=True,
                    enabled=not self.waiting,
                ),
                Button("back", _("Back"), "Esc"),
            ),
            said=self.said(words),
            hints=(("Enter", _("close and sign")), ("Esc", _("back"))),
        )

    def _draw_closed(self, closed: ShiftClosed, words: Wording) -> PanelScene:
        _ = words.gettext
        figures = (
            (_("given"), words.number(closed.redeemed)),
            (_("voided"), words.number(closed.voided)),
            (_("refused"), words.number(closed.declined)),
        )
        self._counted = {one.offer: one.counted for one in closed.goods if one.counted is not None}
        facts = [f"{words.clock(closed.since_ms)} – {words.clock(closed.closed_ms)}"]
        if closed.pending:
            facts.append(_pending(closed.pending, words))
        return PanelScene(
            self.name,
            _("The shift is closed and signed"),
            ShiftData(
                "closed",
                rows=tuple(self._row(one, words) for one in closed.goods),
                figures=figures,
                operator=closed.operator,
            ),
            facts=tuple(facts),
            buttons=(Button("confirm", _("Done"), "Enter", primary=True),),
            hints=(("Enter", _("Done")),),
        )

    def _row(self, line: CountLine, words: Wording) -> CountRow:
        counted = self._counted.get(line.offer)
        difference = "" if counted is None else f"{counted - line.expected:+d}"
        return CountRow(
            line.offer,
            line.title if words.language is Language.ZH else line.title_en or line.title,
            line.expected,
            "" if counted is None else str(counted),
            "" if difference == "+0" else difference,
        )


def _pending(pending: int, words: Wording) -> str:
    text = words.ngettext(
        "%(n)s record is signed here and uploads later; closing does not wait for it",
        "%(n)s records are signed here and upload later; closing does not wait for them",
        pending,
    )
    return text % {"n": words.number(pending)}
