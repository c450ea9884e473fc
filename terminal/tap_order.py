"""What is asked of one tap, apart from the card, and what its answer tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.rules.offer import Offer
from ledger.rules.request import CardView, Decision, RedemptionRequest
from ledger.rules.terms import CardStatus, Profile
from terminal.entries import Place
from terminal.presenting import Presented
from terminal.state import Installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a tap asks of the rules, apart from the card.

    Attributes:
        supervisor_ok: the supervisor named was proved by PIN or own card.
        reservation: the token that the member brought; the feed's are known without it.
    """

    offer: str
    nonce: str
    quantity: int = 1
    companions: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""
    supervisor: str = ""
    supervisor_ok: bool = False
    reason: str = ""
    simulate: bool = False
    reservation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOrder(Asked):
    """What is asked of one tap at a terminal; all of it was checked at the edge.

    Attributes:
        hold: the telephone hold that the units come from, or empty.
        batch: the proxy collection that the tap belongs to, or empty.
    """

    place: Place
    profile: Profile
    hold: str = ""
    batch: str = ""

    def marks(self) -> dict[str, str]:
        """What the entry says beyond the contract's fields."""
        named = (("batch", self.batch), ("hold", self.hold))
        return {name: value for name, value in named if value}


#: No card is at hand: only a nonce that was answered before can be answered again.
ABSENT: Final = Presented(CardStatus.UNREADABLE, fault="absent")


def request_of(order: Asked, card: CardView) -> RedemptionRequest:
    """The request that the rules are asked about."""
    return RedemptionRequest(
        nonce=order.nonce,
        card=card,
        offer_id=order.offer,
        quantity=order.quantity,
        companions=order.companions,
        evidence=order.evidence,
        agent=order.agent,
        supervisor=order.supervisor,
        reason=order.reason,
        simulate=order.simulate,
    )


def answer_details(decision: Decision, installed: Installed, offer_id: str) -> dict[str, str | int]:
    """Values for the message: those of the decision, and the offer's title in both languages."""
    details = dict(decision.details)
    offer = installed.offer(decision.offer or offer_id)
    if isinstance(offer, Offer):
        details.setdefault("offer", offer.title)
        details.setdefault("offer_en", offer.title_en or offer.title)
        details.setdefault("kind", offer.kind.value)
    venue = installed.catalogue.venues.get(str(details.get("place", "")))
    if venue is not None:
        details["place"], details["place_en"] = venue.name, venue.name_en or venue.name
    return details
