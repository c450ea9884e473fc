"""The counter's list of offers: what this card can take first, the rest with why and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from screens.language import Wording, local
from terminal.answers import OfferChoice, OfferShown
from terminal.web.desk import Desk, may_be_lifted
from terminal.web.view import limit_text, offer_title, text_for_operator


def _(text: str) -> str:
    """Marks a text for translation where it stands in a table."""
    return text


_LEVELS: Final = {"city": _("City"), "district": _("District"), "street": _("Street")}


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One offer of the list; ``key`` is empty when the card cannot take it.

    Attributes:
        override: a supervisor may let it pass all the same.
    """

    id: str
    key: str
    title: str
    facts: str
    aside: str
    picked: bool
    override: bool = False


def offer_rows(desk: Desk, words: Wording) -> list[OfferRow]:
    """The offers that the search leaves, as rows."""
    return [_row(one, desk, words) for one in desk.found]


def _row(choice: OfferChoice, desk: Desk, words: Wording) -> OfferRow:
    takable = bool(choice.key)
    if takable:
        facts = " · ".join(_facts(choice.offer, words))
    else:
        why = text_for_operator(choice.message, words.language)
        facts = f"{why.big} · {why.small}" if why.small else why.big
    return OfferRow(
        id=choice.offer.id,
        key=choice.key,
        title=offer_title(choice.offer, words.language),
        facts=facts,
        aside=_aside(choice, words),
        picked=takable and choice.offer.id == desk.picked,
        override=choice.outcome == "decline" and may_be_lifted(choice.code),
    )


def _facts(offer: OfferShown, words: Wording) -> list[str]:
    _ = words.gettext
    facts = [_(_LEVELS[offer.level])] if offer.level in _LEVELS else []
    if offer.until_ms is not None:
        # Windows are half-open: an offer until midnight of the 21st ends on the 20th.
        facts.append(_("until %(date)s") % {"date": words.date(offer.until_ms - 1)})
    if offer.member_price_fen:
        facts.append(_("pays %(money)s") % {"money": words.money(offer.member_price_fen)})
    often = limit_text(offer, words)
    return [*facts, often] if often else facts


def _aside(choice: OfferChoice, words: Wording) -> str:
    _ = words.gettext
    if choice.key:
        left = choice.offer.stock_left
        return "" if left is None else _("%(n)s left") % {"n": words.number(left)}
    if choice.until_ms is not None:
        return _("from %(when)s") % {"when": _when(choice.until_ms, words)}
    return ""


def _when(at_ms: int, words: Wording) -> str:
    """A day when it is midnight there, else day and time."""
    moment = local(at_ms)
    if moment.hour == moment.minute == 0:
        return words.date(at_ms)
    return f"{words.date(at_ms)} {words.clock(at_ms)}"


def picked_facts(desk: Desk, words: Wording) -> tuple[str, ...]:
    """What Enter would give out: quantity, price, and what is left after it."""
    choice, _ = desk.choice, words.gettext
    if choice is None:
        return ()
    price_fen = choice.offer.member_price_fen * desk.quantity
    facts = [_("pays %(money)s") % {"money": words.money(price_fen)}]
    if choice.offer.stock_left is not None:
        left = max(0, choice.offer.stock_left - desk.quantity)
        facts.append(_("%(n)s left afterwards") % {"n": words.number(left)})
    return tuple(facts)
