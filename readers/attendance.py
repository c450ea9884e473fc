"""The loop that attends one reader: open, wait for a card, hand it over, wait for its removal.

Drivers implement ``Slot``, five calls without policy; everything a reader does when things go
wrong is here, once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final, Protocol

from readers.connection import CardConnection, Interface
from readers.errors import (
    CardError,
    CardMute,
    CardRemoved,
    EscapeOff,
    ReaderBusy,
    ReaderError,
    ReaderFault,
    ReaderMissing,
)
from readers.supervision import Backoff, CardListener, NowMs, ReaderHealth, ReaderMachine

log = logging.getLogger(__name__)

WAIT_MS: Final = 2_000
#: A card whose exchange was torn but that the reader still reports this much later is back.
TORN_RECHECK_MS: Final = 700
TORN_RETRIES_MAX: Final = 3
BUSY_RECHECK_MS: Final = 200
STOP_WAIT_MS: Final = 3_000


def monotonic_ms() -> int:
    """Milliseconds of the system's monotonic clock."""
    return time.monotonic_ns() // 1_000_000


@unique
class Presence(Enum):
    """What lies on the reader."""

    EMPTY = "empty"
    CARD = "card"
    SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a slot sees.

    Attributes:
        presence: nothing, a card, or several.
        arrival: differs between two cards even if nobody saw the moment between them.
    """

    presence: Presence
    arrival: int


class PoweredCard(CardConnection, Protocol):
    """A connection that a driver made and must end."""

    def close(self) -> None:
        """Lets go of the card without resetting it; never raises."""


class Slot(Protocol):
    """A driver's side of one reader. All calls but ``wake`` come from one thread."""

    @property
    def name(self) -> str:
        """The reader's name."""

    def open(self) -> None:
        """Makes the reader usable.

        Raises:
            ReaderMissing: it is not plugged in.
            ServiceMissing, ReaderFault: it cannot be used now.
        """

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        """Returns what lies on the reader, as soon as that is not ``seen``, or after the limit.

        Raises:
            ReaderError: the reader cannot be watched any more; it will be opened again.
        """

    def connect(self) -> PoweredCard:
        """Powers the card.

        Raises:
            ReaderBusy: another program holds the reader or the card.
            CardError: the card cannot be used.
            ReaderError: the reader cannot be used; it will be opened again.
        """

    def wake(self) -> None:
        """Makes a running ``wait`` return; called from other threads."""

    def close(self) -> None:
        """Gives everything back; never raises."""


