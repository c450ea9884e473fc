"""Proxy collection (代领): a representative first, then up to 200 colleagues' cards, one commit.

The list lives in memory until it is confirmed; laying a card on the reader adds it. Confirming
writes every entry at once, so that a power cut leaves all or none of them: afterwards the batch's
name, which the state file keeps, says which. The sign-off sheet is read back from the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.codes import CODES, Outcome
from ledger.rules.offer import Offer
from ledger.rules.terms import CardStatus, MemberStatus
from ledger.rules.windows import day_start, local_day
from terminal.answers import Phase, TapAnswer
from terminal.entries import Place
from terminal.errors import CollectionState, NoCard, RequestInvalid
from terminal.group import GroupFlow, Step
from terminal.holds import check_hold
from terminal.parts import Parts
from terminal.position import Position
from terminal.presenting import Presented
from terminal.replay import number, text
from terminal.state import card_view
from terminal.tap_order import TapOrder, answer_details
from terminal.wording import wording_of
from terminal.work_answers import CollectedCard, CollectionShown

CARDS_MAX: Final = 200
TAIL_CHARACTERS: Final = 4
#: Fact in the state file under which the batch being confirmed is kept, by position.
_FACT: Final = "collection."
#: Pages show the list long before anybody would read the entries of an older one.
_READ_AGAIN: Final = frozenset({CardStatus.UNREADABLE, CardStatus.SEVERAL})


@dataclass(slots=True)
class _List:
    """One open list; ``nonces`` are made when the card is added, so that a retry is a replay."""

    batch: str
    offer: str
    quantity: int
    agent: str
    hold: str
    began_ms: int
    cards: list[tuple[str, Presented]] = field(default_factory=list)
    last_fault: str = ""


class Collections:
    """The proxy collections of a terminal, at most one open at each position."""

    def __init__(self, parts: Parts, position_of: Callable[[str], Position]) -> None:
        self._parts = parts
        self._position_of = position_of
        self._group = GroupFlow(parts.writer, parts.facts, parts.stock, parts.flow)
        self._open: dict[str, _List] = {}
        self._done: dict[str, CollectionShown] = {}
        self._lock = threading.RLock()

    def shown(self, position: str) -> CollectionShown | None:
        """The open list of a position, else the one recorded last, ``None`` if there is none."""
        with self._lock:
            held = self._open.get(position)
            if held is not None:
                return self._listed(self._position_of(position), held)
            done = self._done.get(position)
        if done is not None:
            return done
        batch = self._parts.journal.fact(_FACT + position)
        return self.sheet(batch) if batch else None

    def begin(self, position: str, offer: str, quantity: int, hold: str = "") -> CollectionShown:
        """Opens a list; the card at hand is the representative's own.

        Raises:
            NoCard: no card is at hand: the representative taps first.
            CollectionState: a list is open already.
            RequestInvalid: the offer takes no representatives, or this card cannot be one.
        """
        held, now = self._position_of(position), self._parts.facts.time.now()
        if position in self._open:
            raise CollectionState("a proxy collection is open already; confirm or cancel it")
        session = held.session(now.boot_ms)
        if session is None:
            raise NoCard("the representative's own card comes first; nothing was recorded")
        self._check_offer(offer, hold)
        agent = self._agent(held, session.presented)
        with self._lock:
            if position in self._open:
                raise CollectionState("a proxy collection is open already; confirm or cancel it")
            listed = _List(self._parts.new_nonce(), offer, quantity, agent, hold, now.now_ms)
            self._open[position] = listed
            self._done.pop(position, None)
            self._parts.journal.store_fact(_FACT + position, "")
        held.clear(now.now_ms)
        held.divert(lambda presented: self.add(position, presented))
        held.touch()
        return self._listed(held, listed)

    def add(self, position: str, presented: Presented) -> None:
        """A colleague's card came; one that could not be read is not put on the list."""
        held = self._position_of(position)
        with self._lock:
            listed = self._open.get(position)
            if listed is not None:
                listed.last_fault = ""
                if presented.status in _READ_AGAIN:
                    listed.last_fault = presented.status.value
                elif len(listed.cards) >= CARDS_MAX:
                    listed.last_fault = "full"
                elif not self._same(listed, presented):
                    listed.cards.append((self._parts.new_nonce(), presented))
        held.move(Phase.IDLE, self._parts.facts.time.now().now_ms)

    def remove(self, position: str, place: int) -> CollectionShown:
        """Takes a card off the list; the others keep their order.

        Raises:
            CollectionState: no list is open.
            RequestInvalid: no card has this number.
        """
        with self._lock:
            listed = self._need(position)
            if not 1 <= place <= len(listed.cards):
                raise RequestInvalid(f"from 1 to {len(listed.cards)}", field="number")
            del listed.cards[place - 1]
            held = self._position_of(position)
            held.touch()
            return self._listed(held, listed)

    def confirm(self, position: str, batch: str) -> CollectionShown:
        """Records every card by one commit; the same batch again answers the same.

        Raises:
            CollectionState: no such list is open, or it has no card.
        """
        held = self._position_of(position)
        with self._lock:
            recorded = self.sheet(batch)
            if recorded is not None:
                return self._done.get(position, recorded)
            listed = self._need(position)
            if listed.batch != batch or not listed.cards:
                raise CollectionState("this list is not open or is empty; nothing was recorded")
            self._parts.journal.store_fact(_FACT + position, batch)
            taps = [
                (self._order(held, listed, nonce), presented) for nonce, presented in listed.cards
            ]
            answers, size = self._group.run(taps)
            if not size:
                raise CollectionState(
                    "the ledger did not take the list; confirm again: nothing is given out twice",
                    word="ledger_fault",
                )
            done = self._recorded(held, listed, answers, size)
            self._done[position] = done
            del self._open[position]
        held.divert(None)
        self._parts.courier.nudge()
        held.touch()
        return done

    def cancel(self, position: str) -> None:
        """Closes the list, or puts the recorded one away; nothing is recorded."""
        held = self._position_of(position)
        with self._lock:
            self._open.pop(position, None)
            self._done.pop(position, None)
            self._parts.journal.store_fact(_FACT + position, "")
        held.divert(None)
        held.touch()

    def sheet(self, batch: str) -> CollectionShown | None:
        """The recorded list of a batch as the ledger has it, for its sign-off sheet."""
        writer = self._parts.writer
        with writer.turn:
            entries = [(seq, writer.entry(seq)) for seq in writer.agents.batch(batch)]
        if not entries:
            return None
        installed, first = self._parts.facts.installed, entries[0][1]
        offer = installed.offer(text(first, "offer"))
        cards = tuple(
            _card_of(place, self._parts.flow.recorded(text(entry, "nonce")), text(entry, "card"))
            for place, (_, entry) in enumerate(entries, 1)
        )
        takable = sum(one.outcome == Outcome.APPROVE for one in cards)
        return CollectionShown(
            batch=batch,
            state="done",
            position=text(first, "position"),
            offer=text(first, "offer"),
            title=getattr(offer, "title", "") or text(first, "offer"),
            title_en=getattr(offer, "title_en", "") or text(first, "offer"),
            quantity=number(first, "quantity", 1),
            agent=text(first, "agent")[-TAIL_CHARACTERS:],
            began_ms=number(first, "ts_ms"),
            cards=cards,
            units=takable * number(first, "quantity", 1),
            takable=takable,
            refused=len(cards) - takable,
            stock_left=None,
            allowance_left=0,
            cards_max=CARDS_MAX,
            hold=text(first, "hold"),
            venue=text(first, "venue"),
            operator=text(first, "operator"),
            ts_ms=number(first, "ts_ms"),
            checkpoint_size=entries[-1][0] + 1,
        )

    # Inside.

    def _need(self, position: str) -> _List:
        listed = self._open.get(position)
        if listed is None:
            raise CollectionState("no proxy collection is open; the representative taps first")
        return listed

    def _check_offer(self, name: str, hold: str) -> None:
        offer = self._parts.facts.installed.offer(name)
        if not isinstance(offer, Offer):
            raise RequestInvalid(f"no offer is called {name[:64]}", field="offer")
        if not offer.proxy_collect:
            raise RequestInvalid(
                "takes no representatives: each member comes in person",
                field="offer",
                word="proxy_not_allowed",
            )
        check_hold(self._parts, hold, name)

    def _agent(self, held: Position, presented: Presented) -> str:
        installed, now = self._parts.facts.installed, self._parts.facts.time.now()
        venue = installed.venue(held.config.venue)
        today = local_day(now.now_ms, venue.zone).isoformat()
        view = card_view(presented, installed.cards, today)
        sound = view.status is CardStatus.ACTIVE and view.assurance == "authenticated"
        if not sound or view.member is None or view.member.status is not MemberStatus.ACTIVE:
            raise RequestInvalid(
                f"the representative's own card cannot be used ({view.status.value}); "
                "another colleague can collect",
                field="agent",
                word="agent_refused",
            )
        return view.card

    def _same(self, listed: _List, presented: Presented) -> bool:
        """Whether this very card lies in the list already: it was laid down twice."""
        if presented.card is None:
            return False
        held = [one.card.card for _, one in listed.cards if one.card is not None]
        return presented.card.card in held

    def _order(self, held: Position, listed: _List, nonce: str) -> TapOrder:
        place: Place = self._parts.shifts.place(held.id, held.config.venue)
        return TapOrder(
            place=place,
            profile=held.profile,
            offer=listed.offer,
            nonce=nonce,
            quantity=listed.quantity,
            agent=listed.agent,
            hold=listed.hold,
            batch=listed.batch,
        )

    def _listed(self, held: Position, listed: _List) -> CollectionShown:
        taps = [(self._order(held, listed, nonce), one) for nonce, one in listed.cards]
        steps = self._group.preview(taps)
        cards = tuple(self._line(place, step, steps) for place, step in enumerate(steps, 1))
        return self._shown(held, listed, cards)

    def _recorded(
        self, held: Position, listed: _List, answers: Sequence[TapAnswer], size: int
    ) -> CollectionShown:
        cards = tuple(
            _card_of(place, answer, presented.card.card if presented.card else "")
            for place, (answer, (_, presented)) in enumerate(
                zip(answers, listed.cards, strict=True), 1
            )
        )
        shown = self._shown(held, listed, cards)
        now_ms = self._parts.facts.time.now().now_ms
        return replace(shown, state="done", ts_ms=now_ms, checkpoint_size=size)

    def _shown(
        self, held: Position, listed: _List, cards: tuple[CollectedCard, ...]
    ) -> CollectionShown:
        parts, now = self._parts, self._parts.facts.time.now()
        offer, venue = parts.facts.installed.offer(listed.offer), held.config.venue
        place = parts.facts.installed.venue(venue)
        taking = [one for one in cards if one.outcome == Outcome.APPROVE]
        pending = sum(one.entry is None for one in taking)
        units = len(taking) * listed.quantity
        with parts.writer.turn:
            left = parts.stock.left(offer, place, now) if isinstance(offer, Offer) else None
            since_ms = day_start(now.now_ms, place.zone)
            collected = parts.writer.agents.cards(listed.agent, listed.offer, since_ms)
        allowance = offer.proxy_cards if isinstance(offer, Offer) else 0
        return CollectionShown(
            batch=listed.batch,
            state="open",
            position=held.id,
            offer=listed.offer,
            title=getattr(offer, "title", listed.offer),
            title_en=getattr(offer, "title_en", "") or getattr(offer, "title", listed.offer),
            quantity=listed.quantity,
            agent=listed.agent[-TAIL_CHARACTERS:],
            began_ms=listed.began_ms,
            cards=cards,
            units=units,
            takable=len(taking),
            refused=len(cards) - len(taking),
            stock_left=None if left is None else max(0, left - pending * listed.quantity),
            allowance_left=max(0, allowance - collected - pending),
            cards_max=CARDS_MAX,
            hold=listed.hold,
            venue=venue,
            operator=parts.shifts.place(held.id, venue).operator,
            last_fault=listed.last_fault,
        )

    def _line(self, place: int, step: Step, steps: Sequence[Step]) -> CollectedCard:
        decision, member = step.decision, step.request.card.member
        same = 0
        if member is not None:
            for other, earlier in enumerate(steps[: place - 1], 1):
                held = earlier.request.card.member
                if held is not None and held.ref == member.ref:
                    same = other
                    break
        details = answer_details(decision, self._parts.facts.installed, step.order.offer)
        return CollectedCard(
            number=place,
            outcome=CODES[decision.code].outcome.value,
            code=decision.code.value,
            message=wording_of(decision.code, details, self._parts.facts.installed.words),
            tail=step.request.card.card[-TAIL_CHARACTERS:],
            same_as=same,
            until_ms=decision.until_ms,
        )


def _card_of(place: int, answer: TapAnswer | None, card: str) -> CollectedCard:
    assert answer is not None, "an entry of a batch has its nonce"
    return CollectedCard(
        number=place,
        outcome="reversed" if answer.reversed else answer.outcome,
        code=answer.code or "",
        message=answer.message,
        tail=card[-TAIL_CHARACTERS:],
        until_ms=answer.until_ms,
        entry=answer.entry,
        nonce=answer.nonce,
    )
