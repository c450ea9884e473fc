"""Proxy collection (代领) at the counter: pick the offer, lay down the cards, confirm once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screens.language import Language, Wording
from terminal.answers import PositionView
from terminal.receipts.layout import Line
from terminal.receipts.slips import sign_off_sheet
from terminal.web.panels import Button, Panel, PanelScene, SheetJob, WorkJob
from terminal.web.view import offer_title, text_for_operator
from terminal.work_answers import CollectedCard, CollectionShown

#: Lines of the list that the page shows; the counts are of all.
CARDS_SHOWN: Final = 60
_KEYS: Final = "123456789"


@dataclass(frozen=True, slots=True)
class CardRow:
    """One card of the list."""

    number: int
    good: bool
    tail: str
    word: str
    why: str


@dataclass(frozen=True, slots=True)
class OfferPick:
    """One offer that may be collected for others."""

    id: str
    key: str
    title: str


@dataclass(frozen=True, slots=True)
class CollectData:
    """The middle of the panel.

    Attributes:
        stage: ``offers``, ``cards`` or ``done``.
    """

    stage: str
    offers: tuple[OfferPick, ...] = ()
    rows: tuple[CardRow, ...] = ()
    hidden: int = 0
    takable: int = 0
    refused: int = 0
    agent: str = ""
    title: str = ""
    sheet: tuple[Line, ...] = ()


class CollectPanel(Panel):
    """One list at a time; it lives in the service, so a reload finds it again."""

    name = "collect"

    def __init__(self) -> None:
        super().__init__()
        self.shown: CollectionShown | None = None
        self._seen = -1

    def begin(self, view: PositionView) -> WorkJob | None:
        """Asks for a list that is open already."""
        del view
        return WorkJob("collection")

    def changed(self, view: PositionView) -> WorkJob | None:
        """A card may have been laid down; the list is asked for again."""
        if view.revision == self._seen or self.shown is None or self.shown.state != "open":
            return None
        self._seen = view.revision
        return WorkJob("collection")

    def press(self, action: str, value: str) -> WorkJob | SheetJob | None:
        """Picks the offer, takes a card off, confirms, cancels, or prints the sheet."""
        self.refusal = ""
        shown = self.shown
        if shown is None:
            if action == "collect-offer" and value:
                return WorkJob("begin_collection", {"offer": value})
            self.done = action == "back"
        elif shown.state == "open":
            if action == "collect-remove" and value.isdigit():
                return WorkJob("remove_card", {"number": int(value)})
            if action == "confirm" and shown.takable and not self.waiting:
                self.waiting = True
                return WorkJob("confirm_collection", {"batch": shown.batch})
            if action == "collect-cancel" or (action == "back" and not shown.cards):
                return WorkJob("cancel_collection")
        elif action == "print":
            return SheetJob(shown)
        elif action in ("back", "confirm"):
            self.done = True
        return None

    def key(self, name: str) -> WorkJob | SheetJob | None:
        """``1`` to ``9`` pick the offer, Enter confirms, F9 prints."""
        if name == "F9":
            return self.press("print", "")
        if self.shown is None and name in _KEYS and int(name) <= len(self._offers):
            return self.press("collect-offer", self._offers[int(name) - 1])
        found = super().key(name)
        assert found is None or isinstance(found, (WorkJob, SheetJob))
        return found

    _offers: tuple[str, ...] = ()

    def answered(self, job: WorkJob, result: Any) -> WorkJob | None:
        """The list as it is now; one recorded earlier is no list of today's work."""
        if job.method == "confirm_collection":
            self.waiting = False
        if job.method == "cancel_collection":
            self.done = True
            return None
        if job.method == "collection" and result is not None and result.state == "done":
            if self.shown is not None and self.shown.batch == result.batch:
                self.shown = result
            return None
        if isinstance(result, CollectionShown):
            self.shown = result
        return None

    def refused(self, word: str) -> None:
        """Nothing was recorded; the list stands as it was."""
        self.waiting = False
        super().refused(word)

    def draw(self, view: PositionView, words: Wording) -> PanelScene:
        """Offers, then cards, then what became of them."""
        _ = words.gettext
        shown = self.shown
        if shown is None:
            return self._draw_offers(view, words)
        chinese = words.language is Language.ZH
        rows = tuple(_row(one, words) for one in reversed(shown.cards[-CARDS_SHOWN:]))
        title = shown.title if chinese else shown.title_en or shown.title
        data = CollectData(
            stage="done" if shown.state == "done" else "cards",
            rows=rows,
            hidden=max(0, len(shown.cards) - CARDS_SHOWN),
            takable=shown.takable,
            refused=shown.refused,
            agent=shown.agent,
            title=title,
            sheet=sign_off_sheet(shown, words) if shown.state == "done" else (),
        )
        return PanelScene(
            name=self.name,
            title=_("Collecting for others"),
            data=data,
            facts=_facts(shown, words),
            buttons=_buttons(shown, words, waiting=self.waiting),
            said=self.said(words) or _fault(shown, words),
            hints=(("Enter", _("confirm once")), ("Esc", _("back"))),
        )

    def _draw_offers(self, view: PositionView, words: Wording) -> PanelScene:
        _ = words.gettext
        takable = [one.offer for one in view.choices if one.offer.proxy][: len(_KEYS)]
        self._offers = tuple(one.id for one in takable)
        picks = tuple(
            OfferPick(one.id, key, offer_title(one, words.language))
            for key, one in zip(_KEYS, takable, strict=False)
        )
        return PanelScene(
            name=self.name,
            title=_("Collecting for others"),
            data=CollectData("offers", offers=picks),
            facts=(_("The representative's own card comes first."),),
            buttons=(Button("back", _("Back"), "Esc"),),
            said=self.said(words),
            hints=(("1–9", _("pick")), ("Esc", _("back"))),
        )


