"""From an arrived card or an order to the answer shown: the service's hands.

A tap is noted before anything can be recorded, answered only after its entry is durable, and counts
as shown when its page says so or the next answer takes its place.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import Final

from ledger.codes import Code, Outcome
from ledger.errors import LogFault
from readers.connection import CardConnection
from terminal.answers import TapAnswer, Unshown
from terminal.errors import NoCard
from terminal.journal import Pending
from terminal.parts import Parts
from terminal.position import Position
from terminal.presenting import Presented
from terminal.tap_order import ABSENT, TapOrder
from terminal.wording import internal_fault, wording_of

_LOG: Final = logging.getLogger("redcard.terminal")


class TapDesk:
    """Serves cards and orders at all positions (``terminal.reception.Desk``)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        #: Per position, the tap that an interruption hid from its page.
        self.unshown: dict[str, Unshown] = {}

    def present(self, connection: CardConnection) -> Presented:
        """Authenticates a powered card."""
        presented = self._parts.present(connection)
        if presented.fault:
            _LOG.info("a card was not read: %s", presented.fault)
        return presented

    def begin_kiosk(self, position: Position) -> str:
        """Makes the nonce of a kiosk's tap and notes it before the card is read."""
        nonce = self._parts.new_nonce()
        now = self._parts.facts.time.now()
        offer = position.offer(now.boot_ms)
        self._parts.journal.begin(Pending(nonce, position.id, offer, now.now_ms))
        return nonce

    def finish_kiosk(self, position: Position, nonce: str, presented: Presented) -> None:
        """Decides, records and shows a kiosk's tap: of its own offer, or of the tile touched."""
        now = self._parts.facts.time.now()
        offer = position.offer(now.boot_ms)
        if not offer:
            details = {"n": len(position.config.offers)}
            wording = wording_of(Code.O07, details, self._parts.facts.installed.words)
            unnamed = TapAnswer(Outcome.REFER.value, Code.O07.value, "ambiguous", nonce, wording)
            self.settle(position, position.show(unnamed, now.now_ms))
            return
        position.choose("", now.boot_ms)
        order = TapOrder(
            place=self._parts.shifts.place(position.id, position.config.venue),
            profile=position.profile,
            offer=offer,
            nonce=nonce,
        )
        self.run(position, order, presented)

    def card_came(self, position: Position, presented: Presented) -> str:
        """A counter has a card: what was shown before counts as shown."""
        now_ms = self._parts.facts.time.now().now_ms
        self.settle(position, position.clear(now_ms))
        if presented.card is None:
            return ""
        return self._parts.supervisors.card_tapped(presented.card.card, position.id, now_ms)

    def failed(self, position: Position, nonce: str) -> None:
        """Our own code failed before an answer; the page says so and shows no green."""
        _LOG.error("a tap at %s failed for a reason of our own", position.id)
        answer = TapAnswer(Outcome.ERROR.value, None, "internal_fault", nonce, internal_fault())
        position.show(answer, self._parts.facts.time.now().now_ms)

    def run(self, position: Position, order: TapOrder, presented: Presented) -> TapAnswer:
        """Decides one tap, and shows its answer at its position unless it is a dry run."""
        answer = self._parts.flow.run(order, presented)
        if order.simulate:
            return answer
        now = self._parts.facts.time.now()
        self.unshown.pop(position.id, None)
        session = position.session(now.boot_ms)
        if answer.outcome == Outcome.APPROVE and session is not None and not session.present:
            # Every redemption needs a card: one that has left may not be used again unseen.
            position.end_session()
        self.settle(position, position.show(answer, now.now_ms), unless=answer.nonce)
        if answer.entry is not None and not answer.replay:
            self._parts.courier.nudge()
        return answer

    def card_for(self, position: Position, order: TapOrder, wait_ms: int) -> Presented:
        """The card at hand, or the next one; none is needed for a nonce answered before.

        Raises:
            NoCard: none came in time; nothing was recorded.
        """
        session = position.session(self._parts.facts.time.now().boot_ms)
        if session is not None:
            # The clerk has taken their time since the card answered; ours begins now.
            return replace(session.presented, answered_ns=time.perf_counter_ns())
        try:
            if not order.simulate and self._parts.flow.recorded(order.nonce) is not None:
                return ABSENT
        except LogFault:
            # The ledger is closed for now: the decision says T06, whatever card comes.
            return ABSENT
        if wait_ms <= 0:
            raise NoCard("no card is at hand; tap one first. Nothing was recorded")
        waiting = position.arm()
        try:
            return waiting.result(wait_ms / 1000)
        except (FutureTimeout, CancelledError):
            raise NoCard(
                f"no card came within {wait_ms} ms, or another tap took its turn. "
                "Nothing was recorded; tap again"
            ) from None
        finally:
            position.release(waiting)

    def proved(self, position: Position, supervisor: str, pin: str) -> bool:
        """Whether the supervisor named is proved, by PIN or by a card just tapped here."""
        now_ms = self._parts.facts.time.now().now_ms
        return self._parts.supervisors.prove(supervisor, pin, position.id, now_ms).ok

    def acknowledge(self, position: Position, nonce: str) -> None:
        """A page has shown the answer to this nonce."""
        unshown = self.unshown.get(position.id)
        if unshown is not None and unshown.nonce == nonce:
            del self.unshown[position.id]
            self._parts.journal.end(nonce)
            self.settle(position, unshown.answer)
            position.touch()
        answer = position.shown()[2]
        if answer is not None and answer.nonce == nonce:
            self.settle(position, answer)

    def settle(self, position: Position, shown: TapAnswer | None, *, unless: str = "") -> None:
        """An answer was shown and is over; the same nonce shown again is not.

        An answer that left the outcome open (T06, our own fault) stays noted until the ledger has
        told what was recorded.
        """
        if shown is None or shown.nonce == unless:
            return
        if shown.code is None or shown.code == "T06":
            return
        self._parts.journal.end(shown.nonce)
        if shown.entry is not None:
            self._parts.journal.mark_shown(position.id, shown.entry)
