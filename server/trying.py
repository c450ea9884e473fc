"""Who could take an offer: a dry run before it is published, with cards as they really are.

Twenty cards are drawn from the roster, together with made-up members that show the offer's
eligibility from every side; each is put to the one decision there is, as at a connected counter
with stock in hand. Nothing is written, and a card is named by its last digits alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import OfferInvalid
from ledger.rules.catalogue import parse_offer
from ledger.rules.dry_run import ask, moments, question, samples, venue_for
from ledger.rules.offer import (
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    MemberStatus,
    MemberView,
    Offer,
    Venue,
)
from server.core import ServerCore
from server.errors import PublicationRefused
from server.offers import newest_documents
from server.roles import Actor, Right
from server.schema import cards, members

CARDS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """One card or made-up member, and what would be said.

    Attributes:
        label: last digits of a card, or what is special of a made-up member.
        real: whether it is a card of the roster.
        status: of the card.
        district: of the member.
        decision: the answer.
    """

    label: str
    real: bool
    status: str
    district: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Trial:
    """A dry run.

    Attributes:
        offer: what was tried.
        venue: where.
        at_ms: when.
        tried: made-up members first, then cards.
    """

    offer: Offer
    venue: Venue
    at_ms: int
    tried: tuple[Tried, ...]

    @property
    def approved(self) -> int:
        """How many of the cards could take it."""
        return sum(one.real and one.decision.outcome == "approve" for one in self.tried)

    @property
    def cards(self) -> int:
        """How many cards were tried."""
        return sum(one.real for one in self.tried)


async def try_offer(
    core: ServerCore,
    who: Actor,
    document: Mapping[str, Any],
    *,
    venue: str = "",
    at_ms: int | None = None,
) -> Trial:
    """Tries an offer.

    Args:
        core: the server.
        who: who asks.
        document: the offer, published or not.
        venue: where; empty for the first venue that gives it.
        at_ms: when; ``None`` for the first moment at which somebody could take it.

    Raises:
        NotAllowed: no right.
        OfferInvalid: not a sound offer; names the field.
        PublicationRefused: no such venue.
    """
    who.need(Right.OFFERS_VIEW)
    offer = parse_offer(dict(document))
    async with core.database.reading() as connection:
        published = await core.book.read(connection)
        drawn = await _cards(connection)
    if venue and venue not in published.venues:
        raise PublicationRefused(f"no venue is called {venue}")
    place = published.venues[venue] if venue else venue_for(offer, published.venues)
    moment = _moment(offer, place, core.now_ms()) if at_ms is None else at_ms
    made_up = [
        Tried(one.label, False, "active", one.member.district, _told(offer, one, place, moment))
        for one in samples(offer)
    ]
    real = [
        Tried(
            digits or view.card[:4],
            True,
            view.status.value,
            view.member.district if view.member else "",
            question(offer, view, place, moment),
        )
        for digits, view in drawn
    ]
    return Trial(offer, place, moment, (*made_up, *real))


def _told(offer: Offer, sample: Any, place: Venue, moment: int) -> Decision:
    return ask(offer, sample, place, moment).decision


def _moment(offer: Offer, place: Venue, now_ms: int) -> int:
    """Now if the offer is open, else the first moment at which anybody could take it."""
    made_up = samples(offer)
    for moment in (now_ms, *moments(offer)):
        if any(ask(offer, one, place, moment).decision.outcome == "approve" for one in made_up):
            return moment
    return max(now_ms, offer.from_ms)


async def _cards(connection: AsyncConnection) -> list[tuple[str, CardView]]:
    """The first cards of the roster by their hash, which has no meaning, as they stand now."""
    rows = await connection.execute(
        select(cards).order_by(cards.c.card, cards.c.from_ms).limit(CARDS_MAX * 2)
    )
    newest = {row.card: row for row in rows}
    drawn = list(newest.values())[:CARDS_MAX]
    people = await connection.execute(
        select(members)
        .where(members.c.member.in_([row.member for row in drawn]))
        .order_by(members.c.from_ms)
    )
    views = {
        row.member: MemberView(
            row.member,
            MemberStatus(row.status),
            row.district,
            row.street,
            frozenset(row.tags.split()),
        )
        for row in people
    }
    return [
        (
            row.last4,
            CardView(
                row.card,
                CardStatus(row.status),
                "unionpay",
                "authenticated",
                views.get(row.member),
            ),
        )
        for row in drawn
    ]


async def document_of(core: ServerCore, who: Actor, offer: str) -> dict[str, Any]:
    """The newest published document of an offer.

    Raises:
        NotAllowed: no right.
        PublicationRefused: no such offer.
    """
    who.need(Right.OFFERS_VIEW)
    async with core.database.reading() as connection:
        found = (await newest_documents(connection)).get(offer)
    if found is None:
        raise PublicationRefused(f"no offer is called {offer}")
    return found


def draft_offer(document: Mapping[str, Any]) -> Offer | BrokenOffer:
    """A draft as an offer, or why it is none yet."""
    try:
        return parse_offer(json.loads(json.dumps(dict(document))))
    except OfferInvalid as fault:
        return BrokenOffer(str(document.get("id", "")), str(fault))
