"""What the terminal knows of an offer's stock at a tap, and what it may ask the server for.

Questions to the server are asked only when the decision wants one, while nobody holds the writer's
turn, and within a bounded time, so that a slow network never holds up another position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypedDict

from ledger.codes import Code
from ledger.rules.offer import Offer
from ledger.rules.request import LeaseView, RedemptionRequest
from ledger.rules.terms import Ask, OfflineMode, OnlineAnswer, Refill, StockMode, Venue
from ledger.rules.windows import day_start, sitting
from sync.asking import HoldQuestion, LeaseQuestion
from terminal.clock import Moment
from terminal.state import TerminalFacts
from terminal.writer import LedgerWriter


@dataclass(frozen=True, slots=True)
class Taken:
    """What earlier taps of one commit have taken; the folds know of it only after the commit.

    Attributes:
        units: of the offer; ``cards``: redeemed for the representative.
        by_lease: units by lease.
        hold: the telephone hold that the group's units come from, or empty.
    """

    units: int = 0
    cards: int = 0
    by_lease: Mapping[str, int] = field(default_factory=dict)
    hold: str = ""


NOTHING_TAKEN: Final = Taken()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the server said before the decision, if it was asked.

    Attributes:
        refill: what came of asking for more units.
        online: what it said of an ``online`` offer, with code and time when it refused.
        usable_boot_ms: boot time until which a hold may be written down; a machine that slept
            over it has no hold any more.
    """

    refill: Refill = Refill.NOT_ASKED
    online: OnlineAnswer = OnlineAnswer.NOT_ASKED
    online_code: Code | None = None
    online_until_ms: int | None = None
    usable_boot_ms: int | None = None


class StockQuestions(Protocol):
    """The server's side of leases and holds; a terminal without a server has none."""

    def refill(self, question: LeaseQuestion) -> Refill:
        """Asks for more units; ``NOT_ASKED`` when a new lease has been written, or no answer came.

        Returns within a bounded time, whatever the network does.
        """

    def hold(self, question: HoldQuestion) -> Prepared:
        """Asks for a hold under a nonce; ``UNANSWERED`` when no answer came in a bounded time."""


class StockFacts(TypedDict):
    """Fields of ``TerminalState`` that this module answers for."""

    lease: LeaseView | None
    refill: Refill
    online: OnlineAnswer
    online_code: Code | None
    online_until_ms: int | None
    stock_used: int


