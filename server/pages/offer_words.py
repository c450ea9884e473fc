"""An offer's rules in sentences, as an agent would read them to a caller."""

from __future__ import annotations

from typing import Final

from ledger.rules.offer import Limit, Offer, Venue
from ledger.rules.terms import LimitScope, Period
from screens.language import Language, Wording, local
from server.pages.words import N_, in_language

_VENUES_NAMED: Final = 4
_DAYS_ZH: Final = "一二三四五六日"
_DAYS_EN: Final = "Mon Tue Wed Thu Fri Sat Sun".split()

PER: Final[dict[Period, str]] = {
    Period.DAY: N_("%(n)s a day for each member"),
    Period.WEEK: N_("%(n)s a week for each member"),
    Period.MONTH: N_("%(n)s a month for each member"),
    Period.QUARTER: N_("%(n)s a quarter for each member"),
    Period.HALF_YEAR: N_("%(n)s in half a year for each member"),
    Period.YEAR: N_("%(n)s a year for each member"),
    Period.OFFER: N_("%(n)s in all for each member"),
}


class OfferWords:
    """Says what an offer is, in one language."""

    def __init__(self, words: Wording) -> None:
        """Takes the language."""
        self._words = words
        self._chinese = words.language is Language.ZH
        self.word = in_language(words)

    def title(self, offer: Offer) -> str:
        """What people call it."""
        return offer.title if self._chinese else offer.title_en or offer.title

    def window(self, offer: Offer) -> str:
        """From which day to which, the last one included."""
        first, last = (
            self._words.full_date(offer.from_ms),
            self._words.full_date(offer.until_ms - 1),
        )
        return f"{first} – {last}"

    def opening(self, offer: Offer) -> str:
        """Weekdays and hours."""
        parts = []
        if offer.weekdays and len(offer.weekdays) < 7:
            days = sorted(offer.weekdays)
            if self._chinese:
                parts.append("周" + "、".join(_DAYS_ZH[day] for day in days))
            else:
                parts.append(", ".join(_DAYS_EN[day] for day in days))
        hours = offer.hours or tuple(one.hours for one in offer.sessions if one.hours)
        parts += [f"{_clock(one.start)}–{_clock(one.end)}" for one in hours]
        return " ".join(parts) or self._words.gettext("whenever the venue is open")

    def limits(self, offer: Offer) -> str:
        """How often a member may use it."""
        said = [self._limit(one) for one in offer.limits if one.count or one.days]
        return ("；" if self._chinese else "; ").join(said) or self._words.gettext(
            "as often as wanted"
        )

    def _limit(self, limit: Limit) -> str:
        count = limit.count if limit.count is not None else limit.days
        text = self._words.gettext(PER[limit.per]) % {"n": count}
        if limit.scope is LimitScope.MEMBER_VENUE:
            text += self._words.gettext(", at each venue")
        return text

    def price(self, offer: Offer) -> str:
        """What a member pays at the till."""
        if offer.member_price_fen:
            return self._words.money(offer.member_price_fen)
        if offer.discount_per_mille:
            off = self._words.gettext("%(n)s %% of the price")
            return off % {"n": f"{offer.discount_per_mille / 10:g}"}
        if offer.member_price_fen == 0:
            return self._words.gettext("free")
        return self._words.gettext("at the till")

    def places(self, offer: Offer, venues: dict[str, Venue]) -> str:
        """Where it is given."""
        chosen = [venues[name] for name in sorted(offer.venues) if name in venues]
        names = [one.name if self._chinese else one.name_en or one.name for one in chosen]
        if not names:
            return offer.texts.get("venues_text", "") or self._words.gettext(
                "see the list of venues"
            )
        more = len(names) - _VENUES_NAMED
        said = ("、" if self._chinese else ", ").join(names[:_VENUES_NAMED])
        if more > 0:
            said += ("" if self._chinese else " ") + self._words.gettext("and %(n)s more") % {
                "n": more
            }
        return said

    def rows(self, offer: Offer, venues: dict[str, Venue]) -> list[tuple[str, str]]:
        """All of it, as headings and sentences."""
        _ = self._words.gettext
        rows = [
            (_("Kind"), self.word(offer.kind.value)),
            (_("From and until"), self.window(offer)),
            (_("When"), self.opening(offer)),
            (_("Where"), self.places(offer, venues)),
            (_("How often"), self.limits(offer)),
            (_("Member pays"), self.price(offer)),
            (_("When there is no network"), self.word(f"offline_{offer.offline.value}")),
        ]
        if offer.stock.quantity:
            stock = _("%(n)s units") % {"n": self._words.number(offer.stock.quantity)}
            rows.append((_("Stock"), f"{stock}, {self.word(f'stock_{offer.stock.mode.value}')}"))
        if offer.companions_max:
            rows.append((_("Companions"), str(offer.companions_max)))
        if offer.evidence:
            names = [one.title if self._chinese else one.title_en for one in offer.evidence]
            rows.append((_("To be brought"), ", ".join(name for name in names if name)))
        if offer.phone:
            rows.append((_("Telephone"), offer.phone))
        rows.append((_("Owner"), offer.owner))
        return rows


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def day_of(at_ms: int) -> str:
    """A day as a form's date field has it."""
    return f"{local(at_ms):%Y-%m-%d}"
