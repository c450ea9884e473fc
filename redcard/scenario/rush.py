"""A rush for one offer: many members, many terminals, some of them cut off to the very end.

The stalls are terminals of their own with the real log in memory and the real decision. Connected
ones tell the server at once and hear what other connected ones gave out; those cut off know only
their own ledger. At the end all push, through the real admission, and the server's judge counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import ledger.rules.decide
from ledger.entry import Entry, Kind
from ledger.log import canonical
from ledger.log.note import KeySigner
from ledger.log.store import BootFacts, LogStore
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import (
    Ask,
    CardStatus,
    CardView,
    Decision,
    Offer,
    RedemptionRequest,
    Refill,
    TerminalState,
    Venue,
)
from ledger.rules.usage import Usage
from redcard.scenario.books import card_hash, member_view
from redcard.scenario.document import CardSpec, MemberSpec
from redcard.scenario.ports import take_lease
from redcard.scenario.till import OPERATOR
from sync.batch import next_batch
from sync.protocol import BATCH_MEDIA_TYPE, encode_batch, entries_path
from sync.transport import Request
from terminal.clock import Moment
from terminal.entries import Place, tap_entry

if TYPE_CHECKING:
    from redcard.scenario.world import World

INITIAL_UNITS: Final = 4
SECOND_TRY_SHARE: Final = 0.05
#: How uneven the demand is: the weight of the n-th terminal is n to this power.
DEMAND_EXPONENT: Final = -0.7
#: The whole rush lasts this long.
RUSH_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class RushResult:
    """What came of a rush, as the server knows it after all terminals have synced.

    Attributes:
        approved: redemptions.
        declined: taps that got nothing.
        oversold: units redeemed beyond the stock.
        unsold: units that nobody got.
        twice: members who got it more than once.
    """

    approved: int
    declined: int
    oversold: int
    unsold: int
    twice: int


class Stall:
    """One terminal of a rush."""

    def __init__(self, world: World, name: str, signer: KeySigner, usage: Usage | None) -> None:
        """``usage`` is what connected stalls know together; one cut off has its own."""
        self.connected = usage is not None
        self.usage = usage or Usage()
        self.leases = LeaseBook()
        self.venue = Venue(name, zone=world.scenario.zone)
        self._world = world
        boot = BootFacts(signer.name[-16:].encode().hex()[:16], world.true_ms(), 0)
        self.log = LogStore.create(
            ":memory:", origin=signer.name, signer=signer, genesis={}, boot=boot
        )

    @property
    def ledger(self) -> str:
        """Ledger id."""
        return self.log.origin.rpartition("/")[2]

    def now(self) -> Moment:
        """The true time: clocks are right in a rush."""
        now_ms = self._world.true_ms()
        return Moment(now_ms, now_ms - self._world.scenario.start_ms, 0)

    def append(self, entries: Sequence[Entry]) -> int:
        """Writes entries in one commit and folds them."""
        first = self.log.append(entries).first_seq
        for data in self.log.entries(first, self.log.size):
            entry = canonical.decode(data)
            self.usage.apply(entry, ledger=self.ledger)
            self.leases.apply(entry)
        return first

    def tap(self, offer: Offer, card: CardView, nonce: str, holders: dict[str, Stall]) -> None:
        """One tap, written as it is decided; a used-up lease is refilled while connected.

        ``holders`` are the connected stalls that may still have units to give back.
        """
        now = self.now()
        request = RedemptionRequest(nonce=nonce, card=card, offer_id=offer.id)
        decision, state = self._decide(request, offer, now, Refill.NOT_ASKED)
        if decision.ask is Ask.REFILL:
            others = _others(holders, self, offer)
            grant = self._world.depot.refill(self, self.venue, offer, 1, others)
            if grant.lease is not None:
                take_lease(self, offer.id, grant.lease)
                holders[self.ledger] = self
            decision, state = self._decide(request, offer, now, grant.refill)
        lease = state.lease.lease if state.lease is not None else ""
        place = Place("", self.venue.id, OPERATOR)
        entry = dict(
            tap_entry(request, decision, offer, place, now, connected=self.connected, lease=lease)
        )
        entry.pop("position", None)
        self.append([entry])

    def _decide(
        self, request: RedemptionRequest, offer: Offer, now: Moment, refill: Refill
    ) -> tuple[Decision, TerminalState]:
        member = request.card.member.ref if request.card.member is not None else ""
        state = TerminalState(
            terminal=self.venue.id,
            venue=self.venue,
            connected=self.connected,
            lease=self.leases.view(offer.id, now.now_ms),
            refill=refill,
        )
        usage = self.usage.view(member, offer)
        decide = ledger.rules.decide.decide
        return decide(request, offer, usage, state, now.now_ms), state


def rush(
    world: World, offer: Offer, *, members: int, terminals: int, offline_share: float, seed: int
) -> RushResult:
    """Plays a rush and counts at the server.

    Args:
        world: whose server and true time are used.
        offer: with a leased stock.
        members: how many come; one tap each, and one in twenty tries a second terminal.
        terminals: how many there are.
        offline_share: share of them that is cut off from before the first tap to after the last.
        seed: of all chance.
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation must be repeatable
    stalls = _stalls(world, offer, terminals, offline_share, chance)
    cards = [_card(world, f"rush-{seed}-{number}") for number in range(members)]
    weights = [(number + 1) ** DEMAND_EXPONENT for number in range(terminals)]
    chance.shuffle(weights)
    visits = list(zip(chance.choices(stalls, weights, k=members), cards, strict=True))
    for number in chance.sample(range(members), round(members * SECOND_TRY_SHARE)):
        elsewhere = chance.choices(stalls, weights)[0]
        visits.insert(chance.randrange(len(visits) + 1), (elsewhere, cards[number]))
    start_ms = world.true_ms()
    holders = {stall.ledger: stall for stall in stalls if stall.connected}
    for number, (stall, card) in enumerate(visits):
        world.time.now_ms = start_ms + RUSH_MS * number // len(visits)
        stall.tap(offer, card, f"rush-{seed}-{number}", holders)
    world.time.now_ms = start_ms + RUSH_MS
    return _count(world, offer, stalls)


