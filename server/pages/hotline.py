"""The hotline's look-up (12351): one field, and the words to say.

Four digits are the end of a card, anything else is an offer, a venue or a word of either. What was
typed is sent in a form and stands in no address, because an agent may type a caller's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from screens.language import Language, Wording, local, wording
from server.errors import ImportRefused
from server.hotline import TapAnswer
from server.hotline_answers import OfferAnswer
from server.pages.office import Office, Visit, within
from server.pages.places import DISTRICTS
from server.roles import Right

_DIGITS: Final = 4
_VENUES_SAID: Final = 3
_VENUES_SHOWN: Final = 12
_DAYS_BACK: Final = 14


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with the words to say."""

    answer: OfferAnswer
    title: str
    say: str


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/hotline", Right.LOOK_UP, _ask)
    office.act("/hotline", Right.LOOK_UP, _answer)


async def _ask(visit: Visit) -> Response:
    return _draw(visit, [], None, "")


async def _answer(visit: Visit) -> Response:
    within(visit.office.looks, visit.actor.person)
    words = visit.form.get("q", "")
    try:
        if len(words) == _DIGITS and words.isascii() and words.isdigit():
            taps = await visit.core.hotline.card(visit.actor, words, day=visit.form.get("day", ""))
            return _draw(visit, [], taps, "")
        found = await visit.core.hotline.search(
            visit.actor, words, district=visit.form.get("district", "")
        )
    except ImportRefused as fault:
        return _draw(visit, [], None, str(fault))
    said = OfferSaying(wording(visit.language))
    return _draw(visit, [said.of(one) for one in found], None, "")


def _draw(visit: Visit, found: list[Said], taps: list[TapAnswer] | None, fault: str) -> Response:
    words = wording(visit.language)
    days = [local(visit.now_ms) - timedelta(days=back) for back in range(_DAYS_BACK)]
    return visit.draw(
        "hotline.html",
        status=400 if fault else 200,
        asked=visit.form.get("q", ""),
        day=visit.form.get("day", ""),
        days=[(f"{one:%Y-%m-%d}", words.full_date(int(one.timestamp() * 1000))) for one in days],
        district=visit.form.get("district", ""),
        districts=[(code, visit.gettext(en)) for code, (_, en) in DISTRICTS.items()],
        found=found,
        taps=taps,
        fault=fault,
        chinese=visit.language is Language.ZH,
        venues_shown=_VENUES_SHOWN,
    )


class OfferSaying:
    """What an agent reads out about an offer, in one language."""

    def __init__(self, words: Wording) -> None:
        """Takes the language."""
        self._words = words
        self._chinese = words.language is Language.ZH

    def of(self, answer: OfferAnswer) -> Said:
        """Left, until when, where, what to bring, in this order."""
        _ = self._words.gettext
        title = answer.title if self._chinese else answer.title_en
        parts = [title, self._state(answer)]
        if answer.state == "running":
            parts.append(self._left(answer))
        if answer.state in {"running", "upcoming"}:
            if answer.opening and self._chinese:
                parts.append(answer.opening)
            parts += [self._where(answer), *(answer.bring if self._chinese else answer.bring_en)]
            if answer.price_fen:
                parts.append(
                    _("the member pays %(price)s") % {"price": self._words.money(answer.price_fen)}
                )
        if answer.phone:
            parts.append(_("telephone %(phone)s") % {"phone": answer.phone})
        said = [part.rstrip("。.") for part in parts if part]
        if self._chinese:
            return Said(answer, title, "。".join(said) + "。")
        return Said(answer, title, ". ".join(part[0].upper() + part[1:] for part in said) + ".")

    def _state(self, answer: OfferAnswer) -> str:
        _ = self._words.gettext
        texts = {
            "running": _("It runs until %(day)s, that day included"),
            "upcoming": _("It has not begun; it begins on %(first)s"),
            "suspended": _("It is suspended at present; when it goes on is not known yet"),
            "ended": _("It has ended; the last day was %(day)s"),
        }
        days = {
            "day": self._words.full_date(answer.until_ms - 1),
            "first": self._words.full_date(answer.from_ms),
        }
        return texts.get(answer.state, "") % days

    def _left(self, answer: OfferAnswer) -> str:
        _ = self._words.gettext
        if answer.left is None:
            return _("There is enough for everybody")
        if not answer.left:
            return _("Nothing is left at this moment")
        return _("There are %(n)s left at this moment") % {"n": self._words.number(answer.left)}

    def _where(self, answer: OfferAnswer) -> str:
        _ = self._words.gettext
        with_some = [one for one in answer.venues if one.left is None or one.left]
        names = [one.name for one in (with_some or list(answer.venues))[:_VENUES_SAID]]
        if not names:
            return ""
        listed = ("、" if self._chinese else ", ").join(names)
        if answer.venues_in_all > len(names):
            text = _("at %(names)s and others, %(n)s venues in all")
            return text % {"names": listed, "n": answer.venues_in_all}
        return _("at %(names)s") % {"names": listed}