class DeadCard:
    """The connection to a card that is there but cannot be used: every exchange raises why."""

    def __init__(self, interface: Interface, error: CardError) -> None:
        self._error = error
        self.interface = interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Raises the error."""
        del command
        raise self._error

    def close(self) -> None:
        """Nothing to let go of."""


class _Watched:
    """Hands commands through and remembers the last error, which the loop must know."""

    def __init__(self, card: PoweredCard) -> None:
        self._card = card
        self.interface = card.interface
        self.error: ReaderError | None = None

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        try:
            return self._card.transmit(command)
        except ReaderError as error:
            self.error = error
            raise

    def reset(self) -> None:
        """Powers the card anew; see ``ResettableConnection``."""
        reset = getattr(self._card, "reset", None)
        if reset is None:
            raise ReaderFault("this driver cannot power a card anew")
        try:
            reset()
        except ReaderError as error:
            self.error = error
            raise

    def escape(self, command: bytes) -> bytes:
        """Sends a command to the reader itself, where its driver can; see ``readers.feedback``.

        Raises:
            EscapeOff: there is no way.
            ReaderError: the reader cannot be asked.
        """
        escape = getattr(self._card, "escape", None)
        if escape is None:
            raise EscapeOff("this driver sends no commands to the reader itself")
        answer: bytes = escape(command)
        return answer


@dataclass(frozen=True, slots=True)
class _Stay:
    """What is known of a card that lies on the reader.

    Attributes:
        announced: the listener was told and must be told of the removal.
        recheck_ms: look again this much later even if nothing changes.
        torn: how often the exchange with this card broke off.
    """

    announced: bool
    recheck_ms: int | None = None
    torn: int = 0


class AttendedReader:
    """A ``CardReader`` over one slot, with its own thread.

    Args:
        slot: the driver's side.
        now_ms: clock for the health record.
    """

    def __init__(self, slot: Slot, *, now_ms: NowMs = monotonic_ms) -> None:
        self._slot = slot
        self._listener: CardListener | None = None
        self._machine = ReaderMachine(slot.name, now_ms, self._health_changed)
        self._backoff = Backoff()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The reader's name."""
        return self._slot.name

    @property
    def health(self) -> ReaderHealth:
        """The newest record."""
        return self._machine.health

    def start(self, listener: CardListener) -> None:
        """Begins to watch the reader."""
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError(f"{self.name} is already started")
        self._listener = listener
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=f"reader {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops watching; a listener that is busy with a card is waited for three seconds."""
        thread = self._thread
        if thread is None:
            return
        self._stopping.set()
        self._slot.wake()
        if thread is not threading.current_thread():
            end = monotonic_ms() + STOP_WAIT_MS
            while thread.is_alive() and monotonic_ms() < end:
                self._slot.wake()  # again: the first may have come just before the wait
                thread.join(0.05)
        self._listener = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._machine.opening()
                self._slot.open()
                self._attend()
            except ReaderMissing as error:
                self._machine.absent(str(error))
            except ReaderError as error:
                self._machine.fault(str(error))
            finally:
                self._slot.close()
            self._stopping.wait(self._backoff.next_ms() / 1000)
        self._machine.absent("stopped")

    def _attend(self) -> None:
        """Serves cards until the reader fails or the driver stops."""
        seen: Sight | None = None
        stay = _Stay(announced=False)
        try:
            while not self._stopping.is_set():
                sight = self._slot.wait(seen, stay.recheck_ms or WAIT_MS)
                if self._stopping.is_set():
                    return
                if sight == seen and stay.recheck_ms is None:
                    continue
                if stay.announced:
                    stay = replace(stay, announced=False)
                    self._tell_removed()
                torn = stay.torn if sight == seen else 0
                seen = sight
                stay = self._meet(sight, torn)
        finally:
            if stay.announced:
                self._tell_removed()

    def _meet(self, sight: Sight, torn: int) -> _Stay:
        """Acts on what came to lie on the reader."""
        if sight.presence is Presence.EMPTY:
            self._backoff.reset()
            self._machine.ready()
            return _Stay(announced=False)
        if sight.presence is Presence.SEVERAL:
            self._machine.card("more than one card; leave only one")
            self._call(lambda listener: listener.several_cards(self.name))
            return _Stay(announced=True)
        recheck_ms = TORN_RECHECK_MS if torn < TORN_RETRIES_MAX else None
        try:
            card = self._slot.connect()
        except ReaderBusy as error:
            self._machine.fault(str(error))
            return _Stay(announced=False, recheck_ms=BUSY_RECHECK_MS)
        except CardRemoved:
            return _Stay(announced=False, recheck_ms=recheck_ms, torn=torn + 1)
        except CardError as error:
            card = DeadCard(Interface.CONTACT, error)
        error_met = self._serve(card)
        if isinstance(error_met, CardRemoved):
            return _Stay(announced=True, recheck_ms=recheck_ms, torn=torn + 1)
        if isinstance(error_met, CardMute):
            self._machine.fault("the card does not answer; take it off the reader")
        elif error_met is not None and not isinstance(error_met, CardError):
            self._tell_removed()
            raise error_met
        self._backoff.reset()
        return _Stay(announced=True)

    def _serve(self, card: PoweredCard) -> ReaderError | None:
        """Hands the card to the listener; returns the last error the listener met on it."""
        watched = _Watched(card)
        self._machine.card()
        try:
            self._call(lambda listener: listener.card_inserted(self.name, watched))
        finally:
            card.close()
        return watched.error

    def _tell_removed(self) -> None:
        self._call(lambda listener: listener.card_removed(self.name))

    def _health_changed(self, health: ReaderHealth) -> None:
        self._call(lambda listener: listener.health_changed(health))

    def _call(self, tell: Callable[[CardListener], None]) -> None:
        """Calls the listener; its exceptions must not end the reader."""
        listener = self._listener
        if listener is None:
            return
        try:
            tell(listener)
        except Exception as error:  # noqa: BLE001 - recorded in the log; the type only, no data
            log.error(  # noqa: TRY400
                "listener of %s failed: %s", self.name, type(error).__name__
            )
