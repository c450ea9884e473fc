"""Virtual cards, faults that cards and people cause, and a reader inside the process."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Protocol

from readers.apdu import split_response
from readers.attendance import (
    AttendedReader,
    PoweredCard,
    Presence,
    Sight,
    monotonic_ms,
)
from readers.connection import Interface
from readers.errors import CardMute, CardRemoved
from readers.supervision import CardListener, NowMs, ReaderHealth
from readers.watchdog import Watchdog

APDU_TIMEOUT_MS: Final = 5_000
_TORN: Final = "the card left during an exchange; its outcome is unknown"


class VirtualCard(Protocol):
    """A card in software; the same object serves every virtual reader."""

    @property
    def atr(self) -> bytes:
        """Answer to reset (ISO/IEC 7816-3, 8), at most 33 bytes."""

    @property
    def interface(self) -> Interface:
        """How it is coupled."""

    def process(self, command: bytes) -> bytes:
        """Answers one command APDU with data and status word.

        Raises:
            CardRemoved: the card leaves the reader instead of answering.
        """

    def power_off(self) -> None:
        """The card loses power: volatile state is gone. Ends a ``process`` that hangs."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with a card; exchanges are counted from 1 after power-on.

    Attributes:
        tear_at: the card leaves during this exchange; its answer never arrives.
        tear_after_acting: it has acted on the command before it leaves.
        mute_at: from this exchange on, no answer until the card is removed.
        endless_at: from this exchange on, every answer is one byte and 61 00.
        slow_ms: every answer takes this much longer.
    """

    tear_at: int | None = None
    tear_after_acting: bool = False
    mute_at: int | None = None
    endless_at: int | None = None
    slow_ms: int = 0


class FaultyCard:
    """A card with scripted faults around another card."""

    def __init__(self, card: VirtualCard, faults: Faults) -> None:
        self._card = card
        self._faults = faults
        self._exchanges = 0
        self._off = threading.Event()

    @property
    def atr(self) -> bytes:
        """The inner card's answer to reset."""
        return self._card.atr

    @property
    def interface(self) -> Interface:
        """The inner card's coupling."""
        return self._card.interface

    def process(self, command: bytes) -> bytes:
        """Answers as the inner card does, unless a fault is due."""
        self._off.clear()
        self._exchanges += 1
        faults, due = self._faults, self._exchanges
        if faults.slow_ms and self._off.wait(faults.slow_ms / 1000):
            raise CardRemoved(_TORN)
        if faults.tear_at == due:
            if faults.tear_after_acting:
                self._card.process(command)
            raise CardRemoved(_TORN)
        if faults.mute_at is not None and due >= faults.mute_at:
            self._off.wait()
            raise CardRemoved(_TORN)
        if faults.endless_at is not None and due >= faults.endless_at:
            return b"\x00\x61\x00"
        return self._card.process(command)

    def power_off(self) -> None:
        """Ends a hanging exchange and counts anew."""
        self._exchanges = 0
        self._off.set()
        self._card.power_off()


class InProcessReader:
    """A reader without hardware and without a service: cards are put on it by a call.

    Cards leave and come as on a real reader; what lies on it while nobody watches is seen when
    watching starts.

    Args:
        name: the reader's name.
        apdu_timeout_ms: how long a card may take for one answer.
        now_ms: clock for the health record.
    """

    def __init__(
        self,
        name: str = "Virtual Reader",
        *,
        apdu_timeout_ms: int = APDU_TIMEOUT_MS,
        now_ms: NowMs = monotonic_ms,
    ) -> None:
        self._slot = _BoxSlot(name, apdu_timeout_ms)
        self._reader = AttendedReader(self._slot, now_ms=now_ms)

    @property
    def name(self) -> str:
        """The reader's name."""
        return self._slot.name

    @property
    def health(self) -> ReaderHealth:
        """The newest record."""
        return self._reader.health

    def start(self, listener: CardListener) -> None:
        """Begins to watch."""
        self._reader.start(listener)

    def stop(self) -> None:
        """Stops watching; cards stay where they are."""
        self._reader.stop()

    def insert(self, card: VirtualCard) -> None:
        """Puts a card on the reader, beside any that lie there."""
        self._slot.put(card)

    def remove(self, card: VirtualCard | None = None) -> None:
        """Takes one card off the reader, or all."""
        self._slot.take(card)


class _BoxSlot:
    """The driver's side: a list of cards under a condition."""

    def __init__(self, name: str, apdu_timeout_ms: int) -> None:
        self.name = name
        self._apdu_timeout_ms = apdu_timeout_ms
        self._cards: list[VirtualCard] = []
        self._arrival = 0
        self._awake = False
        self._changed = threading.Condition()

    def put(self, card: VirtualCard) -> None:
        with self._changed:
            self._cards.append(card)
            self._arrival += 1
            self._changed.notify_all()

    def take(self, card: VirtualCard | None) -> None:
        with self._changed:
            leaving = [one for one in self._cards if card is None or one is card]
            self._cards = [one for one in self._cards if one not in leaving]
            self._arrival += len(leaving)
            self._changed.notify_all()
        for one in leaving:
            one.power_off()

    def holds(self, card: VirtualCard) -> bool:
        return any(one is card for one in self._cards)

    def open(self) -> None:
        self._awake = False

    def close(self) -> None:
        pass

    def wake(self) -> None:
        with self._changed:
            self._awake = True
            self._changed.notify_all()

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        with self._changed:
            self._changed.wait_for(lambda: self._awake or self._sight() != seen, limit_ms / 1000)
            self._awake = False
            return self._sight()

    def connect(self) -> PoweredCard:
        with self._changed:
            if len(self._cards) != 1:
                raise CardRemoved("the card left before it was powered")
            return _BoxCard(self, self._cards[0], self._apdu_timeout_ms)

    def _sight(self) -> Sight:
        count = len(self._cards)
        presence = (Presence.EMPTY, Presence.CARD, Presence.SEVERAL)[min(count, 2)]
        return Sight(presence, self._arrival)


class _BoxCard:
    """A connection to a card in the box."""

    def __init__(self, slot: _BoxSlot, card: VirtualCard, apdu_timeout_ms: int) -> None:
        self.interface = card.interface
        self._slot = slot
        self._card = card
        self._apdu_timeout_ms = apdu_timeout_ms
        self._watchdog = Watchdog(f"card in {slot.name}")

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        if not self._slot.holds(self._card):
            raise CardRemoved("the card was removed")
        try:
            answer = self._watchdog.call(
                self._card.process, command, limit_ms=self._apdu_timeout_ms
            )
        except TimeoutError as error:
            raise CardMute(f"the card did not answer: {error}") from error
        except CardRemoved:
            self._slot.take(self._card)
            answer = b""  # as pcscd does: success, and nothing in it
        if not answer:
            raise CardRemoved(_TORN)
        return split_response(answer)

    def reset(self) -> None:
        if not self._slot.holds(self._card):
            raise CardRemoved("the card was removed")
        self._card.power_off()

    def close(self) -> None:
        self._watchdog.end()
