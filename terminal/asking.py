"""Asks the server while a card lies on the reader, within a bounded time whatever the network does.

Each question runs in a thread of its own and the counter waits for it no longer than the limit: a
name that does not resolve or a connection that is never refused would outlast every timeout of a
socket. Who gives up says that nothing was answered; what the server may have held meanwhile is
bound to the nonce, which asks again or is declined by its entry.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ledger.codes import Code
from ledger.errors import LedgerError
from ledger.rules.terms import OnlineAnswer, Refill
from sync.asker import Asker
from sync.asking import Answer, HoldQuestion, LeaseQuestion, Word
from sync.booking import BookingAnswer, BookingQuestion
from sync.errors import Refused, SyncError, Unreachable
from terminal.state import TerminalFacts
from terminal.stock import Prepared

T = TypeVar("T")

#: Longest that a tap waits for the server's word, all exchanges together.
ASK_TIMEOUT_MS: Final = 1_500
#: Questions under way at once; the server takes as many from one ledger.
QUESTIONS_MAX: Final = 4
_LOG: Final = logging.getLogger("redcard.asking")
_REFILLS: Final = {
    Word.GRANTED: Refill.NOT_ASKED,
    Word.POOL_EMPTY: Refill.POOL_EMPTY,
    Word.VENUE_EMPTY: Refill.VENUE_EMPTY,
}
_NOTHING: Final = Prepared(online=OnlineAnswer.UNANSWERED)


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """What came of a question in time."""

    value: T


class ServerQuestions:
    """The server behind ``terminal.stock.StockQuestions``. Safe from several threads.

    Args:
        asker: carries questions to the server.
        fetch: brings the feed's new leases into the ledger.
        facts: told how the link stands; says what time it is.
        timeout_ms: longest that a caller waits.
    """

    def __init__(
        self,
        asker: Asker,
        fetch: Callable[[], None],
        facts: TerminalFacts,
        *,
        timeout_ms: int = ASK_TIMEOUT_MS,
    ) -> None:
        self._asker = asker
        self._fetch = fetch
        self._facts = facts
        self._timeout_s = timeout_ms / 1_000
        self._places = threading.BoundedSemaphore(QUESTIONS_MAX)

    def hold(self, question: HoldQuestion) -> Prepared:
        """See ``StockQuestions.hold``."""
        asked_boot_ms = self._facts.time.now().boot_ms
        done = self._within_time(lambda: _twice(lambda: self._asker.hold(question)))
        if done is None:
            return _NOTHING
        answer = done.value
        if answer.word is Word.HELD:
            return _held(answer, asked_boot_ms)
        try:
            code = Code(answer.code)
        except ValueError:
            _LOG.warning("the server refused with %s, which this version does not know", answer)
            return _NOTHING
        return Prepared(
            online=OnlineAnswer.REFUSED, online_code=code, online_until_ms=answer.until_ms
        )

    def refill(self, question: LeaseQuestion) -> Refill:
        """See ``StockQuestions.refill``."""

        def asked() -> Answer:
            answer = _twice(lambda: self._asker.lease(question))
            if answer.word is Word.GRANTED:
                self._fetch()
            return answer

        done = self._within_time(asked)
        return Refill.NOT_ASKED if done is None else _REFILLS[done.value.word]

    def book(self, question: BookingQuestion) -> BookingAnswer | None:
        """Books a session for a caller, ``None`` when no answer came; the token is fetched."""

        def asked() -> BookingAnswer:
            try:
                answer = self._asker.book(question)
            except Unreachable:
                answer = self._asker.book(question)
            if answer.reservation:
                self._fetch()
            return answer

        done = self._within_time(asked)
        return None if done is None else done.value

    def _within_time(self, work: Callable[[], T]) -> _Done[T] | None:
        """What the work brings, ``None`` if it fails or takes too long; it may end later."""
        deadline = time.monotonic() + self._timeout_s
        if not self._places.acquire(timeout=self._timeout_s):
            self._failed("earlier questions are still without an answer")
            return None
        future: Future[T] = Future()
        threading.Thread(target=self._run, args=(work, future), daemon=True).start()
        try:
            value = future.result(max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            self._failed("the server did not answer in time")
            return None
        except (Unreachable, OSError) as error:
            self._failed(str(error))
            return None
        except Refused as refusal:
            # It answered, so the link is good; why it refuses is the courier's to find out.
            _LOG.warning("a question was refused: %s", refusal.problem.detail)
            return None
        except (SyncError, LedgerError) as error:
            _LOG.warning("an answer could not be used: %s", error)
            return None
        self._facts.heard(problem=self._facts.link.problem)
        return _Done(value)

    def _run(self, work: Callable[[], T], future: Future[T]) -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who waits, or to nobody
            future.set_exception(error)
        finally:
            self._places.release()

    def _failed(self, problem: str) -> None:
        """The next tap does not wait again: it is unconnected until the courier gets through."""
        _LOG.info("nothing was answered at the tap: %s", problem)
        self._facts.update_link(failed=True, problem=problem)


def _twice(ask: Callable[[], Answer]) -> Answer:
    """Asks once more if the answer was lost, as on a connection that had been closed meanwhile."""
    try:
        return ask()
    except Unreachable as error:
        _LOG.info("asked again: %s", error)
        return ask()


def _held(answer: Answer, asked_boot_ms: int) -> Prepared:
    """A hold, usable for half of its life: the rest is for the entry's way to the server."""
    assert answer.until_ms is not None, "a hold says when it ends"
    life_ms = max(0, answer.until_ms - answer.signed_ms)
    return Prepared(online=OnlineAnswer.HELD, usable_boot_ms=asked_boot_ms + life_ms // 2)
