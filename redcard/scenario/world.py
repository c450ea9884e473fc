"""A scenario in virtual time: its terminals, the network, and the server, ready for its steps.

The decision, the log, the push loop, the admission and the judge are the product's own; what is
made up here is time, the cable and the disk's fate. Names, keys and identifiers follow from the
names in the file, so that every run is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ledger.entry import Entry
from ledger.log.note import COSIGNATURE, ED25519, Ed25519Verifier, KeySigner, Verifier
from ledger.rules.offer import (
    Offer,
    OfflineMode,
    OnlineAnswer,
    RedemptionRequest,
    StockMode,
    Venue,
)
from ledger.rules.usage import UsageView, Use
from ledger.rules.voids import Found, Original
from redcard.scenario.books import Books, card_hash, member_view
from redcard.scenario.centre import Centre, units_beyond
from redcard.scenario.depot import Depot, Held
from redcard.scenario.document import Scenario
from redcard.scenario.errors import StepImpossible
from redcard.scenario.instants import Instants
from redcard.scenario.machine import Machine, Snapshot, VirtualClock
from redcard.scenario.ports import Grant, Hold, take_lease
from redcard.scenario.vouchers import issue
from redcard.scenario.wire import push
from server.facts import Facts, History, LeaseTerm, Position
from server.holding import Free, consent, refuses
from sync.transport import Request, Response
from sync.uplink import SyncStatus
from terminal.reservations import opened as opened_token

DOMAIN: Final = "scenario.redcard.example"
_ALPHABET: Final = "234567abcdefghijklmnopqrstuvwxyz"


@dataclass
class Time:
    """The true time."""

    now_ms: int


def make_signer(name: str, note_type: int = ED25519) -> KeySigner:
    """A key that follows from its name: for scenarios alone, never for a real ledger."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(sha256(f"scenario {name}".encode()).digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return KeySigner(name, key.sign, public, note_type)


