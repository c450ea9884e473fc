"""The whole state of one position as its pages draw it."""

from __future__ import annotations

from ledger.codes import Code
from ledger.rules.offer import Offer
from ledger.rules.terms import SnapshotAge
from ledger.rules.windows import local_day
from terminal import views
from terminal.answers import OfferShown, Phase, PositionView, Unshown
from terminal.choosing import ChoiceList
from terminal.clock import Moment
from terminal.neighbours import nearby
from terminal.parts import Parts
from terminal.position import Position
from terminal.state import card_view
from terminal.wording import wording_of


class Viewer:
    """Builds views. Cheap enough to be asked at every event."""

    def __init__(self, parts: Parts, choices: ChoiceList) -> None:
        self._parts = parts
        self._list = choices

    def view(self, held: Position, unshown: Unshown | None) -> PositionView:
        """The position now; ``unshown`` is the tap that an interruption hid from its page."""
        parts, now = self._parts, self._parts.facts.time.now()
        installed, link = parts.facts.installed, parts.facts.link
        venue = installed.venue(held.config.venue)
        session = held.session(now.boot_ms)
        phase, since_ms, answer = held.shown()
        closed = self._closed_code()
        card = None
        if session is not None:
            today = local_day(now.now_ms, venue.zone).isoformat()
            found = card_view(session.presented, installed.cards, today)
            card = views.card_shown(session, found, installed.words)
        with parts.writer.turn:
            size, signed = parts.writer.size, parts.writer.daybook.signed()
            confirmed = parts.writer.daybook.signed(link.acknowledged)
        return PositionView(
            position=held.id,
            profile=held.config.profile,
            venue=venue.id,
            venue_name=venue.name or venue.id,
            venue_name_en=venue.name_en or venue.name or venue.id,
            phase=Phase.CLOSED if closed and phase is Phase.IDLE else phase,
            since_ms=since_ms,
            now_ms=now.now_ms,
            reader=held.reader(),
            link=views.link_shown(
                link, size, parts.facts.snapshot_age(now).value, now, parts.courier.progress
            ),
            size=size,
            signed=signed,
            confirmed=confirmed,
            offer=self._own_offer(held, now),
            card=card,
            choices=self._list.of(held, now),
            answer=answer,
            unshown=unshown,
            shift=parts.shifts.current(held.id),
            closed_code=closed,
            demo=parts.demo,
            practice=parts.practice,
            revision=held.revision,
            waiting=held.armed(),
            tiles=tuple(self._shown_offer(held, one, now) for one in held.config.offers),
            nearby=nearby(installed, venue) if closed else (),
            closed=wording_of(Code(closed), {}, installed.words) if closed else None,
            notices=views.notices_shown(installed, venue, now.now_ms),
        )

    def _own_offer(self, held: Position, now: Moment) -> OfferShown | None:
        """The offer that a kiosk redeems, with what is left of it here."""
        name = held.offer(now.boot_ms)
        return self._shown_offer(held, name, now) if name else None

    def _shown_offer(self, held: Position, name: str, now: Moment) -> OfferShown:
        installed = self._parts.facts.installed
        offer, left = installed.offer(name), None
        if isinstance(offer, Offer):
            with self._parts.writer.turn:
                left = self._parts.stock.left(offer, installed.venue(held.config.venue), now)
        return views.offer_shown(name, installed, left)

    def _closed_code(self) -> str:
        """The code for which no tap can be served now, empty if taps are served."""
        facts, now = self._parts.facts, self._parts.facts.time.now()
        if self._parts.writer.fault:
            return Code.T06.value
        if facts.link.revoked or facts.link.quarantined:
            return Code.T01.value
        if not now.clock_ok:
            return Code.T03.value
        return Code.T02.value if facts.snapshot_age(now) is SnapshotAge.LOCKED else ""
