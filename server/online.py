"""Decisions that only the server can make: holds for ``online`` offers.

A hold is written under the terminal's ledger and nonce before the terminal shows green, with the
uses of all terminals and all other holds counted, so that neither a member's limit nor a stock is
exceeded while it can be asked. Asked again for the same nonce it is the same hold. The uploaded
entry confirms it, its void releases it; after ten minutes without either it falls away. A refusal
is kept nowhere: nothing was given, and the terminal's own entry binds the nonce to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.codes import CODES, Code
from ledger.rules.offer import (
    CardStatus,
    CardView,
    Decision,
    Offer,
    OfflineMode,
    RedemptionRequest,
    StockMode,
    Venue,
)
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.facts import History
from server.holding import Free, consent, refuses
from server.holds import Key, given_out, lock, uses_of
from server.known import card_histories, member_histories
from server.offers import Published, bucket_of, capacity_of
from server.schema import holds, ledgers
from server.stock import CONFIRMED, HELD, Bucket
from sync.asking import HoldQuestion

HOLD_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Question:
    """What a terminal asks before a tap on an ``online`` offer.

    Attributes:
        ledger: ledger id of the terminal.
        nonce: of the tap.
        card: card hash.
        offer: offer id.
        venue: where the terminal stands.
        quantity: units.
        companions: persons who come along.
        agent: card hash of the proxy collector, or empty.
        assurance: how the card was read.
        supervisor: who overrides, proved at the terminal, or empty.
        reason: of the override.
    """

    ledger: str
    nonce: str
    card: str
    offer: str
    venue: str
    quantity: int = 1
    companions: int = 0
    agent: str = ""
    assurance: str = "authenticated"
    supervisor: str = ""
    reason: str = ""

    @classmethod
    def of(cls, ledger: str, asked: HoldQuestion) -> Question:
        """The question that came over the wire."""
        return cls(
            ledger=ledger,
            nonce=asked.nonce,
            card=asked.card,
            offer=asked.offer,
            venue=asked.venue,
            quantity=asked.quantity,
            companions=asked.companions,
            agent=asked.agent,
            assurance=asked.assurance,
            supervisor=asked.supervisor,
            reason=asked.reason,
        )

    @property
    def content(self) -> bytes:
        """What the nonce is bound to."""
        return HoldQuestion(
            nonce=self.nonce,
            card=self.card,
            offer=self.offer,
            offer_version=0,
            quantity=self.quantity,
            companions=self.companions,
            venue=self.venue,
            ts_ms=0,
            agent=self.agent,
        ).content()


async def hold(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    question: Question,
    now_ms: int,
) -> Decision:
    """Decides and, unless it refuses, holds the units for ten minutes.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        published: offers and venues.
        question: what is asked.
        now_ms: server time.

    Returns:
        The decision; ``holding.refuses`` says whether nothing is held. With ``replay`` it is the
        hold of an earlier question.

    Raises:
        TerminalUnknown: no such ledger.
        PublicationRefused: the offer is not one that is decided here.
        IntegrityError: the same nonce was asked for at the same moment; ask again.
    """
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == question.ledger))
    if log is None:
        raise TerminalUnknown(f"no ledger is called {question.ledger}")
    offer = published.newest.get(question.offer)
    if not isinstance(offer, Offer) or offer.offline is not OfflineMode.ONLINE:
        raise PublicationRefused(f"{question.offer} is not decided online")
    key = Key(log, question.nonce)
    card = await _card(connection, question, now_ms)
    member = card.member.ref if card.member is not None else ""
    await lock(connection, database, member=member, offer="" if endless(offer) else offer.id)
    before = (
        await connection.execute(
            select(holds).where(holds.c.log == log, holds.c.nonce == question.nonce)
        )
    ).one_or_none()
    if before is not None and bytes(before.content) != question.content:
        return word(Code.T07, question)
    if before is not None and stands(before.state, before.expires_ms, now_ms):
        await _prolong(connection, key, now_ms)
        return word(Code.A00, question, replay=True)
    venue = published.venues.get(question.venue) or Venue(question.venue)
    part = Bucket(offer.id, bucket_of(offer, venue, now_ms))
    decision = consent(
        request_of(question, card),
        offer,
        await uses_of(connection, member, offer, now_ms, key),
        await _free(connection, offer, part, question.quantity, now_ms, key),
        terminal=question.ledger,
        venue=venue,
        now_ms=now_ms,
    )
    if not refuses(decision):
        await _write(connection, key, member, question, part, now_ms)
    return decision


def endless(offer: Offer) -> bool:
    """Whether an offer is decided here and has no stock: its holds wait for no others."""
    return offer.offline is OfflineMode.ONLINE and offer.stock.mode is StockMode.NONE


def stands(state: str, expires_ms: int, now_ms: int) -> bool:
    """Whether the hold is good as it is: confirmed, or not over."""
    return state == CONFIRMED or (state == HELD and expires_ms > now_ms)


def word(code: Code, question: Question, *, replay: bool = False) -> Decision:
    """A decision that needs no rule: the nonce was bound to it, or to something else."""
    return Decision(outcome=CODES[code].outcome, code=code, offer=question.offer, replay=replay)


def request_of(question: Question, card: CardView) -> RedemptionRequest:
    """The tap that is asked about, as the rules see it."""
    return RedemptionRequest(
        nonce=question.nonce,
        card=card,
        offer_id=question.offer,
        quantity=question.quantity,
        companions=question.companions,
        agent=question.agent,
        supervisor=question.supervisor,
        reason=question.reason if question.supervisor else "",
    )


async def _card(connection: AsyncConnection, question: Question, now_ms: int) -> CardView:
    """The card and its member as the server knows them now."""
    states = await card_histories(connection, [question.card])
    state = History(states.get(question.card, ())).at(now_ms)
    if state is None:
        return CardView(question.card, CardStatus.UNKNOWN)
    known = (await member_histories(connection, [state.member])).get(state.member)
    member = known.at(now_ms) if known is not None else None
    return CardView(question.card, state.status, assurance=question.assurance, member=member)


async def _free(
    connection: AsyncConnection, offer: Offer, part: Bucket, wanted: int, now_ms: int, but: Key
) -> Free:
    """What is left for this hold; other venues are looked at only if it is too little."""
    capacity = capacity_of(offer, part.bucket)
    if capacity is None:
        return Free()
    units = capacity - await given_out(connection, part, now_ms, but)
    return Free(units, units < wanted and await left_elsewhere(connection, offer, part, now_ms))


async def left_elsewhere(
    connection: AsyncConnection, offer: Offer, part: Bucket, now_ms: int
) -> bool:
    """Whether units that belong to other venues are left, if stock is divided by venue."""
    if offer.stock.mode is not StockMode.PER_VENUE:
        return False
    for venue, capacity in offer.stock.per_venue.items():
        if venue != part.bucket:
            other = Bucket(part.offer, venue)
            if await given_out(connection, other, now_ms) < capacity:
                return True
    return False


async def _prolong(connection: AsyncConnection, key: Key, now_ms: int) -> None:
    """Whoever asks again is about to use it: it lasts as long as a new one from now."""
    await connection.execute(
        update(holds)
        .where(holds.c.log == key.log, holds.c.nonce == key.nonce, holds.c.state == HELD)
        .values(expires_ms=now_ms + HOLD_MS)
    )


async def _write(
    connection: AsyncConnection,
    key: Key,
    member: str,
    question: Question,
    part: Bucket,
    now_ms: int,
) -> None:
    await connection.execute(
        holds.delete().where(holds.c.log == key.log, holds.c.nonce == key.nonce)
    )
    row = {
        "log": key.log,
        "nonce": key.nonce,
        "content": question.content,
        "offer": question.offer,
        "member": member,
        "venue": question.venue,
        "bucket": part.bucket,
        "quantity": question.quantity,
        "state": HELD,
        "at_ms": now_ms,
        "expires_ms": now_ms + HOLD_MS,
    }
    await connection.execute(insert(holds), row)