def _row(card: CollectedCard, words: Wording) -> CardRow:
    _ = words.gettext
    good = card.outcome == "approve"
    text = text_for_operator(card.message, words.language)
    if card.same_as:
        why = _("the same card as no. %(n)s") % {"n": card.same_as}
    else:
        why = "" if good else text.small
    word = _("can take it") if good else text.big
    if good and card.entry is not None:
        word = _("given out")
    return CardRow(card.number, good, card.tail, word, why)


def _facts(shown: CollectionShown, words: Wording) -> tuple[str, ...]:
    _ = words.gettext
    facts = [_("Representative's card …%(tail)s") % {"tail": shown.agent}]
    if shown.stock_left is not None:
        facts.append(_("%(n)s left afterwards") % {"n": words.number(shown.stock_left)})
    if shown.state == "open":
        facts.append(
            _("This representative may still collect for %(n)s today")
            % {"n": words.number(shown.allowance_left)}
        )
    return tuple(facts)


def _buttons(shown: CollectionShown, words: Wording, *, waiting: bool) -> tuple[Button, ...]:
    _ = words.gettext
    if shown.state == "done":
        return (
            Button("confirm", _("Done"), "Enter", primary=True),
            Button("print", _("Print the sign-off sheet"), "F9"),
        )
    label = words.ngettext("Confirm %(n)s unit at once", "Confirm %(n)s units at once", shown.units)
    return (
        Button(
            "confirm",
            _("Recording") if waiting else label % {"n": words.number(shown.units)},
            "Enter",
            primary=True,
            enabled=bool(shown.takable) and not waiting,
        ),
        Button("collect-cancel", _("Give up this list"), enabled=not waiting),
    )


def _fault(shown: CollectionShown, words: Wording) -> str:
    _ = words.gettext
    return {
        "unreadable": _("The last card was not read; please lay it down again."),
        "several": _("Several cards lay there; please lay down one at a time."),
        "full": _("The list is full; confirm it, then begin another."),
    }.get(shown.last_fault, "")
