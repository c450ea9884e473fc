"""Goods at this counter: what lies on the shelf, when it will be gone, what is held for callers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording
from terminal.answers import PositionView, Totals
from terminal.receipts.layout import Line, Style
from terminal.web.panels import Button, Panel, PanelScene, PrintJob, SheetJob, WorkJob
from terminal.work_answers import Found, GoodsLine, HoldShown

UNITS_MAX: Final = 100_000
HOLD_MINUTES: Final = 120
OFFERS_ASKED: Final = 50
#: Kinds of offers that come in parcels.
_GOODS: Final = frozenset({"ticket", "coupon"})
#: Below so little time of giving out a forecast says nothing.
FORECAST_AFTER_MS: Final = 15 * 60_000
FORECAST_MAX_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class ShelfRow:
    """Goods of one offer; ``gone`` is the forecast in words."""

    offer: str
    title: str
    on_hand: int
    leased: int
    held: int
    given: int
    gone: str
    picked: bool


@dataclass(frozen=True, slots=True)
class HoldRow:
    """Units held for a caller."""

    hold: str
    code: str
    title: str
    units: int
    until: str
    label: str


@dataclass(frozen=True, slots=True)
class ShelfData:
    """The middle of the panel; ``form`` is which form is open, ``paper`` the request."""

    rows: tuple[ShelfRow, ...]
    holds: tuple[HoldRow, ...]
    form: str
    picked: str
    paper: tuple[Line, ...] = ()


def sold_out_ms(left: int, given: int, since_ms: int, now_ms: int) -> int | None:
    """When goods will be gone if they go on as today.

    Args:
        left: units on the shelf.
        given: units given out since ``since_ms``.
        since_ms: when counting began.
        now_ms: now, UTC milliseconds like all.

    Returns:
        The time, or ``None``: too early to say, nothing goes, or it lasts a week.
    """
    elapsed_ms = now_ms - since_ms
    if left <= 0 or given <= 0 or elapsed_ms < FORECAST_AFTER_MS:
        return None
    lasts_ms = left * elapsed_ms // given
    return now_ms + lasts_ms if lasts_ms <= FORECAST_MAX_MS else None


class ShelfPanel(Panel):
    """F6: goods, forecast, holds, receiving, and the request for more."""

    name = "shelf"

    def __init__(self) -> None:
        super().__init__()
        self._goods: tuple[GoodsLine, ...] = ()
        self._holds: tuple[HoldShown, ...] = ()
        self._new: tuple[Found, ...] = ()
        self._totals: Totals | None = None
        self._form = ""
        self._picked = ""

    def watch(self, totals: Totals) -> None:
        """Today's counts, for the forecast."""
        self._totals = totals

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks for the goods first, then for the holds."""
        del view
        return WorkJob("goods")

    def key(self, name: str) -> WorkJob | PrintJob | SheetJob | None:
        """F9 prints the request again."""
        return self.press("print", "") if name == "F9" else super().key(name)

    def press(self, action: str, value: str) -> WorkJob | PrintJob | None:
        """Picks goods, opens a form or sends it."""
        self.refusal = ""
        if action == "shelf-pick":
            self._picked, self._form = value, ""
        elif action in ("shelf-hold", "shelf-receive", "shelf-request") and self._picked:
            self._form = action.removeprefix("shelf-")
        elif action == "print" and self._form == "paper":
            return PrintJob(self._paper)
        elif action == "shelf-send" and self._form not in ("", "paper"):
            return self._send(value)
        elif action == "shelf-release" and value:
            return WorkJob("release_hold", {"hold": value})
        elif action == "back":
            if self._form or self._picked:
                self._form = self._picked = ""
            else:
                self.done = True
        return None

    def _send(self, value: str) -> WorkJob | PrintJob | None:
        try:
            form = json.loads(value or "{}")
        except ValueError:
            return None
        text = str(form.get("units", "")).strip() if isinstance(form, dict) else ""
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= UNITS_MAX:
            self.refusal = "invalid"
            return None
        units, note = int(text), str(form.get("note", "")).strip()[:64]
        if self._form == "hold":
            return WorkJob(
                "place_hold",
                {
                    "offer": self._picked,
                    "units": units,
                    "minutes": HOLD_MINUTES,
                    "label": note,
                },
            )
        if self._form == "receive":
            return WorkJob(
                "receive_goods", {"offer": self._picked, "quantity": units, "parcel": note}
            )
        return self._request(units, note)

    _request_lines: tuple[Line, ...] = ()
    _paper: tuple[Line, ...] = ()

    def _request(self, units: int, note: str) -> PrintJob:
        self._form = "paper"
        filled = tuple(
            Line(one.text, one.style, one.right or {"units": str(units), "note": note}[key])
            for one, key in zip(self._request_lines, self._request_keys, strict=True)
        )
        self._paper = filled
        return PrintJob(filled)

    _request_keys: tuple[str, ...] = ()

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """Goods, then holds; after an act both again."""
        if job.method == "goods":
            self._goods = tuple(result)
            return WorkJob("holds")
        if job.method == "holds":
            self._holds = tuple(result)
            return WorkJob("search", {"query": "", "limit": OFFERS_ASKED})
        if job.method == "search":
            self._new = tuple(one for one in result if one.here and one.kind in _GOODS)
            return None
        self._form = ""
        return WorkJob("goods")

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """The shelf, the holds, and one form."""
        _ = words.gettext
        shelf = (*self._goods, *self._awaited())
        rows = tuple(self._row(one, view, words) for one in shelf)
        holds = tuple(
            HoldRow(
                one.hold,
                one.code,
                _title(one, words),
                one.left,
                words.clock(one.until_ms),
                one.label,
            )
            for one in self._holds
        )
        picked = next((one for one in shelf if one.offer == self._picked), None)
        if picked is not None:
            self._prepare(picked, view, words)
        buttons = [Button("back", _("Back"), "Esc")]
        if picked is not None:
            buttons = [
                Button("shelf-hold", _("Hold for a caller")),
                Button("shelf-receive", _("Goods have come")),
                Button("shelf-request", _("Ask for more")),
                *buttons,
            ]
        facts = [] if view.link.connected else [self._offline(words)]
        if picked is None:
            facts.append(_("Pick goods to hold, receive or ask for more."))
        return PanelScene(
            self.name,
            _("Goods at this counter"),
            ShelfData(
                rows,
                holds,
                self._form,
                _title(picked, words) if picked else "",
                self._paper if self._form == "paper" else (),
            ),
            facts=tuple(facts),
            buttons=tuple(buttons),
            said=self.said(words),
            hints=(("Esc", _("back")),),
        )

    def _awaited(self) -> list[GoodsLine]:
        """Offers given here of which no parcel has come yet."""
        known = {one.offer for one in self._goods}
        return [
            GoodsLine(one.id, one.title, one.title_en, 0, 0, 0, 0, 0, 0)
            for one in self._new
            if one.id not in known
        ]

    def _offline(self, words: Wording) -> str:
        leased = sum(one.leased for one in self._goods)
        text = words.gettext("Offline: %(n)s are this counter's own, the rest when connected")
        return text % {"n": words.number(leased)}

    def _row(self, line: GoodsLine, view: PositionView, words: Wording) -> ShelfRow:
        gone = ""
        if self._totals is not None:
            today = sum(one.count for one in self._totals.lines if one.offer == line.offer)
            at_ms = sold_out_ms(line.on_hand, today, self._totals.since_ms, view.now_ms)
            if at_ms is not None:
                when = f"{words.date(at_ms)} {words.clock(at_ms)}"
                gone = words.gettext("gone about %(when)s") % {"when": when}
        return ShelfRow(
            line.offer,
            _title(line, words),
            line.on_hand,
            line.leased,
            line.held,
            line.given,
            gone,
            line.offer == self._picked,
        )

    def _prepare(self, line: GoodsLine, view: PositionView, words: Wording) -> None:
        """The paper form of a request, with what the machine knows already on it."""
        _ = words.gettext
        chinese = words.language is Language.ZH
        venue = view.venue_name if chinese else view.venue_name_en or view.venue_name
        at = f"{words.full_date(view.now_ms)} {words.clock(view.now_ms)}"
        self._request_lines = (
            Line(_("Request for goods"), Style.TITLE, " "),
            Line(venue, Style.CENTRE, " "),
            Line("", Style.RULE, " "),
            Line(_title(line, words), Style.PLAIN, " "),
            Line(_("On the shelf"), Style.PAIR, str(line.on_hand)),
            Line(_("Given so far"), Style.PAIR, str(line.given)),
            Line(_("Asked for"), Style.PAIR),
            Line(_("Note"), Style.PAIR),
            Line(_("Time"), Style.PAIR, at),
            Line("", Style.RULE, " "),
            Line(_("Signature"), Style.PAIR, "____________"),
        )
        self._request_keys = tuple(
            "note" if one.text == _("Note") else "units" for one in self._request_lines
        )


def _title(line: GoodsLine | HoldShown, words: Wording) -> str:
    return line.title if words.language is Language.ZH else line.title_en or line.title
