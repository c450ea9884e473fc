"""A member's own account (会员自查): one tap shows what was used and what is still possible.

Read only, and without a name: at a kiosk the page shows it to whoever stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.codes import Outcome
from ledger.rules.offer import Offer
from ledger.rules.request import Decision
from ledger.rules.usage import Use, units_of
from ledger.rules.windows import local_day
from terminal.answers import CardShown
from terminal.entries import Place
from terminal.parts import Parts
from terminal.position import CardSession, Position
from terminal.presenting import Presented
from terminal.state import card_view
from terminal.tap_order import TapOrder, answer_details
from terminal.views import card_shown
from terminal.wording import wording_of
from terminal.work_answers import AccountLine, AccountShown

LINES_MAX: Final = 40
_POSSIBLE: Final = frozenset({Outcome.APPROVE, Outcome.REFER})


class Inquiry:
    """Answers what a card's member used and can take. Safe from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def account(self, held: Position, presented: Presented) -> AccountShown:
        """The account of the card presented; nothing is written.

        Args:
            held: where it is asked: what is possible depends on the venue.
            presented: the card.
        """
        parts, now = self._parts, self._parts.facts.time.now()
        installed = parts.facts.installed
        venue = installed.venue(held.config.venue)
        today = local_day(now.now_ms, venue.zone)
        view = card_view(presented, installed.cards, today.isoformat())
        card: CardShown = card_shown(CardSession(presented, False, 0), view, installed.words)
        member = view.member.ref if view.member else ""
        with parts.writer.turn:
            uses = parts.writer.usage.of_member(member) if member else {}
        here = installed.catalogue.at(venue)
        known = [offer for offer in here if offer.id not in uses]
        used = [offer for name in uses if isinstance(offer := installed.offer(name), Offer)]
        order = TapOrder(
            place=Place(held.id, venue.id, held.id),
            profile=held.profile,
            offer="",
            nonce="dry-run",
            simulate=True,
        )
        decided = parts.flow.preview(order, presented, [*used, *known])
        this_year = [
            use
            for one in uses.values()
            for use in one
            if local_day(use.ts_ms, venue.zone).year == today.year
        ]
        lines = [self._line(offer, decision, uses) for offer, decision in decided]
        return AccountShown(
            card_code=card.code,
            year_units=units_of(this_year),
            used=tuple(
                sorted((one for one in lines if one.used), key=lambda one: -(one.last_ms or 0))
            )[:LINES_MAX],
            possible=tuple(one for one in lines if not one.used and one.can_take)[:LINES_MAX],
            as_of_ms=installed.signed_ms,
            message=card.message,
        )

    def _line(
        self, offer: Offer, decision: Decision, uses: Mapping[str, Sequence[Use]]
    ) -> AccountLine:
        installed, mine = self._parts.facts.installed, uses.get(offer.id, ())
        last = mine[-1] if mine else None
        venue = installed.venue(last.venue) if last is not None else None
        name = (venue.name or venue.id) if venue is not None else ""
        title = offer.title or offer.id
        return AccountLine(
            offer=offer.id,
            title=title,
            title_en=offer.title_en or title,
            used=units_of(mine),
            last_ms=last.ts_ms if last is not None else None,
            last_place=name,
            last_place_en=(venue.name_en if venue is not None else "") or name,
            can_take=decision.outcome in _POSSIBLE,
            code=decision.code.value,
            until_ms=decision.until_ms,
            message=wording_of(
                decision.code, answer_details(decision, installed, offer.id), installed.words
            ),
        )
