"""The terminal's composition root: a home becomes a running terminal.

Every port meets its implementation here: key store and signer, ledger and receipts, sync and
downlink, card schemes and readers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from keys.keystore import KeyStore
from ledger.log.note import KeySigner
from ledger.log.proof import tap_receipt
from ledger.log.reading import LogReader
from ledger.log.store import LogStore
from readers.supervision import CardReader
from sync.asker import Asker
from sync.client import Client
from sync.errors import StateFault
from sync.transport import Transport
from terminal import views
from terminal.asking import ServerQuestions
from terminal.clock import Clock
from terminal.corrections import Corrections
from terminal.courier import Courier
from terminal.entries import fault_entry
from terminal.feedwork import FeedWork
from terminal.flow import Probe, TapFlow, no_probe
from terminal.home import Enrolment, Home
from terminal.install import Installer, SchemesFactory, red_card_schemes, staff_scheme
from terminal.journal import Journal
from terminal.machine import boot_facts, hardware_counter, ledger_signer, open_keys
from terminal.orders import Orders
from terminal.parts import Parts
from terminal.position import Position
from terminal.presenter import presenter
from terminal.reader_profiles import adopt
from terminal.remote_settings import RemoteSettings
from terminal.reporting import Reporter
from terminal.reservations import ReservationDesk
from terminal.roster import open_roster
from terminal.server_side import ServerSide, open_server
from terminal.service import TerminalService
from terminal.shift import Shifts
from terminal.staff import StaffPin
from terminal.state import Installed, TerminalFacts, TerminalTime
from terminal.stock import StockDesk
from terminal.supervisors import Supervisors
from terminal.verdicts import Verdicts
from terminal.web.ulid import new_ulid
from terminal.wiping import Wipe
from terminal.writer import LedgerWriter

_LOG: Final = logging.getLogger("redcard.terminal")


def open_terminal(
    home: Home,
    clock: Clock,
    readers: Sequence[CardReader] = (),
    *,
    transport: Transport | None = None,
    schemes: SchemesFactory | None = None,
    keys: KeyStore | None = None,
    probe: Probe = no_probe,
) -> TerminalService:
    """Opens a home for writing; ``start`` of the result begins to serve.

    Args:
        home: the folder, enrolled.
        clock: the machine's clock, or the demo's.
        readers: drivers, not started.
        transport: the way to the server instead of the one in ``terminal.toml``.
        schemes: card schemes instead of the red card's.
        keys: a key store instead of the home's.
        probe: told of each step of a tap; for the demo's power switch and for tests.

    Raises:
        NotEnrolled: ``redcard init`` first.
        LogLocked: another process serves this home; the message names it.
        LogFault: the ledger cannot be used; the message says what to do.
    """
    with ExitStack() as undo:
        enrolment = home.enrolment()
        held_keys = keys if keys is not None else open_keys(home)
        journal = Journal(home.state_path)
        undo.callback(journal.close)
        time = TerminalTime(clock, journal.floor())
        server = open_server(home, enrolment, transport)
        undo.callback(server.state.close)
        time.signed(server.state.number("signed_ms"))
        facts = TerminalFacts(time, Installed(), home.config.snapshot_max_age_ms)
        facts.update_link(acknowledged=server.state.acknowledged().size)
        signer = ledger_signer(held_keys, enrolment.origin, home.ledger_path)
        writer = LedgerWriter(
            _log_opener(home, clock, time, enrolment, signer, server),
            lambda reason: fault_entry(time.now(), "ledger", reason),
        )
        undo.callback(writer.close)
        installer = _installer(home, enrolment, facts, server, schemes)
        wipe = _wiped_if_ordered(home, held_keys, journal, facts, installer, server)
        installer.begin()
        parts = (home, enrolment, held_keys, journal, facts, writer, server, installer)
        service = _assemble(_Held(*parts, wipe, probe, signer), readers)

        def room() -> TerminalService:
            # Most machines never practise after their first day.
            from terminal.practice_room import open_room

            return open_room(home, clock, service, lambda: installer.ca_bundle)

        service.train(room)
        undo.pop_all()
        return service


def _wiped_if_ordered(
    home: Home,
    keys: KeyStore,
    journal: Journal,
    facts: TerminalFacts,
    installer: Installer,
    server: ServerSide,
) -> Wipe:
    """The wipe of this home, carried out now if it was ordered before."""
    wipe = Wipe(
        home=home,
        keys=keys,
        journal=journal,
        facts=facts,
        installer=installer,
        store=server.store,
    )
    if wipe.begun:
        wipe.carry_out()
    return wipe


def _installer(
    home: Home,
    enrolment: Enrolment,
    facts: TerminalFacts,
    server: ServerSide,
    schemes: SchemesFactory | None,
) -> Installer:
    return Installer(
        server.store,
        facts,
        schemes or red_card_schemes(allow_test=home.config.demo),
        open_roster,
        kept=home.path / "kept",
        card_key_id=enrolment.card_key_id,
        staff=staff_scheme(allow_test=home.config.demo),
        ledger=enrolment.ledger,
        profiles=partial(adopt, home.path),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What has been opened and is joined next."""

    home: Home
    enrolment: Enrolment
    keys: KeyStore
    journal: Journal
    facts: TerminalFacts
    writer: LedgerWriter
    server: ServerSide
    installer: Installer
    wipe: Wipe
    probe: Probe
    signer: KeySigner

    def sign(self, message: bytes) -> bytes:
        """Signs with the ledger's key."""
        return self.signer.sign(message)

    def now_ms(self) -> int:
        """The terminal's time, above its floor."""
        return self.facts.time.now().now_ms

    def problems(self) -> list[str]:
        """What hinders the terminal beside ledger and link."""
        found = [self.installer.problem] if self.installer.problem else []
        broken = views.broken(self.facts.installed)
        if broken:
            found.append(f"offers that fail validation (O10): {', '.join(broken)}")
        return found

    def new_nonce(self) -> str:
        """A fresh ULID by the terminal's time."""
        return new_ulid(self.now_ms())