class World:
    """Everything of one scenario; ``steps`` acts on it."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        """Starts server and terminals, freshly synced, with their first leases."""
        self.scenario = scenario
        self.folder = folder
        self.time = Time(scenario.start_ms)
        self.books = Books(scenario)
        self.depot = Depot(self.true_ms)
        self.instants = Instants()
        self.machines: dict[str, Machine] = {}
        self.settled: set[str] = set()
        self.files: dict[str, tuple[str, tuple[bytes, ...]]] = {}
        self.voids = 0
        self._recalls: dict[str, list[str]] = {}
        self._centre = Centre(
            make_signer(f"{DOMAIN}/receipts", COSIGNATURE),
            self.true_ms,
            self._facts,
            self._arrived,
            self.instants.event,
        )
        for name in scenario.terminals:
            self._start(name)
        self._voucher = make_signer(f"{DOMAIN}/reservations")
        ledgers = {name: machine.ledger for name, machine in self.machines.items()}
        self._tokens = issue(scenario, self._voucher, ledgers)
        for name in scenario.terminals:
            self._sync_at_start(self.machines[name])

    @property
    def centre(self) -> Centre:
        """The server."""
        return self._centre

    @property
    def witness(self) -> Verifier:
        """Key of the receipts."""
        return self._centre.witness

    def true_ms(self) -> int:
        """The true time, which is the server's."""
        return self.time.now_ms

    def machine(self, name: str) -> Machine:
        """A terminal by name.

        Raises:
            StepImpossible: there is none.
        """
        found = self.machines.get(name)
        if found is None:
            raise StepImpossible(f"there is no terminal {name!r}")
        return found

    def venue_of(self, machine: Machine) -> Venue:
        """The venue at which a terminal stands."""
        name = machine.spec.venue
        return self.scenario.venues.get(name) or Venue(name, zone=self.scenario.zone)

    def offer(self, name: str) -> Offer:
        """An offer as the server has it now.

        Raises:
            StepImpossible: there is none, or it is broken.
        """
        found = self.books.offers.get(name)
        if not isinstance(found, Offer):
            raise StepImpossible(f"there is no sound offer {name!r}")
        return found

    def recall(self, terminal: str, offer: str) -> None:
        """Wants a lease back; the terminal hears of it at its next sync or pull."""
        self._recalls.setdefault(self.machine(terminal).ledger, []).append(offer)

    def clone(self, source: str, name: str) -> Machine:
        """A second machine from the disk of a first."""
        if name in self.machines:
            raise StepImpossible(f"there is a terminal {name!r} already")
        first = self.machine(source)
        disk = self.folder / f"disk-{name}"
        first.copy_disk(disk)
        clock = VirtualClock(self.true_ms, f"{name} cloned")
        machine = Machine(name, first.spec, first.signer, disk, clock, genesis=False)
        machine.online = first.online
        machine.snapshot = first.snapshot
        self.machines[name] = machine
        return machine

    def close(self) -> None:
        """Closes all files."""
        for machine in self.machines.values():
            machine.close()

    # What a terminal may ask: ``wire.Server`` and ``till.ServerAtTheTap``.

    def take(self, request: Request) -> Response:
        """Answers a batch."""
        return self._centre.take(request)

    def standing_of(self, ledger: str) -> SyncStatus:
        """How a ledger stands."""
        return self._centre.standing_of(ledger)

    def told(self, ledger: str) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Newest verdicts and flags of a ledger's entries, by nonce."""
        return self._centre.told(ledger)

    def recalls(self, ledger: str) -> list[str]:
        """Offers whose leases this ledger shall close."""
        return self._recalls.pop(ledger, [])

    def refresh(self, machine: Machine) -> None:
        """Brings snapshot, used-set and judgements to a terminal."""
        centre = self._centre
        machine.verdicts, machine.flags = centre.told(machine.ledger)
        standing = centre.standing_of(machine.ledger)
        machine.install(
            Snapshot(
                pulled_ms=self.true_ms(),
                offers=dict(self.books.offers),
                cards=dict(self.books.cards),
                members={
                    name: member_view(name, member) for name, member in self.books.members.items()
                },
                used=centre.used_elsewhere(machine.ledger),
                settled=frozenset(self.settled),
                revoked=standing is not SyncStatus.OK,
                reservations={
                    name: opened_token(token, [Ed25519Verifier.of(self._voucher)])
                    for name, token in self._tokens.items()
                },
            ),
            self.true_ms(),
        )

    def refill(self, machine: Machine, offer: Offer, quantity: int) -> Grant:
        """More units of a lease; empties other connected terminals if it must."""
        others = [one for one in self.machines.values() if one is not machine and one.online]
        sound = self.offer(offer.id)
        return self.depot.refill(machine, self.venue_of(machine), sound, quantity, others)

    def hold(self, machine: Machine, request: RedemptionRequest, offer: Offer) -> Hold:
        """Decides on an ``online`` offer with what the server knows, and holds units for it."""
        venue = self.venue_of(machine)
        member = request.card.member.ref if request.card.member is not None else ""
        key = (machine.ledger, request.nonce)
        pool = self.depot.pool(self.offer(offer.id))
        part = pool.part(venue.id, venue.zone, self.true_ms())
        sound = self.offer(offer.id)
        free = Free()
        if sound.stock.mode is not StockMode.NONE:
            units = pool.free(part) - self.depot.held_units(offer.id, part, but=key)
            free = Free(units, self.depot.left_elsewhere(sound, part))
        decision = consent(
            replace(request, simulate=False),
            sound,
            self._server_view(member, offer, key),
            free,
            terminal=machine.name,
            venue=venue,
            now_ms=self.true_ms(),
        )
        if refuses(decision):
            return Hold(OnlineAnswer.REFUSED, decision.code, decision.until_ms)
        self.depot.hold(
            Held(
                machine.ledger,
                request.nonce,
                offer.id,
                member,
                venue.id,
                part,
                request.quantity,
                self.true_ms(),
            )
        )
        return Hold(OnlineAnswer.HELD)

    def confirm(self, machine: Machine, nonce: str) -> None:
        """The entry of a hold is durable."""
        self.depot.confirm(machine.ledger, nonce)

    def release(self, machine: Machine, nonce: str) -> None:
        """The redemption under a hold was voided."""
        self.depot.release(machine.ledger, nonce)

    def where(self, nonce: str, ledger: str) -> Original:
        """Where a redemption is that is not in a terminal's own ledger, and whether settled."""
        found = self._centre.find(nonce)
        if found is None or found[0] == ledger:
            return Original()
        names = {one.ledger: one.name for one in self.machines.values()}
        return Original(
            found=Found.ELSEWHERE,
            offer=found[1].text("offer"),
            terminal=names.get(found[0], ""),
            settled=nonce in self.settled,
        )

    # What the server knows.

    def _server_view(self, member: str, offer: Offer, key: tuple[str, str]) -> UsageView:
        """Uses of all ledgers, and what is held under other nonces."""
        self._centre.judge()
        view = self._centre.usage.view(member, offer)
        held = [
            Use(one.at_ms, one.ledger, 0, one.quantity, one.venue, one.offer, one.member)
            for one in self.depot.holds_of(member)
            if (one.ledger, one.nonce) != key
        ]
        groups = {
            limit.group: [use for use in held if use.offer in limit.offers]
            for limit in offer.limits
            if limit.group
        }
        own = [use for use in held if use.offer == offer.id]
        return view.joined(UsageView(sorted(own), {key: sorted(v) for key, v in groups.items()}))

    def _facts(self) -> Facts:
        books = self.books
        return Facts(
            versions=books.versions,
            in_force=books.offer_histories(),
            cards={card: History(points) for card, points in books.card_states.items()},
            members={ref: History(points) for ref, points in books.member_states.items()},
            venues={
                name: self.scenario.venues.get(name) or Venue(name, zone=self.scenario.zone)
                for name in {one.spec.venue for one in self.machines.values()}
            },
            revoked_from=self._centre.revoked_from(),
            leases={
                lease.lease: LeaseTerm(lease.units, lease.expires_ms)
                for offer in books.offers.values()
                if isinstance(offer, Offer)
                for lease in self.depot.pool(offer).leases()
            },
            oversold=frozenset(self._oversold()),
        )

    def _oversold(self) -> Iterator[Position]:
        """Positions of uses beyond their part of a stock: a pool, a venue, a day, a sitting."""
        for offer in self.books.offers.values():
            if not isinstance(offer, Offer) or offer.stock.mode is StockMode.NONE:
                continue
            pool = self.depot.pool(offer)
            parts: dict[str, list[Use]] = {}
            for use in self._centre.usage.all_uses():
                if use.offer == offer.id:
                    venue = self.scenario.venues.get(use.venue)
                    zone = self.scenario.zone if venue is None else venue.zone
                    parts.setdefault(pool.part(use.venue, zone, use.ts_ms), []).append(use)
            for part, uses in parts.items():
                for use in units_beyond(uses, pool.total(part)):
                    yield Position(use.ledger, use.seq)

    def _arrived(self, ledger: str, entry: Entry) -> None:
        """An entry was admitted: stock follows."""
        offer = self.books.offers.get(str(entry.get("offer", "")))
        if isinstance(offer, Offer):
            name = str(entry.get("venue", ""))
            venue = self.scenario.venues.get(name) or Venue(name, zone=self.scenario.zone)
            self.depot.admit(entry, ledger, offer, venue)

    # The beginning.

    def _start(self, name: str) -> None:
        # Of two events at the same instant the lower ledger id was first: here, the lower name.
        place = sorted(self.scenario.terminals).index(name)
        first, second = divmod(place, len(_ALPHABET))
        ledger = f"{_ALPHABET[first]}{_ALPHABET[second]}{card_hash(f'ledger {name}')[2:]}"
        origin = f"{DOMAIN}/redcard/{ledger}"
        disk = self.folder / f"disk-{name}"
        disk.mkdir()
        signer = make_signer(origin)
        self._centre.enrol(signer)
        clock = VirtualClock(self.true_ms, name)
        self.machines[name] = Machine(name, self.scenario.terminals[name], signer, disk, clock)

    def _sync_at_start(self, machine: Machine) -> None:
        """Every terminal begins freshly synced and with its first lease, online or not."""
        online, machine.online = machine.online, True
        for offer in self.books.offers.values():
            if isinstance(offer, Offer) and offer.offline is OfflineMode.LEASED:
                units = offer.stock.leases.get(machine.name, 0)
                venue = self.venue_of(machine)
                lease = self.depot.start(offer, machine, venue, units) if units else None
                if lease is not None:
                    take_lease(machine, offer.id, lease)
        push(machine, self)
        self.refresh(machine)
        machine.online = online
        if any(step.kind == "restore" for step in self.scenario.steps):
            images = self.folder / "images"
            images.mkdir(exist_ok=True)
            machine.keep_images(images)


@contextmanager
def opened(scenario: Scenario) -> Iterator[World]:
    """A world for one scenario, in a folder that goes away with it."""
    with TemporaryDirectory(prefix="redcard-scenario-") as folder:
        world = World(scenario, Path(folder))
        try:
            yield world
        finally:
            world.close()
