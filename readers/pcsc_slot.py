"""One PC/SC reader as a slot, and one card in it. The library is handed in by ``readers.pcsc``."""

from __future__ import annotations

from typing import Any, Final

from readers.apdu import split_response
from readers.attendance import PoweredCard, Presence, Sight, monotonic_ms
from readers.errors import (
    CardMute,
    CardRemoved,
    ReaderBusy,
    ReaderFault,
    ReaderMissing,
    ServiceMissing,
)
from readers.identity import interface_of
from readers.pcsc_codes import BUSY, CANCELLED, TIMED_OUT, TORN, check
from readers.watchdog import Watchdog

SERVICE_TIMEOUT_MS: Final = 5_000
TRANSACTION_TIMEOUT_MS: Final = 1_000


def establish(scard: Any) -> Any:
    """A new context of the service.

    Raises:
        ServiceMissing: it does not run or refuses us.
    """
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    check(code)
    return context


class PcscSlot:
    """The driver's side of one reader, with a context of its own."""

    def __init__(self, scard: Any, name: str, apdu_timeout_ms: int, *, exclusive: bool) -> None:
        self._scard = scard
        self.name = name
        self._apdu_timeout_ms = apdu_timeout_ms
        self._exclusive = exclusive
        self._context: Any = None
        self._watchdog = Watchdog(f"exchange {name}")
        self._state = 0
        self._atr = b""

    def open(self) -> None:
        """Makes a context for this reader alone."""
        try:
            self._context = self._watchdog.call(establish, self._scard, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError as error:
            self.abandon()
            raise ServiceMissing("the card service does not answer; restart pcscd") from error

    def close(self) -> None:
        """Ends the context; in the exchange thread, since that may hang as well."""
        context, self._context = self._context, None
        if context is None:
            self._watchdog.end()
        else:
            self._watchdog.end(lambda: self._scard.SCardReleaseContext(context))
        self._watchdog = Watchdog(f"exchange {self.name}")

    abandon = close

    def wake(self) -> None:
        """Makes a running ``wait`` return."""
        context = self._context
        if context is not None:
            self._scard.SCardCancel(context)

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        """Waits for a card to come or go; see ``attendance.Slot``."""
        if self._context is None:  # a card that hung took the context with it
            self.open()
        scard = self._scard
        if seen is None:
            self._state = scard.SCARD_STATE_UNAWARE
        end_ms = monotonic_ms() + limit_ms
        while True:
            left_ms = max(0, end_ms - monotonic_ms())
            asked = [(self.name, self._state)]
            code, states = scard.SCardGetStatusChange(self._context, left_ms, asked)
            if code & 0xFFFFFFFF in (CANCELLED, TIMED_OUT):
                return self._sight()
            check(code)
            _, event, atr = states[0]
            if event & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                raise ReaderMissing("the reader is not plugged in")
            self._state = event & ~scard.SCARD_STATE_CHANGED
            self._atr = bytes(atr)
            sight = self._sight()
            if sight != seen or left_ms == 0:  # else only who uses the reader has changed
                return sight

    def _sight(self) -> Sight:
        # the upper half counts insertions and removals, so a change nobody saw still shows
        present = self._state & self._scard.SCARD_STATE_PRESENT
        return Sight(Presence.CARD if present else Presence.EMPTY, self._state >> 16)

    def connect(self) -> PoweredCard:
        """Powers the card and begins a transaction; see ``attendance.Slot``."""
        # pcscd lets SCardConnect wait as long as another program is in a transaction
        shared = self._in_use()
        limit_ms = TRANSACTION_TIMEOUT_MS if shared else SERVICE_TIMEOUT_MS
        try:
            card, protocol = self._watchdog.call(self._power, limit_ms=limit_ms)
        except TimeoutError as error:
            self.abandon()
            if shared:
                raise ReaderBusy(BUSY) from error
            raise CardMute("the reader hangs while it powers the card") from error
        try:
            self._watchdog.call(self._begin, card, limit_ms=TRANSACTION_TIMEOUT_MS)
        except TimeoutError as error:
            self.abandon()
            raise ReaderBusy(BUSY) from error
        return PcscCard(
            self._scard, self, self._watchdog, card, protocol, self._atr, self._apdu_timeout_ms
        )

    def _in_use(self) -> bool:
        scard = self._scard
        code, states = scard.SCardGetStatusChange(self._context, 0, [(self.name, 0)])
        check(code)
        event: int = states[0][1]
        return bool(event & (scard.SCARD_STATE_INUSE | scard.SCARD_STATE_EXCLUSIVE))

    def _power(self) -> tuple[Any, int]:
        scard = self._scard
        share = scard.SCARD_SHARE_EXCLUSIVE if self._exclusive else scard.SCARD_SHARE_SHARED
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, protocol = scard.SCardConnect(self._context, self.name, share, protocols)
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
        slot: PcscSlot,
        watchdog: Watchdog,
        card: Any,
        protocol: int,
        atr: bytes,
        apdu_timeout_ms: int,
    ) -> None:
        self._scard = scard
        self.interface = interface_of(atr, slot.name)
        self._slot = slot
        self._watchdog = watchdog
        self._card = card
        self._pci = (
            scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        )
        self._transmit = scard.SCardTransmit
        self._apdu_timeout_ms = apdu_timeout_ms
        self._mute = False

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """One exchange; see ``CardConnection``."""
        if self._mute:
            raise CardMute("the card did not answer an earlier command")
        try:
            code, answer = self._watchdog.call(
                self._transmit, self._card, self._pci, list(command), limit_ms=self._apdu_timeout_ms
            )
        except TimeoutError as error:
            self._mute = True
            self._slot.abandon()
            raise CardMute("the card did not answer in time") from error
        try:
            check(code)
        except (ServiceMissing, ReaderMissing, ReaderBusy) as error:
            raise ReaderFault(f"{error}; the exchange's outcome is unknown") from error
        if not answer:  # pcscd reports a card torn off during the exchange as success
            raise CardRemoved(TORN)
        return split_response(bytes(answer))

    def close(self) -> None:
        """Ends the transaction and leaves the card as it is."""
        if self._mute:
            return
        try:
            self._watchdog.call(self._leave, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError:
            self._mute = True
            self._slot.abandon()

    def _leave(self) -> None:
        scard = self._scard
        scard.SCardEndTransaction(self._card, scard.SCARD_LEAVE_CARD)
        scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)
