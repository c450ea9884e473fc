"""Reservations at the server's end: a place for one member at one venue, promised by a token.

A token takes its units from the stock when it is issued. It is signed with a key of its own, goes
to the one terminal that can take it by that terminal's feed, and may be handed to the member too.
The uploaded entry names it and turns the promise into a redemption; its void gives the token back.
Units of a token that nobody used return when its terminal has synced after the token's end: before
that it might have taken it unheard. So what was promised can always be kept, and nothing twice.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.codes import CODES, Code
from ledger.entry import Kind
from ledger.log.note import KeySigner, sign_note, vkey
from ledger.rules import windows
from ledger.rules.offer import Booking, CardView, Offer, OfflineMode, RedemptionRequest, Venue
from ledger.rules.usage import UsageView, Use
from server.database import Database
from server.errors import PublicationRefused, TerminalUnknown
from server.facts import Event, History
from server.holding import Free, consent, refuses
from server.holds import given_out, lock, uses_of
from server.known import card_histories, member_histories
from server.leases import tell
from server.offers import Published, bucket_of, capacity_of
from server.schema import ledgers, reservations, terminals
from server.stock import CANCELLED, ISSUED, USED, Bucket, waiting
from sync.admission import LedgerState
from sync.reservation import ReservationClaims, encode_claims


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be reserved.

    Attributes:
        card: hash of a card of the member.
        terminal: which terminal of the venue shall take it; empty for the venue's first.
        until_ms: 0 for the end of the opening in which it begins.
        instead: a token just withdrawn from the same terminal, which hears of that first; it
            counts no more against the member.
    """

    card: str
    offer: str
    venue: str
    from_ms: int
    until_ms: int = 0
    terminal: str = ""
    units: int = 1
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued reservation, and the token that the member may carry."""

    reservation: str
    member: str
    offer: str
    venue: str
    terminal: str
    units: int
    from_ms: int
    until_ms: int
    token: str


async def issue(
    connection: AsyncConnection,
    database: Database,
    published: Published,
    signer: KeySigner,
    wish: Wish,
    now_ms: int,
) -> Issued:
    """Decides as a tap at that place and time would be decided, and promises it.

    Args:
        connection: inside a transaction that may write.
        database: which database that is.
        published: offers and venues.
        signer: the key of reservations.
        wish: what is to be reserved.
        now_ms: server time.

    Raises:
        PublicationRefused: it cannot be had; the message says the code and why.
        TerminalUnknown: no terminal at this venue could take it.
    """
    offer = _reservable(published, wish)
    venue = published.venues.get(wish.venue) or Venue(wish.venue)
    wish = _in_opening(offer, venue, wish, now_ms)
    log, ledger, terminal = await _taker(connection, wish)
    card = await _card(connection, wish.card, now_ms)
    member = card.member.ref if card.member is not None else ""
    await lock(connection, database, member=member, offer=offer.id)
    part = Bucket(offer.id, bucket_of(offer, venue, wish.from_ms))
    capacity = capacity_of(offer, part.bucket)
    free = Free(None if capacity is None else capacity - await given_out(connection, part, now_ms))
    await _consented(connection, offer, venue, wish, card, free, now_ms)
    name = base64.b32encode(secrets.token_bytes(16)).decode("ascii").lower().rstrip("=")
    claims = ReservationClaims(
        name, member, offer.id, venue.id, ledger, wish.units, wish.from_ms, wish.until_ms
    )
    token = sign_note(encode_claims(claims), [signer]).decode("utf-8")
    await _keep(connection, log, part, claims, signer, token, now_ms)
    return Issued(
        reservation=name,
        member=member,
        offer=offer.id,
        venue=venue.id,
        terminal=terminal,
        units=wish.units,
        from_ms=wish.from_ms,
        until_ms=wish.until_ms,
        token=token,
    )


def _reservable(published: Published, wish: Wish) -> Offer:
    offer = published.newest.get(wish.offer)
    if not isinstance(offer, Offer):
        raise PublicationRefused(f"no sound offer is called {wish.offer}")
    if offer.offline is not OfflineMode.RESERVED and offer.booking is Booking.NONE:
        raise PublicationRefused(f"{wish.offer} needs no reservation: nothing was reserved")
    return offer


def _in_opening(offer: Offer, venue: Venue, wish: Wish, now_ms: int) -> Wish:
    """The wish with its beginning moved to when the offer is open, and with an end."""
    opens = windows.next_open(offer, max(wish.from_ms, now_ms), venue.zone)
    until_ms = wish.until_ms or (0 if opens is None else windows.next_day_start(opens, venue.zone))
    if opens is None or opens >= until_ms:
        raise PublicationRefused(f"{offer.id} is not given at that time: nothing was reserved")
    return replace(wish, from_ms=opens, until_ms=until_ms)


async def _taker(connection: AsyncConnection, wish: Wish) -> tuple[int, str, str]:
    """The ledger that shall take the token: one, so that it cannot be used twice."""
    statement = (
        select(ledgers.c.log, ledgers.c.ledger, ledgers.c.terminal, terminals.c.venues)
        .join(terminals, terminals.c.terminal == ledgers.c.terminal)
        .where(ledgers.c.state == LedgerState.OK.value)
        .order_by(ledgers.c.terminal, ledgers.c.log.desc())
    )
    for row in await connection.execute(statement):
        if wish.venue in row.venues.split() and wish.terminal in {"", row.terminal}:
            return row.log, row.ledger, row.terminal
    which = f"terminal {wish.terminal}" if wish.terminal else "terminal"
    raise TerminalUnknown(f"no {which} works at {wish.venue}: nothing was reserved")


async def _card(connection: AsyncConnection, card: str, now_ms: int) -> CardView:
    states = await card_histories(connection, [card])
    state = History(states.get(card, ())).at(now_ms)
    if state is None:
        return CardView(card)
    known = (await member_histories(connection, [state.member])).get(state.member)
    return CardView(card, state.status, member=known.at(now_ms) if known is not None else None)


async def _consented(
    connection: AsyncConnection,
    offer: Offer,
    venue: Venue,
    wish: Wish,
    card: CardView,
    free: Free,
    now_ms: int,
) -> None:
    member = card.member.ref if card.member is not None else ""
    usage = await uses_of(connection, member, offer, now_ms)
    usage = usage.joined(await _promised(connection, member, offer, wish.instead))
    request = RedemptionRequest(
        nonce="", card=card, offer_id=offer.id, quantity=wish.units, simulate=True
    )
    decision = consent(request, offer, usage, Free(), terminal="", venue=venue, now_ms=wish.from_ms)
    code = decision.code if refuses(decision) else None
    if code is None and CODES[decision.code].outcome == "error":
        code = decision.code
    if code is None and free.units is not None and free.units < wish.units:
        code = Code.L05
    if code is not None:
        raise PublicationRefused(f"{code} {CODES[code].name}: nothing was reserved")


async def _promised(
    connection: AsyncConnection, member: str, offer: Offer, instead: str
) -> UsageView:
    """Tokens that the member holds already, as uses at their time."""
    statement = select(reservations).where(
        reservations.c.member == member,
        reservations.c.offer == offer.id,
        reservations.c.reservation != instead,
        waiting(),
    )
    uses = [
        Use(row.from_ms, row.reservation, 0, row.units, row.venue, row.offer, member)
        for row in await connection.execute(statement)
    ]
    groups = {limit.group: sorted(uses) for limit in offer.limits if limit.group}
    return UsageView(sorted(uses), dict(groups))


async def _keep(
    connection: AsyncConnection,
    log: int,
    part: Bucket,
    claims: ReservationClaims,
    signer: KeySigner,
    token: str,
    now_ms: int,
) -> None:
    first = await connection.scalar(
        select(func.count()).select_from(reservations).where(reservations.c.log == log)
    )
    if not first:
        # A terminal that was enrolled before there was such a key hears of it here.
        key = vkey(signer.name, signer.public_key, signer.note_type)
        await tell(connection, log, {"kind": "reservation_key", "vkey": key}, now_ms)
    row = {
        "reservation": claims.id,
        "log": log,
        "member": claims.member,
        "offer": claims.offer,
        "venue": claims.venue,
        "bucket": part.bucket,
        "units": claims.units,
        "from_ms": claims.from_ms,
        "until_ms": claims.until_ms,
        "state": ISSUED,
        "issued_ms": now_ms,
        "used_seq": None,
    }
    await connection.execute(insert(reservations), row)
    await tell(connection, log, {"kind": "reservation", "token": token}, now_ms)


async def cancel(connection: AsyncConnection, name: str, now_ms: int) -> None:
    """Withdraws a token; its terminal takes it no more once it hears of it.

    The units return when that terminal has synced after the token's end, as with any other.

    Raises:
        PublicationRefused: there is none that could be cancelled.
    """
    row = (
        await connection.execute(
            select(reservations).where(
                reservations.c.reservation == name, reservations.c.state == ISSUED
            )
        )
    ).one_or_none()
    if row is None:
        raise PublicationRefused(f"no reservation {name} waits to be used: nothing was changed")
    await connection.execute(
        update(reservations).where(reservations.c.reservation == name).values(state=CANCELLED)
    )
    await tell(connection, row.log, {"kind": "reservation_ended", "reservation": name}, now_ms)


async def listed(
    connection: AsyncConnection, *, offer: str = "", venue: str = ""
) -> list[dict[str, Any]]:
    """Reservations with the terminal that takes each, by their time."""
    statement = select(reservations, ledgers.c.terminal).join(
        ledgers, ledgers.c.log == reservations.c.log
    )
    if offer:
        statement = statement.where(reservations.c.offer == offer)
    if venue:
        statement = statement.where(reservations.c.venue == venue)
    statement = statement.order_by(reservations.c.from_ms, reservations.c.reservation)
    rows = (await connection.execute(statement)).mappings().all()
    return [{name: row[name] for name in row if name not in {"log", "bucket"}} for row in rows]


async def settle_reservations(
    connection: AsyncConnection, found: Mapping[int, Iterable[Event]]
) -> None:
    """Takes what came in: a redemption uses its token, its void gives it back.

    Args:
        connection: inside a transaction that may write.
        found: events by the server's number of their ledger.
    """
    promised = set(
        await connection.scalars(
            select(reservations.c.log).where(reservations.c.log.in_(found)).distinct()
        )
    )
    mine = reservations.c
    for log in sorted(promised):
        for event in found[log]:
            name = event.text("reservation")
            if event.kind == Kind.REDEEM and name:
                change = {"state": USED, "used_seq": event.seq}
                which: ColumnElement[bool] = and_(
                    mine.reservation == name, or_(mine.used_seq.is_(None), mine.state != USED)
                )
            elif event.kind == Kind.VOID and not event.text("orig_ledger"):
                change = {"state": ISSUED, "used_seq": None}
                which = and_(mine.state == USED, mine.used_seq == event.number("orig_seq", -1))
            else:
                continue
            await connection.execute(
                update(reservations).where(mine.log == log, which).values(**change)
            )
