"""The terminal's end of the questions at the tap: one signed POST, one verified answer.

It knows no deadline beyond its transport's; who calls waits as long as a counter may.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.log.note import Verifier, open_note
from sync.asking import (
    ANSWER_BYTES_MAX,
    QUESTION_MEDIA_TYPE,
    Answer,
    HoldQuestion,
    LeaseQuestion,
    Word,
    decode_answer,
    digest,
    encode_hold,
    encode_lease,
    holds_path,
    leases_path,
)
from sync.batch import ledger_of
from sync.booking import (
    BookingAnswer,
    BookingQuestion,
    bookings_path,
    decode_booked,
    encode_booking,
)
from sync.errors import Malformed, Refused
from sync.protocol import TIME_HEADER, StatusWord, authorize
from sync.transport import Request, Response, Transport
from sync.uplink import check_answer

_HOLD: frozenset[Word] = frozenset({Word.HELD, Word.REFUSED})
_LEASE: frozenset[Word] = frozenset({Word.GRANTED, Word.POOL_EMPTY, Word.VENUE_EMPTY})


class Asker:
    """Asks for one ledger. Methods may be called from several threads.

    Args:
        origin: the ledger's origin.
        transport: the way to the server; better one that gives up early.
        feed: the server's feed key.
        sign: Ed25519 with the terminal's key.
        now_ms: server time as far as the terminal knows it.
    """

    def __init__(
        self,
        *,
        origin: str,
        transport: Transport,
        feed: Verifier,
        sign: Callable[[bytes], bytes],
        now_ms: Callable[[], int],
    ) -> None:
        """Asks nothing yet."""
        self._origin = origin
        self._ledger = ledger_of(origin)
        self._transport = transport
        self._feed = feed
        self._sign = sign
        self._now_ms = now_ms

    def hold(self, question: HoldQuestion) -> Answer:
        """Asks for a hold; asking again with the same content is always safe.

        Raises:
            Unreachable: no whole answer, or the server is busy; it may have held.
            Refused: the server does not take the question.
            Malformed: the question breaks the format, or the answer is none to it.
            NoteInvalid: the answer is not signed by the server.
        """
        return self._ask(holds_path(self._ledger), encode_hold(question), _HOLD)

    def lease(self, question: LeaseQuestion) -> Answer:
        """Asks for more units; what was granted is in the feed.

        Raises:
            Unreachable, Refused, Malformed, NoteInvalid: as ``hold``.
        """
        return self._ask(leases_path(self._ledger), encode_lease(question), _LEASE)

    def book(self, question: BookingQuestion) -> BookingAnswer:
        """Books a session for a caller; the token that it brings is in the feed.

        Raises:
            Unreachable, Refused, Malformed, NoteInvalid: as ``hold``.
        """
        body = encode_booking(question)
        answer = decode_booked(self._opened(bookings_path(self._ledger), body))
        if (answer.origin, answer.question) != (self._origin, digest(body)):
            raise Malformed("the server answered another question than was asked")
        return answer

    def _ask(self, path: str, body: bytes, words: frozenset[Word]) -> Answer:
        answer = decode_answer(self._opened(path, body))
        if (answer.origin, answer.question) != (self._origin, digest(body)):
            raise Malformed("the server answered another question than was asked")
        if answer.word not in words:
            raise Malformed(f"{answer.word} is no answer to this question")
        return answer

    def _opened(self, path: str, body: bytes) -> str:
        """The text of the signed answer to a question."""
        response = self._post(path, body, self._now_ms())
        try:
            check_answer(response)
        except Refused as refusal:
            server_ms = response.integer(TIME_HEADER)
            if refusal.problem.status_word != StatusWord.STALE_REQUEST or server_ms is None:
                raise
            response = self._post(path, body, server_ms)
            check_answer(response)
        return open_note(response.body, [self._feed]).text

    def _post(self, path: str, body: bytes, ts_ms: int) -> Response:
        headers = {
            "Authorization": authorize(self._ledger, path, ts_ms, self._sign, body),
            "Content-Type": QUESTION_MEDIA_TYPE,
        }
        request = Request("POST", path, headers, body)
        return self._transport.exchange(request, bytes_max=ANSWER_BYTES_MAX)
