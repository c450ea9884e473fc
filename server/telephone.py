"""Bookings that a venue's terminal sends while the caller is on the telephone."""

from __future__ import annotations

from dataclasses import replace

from ledger.log.note import sign_note
from server import bookings
from server.core import ServerCore
from server.errors import ImportRefused, PublicationRefused, TerminalUnknown
from server.home import FEED
from server.questions import need_place
from sync.asking import digest
from sync.booking import BookingAnswer, decode_booking, encode_booked


async def answer_booking(core: ServerCore, ledger: str, origin: str, body: bytes) -> bytes:
    """Books, and signs what came of it; the token is in the terminal's feed by then.

    Raises:
        Malformed: not a question.
        RequestUnauthentic: the terminal has no right to the venue; nothing was looked up.
    """
    question = decode_booking(body)
    await need_place(core, ledger, question.venue)
    wanted = bookings.Wanted(
        question.offer,
        question.venue,
        question.session,
        question.last4,
        question.name,
        question.units,
    )
    answer = BookingAnswer(origin=origin, question=digest(body), signed_ms=core.now_ms())
    try:
        issued = await bookings.book(core, wanted)
    except (ImportRefused, PublicationRefused, TerminalUnknown) as fault:
        # What the stock or the publication refuses is a session without room.
        told = "full" if isinstance(fault, PublicationRefused) else ""
        answer = replace(answer, fault=str(fault), cause=getattr(fault, "cause", told))
    else:
        answer = replace(
            answer,
            reservation=issued.reservation,
            from_ms=issued.from_ms,
            until_ms=issued.until_ms,
        )
    return sign_note(encode_booked(answer), [core.home.signer(FEED)])
