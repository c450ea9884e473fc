"""Today's bookings of a venue, from the tokens that the server sent to this terminal.

A booking is a reservation token; the terminal knows no name. One whose session is not given any
more is shown as moved, with its old time, so that the clerk can tell the member before the server
has sent the new one. Units of a booking that nobody used return to stock at the server.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from ledger.rules import windows
from ledger.rules.offer import Offer, Venue
from ledger.rules.reservations import Reservation
from sync.booking import BookingQuestion, encode_booking
from sync.errors import Malformed
from terminal.errors import GoodsRefused, RequestInvalid
from terminal.manual import day_start_of
from terminal.parts import Parts
from terminal.position import Position
from terminal.work_answers import BookingShown

BOOKED, USED, MISSED, MOVED = "booked", "used", "missed", "moved"


class BookingList:
    """Lists bookings. Safe from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def day(self, held: Position, day: str) -> list[BookingShown]:
        """Bookings that begin on a local day at the position's venue, by time.

        Raises:
            RequestInvalid: the day is no date.
        """
        desk, now = self._parts.reservations, self._parts.facts.time.now()
        venue = self._parts.facts.installed.venue(held.config.venue)
        start = day_start_of(day, venue.zone, now.now_ms)
        end = windows.next_day_start(start, venue.zone)
        if desk is None:
            return []
        found = [one for one in desk.known(venue.id) if start <= one.from_ms < end]
        return [self._shown(one, venue.zone, now.now_ms) for one in found]

    def add(
        self, held: Position, offer: str, session: str, last4: str, name: str, units: int
    ) -> BookingShown:
        """Books a session at this venue for a caller; nothing of the caller is kept here.

        Raises:
            RequestInvalid: the server said why not, and what to do.
            GoodsRefused: the server did not answer; nothing is booked as far as is known.
        """
        parts, now = self._parts, self._parts.facts.time.now()
        venue = parts.facts.installed.venue(held.config.venue)
        question = BookingQuestion(
            offer=offer,
            venue=venue.id,
            session=session,
            last4=last4,
            name=name,
            units=units,
            ts_ms=now.now_ms,
        )
        try:
            encode_booking(question)
        except Malformed as error:
            raise RequestInvalid(str(error), field="booking") from None
        answer = None if parts.book is None else parts.book(question)
        if answer is None:
            raise GoodsRefused(
                "the server does not answer: note the call and book again later; asking twice "
                "books once",
                word="server_needed",
            )
        if answer.fault:
            word = "booking_too_late" if self._too_late(question, venue) else "booking_refused"
            cause = f"booking_{answer.cause}" if answer.cause else ""
            raise RequestInvalid(answer.fault, field="booking", word=word, cause=cause)
        booked = Reservation(
            answer.reservation, "", offer, venue.id, answer.from_ms, answer.until_ms, units
        )
        return self._shown(booked, venue.zone, now.now_ms)

    def _too_late(self, question: BookingQuestion, venue: Venue) -> bool:
        """Whether the offer had to be booked days before; the server has refused by its own."""
        offer = self._parts.facts.installed.offer(question.offer)
        try:
            moment = datetime.fromisoformat(question.session)
        except ValueError:
            return False
        if not isinstance(offer, Offer):
            return False
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(venue.zone))
        from_ms = int(moment.timestamp() * 1000)
        return not windows.booked_in_time(offer, question.ts_ms, from_ms, venue.zone)

    def _shown(self, one: Reservation, zone: str, now_ms: int) -> BookingShown:
        offer = self._parts.facts.installed.offer(one.offer)
        sound = offer if isinstance(offer, Offer) else None
        title = (sound.title if sound is not None else "") or one.offer
        return BookingShown(
            booking=one.id,
            offer=one.offer,
            title=title,
            title_en=(sound.title_en if sound is not None else "") or title,
            venue=one.venue,
            from_ms=one.from_ms,
            until_ms=one.until_ms,
            quantity=one.units,
            state=self._state(one, sound, zone, now_ms),
        )

    def _state(self, one: Reservation, offer: Offer | None, zone: str, now_ms: int) -> str:
        with self._parts.writer.turn:
            used = one.id in self._parts.writer.reservations
        if used:
            return USED
        if one.until_ms <= now_ms:
            return MISSED
        if offer is None or windows.ended(offer, one.from_ms):
            return MOVED
        return BOOKED if windows.open_at(offer, one.from_ms, zone) else MOVED
