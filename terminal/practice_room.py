"""Composes the practice room: ledger, keys, roster and schemes, all apart from the real ones."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from keys.keystore import KeyKind, KeyStore
from keys.passphrase import PassphraseKeyStore
from ledger.entry import Entry, Kind
from ledger.log.proof import tap_receipt
from ledger.log.store import LogStore
from ledger.rules.offer import Offer, OfflineMode
from ledger.rules.request import MemberView
from ledger.rules.terms import VENUE_ZONE, CardStatus, OnlineAnswer, Refill
from ledger.rules.windows import local_day
from readers.cards.emv.ca_keys import load_ca_keys
from readers.cards.scheme import CardScheme
from readers.cards.unionpay import UnionPay
from readers.errors import ReaderError
from sync.asking import HoldQuestion, LeaseQuestion
from terminal.clock import Clock
from terminal.corrections import Corrections
from terminal.courier import Courier
from terminal.entries import fault_entry
from terminal.errors import PracticeUnavailable
from terminal.flow import TapFlow
from terminal.home import Home, write_private
from terminal.journal import Journal
from terminal.machine import LEDGER_KEY, boot_facts, ledger_signer
from terminal.position import Position
from terminal.presenter import presenter
from terminal.service import TerminalService
from terminal.shift import Shifts
from terminal.state import Installed, Link, Listed, TerminalFacts
from terminal.stock import Prepared, StockDesk
from terminal.supervisors import Supervisors
from terminal.wiping import CARD_KEY
from terminal.writer import LedgerWriter

FOLDER: Final = "practice"
#: The demo authority's public keys, put here by `redcard practice setup`.
BUNDLE: Final = "ca_keys.json"
#: First label of the practice ledger's origin: whoever verifies one of its papers sees it.
LABEL: Final = "practice"
LEASE_UNITS: Final = 500
#: The supervisor of every practice room, so that overrides and late voids can be practised.
SUPERVISOR: Final = "practice"
SUPERVISOR_PIN: Final = "0000"
_IDS: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class DemoCards:
    """The roster of the room: whatever card the demo authority vouches for, with a fresh member."""

    session: str
    tags: frozenset[str]
    district: str
    street: str

    card_key_id = ""

    def find(self, card: str) -> Listed | None:
        """A member who has used nothing since this room was opened."""
        ref = sha256(f"{self.session}/{card}".encode()).hexdigest()[:16]
        member = MemberView(ref, district=self.district, street=self.street, tags=self.tags)
        return Listed(CardStatus.ACTIVE, member)

    def __len__(self) -> int:
        return 0


class PracticeFacts(TerminalFacts):
    """As in service, but always connected: the room answers itself."""

    @property
    def link(self) -> Link:
        """A link that is always there; nothing travels over it."""
        now = self.time.now()
        return replace(super().link, heard_boot_ms=now.boot_ms, heard_ms=now.now_ms)


class PracticeServer:
    """Stands in for the server's side of leases and holds: it grants everything."""

    def __init__(self, grant: Callable[[str], None]) -> None:
        self._grant = grant

    def refill(self, question: LeaseQuestion) -> Refill:
        """Writes another lease into the practice ledger."""
        self._grant(question.offer)
        return Refill.NOT_ASKED

    def hold(self, question: HoldQuestion) -> Prepared:
        """Holds for every nonce."""
        del question
        return Prepared(online=OnlineAnswer.HELD)


def open_room(
    home: Home, clock: Clock, service: TerminalService, bundle: Callable[[], bytes | None]
) -> TerminalService:
    """Opens the practice room of a terminal.

    Args:
        home: its home; the room lies in a folder of it.
        clock: its clock.
        service: the terminal in service, for its catalogue and positions.
        bundle: the CA bundle of the snapshot, used when it is a demo's.

    Raises:
        PracticeUnavailable: there is no demo authority.
    """
    folder = home.path / FOLDER
    schemes = _schemes(home, service, bundle)
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = _keys(folder, home.passphrase())
    ledger = _ledger_id(folder)
    origin = f"{LABEL}.{home.enrolment().domain}/redcard/{ledger}"
    signer = ledger_signer(keys, origin)
    time, path = service.parts.facts.time, folder / "ledger.db"
    boot = partial(boot_facts, clock, epoch=1)
    if not path.exists():
        LogStore.create(
            path,
            origin=origin,
            signer=signer,
            genesis={"epoch": 1, "practice": True},
            boot=boot(now_ms=time.now().now_ms),
        ).close()
    writer = LedgerWriter(
        lambda: LogStore.open(path, signer=signer, boot=boot(now_ms=time.now().now_ms)),
        lambda reason: fault_entry(time.now(), "ledger", reason),
    )
    facts = PracticeFacts(time, _installed(service))
    return _assembled(service, folder, writer, facts, keys, schemes, (ledger, origin))


