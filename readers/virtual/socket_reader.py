"""A virtual reader inside the process that cards reach by TCP, exactly as they reach vpcd.

It stands in where no PC/SC service is installed or permitted: the same cards connect to it by
the same wire, only pcscd is not between. It listens on the loopback address alone.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import Final

from readers.apdu import split_response
from readers.attendance import (
    AttendedReader,
    PoweredCard,
    Presence,
    Sight,
    monotonic_ms,
)
from readers.errors import CardMute, CardRemoved, ReaderFault
from readers.identity import interface_of
from readers.supervision import CardListener, NowMs, ReaderHealth
from readers.virtual import wire
from readers.virtual.box import APDU_TIMEOUT_MS

CARDS_MAX: Final = 4
ATR_TIMEOUT_MS: Final = 1_000


class SocketReader:
    """A reader that listens from construction until ``stop``, and again after ``start``.

    Args:
        name: the reader's name.
        port: TCP port on the loopback address, 0 for any free one.
        apdu_timeout_ms: how long a card may take for one answer.
        now_ms: clock for the health record.

    Raises:
        ReaderFault: the port is taken.
    """

    def __init__(
        self,
        name: str = "Virtual Socket Reader",
        port: int = 0,
        *,
        apdu_timeout_ms: int = APDU_TIMEOUT_MS,
        now_ms: NowMs = monotonic_ms,
    ) -> None:
        self._slot = _SocketSlot(name, port, apdu_timeout_ms)
        self._reader = AttendedReader(self._slot, now_ms=now_ms)

    @property
    def name(self) -> str:
        """The reader's name."""
        return self._slot.name

    @property
    def port(self) -> int:
        """The TCP port, for ``VpcdSlot``."""
        return self._slot.port

    @property
    def health(self) -> ReaderHealth:
        """The newest record."""
        return self._reader.health

    def start(self, listener: CardListener) -> None:
        """Begins to watch."""
        self._slot.listen()
        self._reader.start(listener)

    def stop(self) -> None:
        """Stops watching and listening; cards are disconnected."""
        self._reader.stop()
        self._slot.end()


class _SocketSlot:
    """The driver's side: one listening socket, and a connection for every card that lies there."""

    def __init__(self, name: str, port: int, apdu_timeout_ms: int) -> None:
        self.name = name
        self._apdu_timeout_ms = apdu_timeout_ms
        self._arrival = 0
        self._cards: list[socket.socket] = []
        self.port = port
        self._listens = False
        self.listen()

    def listen(self) -> None:
        if self._listens:
            return
        try:
            self._listener = socket.create_server((wire.LOOPBACK, self.port), backlog=CARDS_MAX)
        except OSError as error:
            raise ReaderFault(
                f"port {self.port} cannot be used for a virtual reader; is another one running?"
            ) from error
        self.port = self._listener.getsockname()[1]
        self._listener.setblocking(False)
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._listens = True

    def open(self) -> None:
        """Cards stay over a restart of the driver."""

    def close(self) -> None:
        """Cards stay over a restart of the driver."""

    def end(self) -> None:
        if not self._listens:
            return
        self._listens = False
        for one in (*self._cards, self._listener, self._bell, self._rope):
            one.close()
        self._cards.clear()

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            self._rope.send(b"!")

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        self._take_in(0)
        if self._sight() == seen:
            self._take_in(limit_ms)
        return self._sight()

    def connect(self) -> PoweredCard:
        if len(self._cards) != 1:
            raise CardRemoved("the card left before it was powered")
        card = self._cards[0]
        card.settimeout(ATR_TIMEOUT_MS / 1000)
        try:
            wire.send(card, bytes((wire.POWER_ON,)))
            wire.send(card, bytes((wire.GET_ATR,)))
            atr = wire.receive(card)
        except TimeoutError as error:
            raise CardMute("the card has no answer to reset") from error
        except OSError:
            atr = None
        if atr is None:
            self.drop(card)
            raise CardRemoved("the card left while it was powered")
        card.settimeout(self._apdu_timeout_ms / 1000)
        return _SocketCard(self, card, atr)

    def drop(self, card: socket.socket) -> None:
        """A card's connection has ended: it has left."""
        if card in self._cards:
            self._cards.remove(card)
            self._arrival += 1
        card.close()

    def _sight(self) -> Sight:
        presence = (Presence.EMPTY, Presence.CARD, Presence.SEVERAL)[min(len(self._cards), 2)]
        return Sight(presence, self._arrival)

    def _take_in(self, limit_ms: int) -> None:
        """Waits for cards to come or leave, and takes note."""
        with selectors.DefaultSelector() as selector:
            for one in (self._listener, self._bell, *self._cards):
                selector.register(one, selectors.EVENT_READ)
            for key, _ in selector.select(limit_ms / 1000):
                self._take_note(key.fileobj)

    def _take_note(self, source: object) -> None:
        if source is self._bell:
            with contextlib.suppress(BlockingIOError):
                self._bell.recv(64)
        elif source is self._listener:
            with contextlib.suppress(OSError):
                card, _ = self._listener.accept()
                if len(self._cards) >= CARDS_MAX:
                    card.close()
                    return
                card.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._cards.append(card)
                self._arrival += 1
        elif isinstance(source, socket.socket):
            # between exchanges a card says nothing; what it sends now is an answer that came
            # too late, or its end
            try:
                late = source.recv(wire.FRAME_BYTES_MAX)
            except OSError:
                late = b""
            if not late:
                self.drop(source)


class _SocketCard:
    """A connection to a card behind a socket."""

    def __init__(self, slot: _SocketSlot, card: socket.socket, atr: bytes) -> None:
        self.interface = interface_of(atr)
        self._slot = slot
        self._card = card
        self._mute = False

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        if self._mute:
            raise CardMute("the card did not answer an earlier command")
        try:
            wire.send(self._card, command)
            answer = wire.receive(self._card)
        except TimeoutError as error:
            self._mute = True  # its next frame would answer the wrong command
            raise CardMute("the card did not answer in time") from error
        except OSError:
            answer = None
        if answer is None:
            self._slot.drop(self._card)
        if not answer:
            raise CardRemoved("the card left during an exchange; its outcome is unknown")
        return split_response(answer)

    def reset(self) -> None:
        try:
            wire.send(self._card, bytes((wire.POWER_OFF,)))
            wire.send(self._card, bytes((wire.POWER_ON,)))
        except OSError as error:
            self._slot.drop(self._card)
            raise CardRemoved("the card left before it was powered anew") from error

    def close(self) -> None:
        """The card stays powered."""
