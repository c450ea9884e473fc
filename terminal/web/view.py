"""What the kiosk and the counter draw in common: words, bands, lamps, made from a position's view.

Pure: a view of the service goes in with a language, plain records for the templates come out.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.codes import Code
from ledger.rules.messages import Audience, message
from screens.language import Language
from screens.language import Wording as Words
from terminal.answers import LinkShown, OfferShown, PositionView, ReaderShown, Wording
from terminal.receipts.printer import NO_PRINTER, PrinterShown

#: States of a reader in which a card can be read.
_READER_GOOD = frozenset({"ready", "card"})

#: Notices that a counter shows at once; the list of cards below needs its room.
NOTICE_BANDS_MAX = 2
#: Which sound, shape and field go with each state; four channels that never contradict.
SHAPES: dict[str, str] = {
    "idle": "card",
    "reading": "ring",
    "approve": "circle",
    "decline": "octagon",
    "retry": "triangle",
    "refer": "person",
    "fault": "plug",
    "closed": "pause",
    "confirming": "hourglass",
    "recorded": "circle",
    "unrecorded": "triangle",
}
SOUNDS: dict[str, str] = {
    "approve": "approve",
    "decline": "decline",
    "retry": "retry",
    "refer": "retry",
}


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


@dataclass(frozen=True, slots=True)
class Text:
    """Large and small words in the page's language, and the same in the other one."""

    big: str
    small: str
    other_big: str = ""
    other_small: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A strip across the page that tells of a condition, not of a tap.

    Attributes:
        kind: ``offline``, ``practice`` or ``notice``.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp of the status strip; the word says what the colour says."""

    label: str
    word: str
    good: bool


def text_for_member(wording: Wording, language: Language) -> Text:
    """An answer in the words for the member."""
    first, second = wording.zh, wording.en
    if language is Language.EN:
        first, second = second, first
    return Text(first.big, first.small, second.big, second.small)


def text_for_operator(wording: Wording, language: Language) -> Text:
    """An answer in the words for the person behind the counter."""
    line = wording.operator_zh if language is Language.ZH else wording.operator_en
    return Text(line.big, line.small)


def text_of_closed(view: PositionView, language: Language, *, operator: bool = False) -> Text:
    """Why no tap is served now."""
    if view.closed is None:
        return text_of_code(view.closed_code or Code.T06, language, operator=operator)
    speak = text_for_operator if operator else text_for_member
    return speak(view.closed, language)


def text_of_code(code: str, language: Language, *, operator: bool = False) -> Text:
    """The general words of a code, for a state that no answer came with."""
    audience: Audience = "operator" if operator else "member"
    first = message(Code(code), language.value, audience)
    second = message(Code(code), language.other.value, audience)
    return Text(first.big, first.small, second.big, second.small)


def two_languages(english: tuple[str, str], words: Words, other: Words) -> Text:
    """Own words of the page, large and small, in its language and the other one."""
    big, small = english
    return Text(words.gettext(big), words.gettext(small), other.gettext(big), other.gettext(small))


def offer_title(offer: OfferShown | None, language: Language) -> str:
    """Title of an offer, empty when there is none."""
    if offer is None:
        return ""
    return offer.title if language is Language.ZH else offer.title_en or offer.title


_OFTEN = {
    "day": _("once a day per member"),
    "week": _("once a week per member"),
    "month": _("once a month per member"),
    "quarter": _("once a quarter per member"),
    "half_year": _("once in half a year per member"),
    "year": _("once a year per member"),
    "offer": _("once per member"),
}
_OFTENER = {
    "day": _("%(n)s a day per member"),
    "week": _("%(n)s a week per member"),
    "month": _("%(n)s a month per member"),
    "quarter": _("%(n)s a quarter per member"),
    "half_year": _("%(n)s in half a year per member"),
    "year": _("%(n)s a year per member"),
    "offer": _("%(n)s per member"),
}


def limit_text(offer: OfferShown | None, words: Words) -> str:
    """How often one member may have an offer, by its first limit; empty when there is none."""
    for count, per in offer.limits if offer is not None else ():
        if per in _OFTEN:
            table = _OFTEN if count == 1 else _OFTENER
            return words.gettext(table[per]) % {"n": words.number(count)}
    return ""


def venue_name(view: PositionView, language: Language) -> str:
    """Name of the place."""
    return view.venue_name if language is Language.ZH else view.venue_name_en or view.venue_name


def reader_good(reader: ReaderShown) -> bool:
    """Whether a card can be read; while a reader opens there is nothing to complain of yet."""
    return reader.state in _READER_GOOD or reader.state == "opening"


def bands(view: PositionView, words: Words, *, staff: bool = False) -> tuple[Band, ...]:
    """The strips that hold now: practice mode, no connection, and to staff the notices."""
    found = []
    if view.practice:
        found.append(Band("practice", words.gettext("Practice mode: nothing counts")))
    if not view.link.connected:
        found.append(Band("offline", _offline_text(view.link, words)))
    if staff:
        found += (Band("notice", text) for text in notices(view, words)[:NOTICE_BANDS_MAX])
    return tuple(found)


def notices(view: PositionView, words: Words) -> tuple[str, ...]:
    """What the federation tells the people at this counter, in the page's language."""
    chinese = words.language is Language.ZH
    return tuple(one.zh if chinese else one.en for one in view.notices)


def demo_date(view: PositionView, words: Words) -> str:
    """The date of the demo's own clock, on every page of a demo; empty elsewhere."""
    if not view.demo:
        return ""
    return words.gettext("Demo date %(date)s") % {"date": words.full_date(view.now_ms)}


def _offline_text(link: LinkShown, words: Words) -> str:
    if link.snapshot == "locked":
        return words.gettext("Offline for too long: please connect this machine")
    if not link.pending:
        return words.gettext("Offline service: cards work as usual")
    waiting = words.ngettext("%(n)s record to upload", "%(n)s records to upload", link.pending)
    waiting %= {"n": words.number(link.pending)}
    return words.gettext("Offline service: cards work as usual") + " · " + waiting


def lamps(view: PositionView, words: Words, printer: PrinterShown = NO_PRINTER) -> tuple[Lamp, ...]:
    """Reader, printer, clock, server: what a clerk must see at all times."""
    good = reader_good(view.reader)
    clock_good = view.closed_code != Code.T03
    return (
        Lamp(words.gettext("Reader"), _reader_word(view.reader, words), good),
        Lamp(words.gettext("Printer"), _printer_word(printer, words), printer.state != "fault"),
        Lamp(
            words.gettext("Clock"),
            words.clock(view.now_ms) if clock_good else words.gettext("wrong"),
            clock_good,
        ),
        Lamp(
            words.gettext("Server"),
            words.gettext("connected") if view.link.connected else words.gettext("offline"),
            view.link.connected,
        ),
    )


def _printer_word(printer: PrinterShown, words: Words) -> str:
    if printer.state == "none":
        # Slips are printed by the browser's own dialogue, so there is no printer to watch.
        return words.gettext("browser")
    if printer.state == "fault":
        return words.gettext("check paper")
    return words.gettext("printing") if printer.state == "printing" else words.gettext("ready")


def _reader_word(reader: ReaderShown, words: Words) -> str:
    if reader.state in _READER_GOOD:
        return words.gettext("ready")
    if reader.state == "opening":
        return words.gettext("starting")
    return words.gettext("unplugged") if reader.state == "absent" else words.gettext("fault")
