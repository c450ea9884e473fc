"""The counter page: one scene for the templates from the desk's state. Keyboard first.

The member's column tells of the card and of what was already had, never who it is. Offers that
this card can take come first with their number keys; the others stay visible with why and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from screens.language import Language, Wording, wording
from terminal.answers import CardShown, Phase, RecentTap, TapAnswer
from terminal.receipts.layout import Line, qr_svg
from terminal.receipts.slips import receipt_of
from terminal.web.desk import VOID_REASONS, Desk, Mode
from terminal.web.jobs import TapJob
from terminal.web.kiosk import state_of
from terminal.web.offer_rows import OfferRow, offer_rows, picked_facts
from terminal.web.panels import PanelScene
from terminal.web.view import (
    SHAPES,
    SOUNDS,
    Band,
    Lamp,
    Text,
    bands,
    demo_date,
    lamps,
    offer_title,
    reader_good,
    text_for_operator,
    text_of_closed,
    venue_name,
)

RECENT_SHOWN_MAX: Final = 8


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


_REASONS: Final = {
    "wrong_offer": _("Wrong offer picked"),
    "member_declined": _("Member does not want it"),
    "print_failed": _("Printing failed"),
    "other": _("Other"),
}


@dataclass(frozen=True, slots=True)
class RecentRow:
    """One act of the recent list."""

    nonce: str
    time: str
    title: str
    word: str
    reversed: bool
    confirmed: bool
    voidable_ms: int


@dataclass(frozen=True, slots=True)
class Slip:
    """A receipt as the page shows and prints it."""

    lines: tuple[Line, ...]
    qr: str


@dataclass(frozen=True, slots=True)
class VoidPanel:
    """The void in three steps: which, why, Enter."""

    rows: tuple[RecentRow, ...]
    picked: str
    reasons: tuple[tuple[str, str], ...]
    reason: str
    text: Text | None
    state: str


@dataclass(frozen=True, slots=True)
class CounterScene:
    """One whole counter page."""

    mode: str
    state: str
    shape: str
    text: Text
    language: Language
    venue: str
    position: str
    shift: str
    bands: tuple[Band, ...]
    demo_date: str
    lamps: tuple[Lamp, ...]
    card: Text | None
    used: tuple[str, ...]
    rows: tuple[OfferRow, ...]
    picked: OfferRow | None
    picked_facts: tuple[str, ...]
    query: str
    busy: bool
    blocked: bool
    offer: str
    hints: tuple[tuple[str, str], ...]
    slip: Slip | None
    refer: bool
    void: VoidPanel | None
    voidable_ms: int
    recent: tuple[RecentRow, ...]
    totals: tuple[tuple[str, int], ...]
    day: tuple[tuple[str, int], ...]
    pending: int
    last_sync: str
    syncing: str
    problem: str
    panel: PanelScene | None
    quantity: int
    overridable: bool
    printer: str
    sound: str = ""
    sound_key: str = ""
    shown: str = ""
    practice: bool = False


def scene(desk: Desk, language: Language) -> CounterScene:
    """The page of a desk for a browser whose own language is ``language``."""
    language = language.other if desk.switched else language
    words = wording(language)
    view, mode = desk.view, desk.mode
    rows = offer_rows(desk, words)
    answer = view.answer if mode is Mode.RESULT and view.phase is Phase.ANSWER else None
    state, text = _message(desk, mode, words)
    return CounterScene(
        mode=mode.value,
        state=state,
        shape=SHAPES.get(state, "card"),
        text=text,
        language=language,
        venue=venue_name(view, language),
        position=view.position,
        shift=_shift(desk, words),
        bands=bands(view, words, staff=True),
        demo_date=demo_date(view, words),
        lamps=lamps(view, words, desk.books.printer),
        card=_card(view.card, words) if view.card else None,
        used=_used(desk, words),
        rows=tuple(rows),
        picked=next((row for row in rows if row.picked), None),
        picked_facts=picked_facts(desk, words),
        query=desk.query,
        busy=mode is Mode.BUSY or desk.busy is not None,
        offer=_offer_of(desk, answer, text, language),
        blocked=_blocked(desk, mode, words) is not None,
        hints=_hints(mode, desk, words),
        slip=_slip(desk, answer, words),
        refer=answer is not None and answer.outcome == "refer",
        void=_void_panel(desk, words) if mode is Mode.VOIDING else None,
        voidable_ms=_voidable_ms(desk, answer),
        recent=tuple(_recent_row(one, words) for one in desk.books.recent[:RECENT_SHOWN_MAX]),
        totals=_totals(desk, language),
        day=_day(desk, words),
        pending=view.link.pending,
        last_sync=words.clock(view.link.last_sync_ms) if view.link.last_sync_ms else "",
        syncing=f"{view.link.done}/{view.link.total}" if view.link.busy and view.link.total else "",
        problem=desk.problem,
        panel=desk.rack.panel.draw(view, words) if desk.rack.panel is not None else None,
        quantity=desk.quantity,
        overridable=desk.overridable is not None,
        printer="browser" if desk.books.printer.state == "none" else "here",
        sound=SOUNDS.get(state, "") if answer else "",
        sound_key=f"{answer.nonce}/{answer.code}/{view.since_ms}" if answer else "",
        shown=answer.nonce if answer else "",
        practice=view.practice,
    )


def _message(desk: Desk, mode: Mode, words: Wording) -> tuple[str, Text]:
    """Field and words of the middle, when it is not the list of offers."""
    view, language, _ = desk.view, words.language, words.gettext
    if mode is Mode.RESULT and view.phase is Phase.ANSWER and view.answer is not None:
        return state_of(view.answer), text_for_operator(view.answer.message, language)
    if mode is Mode.RESULT and view.unshown is not None:
        state = "recorded" if view.unshown.recorded else "unrecorded"
        return state, text_for_operator(view.unshown.message, language)
    blocked = _blocked(desk, mode, words)
    if blocked is not None:
        return "decline", blocked
    if mode is Mode.CLOSED:
        return "closed", text_of_closed(view, language, operator=True)
    if mode is Mode.BUSY:
        return "confirming", Text(_("Recording"), _("Please wait; do not tap again"))
    if mode is Mode.READING:
        return "reading", Text(_("Reading the card"), _("Keep it on the reader"))
    if not reader_good(view.reader):
        detail = _("Plug it in; it recovers by itself. Voids and totals still work.")
        return "fault", Text(_("The card reader is not connected"), detail)
    return "idle", Text(_("Please tap a card"), _("Then 1 to 9 picks an offer, Enter confirms"))


def _card(card: CardShown, words: Wording) -> Text:
    _ = words.gettext
    if card.message is not None and card.code:
        return text_for_operator(card.message, words.language)
    if card.assurance == "authenticated":
        return Text(_("Card is genuine"), _("Proved by its chip"))
    if card.advice == "use_contact":
        return Text(_("Card is only identified"), _("Insert it into the slot for proof"))
    return Text(_("Card is only identified"), _("Its chip gave no proof"))


def _blocked(desk: Desk, mode: Mode, words: Wording) -> Text | None:
    """Why nothing at all can be had with this card, told in place of the list."""
    card = desk.view.card
    if mode is not Mode.CHOOSING or card is None or not card.code or card.message is None:
        return None
    return text_for_operator(card.message, words.language)


def _used(desk: Desk, words: Wording) -> tuple[str, ...]:
    return tuple(
        f"{offer_title(one.offer, words.language)} × {one.usage}"
        for one in desk.view.choices
        if one.usage
    )


def _offer_of(desk: Desk, answer: TapAnswer | None, text: Text, language: Language) -> str:
    """Title of the offer that an answer, a tap under way or a recovered tap is about."""
    wanted = ""
    if answer is not None:
        wanted = answer.offer
    elif isinstance(desk.busy, TapJob):
        wanted = desk.busy.offer
    elif desk.view.unshown is not None:
        wanted = desk.view.unshown.offer
    title = _title_of(desk, wanted, language) if wanted else ""
    return "" if title in text.small else title


def _title_of(desk: Desk, offer: str, language: Language) -> str:
    if offer in desk.offers:
        return offer_title(desk.offers[offer], language)
    for one in desk.books.recent:
        if one.offer == offer:
            return one.title if language is Language.ZH else one.title_en or one.title
    return offer_title(desk.view.offer, language) if desk.view.offer else ""


def _hints(mode: Mode, desk: Desk, words: Wording) -> tuple[tuple[str, str], ...]:
    """Keys that mean something now, with what they do."""
    _ = words.gettext
    if _blocked(desk, mode, words) is not None:
        return (("Enter", _("next card")),)
    if mode is Mode.VOIDING and desk.void_answer is not None:
        return (("Enter", _("done")),)
    if mode is Mode.CHOOSING:
        return (("1–9", _("pick")), ("Enter", _("confirm")), ("/", _("search")), ("Esc", _("back")))
    if mode is Mode.PANEL and desk.rack.panel is not None:
        return desk.rack.panel.draw(desk.view, words).hints
    if mode is Mode.RESULT:
        hints = [("Enter", _("next card"))]
        if desk.voidable:
            hints.append(("F8", _("void")))
        answer = desk.view.answer
        if answer is not None and answer.outcome == "approve" and answer.entry is not None:
            hints.append(("F9", _("print")))
        return tuple(hints)
    if mode is Mode.VOIDING:
        return (("1–9", _("pick")), ("Enter", _("confirm")), ("Esc", _("back")))
    idle = [("/", _("search")), ("F4", _("for others")), ("F6", _("goods"))]
    if desk.voidable:
        idle.append(("F8", _("void")))
    return (*idle, ("F10", _("shift")))


def _slip(desk: Desk, answer: TapAnswer | None, words: Wording) -> Slip | None:
    if answer is None:
        return None
    tap = next((one for one in desk.books.recent if one.nonce == answer.nonce), None)
    offer = desk.offers.get(answer.offer)
    receipt = receipt_of(answer, tap, desk.view, words, offer=offer)
    return Slip(receipt.lines, qr_svg(receipt.qr)) if receipt is not None else None


def _void_panel(desk: Desk, words: Wording) -> VoidPanel:
    answer = desk.void_answer
    state = ""
    if answer is not None:
        state = "recorded" if answer.outcome == "approve" else "decline"
    return VoidPanel(
        rows=tuple(_recent_row(one, words) for one in desk.voidable),
        picked=desk.void_picked,
        reasons=tuple((name, words.gettext(_REASONS[name])) for name in VOID_REASONS),
        reason=desk.void_reason,
        text=text_for_operator(answer.message, words.language) if answer else None,
        state=state,
    )


def _voidable_ms(desk: Desk, answer: TapAnswer | None) -> int:
    if answer is not None:
        return next((one.voidable_ms for one in desk.voidable if one.nonce == answer.nonce), 0)
    return max((one.voidable_ms for one in desk.voidable), default=0)


def _recent_row(tap: RecentTap, words: Wording) -> RecentRow:
    _: Callable[[str], str] = words.gettext
    if tap.reversed:
        word = _("voided")
    else:
        kinds = {"redeem": _("done"), "void": _("void"), "reentry": _("already in")}
        word = kinds.get(tap.kind, _("refused"))
    return RecentRow(
        nonce=tap.nonce,
        time=words.clock(tap.ts_ms),
        title=tap.title if words.language is Language.ZH else tap.title_en or tap.title,
        word=word,
        reversed=tap.reversed,
        confirmed=tap.confirmed,
        voidable_ms=tap.voidable_ms,
    )


def _totals(desk: Desk, language: Language) -> tuple[tuple[str, int], ...]:
    chinese = language is Language.ZH
    return tuple(
        (one.title if chinese else one.title_en or one.title, one.count)
        for one in desk.books.totals.lines
    )


def _day(desk: Desk, words: Wording) -> tuple[tuple[str, int], ...]:
    totals, _ = desk.books.totals, words.gettext
    return (
        (_("given"), totals.redeemed),
        (_("voided"), totals.voided),
        (_("refused"), totals.declined),
    )


def _shift(desk: Desk, words: Wording) -> str:
    shift = desk.view.shift
    if shift is None:
        return ""
    since = words.gettext("shift since %(time)s") % {"time": words.clock(shift.opened_ms)}
    return f"{since} · {shift.operator}"
