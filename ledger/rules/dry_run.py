"""Who could take an offer: the decision itself, asked for sample members at sample moments.

Nothing is written and nothing is remembered: each question is put to ``decide`` for a member with
no past uses, at a connected counter with stock in hand. Limits and stock therefore never decline
here; windows, venues, eligibility, booking and evidence do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.rules.catalogue import Catalogue, held_at
from ledger.rules.decide import decide
from ledger.rules.offer import (
    BrokenOffer,
    CardStatus,
    CardView,
    Decision,
    LeaseView,
    MemberStatus,
    MemberView,
    Offer,
    OnlineAnswer,
    RedemptionRequest,
    ReservationState,
    TerminalState,
    Venue,
)
from ledger.rules.usage import Usage

_REF: Final = "0" * 16
_CARD: Final = "a" * 26


@dataclass(frozen=True, slots=True)
class Sample:
    """A member as an example, with a label that says what is special."""

    label: str
    member: MemberView


@dataclass(frozen=True, slots=True)
class Trial:
    """One question and its answer."""

    offer: str
    venue: str
    sample: str
    at_ms: int
    decision: Decision


def samples(offer: Offer) -> list[Sample]:
    """Members that show an offer's eligibility from every side.

    One without any attribute, one from each district and street named, one with all tags that the
    offer asks for, one for each tag it excludes, and one whose membership is suspended.
    """
    rule = offer.eligibility
    district = min(rule.district, default="")
    street = min(rule.street, default="")
    tags = rule.tags_all | frozenset(sorted(rule.tags_any)[:1])
    fitting = MemberView(_REF, district=district, street=street, tags=tags)
    found = [Sample("plain", MemberView(_REF))]
    if fitting != found[0].member:
        found.append(Sample("fitting", fitting))
    found += [
        Sample(f"has {tag}", MemberView(_REF, district=district, street=street, tags=tags | {tag}))
        for tag in sorted(rule.tags_none)
    ]
    suspended = MemberView(_REF, MemberStatus.SUSPENDED, district, street, tags)
    found.append(Sample("suspended", suspended))
    return found


def moments(offer: Offer) -> list[int]:
    """Instants worth asking: just before, at the start, every six hours of a week, at the end."""
    first_day = offer.from_ms
    week = range(first_day, min(first_day + 7 * 86_400_000, offer.until_ms), 6 * 3_600_000)
    return [offer.from_ms - 1, *week, offer.until_ms - 1, offer.until_ms]


def venue_for(offer: Offer, venues: Mapping[str, Venue]) -> Venue:
    """A venue that gives the offer; an unnamed one when the catalogue knows none."""
    for name in sorted(offer.venues) or sorted(venues):
        venue = venues.get(name)
        if venue is not None and held_at(offer, venue):
            return venue
    return Venue(min(offer.venues, default="anywhere"))


def ask(offer: Offer | BrokenOffer, sample: Sample, venue: Venue, at_ms: int) -> Trial:
    """Puts one question to the decision, for a sound card of a sample member."""
    card = CardView(_CARD, CardStatus.ACTIVE, "unionpay", "authenticated", sample.member)
    return Trial(offer.id, venue.id, sample.label, at_ms, question(offer, card, venue, at_ms))


def question(offer: Offer | BrokenOffer, card: CardView, venue: Venue, at_ms: int) -> Decision:
    """What the decision says of a card, as at a connected counter with stock in hand."""
    state = TerminalState(
        terminal="dry-run",
        venue=venue,
        connected=True,
        lease=LeaseView("dry-run", 1, 1_000_000, 0, at_ms + 86_400_000),
        online=OnlineAnswer.HELD,
        reservation=ReservationState.VALID,
    )
    request = RedemptionRequest(nonce="dry-run", card=card, offer_id=offer.id, simulate=True)
    member = card.member.ref if card.member is not None else _REF
    return decide(request, offer, Usage().view(member, offer), state, at_ms)


def try_offers(
    catalogue: Catalogue,
    *,
    only: str = "",
    venue: str = "",
    at_ms: Sequence[int] = (),
    members: Sequence[Sample] = (),
) -> list[Trial]:
    """All questions for all offers, or for one.

    Args:
        catalogue: offers and venues.
        only: identifier of one offer, or empty.
        venue: identifier of the venue to ask at, or empty for one that gives the offer.
        at_ms: instants, or empty for ``moments``.
        members: samples, or empty for ``samples``.
    """
    trials: list[Trial] = []
    for offer in catalogue.offers.values():
        if isinstance(offer, BrokenOffer) or (only and offer.id != only):
            continue
        place = catalogue.venues[venue] if venue else venue_for(offer, catalogue.venues)
        trials += [
            ask(offer, sample, place, moment)
            for sample in members or samples(offer)
            for moment in at_ms or moments(offer)
        ]
    return trials
