"""Decisions that only the server can make: holds for ``online`` offers.

A hold is written under the terminal's ledger and nonce before the terminal shows green, with the
uses of all terminals and all other holds counted, so that neither a member's limit nor a stock is
exceeded while it can be asked. Asked again for the same nonce the answer is the same. The uploaded
entry confirms the hold, its void releases it; after ten minutes without either it falls away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

import ledger.rules.decide
from ledger.codes import CODES, Code, Outcome
from ledger.entry import Kind
from ledger.rules.offer import (
    CardStatus,
    CardView,
    Decision,
    Offer,
    OfflineMode,
    OnlineAnswer,
    RedemptionRequest,
    ReservationState,
    StockMode,
    TerminalState,
    Venue,
)
from ledger.rules.stock import next_issue
from ledger.rules.usage import Usage
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.facts import Event, History
from server.folding import events_of_members
from server.known import card_histories, member_histories
from server.leases import stock_lock, taken
from server.offers import Published, bucket_of, capacity_of
from server.schema import holds, ledgers
from server.stock import HELD, Bucket, held_units

HOLD_MS: Final = 10 * 60 * 1000
CONFIRMED: Final = "confirmed"
RELEASED: Final = "released"


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
    """

    ledger: str
    nonce: str
    card: str
    offer: str
    venue: str
    quantity: int = 1


async def hold(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    question: Question,
    now_ms: int,
) -> Decision:
    """Decides and, if it approves, holds the units for ten minutes.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        published: offers and venues.
        question: what is asked.
        now_ms: server time.

    Raises:
        TerminalUnknown: no such ledger.
        PublicationRefused: the offer is not one that is decided here.
    """
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == question.ledger))
    if log is None:
        raise TerminalUnknown(f"no ledger is called {question.ledger}")
    offer = published.newest.get(question.offer)
    if not isinstance(offer, Offer) or offer.offline is not OfflineMode.ONLINE:
        raise PublicationRefused(f"{question.offer} is not decided online")
    await stock_lock(connection, database)
    card = await _card(connection, question.card, now_ms)
    before = await _held(connection, log, question.nonce, now_ms)
    if before is not None:
        return _again(before, question)
    venue = published.venues.get(question.venue) or Venue(question.venue)
    decision = await _decide(connection, offer, card, question, venue, now_ms)
    if CODES[decision.code].outcome is Outcome.DECLINE:
        return decision
    part = Bucket(offer.id, bucket_of(offer, venue, now_ms))
    capacity = capacity_of(offer, part.bucket)
    if capacity is not None:
        out = await taken(connection, part) + await held_units(connection, part, now_ms)
        if out + question.quantity > capacity:
            return _sold_out(offer, venue, now_ms)
    await _write(connection, log, card, question, part, now_ms)
    return decision


async def _decide(
    connection: AsyncConnection,
    offer: Offer,
    card: CardView,
    question: Question,
    venue: Venue,
    now_ms: int,
) -> Decision:
    """The one ``decide``, with the uses of all ledgers and the holds of all terminals."""
    usage = Usage()
    reference = card.member.ref if card.member is not None else ""
    mine = await events_of_members(connection, [reference] if reference else [])
    for event, facts in mine.get(reference, ()):
        if facts["counted"] and event.entry is not None:
            usage.apply({**event.entry, "ts_ms": event.at_ms}, ledger=event.ledger)
    waiting = await connection.execute(
        select(holds).where(
            holds.c.member == reference, holds.c.state == HELD, holds.c.expires_ms > now_ms
        )
    )
    for number, row in enumerate(waiting):
        usage.apply(
            {
                "kind": Kind.REDEEM.value,
                "seq": number,
                "ts_ms": row.expires_ms - HOLD_MS,
                "nonce": row.nonce,
                "offer": row.offer,
                "member": reference,
                "quantity": row.quantity,
                "venue": question.venue,
            },
            ledger=f"hold {row.log}",
        )
    request = RedemptionRequest(
        nonce=question.nonce, card=card, offer_id=offer.id, quantity=question.quantity
    )
    state = TerminalState(
        terminal=question.ledger,
        venue=venue,
        connected=True,
        online=OnlineAnswer.HELD,
        reservation=ReservationState.VALID,
    )
    view = usage.view(reference, offer)
    return ledger.rules.decide.decide(request, offer, view, state, now_ms)


async def _card(connection: AsyncConnection, card: str, now_ms: int) -> CardView:
    states = await card_histories(connection, [card])
    state = History(states.get(card, ())).at(now_ms)
    if state is None:
        return CardView(card, CardStatus.UNKNOWN)
    known = (await member_histories(connection, [state.member])).get(state.member)
    member = known.at(now_ms) if known is not None else None
    return CardView(card, state.status, member=member)


async def _held(connection: AsyncConnection, log: int, nonce: str, now_ms: int) -> Any:
    """The hold of this nonce, if it still stands."""
    row = (
        await connection.execute(select(holds).where(holds.c.log == log, holds.c.nonce == nonce))
    ).one_or_none()
    stands = row is not None and (row.state != HELD or row.expires_ms > now_ms)
    return row if stands else None


def _again(row: Any, question: Question) -> Decision:
    """The same answer to the same question; another one under this nonce is T07."""
    same = (row.offer, row.quantity, row.card) == (
        question.offer,
        question.quantity,
        question.card,
    )
    code = Code.A00 if same else Code.T07
    return Decision(outcome=CODES[code].outcome, code=code, offer=question.offer, replay=same)


def _sold_out(offer: Offer, venue: Venue, now_ms: int) -> Decision:
    code = Code.L06 if offer.stock.mode is StockMode.PER_VENUE else Code.L05
    until_ms = next_issue(offer, venue.zone, now_ms)
    return Decision(outcome=CODES[code].outcome, code=code, offer=offer.id, until_ms=until_ms)


async def _write(
    connection: AsyncConnection,
    log: int,
    card: CardView,
    question: Question,
    part: Bucket,
    now_ms: int,
) -> None:
    await connection.execute(
        holds.delete().where(holds.c.log == log, holds.c.nonce == question.nonce)
    )
    row = {
        "log": log,
        "nonce": question.nonce,
        "card": question.card,
        "offer": question.offer,
        "member": card.member.ref if card.member is not None else "",
        "bucket": part.bucket,
        "quantity": question.quantity,
        "state": HELD,
        "expires_ms": now_ms + HOLD_MS,
    }
    await connection.execute(insert(holds), row)


async def settle_holds(connection: AsyncConnection, log: int, found: Iterable[Event]) -> None:
    """Takes what came in: an uploaded redemption confirms its hold, a void releases it."""
    ends: dict[str, list[str]] = {CONFIRMED: [], RELEASED: []}
    for event in found:
        if event.kind in {Kind.REDEEM, Kind.DECLINE}:
            ends[CONFIRMED if event.kind == Kind.REDEEM else RELEASED].append(event.text("nonce"))
        elif event.kind == Kind.VOID and not event.text("orig_ledger"):
            ends[RELEASED].append(event.text("orig_nonce"))
    for state, nonces in ends.items():
        if nonces:
            await connection.execute(
                update(holds)
                .where(holds.c.log == log, holds.c.nonce.in_(nonces))
                .values(state=state)
            )
