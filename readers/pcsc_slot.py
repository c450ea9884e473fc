"""One PC/SC reader as a slot, and one card in it. The library is handed in by ``readers.pcsc``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from readers.apdu import split_response
from readers.attendance import Presence, Sight, monotonic_ms
from readers.connection import Interface
from readers.errors import (
    CardMute,
    CardRemoved,
    ReaderBusy,
    ReaderFault,
    ReaderMissing,
    ServiceMissing,
)
from readers.identity import interface_of
from readers.pcsc_codes import BUSY, TORN, check
from readers.pcsc_context import SERVICE_TIMEOUT_MS, Contexts, ServiceContext
from readers.pcsc_escape import send_escape

TRANSACTION_TIMEOUT_MS: Final = 1_000


class PcscSlot:
    """The driver's side of one reader, with a context of its own."""

    def __init__(self, scard: Any, name: str, apdu_timeout_ms: int, *, exclusive: bool) -> None:
        self._scard = scard
        self.name = name
        self._apdu_timeout_ms = apdu_timeout_ms
        self._exclusive = exclusive
        self._contexts = Contexts(scard, name)
        self._context: ServiceContext | None = None
        self._state = 0
        self._atr = b""

    def open(self) -> None:
        """Makes a context for this reader alone."""
        self._context = self._contexts.open()

    def close(self) -> None:
        """Ends the context."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def wake(self) -> None:
        """Makes a running ``wait`` return."""
        context = self._context
        if context is not None:
            context.cancel()

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        """Waits for a card to come or go; see ``attendance.Slot``."""
        scard = self._scard
        if seen is None:
            self._state = scard.SCARD_STATE_UNAWARE
        end_ms = monotonic_ms() + limit_ms
        while True:
            left_ms = max(0, end_ms - monotonic_ms())
            states = self._open_context().changes([(self.name, self._state)], left_ms)
            if states is None:
                return self._sight()
            _, event, atr = states[0]
            if event & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                raise ReaderMissing("the reader is not plugged in")
            self._state = event & ~scard.SCARD_STATE_CHANGED
            self._atr = bytes(atr)
            sight = self._sight()
            if sight != seen or left_ms == 0:  # else only who uses the reader has changed
                return sight

    def _open_context(self) -> ServiceContext:
        """The context, or a new one if a card that hung took it along."""
        if self._context is None or self._context.lost:
            self.open()
        if self._context is None:
            raise AssertionError
        return self._context

    def _sight(self) -> Sight:
        # the upper half counts insertions and removals, so a change nobody saw still shows
        present = self._state & self._scard.SCARD_STATE_PRESENT
        return Sight(Presence.CARD if present else Presence.EMPTY, self._state >> 16)

    def connect(self) -> PcscCard:
        """Powers the card and begins a transaction; see ``attendance.Slot``."""
        context = self._open_context()
        # pcscd lets SCardConnect wait as long as another program is in a transaction
        shared = self._in_use(context)
        limit_ms = TRANSACTION_TIMEOUT_MS if shared else SERVICE_TIMEOUT_MS
        try:
            card, protocol = context.call(self._power, context.value, limit_ms=limit_ms)
        except TimeoutError as error:
            if shared:
                raise ReaderBusy(BUSY) from error
            raise CardMute("the reader hangs while it powers the card") from error
        try:
            context.call(self._begin, card, limit_ms=TRANSACTION_TIMEOUT_MS)
        except TimeoutError as error:
            raise ReaderBusy(BUSY) from error
        interface = interface_of(self._atr, self.name)
        return PcscCard(self._scard, context, card, protocol, interface, self._apdu_timeout_ms)

    def _in_use(self, context: ServiceContext) -> bool:
        states = context.changes([(self.name, self._scard.SCARD_STATE_UNAWARE)], 0)
        event: int = states[0][1] if states else 0
        return bool(event & (self._scard.SCARD_STATE_INUSE | self._scard.SCARD_STATE_EXCLUSIVE))

    def _power(self, context: Any) -> tuple[Any, int]:
        scard = self._scard
        share = scard.SCARD_SHARE_EXCLUSIVE if self._exclusive else scard.SCARD_SHARE_SHARED
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, protocol = scard.SCardConnect(context, self.name, share, protocols)
        check(code)
        return card, protocol

    def _begin(self, card: Any) -> None:
        """Keeps other programs' commands from coming between ours."""
        code = self._scard.SCardBeginTransaction(card)
        if code:
            self._scard.SCardDisconnect(card, self._scard.SCARD_LEAVE_CARD)
        check(code)


class PcscCard:
    """One connected card."""

    def __init__(
        self,
        scard: Any,
        context: ServiceContext,
        card: Any,
        protocol: int,
        interface: Interface,
        apdu_timeout_ms: int,
    ) -> None:
        self.interface = interface
        self._scard = scard
        self._context = context
        self._card = card
        self._pci = (
            scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        )
        self._transmit = scard.SCardTransmit
        self._apdu_timeout_ms = apdu_timeout_ms

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """One exchange; see ``CardConnection``."""
        try:
            code, answer = self._context.exchange(
                self._transmit, self._card, self._pci, list(command), limit_ms=self._apdu_timeout_ms
            )
        except TimeoutError as error:  # again for every later command: the context is lost
            raise CardMute("the card did not answer in time") from error
        try:
            check(code)
        except (ServiceMissing, ReaderMissing, ReaderBusy) as error:
            raise ReaderFault(f"{error}; the exchange's outcome is unknown") from error
        if not answer:  # pcscd reports a card torn off during the exchange as success
            raise CardRemoved(TORN)
        return split_response(bytes(answer))

    def escape(self, command: bytes) -> bytes:
        """A command to the reader itself, not the card; see ``readers.pcsc_escape``.

        Raises:
            EscapeOff: the driver offers no way.
            ReaderError: the reader cannot be asked.
        """
        try:
            return self._context.exchange(
                send_escape, self._scard, self._card, command, limit_ms=SERVICE_TIMEOUT_MS
            )
        except TimeoutError as error:
            raise ReaderFault("the reader does not answer a command to itself") from error

    def bare(self, command: bytes) -> Callable[[], Any]:
        """The same exchange by the library alone, without limit or errors; to measure against."""
        return lambda: self._transmit(self._card, self._pci, list(command))

    def reset(self) -> None:
        """Powers the card anew within the transaction; see ``ResettableConnection``."""
        try:
            self._context.call(self._power_anew, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError as error:
            raise CardMute("the reader hangs while it powers the card") from error

    def _power_anew(self) -> None:
        scard = self._scard
        share, protocols = (
            scard.SCARD_SHARE_SHARED,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        code, _ = scard.SCardReconnect(self._card, share, protocols, scard.SCARD_UNPOWER_CARD)
        check(code)

    def close(self) -> None:
        """Ends the transaction and leaves the card as it is."""
        self._context.rest()
        if not self._context.lost:
            with contextlib.suppress(TimeoutError):  # the context is lost, and made anew
                self._context.call(self._leave, limit_ms=SERVICE_TIMEOUT_MS)

    def _leave(self) -> None:
        scard = self._scard
        scard.SCardEndTransaction(self._card, scard.SCARD_LEAVE_CARD)
        scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)
