"""What the reader suite stands on: a listener that remembers, test cards, and four stacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from readers.apdu import CommandApdu
from readers.connection import CardConnection, Interface
from readers.errors import ReaderError
from readers.nfc import NfcReader
from readers.pcsc import PcscReaders
from readers.supervision import CardReader, ReaderHealth, ReaderState
from readers.virtual.box import InProcessReader, VirtualCard
from readers.virtual.pn532 import Pn532
from readers.virtual.socket_reader import SocketReader
from readers.virtual.vpcd import Pcscd, VpcdSlot, pcscd_available
from tests.conftest import IN_CI

PATIENCE_S = 15
#: How often a card is laid down anew, and how long it lies there before.
LAID_MAX = 3
LAID_S = 4
#: Long, for a machine under load; a test that waits for it to pass sets its own.
APDU_TIMEOUT_MS = 10_000
HASTY_MS = 400
CONTACTLESS_ATR = bytes.fromhex("3B8180018080")
CONTACT_ATR = bytes.fromhex("3B6500002063CB6600")

SELECT = CommandApdu(0, 0xA4, 4, 0, b"TEST", 256).to_bytes()


def echo(data: bytes) -> bytes:
    return CommandApdu(0x80, 0xEE, 0, 0, data, 256 if len(data) < 256 else 65_536).to_bytes()


def in_parts(count: int) -> bytes:
    return CommandApdu(0x80, 0x61, count >> 8, count & 0xFF, le=256).to_bytes()


class TestCard:
    """A strict card: SELECT of one name, echo, answers in parts; 6D00 to everything else."""

    __test__ = False

    def __init__(self, atr: bytes = CONTACTLESS_ATR) -> None:
        self.atr = atr
        self.interface = Interface.CONTACTLESS if atr == CONTACTLESS_ATR else Interface.CONTACT
        self.commands: list[bytes] = []
        self.power_offs = 0
        self._rest = b""

    def process(self, command: bytes) -> bytes:
        self.commands.append(command)
        apdu = CommandApdu.parse(command)
        match apdu.ins:
            case 0xA4:
                return b"\x90\x00" if apdu.data == b"TEST" else b"\x6a\x82"
            case 0xEE:
                return apdu.data + b"\x90\x00"
            case 0x61:
                count = apdu.p1 << 8 | apdu.p2
                self._rest = bytes(at & 0xFF for at in range(count))
                return self._status()
            case 0xC0:
                part, self._rest = self._rest[: apdu.le], self._rest[apdu.le :]
                return part + self._status()
        return b"\x6d\x00"

    def power_off(self) -> None:
        self.power_offs += 1
        self._rest = b""

    def _status(self) -> bytes:
        return bytes((0x61, min(len(self._rest), 256) & 0xFF)) if self._rest else b"\x90\x00"


@dataclass
class Recorder:
    """A listener that runs a script on every card and remembers what it was told."""

    script: Callable[[CardConnection], Any] = lambda connection: connection.transmit(SELECT)
    events: list[tuple[str, str]] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    healths: list[ReaderHealth] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        self._note("inserted", reader)
        try:
            result: Any = self.script(connection)
        except ReaderError as error:
            result = error
        with self.changed:
            self.results.append(result)
            self.changed.notify_all()

    def card_removed(self, reader: str) -> None:
        self._note("removed", reader)

    def several_cards(self, reader: str) -> None:
        self._note("several", reader)

    def health_changed(self, health: ReaderHealth) -> None:
        with self.changed:
            self.healths.append(health)
            self.changed.notify_all()

    def _note(self, event: str, reader: str) -> None:
        with self.changed:
            self.events.append((event, reader))
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, PATIENCE_S), (
                self.events,
                self.results,
                self.healths,
            )

    def comes(self, until: Callable[[], bool], seconds: float) -> bool:
        """Whether it comes within so many seconds."""
        with self.changed:
            return self.changed.wait_for(until, seconds)

    def wait_event(self, event: str, count: int = 1, reader: str | None = None) -> None:
        self.wait(
            lambda: (
                sum(one == event and reader in (None, name) for one, name in self.events) >= count
            )
        )

    def wait_results(self, count: int = 1) -> list[Any]:
        self.wait(lambda: len(self.results) >= count)
        return self.results

    def state_of(self, reader: str) -> ReaderState | None:
        return next((one.state for one in reversed(self.healths) if one.name == reader), None)

    def faults_of(self, reader: str) -> list[str]:
        """What was wrong with a reader since it was last well."""
        faults = []
        for one in reversed([one for one in self.healths if one.name == reader]):
            if one.state is not ReaderState.FAULT:
                break
            faults.append(one.detail)
        return faults

    def wait_until(self, reader: str, states: set[ReaderState]) -> None:
        self.wait(lambda: self.state_of(reader) in states)

    def wait_state(self, reader: str, state: ReaderState) -> ReaderHealth:
        self.wait(lambda: self.state_of(reader) is state)
        return next(one for one in reversed(self.healths) if one.name == reader)


class Place(Protocol):
    """Where a card is laid."""

    def insert(self, card: VirtualCard) -> None: ...
    def remove(self) -> None: ...


@dataclass
class Stack:
    """Two places for cards and the drivers that watch them."""

    kind: str
    names: tuple[str, str]
    places: tuple[Place, Place]
    drivers: tuple[CardReader, ...]

    @contextmanager
    def watched(self, listener: Recorder | None = None) -> Iterator[Recorder]:
        """Starts all drivers and waits until both readers are ready or hold a card."""
        recorder = listener or Recorder()
        for driver in self.drivers:
            driver.start(recorder)
        try:
            for name in self.names:
                recorder.wait_until(name, {ReaderState.READY, ReaderState.CARD, ReaderState.FAULT})
            yield recorder
        finally:
            for place in self.places:
                place.remove()
            for name in self.names:  # else pcscd may take the next test's card for this one
                recorder.wait_until(name, {ReaderState.READY})
            for driver in self.drivers:
                driver.stop()

    def lay(self, place: int, card: VirtualCard, seen: Recorder) -> None:
        """Lays a card on a reader and holds it there until the reader has announced it.

        A machine under load may let the virtual reader miss a card; it is then laid down anew, as
        a person does.
        """
        wanted = ("inserted", self.names[place])
        announced = seen.events.count(wanted)
        for _ in range(LAID_MAX):
            self.places[place].insert(card)
            if seen.comes(lambda: seen.events.count(wanted) > announced, LAID_S):
                return
            self.places[place].remove()
        self.places[place].insert(card)


def in_process(apdu_timeout_ms: int = APDU_TIMEOUT_MS) -> Iterator[Stack]:
    left, right = (
        InProcessReader(name, apdu_timeout_ms=apdu_timeout_ms) for name in ("Left", "Right")
    )
    yield Stack("in_process", ("Left", "Right"), (left, right), (left, right))


def socket_reader(apdu_timeout_ms: int = APDU_TIMEOUT_MS) -> Iterator[Stack]:
    left, right = (
        SocketReader(name, apdu_timeout_ms=apdu_timeout_ms) for name in ("Left", "Right")
    )
    yield Stack(
        "socket", ("Left", "Right"), (VpcdSlot(left.port), VpcdSlot(right.port)), (left, right)
    )
    left.stop()
    right.stop()


def behind_pn532(apdu_timeout_ms: int = APDU_TIMEOUT_MS) -> Iterator[Stack]:
    chips = (Pn532(), Pn532())
    left, right = (
        NfcReader(chip.path, name, apdu_timeout_ms=apdu_timeout_ms)
        for chip, name in zip(chips, ("Left", "Right"), strict=True)
    )
    yield Stack("nfc", ("Left", "Right"), chips, (left, right))
    for chip in chips:
        chip.close()


def behind_pcscd(service: Pcscd, apdu_timeout_ms: int = APDU_TIMEOUT_MS) -> Stack:
    first, second = service.ports
    return Stack(
        "pcscd",
        service.reader_names,
        (VpcdSlot(first), VpcdSlot(second)),
        (PcscReaders(service.reader_name, apdu_timeout_ms=apdu_timeout_ms),),
    )


def demand_pcscd() -> None:
    """Skips where pcscd cannot run, loudly; fails where continuous integration promised it."""
    reason = pcscd_available()
    if reason is None:
        return
    if IN_CI:
        pytest.fail(f"CI must run the pcscd suite, but {reason}")
    pytest.skip(f"NOT TESTED against pcscd: {reason}")