def _log_opener(
    home: Home,
    clock: Clock,
    time: TerminalTime,
    enrolment: Enrolment,
    signer: KeySigner,
    server: ServerSide,
) -> Callable[[], LogStore]:
    def open_log() -> LogStore:
        try:
            receipts = server.state.receipts()
        except StateFault as fault:
            # Without its receipts the ledger opens all the same; only a rollback goes unseen.
            _LOG.warning("the ledger opens without the server's receipts: %s", fault)
            receipts = []
        return LogStore.open(
            home.ledger_path,
            signer=signer,
            boot=boot_facts(clock, time.now().now_ms, enrolment.epoch),
            cosigned=[receipts[-1].note] if receipts else [],
            cosigners=[server.keys.witness],
            counter=hardware_counter(home),
        )

    return open_log


def _assemble(held: _Held, readers: Sequence[CardReader]) -> TerminalService:
    config, writer, facts = held.home.config, held.writer, held.facts
    source = LogReader.open(held.home.ledger_path)
    reservations = ReservationDesk(
        held.server.state,
        writer,
        held.enrolment.ledger,
        held.enrolment.vkeys.get("reservations", ""),
    )
    reservations.refresh()
    feed = FeedWork(held.server.state, writer, facts.time, reservations)
    supervisors = Supervisors(held.journal)
    settings = RemoteSettings(held.journal, config)
    orders = Orders(held.server.state, held.journal, supervisors, held.wipe, settings)
    reporter = Reporter(held.home.path, source, facts, settings)
    questions = _questions(held, source, feed)
    stock = StockDesk(writer, facts, questions)

    def changed(position: str) -> None:
        service.notify(position)

    def changed_everywhere() -> None:
        service.touch_all()

    service = TerminalService(
        Parts(
            ledger=held.enrolment.ledger,
            origin=held.enrolment.origin,
            name=config.name,
            demo=config.demo,
            writer=writer,
            facts=facts,
            journal=held.journal,
            flow=_flow(held, stock, reservations),
            corrections=Corrections(writer=writer, facts=facts, probe=held.probe),
            shifts=Shifts(writer=writer, facts=facts, new_id=held.new_nonce),
            stock=stock,
            supervisors=supervisors,
            courier=_courier(held, source, feed, orders, changed_everywhere, reporter),
            readers=tuple(readers),
            present=presenter(held.keys, lambda: held.installer.schemes, facts),
            new_nonce=held.new_nonce,
            verdicts=Verdicts(held.server.state).by_seq,
            problems=held.problems,
            staff=StaffPin(held.home.path / "staff.json"),
            closing=held.server.closing(source),
            reservations=reservations,
            book=questions.book if questions is not None else None,
        ),
        [Position(position, changed) for position in config.positions],
    )
    reporter.begin(service.parts, service.readers)
    return service


def _flow(held: _Held, stock: StockDesk, reservations: ReservationDesk) -> TapFlow:
    return TapFlow(
        writer=held.writer,
        facts=held.facts,
        journal=held.journal,
        stock=stock,
        receipts=partial(tap_receipt, held.signer),
        offline_cap=held.home.config.offline_cap,
        terminal=held.home.config.name,
        probe=held.probe,
        reservations=reservations,
    )


def _questions(held: _Held, source: LogReader, feed: FeedWork) -> ServerQuestions | None:
    """What may be asked at the tap; nothing without a server."""
    quick = held.server.quick
    if quick is None:
        return None
    client = _client(held, source, quick)

    def fetch() -> None:
        client.pull_feed()
        feed.run()

    asker = Asker(
        origin=held.enrolment.origin,
        transport=quick,
        feed=held.server.keys.feed,
        sign=held.sign,
        now_ms=held.now_ms,
    )
    return ServerQuestions(asker, fetch, held.facts)


def _client(held: _Held, source: LogReader, transport: Transport) -> Client:
    return Client(
        source=source,
        state=held.server.state,
        transport=transport,
        keys=held.server.keys,
        sign=held.sign,
        now_ms=held.now_ms,
        downlink=held.server.store,
    )


def _courier(
    held: _Held,
    source: LogReader,
    feed: FeedWork,
    orders: Orders,
    changed: Callable[[], None],
    reporter: Reporter,
) -> Courier:
    server = held.server

    def arrived() -> None:
        orders.run()
        held.installer.install()
        feed.run()

    return Courier(
        client=_client(held, source, server.transport) if server.transport else None,
        facts=held.facts,
        journal=held.journal,
        writer=held.writer,
        arrived=arrived,
        changed=changed,
        every_ms=held.home.config.sync_every_ms,
        report=reporter.tell,
        carried=held.installer.carried,
    )