def _assembled(
    service: TerminalService,
    folder: Path,
    writer: LedgerWriter,
    facts: PracticeFacts,
    keys: KeyStore,
    schemes: Sequence[CardScheme],
    identity: tuple[str, str],
) -> TerminalService:
    real, (ledger, origin) = service.parts, identity
    journal = Journal(folder / "state.db")
    supervisors = Supervisors(journal)
    supervisors.add(SUPERVISOR, SUPERVISOR_PIN)
    stock = StockDesk(writer, facts, PracticeServer(partial(_grant, writer, facts, real.new_nonce)))
    flow = TapFlow(
        writer=writer,
        facts=facts,
        journal=journal,
        stock=stock,
        receipts=partial(tap_receipt, ledger_signer(keys, origin)),
        offline_cap=None,
        terminal=real.name,
    )
    parts = replace(
        real,
        ledger=ledger,
        origin=origin,
        practice=True,
        reservations=None,
        book=None,
        writer=writer,
        facts=facts,
        journal=journal,
        flow=flow,
        corrections=Corrections(writer=writer, facts=facts),
        shifts=Shifts(writer=writer, facts=facts, new_id=real.new_nonce),
        stock=stock,
        supervisors=supervisors,
        courier=_idle_courier(facts, journal, writer),
        readers=(),
        present=presenter(keys, lambda: schemes, facts),
        verdicts=dict,
        problems=tuple,
        closing=(),
    )
    positions = [
        Position(service.position(name).config, service.notify) for name in service.positions()
    ]
    return TerminalService(parts, positions)


def _schemes(
    home: Home, service: TerminalService, bundle: Callable[[], bytes | None]
) -> Sequence[CardScheme]:
    """The schemes of demo cards alone: a bundle of real keys is refused."""
    file = home.path / FOLDER / BUNDLE
    data = file.read_bytes() if file.exists() else bundle()
    today = local_day(service.parts.facts.time.now().now_ms, VENUE_ZONE)
    remedy = "get the demo cards' key file from the federation: `redcard practice setup FILE`"
    try:
        if data is None or json.loads(data).get("test") is not True:
            raise PracticeUnavailable(f"this terminal has no demo cards; {remedy}")
        return (UnionPay(load_ca_keys(data, today, allow_test=True)),)
    except (ReaderError, ValueError, AttributeError) as error:
        raise PracticeUnavailable(f"the demo cards' keys are no use ({error}); {remedy}") from error


def _keys(folder: Path, passphrase: bytes) -> KeyStore:
    keys = PassphraseKeyStore(folder / "keys", passphrase)
    for name, kind in ((LEDGER_KEY, KeyKind.ED25519), (CARD_KEY, KeyKind.HMAC)):
        if name not in keys.names():
            keys.generate(name, kind)
    return keys


def _ledger_id(folder: Path) -> str:
    file = folder / "ledger.id"
    if not file.exists():
        made = "".join(secrets.choice(_IDS) for _ in range(26))
        write_private(file, made.encode("ascii"), replace=False)
    return file.read_text("ascii")


def _installed(service: TerminalService) -> Installed:
    """The catalogue in force, and members to whom every offer is open."""
    installed = service.parts.facts.installed
    tags: set[str] = set()
    for offer in installed.catalogue.offers.values():
        if isinstance(offer, Offer):
            tags |= offer.eligibility.tags_all | offer.eligibility.tags_any
    venue = installed.venue(service.position(service.positions()[-1]).config.venue)
    cards = DemoCards(secrets.token_hex(8), frozenset(tags), venue.district, venue.street)
    return replace(installed, cards=cards)


def _grant(
    writer: LedgerWriter, facts: TerminalFacts, new_id: Callable[[], str], offer: str
) -> None:
    """A lease as the server would grant it, so that stock can be practised."""
    known = facts.installed.offer(offer)
    if not isinstance(known, Offer) or known.offline is not OfflineMode.LEASED:
        return
    now = facts.time.now()
    entry: Entry = {
        "kind": Kind.LEASE.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "lease": new_id(),
        "offer": offer,
        "units": LEASE_UNITS,
        "lease_epoch": 1,
        "expires_ms": known.until_ms,
    }
    with writer.turn:
        writer.append(entry)


def _idle_courier(facts: TerminalFacts, journal: Journal, writer: LedgerWriter) -> Courier:
    """Carries nothing: practice never travels."""
    return Courier(
        client=None,
        facts=facts,
        journal=journal,
        writer=writer,
        arrived=lambda: None,
        changed=lambda: None,
        every_ms=0,
    )
