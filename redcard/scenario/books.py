"""What the scenario's server knows apart from ledgers: offers, cards and members over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from ledger.errors import OfferInvalid
from ledger.rules import holidays
from ledger.rules.catalogue import parse_offer, share_groups
from ledger.rules.offer import BrokenOffer, CardStatus, CardView, MemberView, Offer
from redcard.scenario.document import CardSpec, MemberSpec, Scenario
from server.facts import CardState, History


def card_hash(name: str) -> str:
    """A card hash for a name: 26 characters a-z2-7, the same in every run."""
    from base64 import b32encode

    return b32encode(sha256(f"card {name}".encode()).digest()).decode().lower()[:26]


def member_ref(name: str) -> str:
    """A member reference for a name: 16 hexadecimal digits, the same in every run."""
    return sha256(f"member {name}".encode()).hexdigest()[:16]


@dataclass
class Books:
    """Offers, cards and members, each with the moment from which it holds.

    Attributes:
        fields: newest fields of each offer, in the spelling of an offer file.
        offers: newest version of each offer.
        versions: every version.
        published: from when each version was in force.
    """

    scenario: Scenario
    fields: dict[str, dict[str, object]] = field(default_factory=dict)
    offers: dict[str, Offer | BrokenOffer] = field(default_factory=dict)
    versions: dict[tuple[str, int], Offer | BrokenOffer] = field(default_factory=dict)
    published: dict[str, list[tuple[int, Offer | BrokenOffer]]] = field(default_factory=dict)
    cards: dict[str, CardSpec] = field(default_factory=dict)
    card_states: dict[str, list[tuple[int, CardState]]] = field(default_factory=dict)
    members: dict[str, MemberSpec] = field(default_factory=dict)
    member_states: dict[str, list[tuple[int, MemberView]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Takes what the scenario begins with."""
        start_ms = self.scenario.start_ms
        for name, member in self.scenario.members.items():
            self.set_member(name, member, start_ms)
        for name, card in self.scenario.cards.items():
            self.set_card(name, card, start_ms)
        for name, fields in self.scenario.offers.items():
            self._publish(name, dict(fields), start_ms)
        self._share()

    def set_offer(self, name: str, changes: Mapping[str, object], at_ms: int) -> None:
        """A new version of an offer, in force from now on."""
        fields = {**self.fields[name], **changes}
        fields["version"] = self.offers[name].version + 1
        self._publish(name, fields, at_ms)
        self._share()

    def set_card(self, name: str, card: CardSpec, at_ms: int) -> None:
        """A card's state from now on."""
        self.cards[name] = card
        reference = member_ref(card.member) if card.member else ""
        state = CardState(card.status, reference)
        self.card_states.setdefault(card_hash(name), []).append((at_ms, state))

    def set_member(self, name: str, member: MemberSpec, at_ms: int) -> None:
        """What is known of a member from now on."""
        self.members[name] = member
        view = member_view(name, member)
        self.member_states.setdefault(view.ref, []).append((at_ms, view))

    def offer_histories(self) -> dict[str, History[Offer | BrokenOffer]]:
        """Which version was in force when."""
        return {name: History(points) for name, points in self.published.items()}

    def _publish(self, name: str, fields: dict[str, object], at_ms: int) -> None:
        fields.setdefault("version", 1)
        version = fields["version"]
        found: Offer | BrokenOffer
        try:
            found = parse_offer(
                fields,
                holiday_dates=holidays.PUBLIC_HOLIDAYS
                if self.scenario.holidays is None
                else self.scenario.holidays,
            )
        except OfferInvalid as fault:
            found = BrokenOffer(name, str(fault), version if isinstance(version, int) else 0)
        self.fields[name] = fields
        self.offers[name] = found
        self.published.setdefault(name, []).append((at_ms, found))

    def _share(self) -> None:
        """Lets the newest versions know which offers share their limits."""
        self.offers = share_groups(self.offers)
        for name, offer in self.offers.items():
            self.versions[name, offer.version] = offer
            at_ms, _ = self.published[name][-1]
            self.published[name][-1] = (at_ms, offer)


def member_view(name: str, member: MemberSpec) -> MemberView:
    """A member as the rules see it."""
    return MemberView(member_ref(name), member.status, member.district, member.street, member.tags)


def card_view(
    names: list[str], cards: Mapping[str, CardSpec], members: Mapping[str, MemberView]
) -> CardView:
    """What a reader and a roster say of the card or cards in the field."""
    if len(names) != 1:
        status = CardStatus.SEVERAL if names else CardStatus.UNREADABLE
        return CardView(status=status)
    card = cards.get(names[0])
    reference = card_hash(names[0])
    if card is None:
        return CardView(card=reference, status=CardStatus.UNKNOWN, scheme="unionpay")
    view = CardView(
        card=reference,
        status=card.status,
        scheme="unionpay",
        assurance=card.assurance,
        member=members.get(card.member),
    )
    if card.status in {CardStatus.UNKNOWN, CardStatus.FAKE}:
        view = replace(view, member=None)
    if card.status in {CardStatus.UNREADABLE, CardStatus.SEVERAL}:
        view = CardView(status=card.status)
    return view