class StockDesk:
    """Leases, holds and soft counts of one terminal."""

    def __init__(
        self, writer: LedgerWriter, facts: TerminalFacts, questions: StockQuestions | None = None
    ) -> None:
        self._writer = writer
        self._facts = facts
        self.questions = questions

    @property
    def unasked(self) -> Prepared:
        """What holds without asking: a server that cannot be asked has not answered.

        So an online offer is never given out unheld, and a dry run says so before the tap.
        """
        if self.questions is None:
            return Prepared(online=OnlineAnswer.UNANSWERED)
        return Prepared()

    def ask(
        self, wanted: Ask, request: RedemptionRequest, offer: Offer, venue: str, now: Moment
    ) -> Prepared:
        """Asks the server what the decision wants to know; nobody may hold the writer's turn.

        Args:
            wanted: of the decision.
            request: the tap.
            offer: as this terminal has it.
            venue: where.
            now: the moment of the tap.
        """
        if self.questions is None:
            return self.unasked
        if wanted is Ask.HOLD:
            return self.questions.hold(_hold_question(request, offer, venue, now))
        with self._writer.turn:
            units = request.quantity
            if self._goods_left(offer.id, now, NOTHING_TAKEN, units) < units:
                # More units on paper would bring no parcel: leases never exceed goods received.
                return Prepared(refill=Refill.VENUE_EMPTY)
            lease = self._lease(offer.id, now, units, NOTHING_TAKEN)
            after = self._writer.feed_number
        question = LeaseQuestion(
            offer=offer.id,
            venue=venue,
            units=request.quantity,
            lease=lease.lease if lease is not None else "",
            left=lease.left if lease is not None else 0,
            after=after,
            ts_ms=now.now_ms,
        )
        return Prepared(refill=self.questions.refill(question))

    def facts(
        self,
        offer: Offer | None,
        venue: Venue,
        now: Moment,
        prepared: Prepared,
        quantity: int = 1,
        taken: Taken = NOTHING_TAKEN,
    ) -> StockFacts:
        """The facts of the moment, for the decision; the writer's turn is held."""
        over = prepared.usable_boot_ms is not None and now.boot_ms >= prepared.usable_boot_ms
        return {
            "lease": None if offer is None else self._lease(offer.id, now, quantity, taken),
            "refill": prepared.refill,
            "online": OnlineAnswer.UNANSWERED if over else prepared.online,
            "online_code": prepared.online_code,
            "online_until_ms": prepared.online_until_ms,
            "stock_used": taken.units
            if offer is None
            else taken.units + self._used(offer, venue, now),
        }

    def left(self, offer: Offer, venue: Venue, now: Moment) -> int | None:
        """Units that this terminal can still give out, ``None`` without a stock it knows."""
        if offer.stock.mode is StockMode.NONE:
            return None
        if offer.offline is OfflineMode.LEASED:
            left = self.leased(offer, now)
            # Without a lease a connected terminal asks the pool at the tap: what is left there
            # is not known here, and "none left" would be wrong.
            if not left and self._facts.link.connected(now.boot_ms):
                return None
            return left
        if offer.offline is OfflineMode.CAPPED:
            return max(0, offer.stock.quantity - self._used(offer, venue, now))
        return None

    def leased(self, offer: Offer, now: Moment) -> int:
        """Units of the open leases that no caller holds and that lie on the shelf."""
        free = self._usable(offer.id, now) - self._writer.goods.held(offer.id, now.now_ms)
        return max(0, min(free, self._goods_left(offer.id, now, NOTHING_TAKEN, free)))

    def _usable(self, offer: str, now: Moment) -> int:
        opens = self._writer.leases.opens(offer)
        return sum(one.left for one in opens if one.expires_ms > now.now_ms)

    def _lease(self, offer: str, now: Moment, quantity: int, taken: Taken) -> LeaseView | None:
        """The lease, less what is held for callers and what no parcel covers."""
        found = self._writer.leases.view(offer, now.now_ms, quantity, taken.by_lease)
        if found is None:
            return None
        free = self._usable(offer, now) - taken.units
        free -= self._writer.goods.held(offer, now.now_ms, but=taken.hold)
        free = max(0, min(free, self._goods_left(offer, now, taken, free)))
        return found if free >= found.left else replace(found, spent=found.units - free)

    def _goods_left(self, offer: str, now: Moment, taken: Taken, without: int) -> int:
        """Units on the shelf for others, ``without`` when no goods of the offer are tracked."""
        shelf, goods = self._writer.goods.shelf(offer), self._writer.goods
        if shelf is None:
            return without
        return shelf.on_hand - taken.units - goods.held(offer, now.now_ms, but=taken.hold)

    def _used(self, offer: Offer, venue: Venue, now: Moment) -> int:
        if offer.offline is not OfflineMode.CAPPED:
            return 0
        since_ms = day_start(now.now_ms, venue.zone)
        if offer.stock.mode is StockMode.PER_SESSION:
            current = sitting(offer, now.now_ms, venue.zone)
            since_ms = current[0] if current else since_ms
        elif offer.stock.mode in {StockMode.POOL, StockMode.PER_VENUE}:
            since_ms = 0
        return self._writer.usage.units(offer.id, start_ms=since_ms)


def _hold_question(
    request: RedemptionRequest, offer: Offer, venue: str, now: Moment
) -> HoldQuestion:
    return HoldQuestion(
        nonce=request.nonce,
        card=request.card.card,
        offer=offer.id,
        offer_version=offer.version,
        quantity=request.quantity,
        companions=request.companions,
        venue=venue,
        ts_ms=now.now_ms,
        agent=request.agent,
        assurance=request.card.assurance,
        supervisor=request.supervisor,
        reason=request.reason,
    )
