"""The demo: what the buttons of its page do, and how it is put up and taken down.

Everything goes through the product: cards are laid on the reader, the terminal is asked over its
loopback API, the server over its own. The demo itself neither decides nor records anything.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ledger.log import canonical
from ledger.log.export import export
from ledger.log.reading import LogReader
from ledger.verify import verify_directory
from readers.virtual.card_box import BoxCard
from redcard import demo_world as world
from redcard.card_box import Counts, DemoCard, MonthReport, ReportLine, TamperReport
from redcard.demo_clock import LastTime
from redcard.demo_resume import last_time
from redcard.demo_stage import Stage
from redcard.errors import SurroundingsMissing
from server.administration import ask
from sync.transport import HttpTransport
from terminal.enrolment import enrol
from terminal.errors import TerminalError
from terminal.home import Home
from terminal.remote import RemoteDesk
from terminal.web.ulid import new_ulid

TAP_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.03
_PLACE_OFFSET: Final = timedelta(hours=8)

#: The box, in the order of its buttons: id, kind, zh, en, slots.
_BUTTONS: Final = (
    (world.VISITOR, "good", "好卡 · 一号会员", "Good card, member 1", ("kiosk", "counter")),
    (world.OTHER, "good", "好卡 · 二号会员", "Good card, member 2", ("kiosk", "counter")),
    ("forged", "forged", "复制的卡", "Forged copy of card 1", ("kiosk", "counter")),
    ("blocked", "blocked", "已挂失的卡", "Blocked card", ("kiosk", "counter")),
    ("expired", "expired", "过期的卡", "Expired card", ("kiosk", "counter")),
    ("replaced", "replaced", "已换发的旧卡", "Replaced card", ("kiosk", "counter")),
    ("unknown", "unknown", "未登记的卡", "Unknown card", ("kiosk", "counter")),
)
_BUNDLE: Final = "bundle"


class Demo:
    """One demo, from an empty folder to its end; fulfils ``card_box.CardBoxActions``."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.folders = stage.folders
        self.box: dict[str, BoxCard] = {}
        self._doing = ""
        self._lock = threading.Lock()

    # Putting it up.

    def open(self, server_port: int, say: Callable[[str], None]) -> None:
        """Sets up what is missing and starts everything; the pages answer when it returns."""
        folders, stage = self.folders, self.stage
        fresh = folders.fresh()
        if fresh:
            for folder in (folders.server, folders.terminal):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in (folders.root, folders.server, folders.terminal):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stage.set_clock(LastTime() if fresh else last_time(folders.terminal))
        say("box of red cards (test keys)")
        self.box = world.fill_box(folders, _day(stage.clock.wall_ms()))
        stage.start_reader()
        code = ""
        if fresh:
            listen = f"127.0.0.1:{server_port}"
            code = world.found_federation(folders, self.box, stage.clock, listen, say)
        stage.start_server(server_port)
        text = world.terminal_configuration(stage.server_address(), stage.reader_patterns())
        file = folders.terminal / "terminal.toml"
        file.unlink(missing_ok=True)
        home = Home.create(folders.terminal, text)
        if fresh:
            say("terminal: own key, enrolment")
            transport = HttpTransport(home.config.server)
            try:
                enrol(home, code, transport, stage.clock)
            finally:
                transport.close()
        say("terminal: ledger, pages, reader")
        stage.start_terminal()
        self.desk.act("sync")
        self._wait_for_readers()

    @property
    def desk(self) -> RemoteDesk:
        """The running terminal."""
        address = Home.open(self.folders.terminal).read_api()
        if address is None:
            raise SurroundingsMissing("the demo's terminal is off", next_step="wait a moment")
        return RemoteDesk(address)

    def _wait_for_readers(self) -> None:
        end = time.monotonic() + TAP_TIMEOUT_S
        while time.monotonic() < end:
            states = [
                self.desk.ask("view", position=name)["reader"]["state"] for name in self.stage.slots
            ]
            if all(state in {"ready", "card"} for state in states):
                return
            time.sleep(POLL_S)
        raise SurroundingsMissing(
            f"the virtual reader did not come up: {states}",
            next_step=f"see {self.folders.root}/terminal.log",
        )

    # What the buttons do.

    def cards(self) -> Sequence[DemoCard]:
        """The box, in the order of its buttons."""
        single = [
            DemoCard(name, title, en, kind, slots) for name, kind, title, en, slots in _BUTTONS
        ]
        bundle = DemoCard(
            _BUNDLE,
            "单位代表的一叠卡",
            "A representative's bundle",
            "bundle",
            ("counter",),
            len(self._bundle()),
        )
        return [*single[:2], bundle, *single[2:]]

    def insert(self, card: str, slot: str) -> None:
        """Lays a card on a reader: over the air at the kiosk, in the slot at the counter."""
        if card == _BUNDLE:
            threading.Thread(target=self.serve_bundle, name="bundle", daemon=True).start()
            return
        held = self.box[card]
        self.stage.slots[slot].insert(held.contactless if slot == "kiosk" else held.contact)

    def remove(self, slot: str) -> None:
        """Takes the card off, unless a bundle is being served there."""
        if not (slot == "counter" and self._doing):
            self.stage.slots[slot].remove()

    def network(self, *, on: bool) -> None:
        """Plugs or pulls the cable."""
        assert self.stage.link is not None
        self.stage.link.switch(on=on)
        with suppress(TerminalError):
            self.desk.act("sync")

    def power_cut(self) -> None:
        """Cuts the power as soon as the tap's entry is durable, and before anyone was told."""
        with self._busy("power cut"):
            size = self._size()
            self.stage.slots["kiosk"].insert(self.box[world.INTERRUPTED].contactless)
            self._until_size(size + 1)
            self.stage.cut_power()
            self.stage.slots["kiosk"].remove()
            time.sleep(1.0)
            self.stage.start_terminal()

    def tap_five(self) -> None:
        """Five members at the gate, one after the other."""
        with self._busy("five taps"):
            for name in world.FIVE:
                self.tap_kiosk(name)

    def tap_kiosk(self, name: str) -> None:
        """Holds a card to the kiosk until it was answered."""
        size = self._size()
        slot = self.stage.slots["kiosk"]
        slot.insert(self.box[name].contactless)
        try:
            self._until_size(size + 1)
            self._until_state("kiosk", {"card", "ready"})
        finally:
            slot.remove()
        self._until_state("kiosk", {"ready"})

    def serve_bundle(self) -> None:
        """A representative's cards, one after the other, for the coupon pack."""
        if self._doing:
            return
        with self._busy("bundle"):
            for name in self._bundle():
                self.redeem(name, "counter", world.PACK_OFFER, self.new_nonce())

    def redeem(self, name: str, slot: str, offer: str, nonce: str) -> dict[str, Any]:
        """Asks for one redemption and lays the card down for it; returns the terminal's answer."""
        answers: list[dict[str, Any]] = []
        faults: list[TerminalError] = []

        def wait_for_card() -> None:
            try:
                answers.append(
                    self.desk.act(
                        "tap",
                        position=slot,
                        offer=offer,
                        nonce=nonce,
                        wait_ms=int(TAP_TIMEOUT_S * 1000),
                    )
                )
            except TerminalError as error:
                faults.append(error)

        self.desk.act("dismiss", position=slot)
        waiting = threading.Thread(target=wait_for_card, daemon=True)
        waiting.start()
        # The order must be there before the card, or a kiosk would serve the card by itself.
        end = time.monotonic() + TAP_TIMEOUT_S
        while waiting.is_alive() and time.monotonic() < end:
            if self.desk.ask("view", position=slot)["waiting"]:
                break
            time.sleep(POLL_S)
        held = self.box[name]
        self.stage.slots[slot].insert(held.contactless if slot == "kiosk" else held.contact)
        try:
            waiting.join(TAP_TIMEOUT_S + 5)
        finally:
            self.stage.slots[slot].remove()
        if not answers:
            raise faults[0] if faults else SurroundingsMissing("the terminal gave no answer")
        self._until_state(slot, {"ready"})
        return answers[0]

    def new_nonce(self) -> str:
        """A nonce as a page makes it."""
        return new_ulid(self.stage.clock.wall_ms())

    def tamper(self) -> TamperReport:
        """Exports the ledger twice, changes one byte of one copy, and verifies both."""
        with tempfile.TemporaryDirectory() as folder:
            whole, changed = Path(folder) / "whole", Path(folder) / "changed"
            with LogReader.open(self.folders.terminal / "ledger.db") as log:
                for place in (whole, changed):
                    export(log, place, [], [])
            entries = changed / "entries.jsonl"
            data = bytearray(entries.read_bytes())
            data[_in_a_redemption(bytes(data))] ^= 0x01
            entries.write_bytes(bytes(data))
            good, bad = verify_directory(whole), verify_directory(changed)
        named = next(fault for fault in bad.faults if fault.seq is not None)
        return TamperReport(
            entry=named.seq if named.seq is not None else -1,
            detail=f"{named.kind}: {named.detail}",
            original_ok=good.ok,
            size=good.size,
        )

    def report(self) -> MonthReport:
        """The server's report of the demo's month."""
        month = _local(self.stage.clock.wall_ms()).strftime("%Y-%m")
        told = self.month_report(month)
        lines = tuple(
            ReportLine(
                line["title"],
                line["title_en"],
                line["level"],
                line["persons"],
                line["person_times"],
            )
            for line in told["offers"]
            if line["person_times"]
        )
        year, number = (int(part) for part in month.split("-"))
        counts = told["counts"]
        kinds = ("recorded", "confirmed", "lost", "twice")
        recorded, confirmed, lost, twice = (int(counts[kind]) for kind in kinds)
        return MonthReport(year, number, recorded, confirmed, lost, twice, lines)

    def month_report(self, month: str) -> dict[str, Any]:
        """The report's document, from the running server."""
        answer = ask(self.folders.server, "report", {"month": month}, self.stage.clock.wall_ms)
        return dict(answer)

    def counts(self) -> Counts:
        """The numbers; while the power is cut, the last word of the ledger itself."""
        stage = self.stage
        assert stage.link is not None
        now_ms = stage.clock.wall_ms()
        view: dict[str, Any] = {}
        if stage.powered:
            with suppress(TerminalError, SurroundingsMissing):
                view = self.desk.ask("view", position="kiosk")
        if not view:
            return Counts(0, 0, 0, stage.link.on, False, now_ms, stage.reader, self._doing)
        return Counts(
            signed=view["signed"],
            confirmed=view["confirmed"],
            pending=view["link"]["pending"],
            connected=stage.link.on,
            powered=True,
            now_ms=now_ms,
            reader=stage.reader,
        )

    # Inside.

    @contextmanager
    def _busy(self, what: str) -> Iterator[None]:
        with self._lock:
            self._doing = what
            try:
                yield
            finally:
                self._doing = ""

    def _bundle(self) -> list[str]:
        """Forty cards: 38 colleagues, the visitor who has had one, and a blocked card."""
        return [*world.COLLEAGUES, world.VISITOR, "blocked"]

    def _size(self) -> int:
        with LogReader.open(self.folders.terminal / "ledger.db") as log:
            return log.size

    def _until_size(self, size: int) -> None:
        end = time.monotonic() + TAP_TIMEOUT_S
        with LogReader.open(self.folders.terminal / "ledger.db") as log:
            while log.size < size:
                if time.monotonic() > end:
                    raise SurroundingsMissing("no entry came of the tap; is the reader there?")
                time.sleep(POLL_S)

    def _until_state(self, slot: str, states: set[str]) -> None:
        end = time.monotonic() + TAP_TIMEOUT_S
        while time.monotonic() < end:
            if self.desk.ask("view", position=slot)["reader"]["state"] in states:
                return
            time.sleep(POLL_S)


def _local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC) + _PLACE_OFFSET


def _day(at_ms: int) -> Any:
    return _local(at_ms).date()


def _in_a_redemption(data: bytes) -> int:
    """Where a byte of the newest redemption's offer stands."""
    lines = data.split(b"\n")
    at, found = 0, 0
    for line in lines[:-1]:
        if canonical.decode(line).get("kind") == "redeem":
            found = at + line.index(b'"offer":"') + len(b'"offer":"')
        at += len(line) + 1
    return found or len(lines[0]) // 2
