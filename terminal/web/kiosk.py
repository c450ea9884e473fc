"""The kiosk page: what a member sees before, during and after a tap. Nothing personal, ever.

A kiosk asks for no touch. Results time out by themselves, and a new tap always pre-empts the
result before it. Milliseconds here come from a monotonic clock that the caller reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from screens.language import Language, Wording, wording
from terminal.answers import OfferShown, Phase, PositionView, TapAnswer, Unshown
from terminal.web.corner import CornerJob, Sheet, StaffCorner
from terminal.web.view import (
    SHAPES,
    SOUNDS,
    Band,
    Text,
    bands,
    demo_date,
    limit_text,
    offer_title,
    reader_good,
    text_for_member,
    text_of_closed,
    two_languages,
    venue_name,
)

APPROVED_SHOWN_MS: Final = 2_000
RESULT_SHOWN_MS: Final = 6_000
AFTER_LIFT_SHOWN_MS: Final = 3_000
READING_SHOWN_AFTER_MS: Final = 250
RECOVERED_SHOWN_MS: Final = 6_000
#: Large text and the other language go back to what they were, for the next person.
TOUCHED_RESET_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class TileJob:
    """A tile was touched: the next card is for this offer; none for an empty one."""

    offer: str


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


_IDLE = (_("Please tap your card"), _("Hold it to the reader until you hear the sound"))
_READING = (_("Please keep the card still"), _("Checking, less than a second"))
_CONFIRMING = (_("Confirming, please wait"), _("There is no need to tap again"))
_TILES = (_("Choose first, then tap your card"), _("Touch what you would like"))
_UNPLUGGED = (_("The card reader is not connected"), _("Please find the staff; it recovers itself"))


@dataclass(frozen=True, slots=True)
class Tile:
    """One offer to be touched."""

    id: str
    title: str
    facts: str


@dataclass(frozen=True, slots=True)
class KioskScene:
    """One whole screen.

    Attributes:
        state: name of the field, see ``view.SHAPES``.
        sound_key: changes with every result, so that a page sounds once.
        shown: nonce to acknowledge once this scene was painted, or empty.
        note: a line for visitors of the demo: how long the terminal's own code took.
        pays: what the member pays at the till, after a green answer.
        tiles: offers to choose from, while none is chosen.
        chosen: a tile was touched; another may be.
        nearby: where to go instead, name and telephone, while out of service.
        corner: the staff corner, when it is open.
        redraw_ms: monotonic time from which another scene holds, or ``None``.
    """

    state: str
    shape: str
    text: Text
    language: Language
    large: bool
    venue: str
    offer: str
    bands: tuple[Band, ...]
    demo_date: str
    sound: str = ""
    sound_key: str = ""
    shown: str = ""
    note: str = ""
    pays: str = ""
    tiles: tuple[Tile, ...] = ()
    chosen: bool = False
    nearby: tuple[tuple[str, str], ...] = ()
    corner: Sheet | None = None
    practice: bool = False
    redraw_ms: int | None = None

    @property
    def open(self) -> str:
        """How far the staff corner is open, for the style sheet."""
        return self.corner.kind if self.corner is not None else "shut"


@dataclass(frozen=True, slots=True)
class _Look:
    """The part of a scene that depends on the phase alone."""

    state: str
    text: Text
    until_ms: int | None = None
    key: str = ""
    shown: str = ""
    note: str = ""


def state_of(answer: TapAnswer) -> str:
    """The field that an answer is shown on; green only for what stands approved now."""
    if answer.code is None:
        # Without a code either our own code failed, or a crash leaves the outcome open.
        return "retry" if answer.name == "internal_fault" else "confirming"
    if answer.green:
        return "approve"
    return {"error": "retry", "refer": "refer"}.get(answer.outcome, "decline")


class KioskScreen:
    """Follows one position and says what its page shows at any moment."""

    def __init__(self, view: PositionView, now_ms: int) -> None:
        """Begins with the view that holds now."""
        self._view = view
        self.corner = StaffCorner()
        self._began_ms = now_ms
        self._lifted_ms: int | None = None
        self._recovered: Unshown | None = view.unshown
        self._recovered_ms: int | None = None
        self._touched_ms: int | None = None
        self._large = False
        self._switched = False

    def observe(self, view: PositionView, now_ms: int) -> None:
        """Takes over a newer view of the service."""
        before = self._view
        if _moment(view) != _moment(before):
            self._began_ms = now_ms
            self._lifted_ms = None
        if before.reader.state == "card" and view.reader.state == "ready":
            self._lifted_ms = now_ms
        if view.unshown is not None and view.unshown != self._recovered:
            self._recovered, self._recovered_ms = view.unshown, None
        if view.phase in (Phase.READING, Phase.ANSWER):
            self._recovered = None
        if view.phase is Phase.READING:
            self.corner.shut()
        self._view = view

    def painted(self, nonce: str, now_ms: int) -> None:
        """A page has painted the answer to this nonce; a recovered one begins to run out."""
        recovered = self._recovered
        if recovered is not None and recovered.nonce == nonce and self._recovered_ms is None:
            self._recovered_ms = now_ms

    def press(self, action: str, now_ms: int, value: str = "") -> CornerJob | TileJob | None:
        """A touch: large text, language, a tile or the staff corner; others do nothing."""
        self._expire_touch(now_ms)
        job = self.corner.press(action, value, now_ms)
        if job is not None:
            return job
        if action == "tile":
            return TileJob(value)
        if action == "large":
            self._large = not self._large
        elif action == "language":
            self._switched = not self._switched
        else:
            return None
        self._touched_ms = now_ms
        return None

    def scene(self, language: Language, now_ms: int) -> KioskScene:
        """The screen at this moment, for a page whose own language is ``language``."""
        self._expire_touch(now_ms)
        self.corner.expire(now_ms)
        language = language.other if self._switched else language
        words = wording(language)
        look = self._look(language, now_ms)
        until = (look.until_ms, self._touch_ends_ms(), self.corner.until_ms)
        ends = [at for at in until if at is not None]
        choosing = look.state == "idle" and bool(self._view.tiles)
        return KioskScene(
            state=look.state,
            shape=SHAPES[look.state],
            text=look.text,
            language=language,
            large=self._large,
            venue=venue_name(self._view, language),
            offer=_offer_line(self._view.offer, words),
            bands=bands(self._view, words),
            demo_date=demo_date(self._view, words),
            sound=SOUNDS.get(look.state, ""),
            sound_key=look.key,
            shown=look.shown,
            note=look.note,
            pays=self._pays(words) if look.state == "approve" else "",
            tiles=_tiles(self._view, words) if choosing and self._view.offer is None else (),
            chosen=choosing and self._view.offer is not None,
            nearby=_nearby(self._view, language) if look.state == "closed" else (),
            corner=self.corner.sheet(self._view, words),
            practice=self._view.practice,
            redraw_ms=min(ends, default=None),
        )

    def _pays(self, words: Wording) -> str:
        answer = self._view.answer
        known = [one for one in (self._view.offer, *self._view.tiles) if one is not None]
        for one in known:
            if answer is not None and one.id == answer.offer and one.member_price_fen:
                return words.gettext("Please pay %(money)s") % {
                    "money": words.money(one.member_price_fen)
                }
        return ""

    def _touch_ends_ms(self) -> int | None:
        return None if self._touched_ms is None else self._touched_ms + TOUCHED_RESET_MS

    def _expire_touch(self, now_ms: int) -> None:
        ends_ms = self._touch_ends_ms()
        if ends_ms is not None and now_ms >= ends_ms:
            self._touched_ms, self._large, self._switched = None, False, False

    def _look(self, language: Language, now_ms: int) -> _Look:
        view = self._view
        words, other = wording(language), wording(language.other)
        if view.phase is Phase.CLOSED:
            return _Look("closed", text_of_closed(view, language))
        if view.phase is Phase.CONFIRMING:
            return _Look("confirming", two_languages(_CONFIRMING, words, other))
        if view.phase is Phase.ANSWER and view.answer is not None:
            look = self._answer(view.answer, language)
            if look.until_ms is None or now_ms < look.until_ms:
                return look
        if self._recovered is not None:
            recovered = self._recovered
            painted_ms = self._recovered_ms
            until_ms = None if painted_ms is None else painted_ms + RECOVERED_SHOWN_MS
            if until_ms is None or now_ms < until_ms:
                state = "recorded" if recovered.recorded else "unrecorded"
                text = text_for_member(recovered.message, language)
                return _Look(state, text, until_ms, shown=recovered.nonce)
        if not reader_good(view.reader):
            return _Look("fault", two_languages(_UNPLUGGED, words, other))
        unchosen = bool(view.tiles) and view.offer is None
        idle = _Look("idle", two_languages(_TILES if unchosen else _IDLE, words, other))
        if view.phase is Phase.READING:
            shows_ms = self._began_ms + READING_SHOWN_AFTER_MS
            if now_ms >= shows_ms:
                return _Look("reading", two_languages(_READING, words, other))
            return _Look(idle.state, idle.text, shows_ms)
        return idle

    def _answer(self, answer: TapAnswer, language: Language) -> _Look:
        state = state_of(answer)
        text = text_for_member(answer.message, language)
        if state == "confirming":
            return _Look(state, text)
        shown_ms = APPROVED_SHOWN_MS if state == "approve" else RESULT_SHOWN_MS
        until_ms = self._began_ms + shown_ms
        if state == "decline" and self._lifted_ms is not None:
            until_ms = min(until_ms, self._lifted_ms + AFTER_LIFT_SHOWN_MS)
        note = ""
        if self._view.demo and answer.green and answer.own_ms and answer.entry is not None:
            words = wording(language)
            note = words.gettext("Chip verified, signed, on disk in %(ms)s ms")
            note %= {"ms": f"{answer.own_ms:.1f}"}
        key = f"{answer.nonce}/{answer.code}/{answer.replay}/{self._began_ms}"
        return _Look(state, text, until_ms, key, answer.nonce, note)


def _offer_line(offer: OfferShown | None, words: Wording) -> str:
    """What a tap is for: title and how often, ``免费参观 · 每人每天限 1 次``."""
    title = offer_title(offer, words.language)
    often = limit_text(offer, words)
    return f"{title} · {often}" if often else title


def _tiles(view: PositionView, words: Wording) -> tuple[Tile, ...]:
    return tuple(
        Tile(one.id, offer_title(one, words.language), _tile_facts(one, words))
        for one in view.tiles
    )


def _tile_facts(offer: OfferShown, words: Wording) -> str:
    _ = words.gettext
    if offer.stock_left == 0:
        return _("none left here")
    if offer.member_price_fen:
        return _("pays %(money)s") % {"money": words.money(offer.member_price_fen)}
    return limit_text(offer, words) or _("free")


def _nearby(view: PositionView, language: Language) -> tuple[tuple[str, str], ...]:
    chinese = language is Language.ZH
    return tuple((one.name if chinese else one.name_en, one.phone) for one in view.nearby)


def _moment(view: PositionView) -> tuple[Phase, int, str]:
    """What makes one tap differ from the next."""
    return view.phase, view.since_ms, view.answer.nonce if view.answer else ""