def _others(holders: dict[str, Stall], stall: Stall, offer: Offer) -> Iterator[Stall]:
    """Connected stalls with units to give back; one without is not asked until it has a lease."""
    for ledger_id, other in list(holders.items()):
        if other is stall:
            continue
        if not any(lease.left for lease in other.leases.opens(offer.id)):
            del holders[ledger_id]
        else:
            yield other


def _stalls(
    world: World, offer: Offer, terminals: int, offline_share: float, chance: random.Random
) -> list[Stall]:
    from redcard.scenario.world import DOMAIN, make_signer

    cut_off = set(chance.sample(range(terminals), round(terminals * offline_share)))
    shared = Usage()
    stalls: list[Stall] = []
    for number in range(terminals):
        name = f"stall-{number}"
        signer = make_signer(f"{DOMAIN}/redcard/{card_hash(name)}")
        world.centre.enrol(signer)
        stall = Stall(world, name, signer, None if number in cut_off else shared)
        lease = world.depot.start(offer, stall, stall.venue, INITIAL_UNITS)
        if lease is not None:
            take_lease(stall, offer.id, lease)
        stalls.append(stall)
    return stalls


def _card(world: World, name: str) -> CardView:
    """A member with one card, known to the server."""
    member, now_ms = MemberSpec(), world.true_ms()
    world.books.set_member(name, member, now_ms)
    world.books.set_card(name, CardSpec(name), now_ms)
    return CardView(
        card_hash(name), CardStatus.ACTIVE, "unionpay", member=member_view(name, member)
    )


def _count(world: World, offer: Offer, stalls: Sequence[Stall]) -> RushResult:
    """All push, and the server counts."""
    declined = 0
    for stall in stalls:
        at = 0
        while (batch := next_batch(stall.log, at)) is not None:
            headers = {"Content-Type": BATCH_MEDIA_TYPE}
            target = entries_path(stall.ledger)
            answer = world.take(Request("POST", target, headers, encode_batch(batch)))
            assert answer.status == 200, answer.body
            at = batch.end
        stall.log.close()
        held = world.centre.ledgers[stall.ledger]
        declined += sum(event.kind == Kind.DECLINE for event in held.events)
    world.centre.judge()
    uses = [use for use in world.centre.usage.all_uses() if use.offer == offer.id]
    approved = sum(use.quantity for use in uses)
    served = Counter(use.member for use in uses)
    stock = offer.stock.quantity
    return RushResult(
        approved=approved,
        declined=declined,
        oversold=max(0, approved - stock),
        unsold=max(0, stock - approved),
        twice=sum(count > 1 for count in served.values()),
    )
