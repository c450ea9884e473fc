"""PC/SC: readers behind pcscd or the system's smart card service. The one importer of smartcard.

The driver stands on ``smartcard.scard`` alone. Every reader has its own thread and its own
context, so one that hangs holds up no other. A watching thread follows readers as they come and
go and the service as it dies and returns.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Any, Final

from readers.apdu import split_response
from readers.attendance import (
    STOP_WAIT_MS,
    AttendedReader,
    PoweredCard,
    Presence,
    Sight,
    monotonic_ms,
)
from readers.errors import (
    CardMute,
    CardRemoved,
    CardUnreadable,
    ReaderBusy,
    ReaderError,
    ReaderFault,
    ReaderMissing,
    ServiceMissing,
)
from readers.identity import SlotRole, interface_of, parse_reader_name
from readers.supervision import Backoff, CardListener, NowMs, ReaderHealth, ReaderMachine
from readers.watchdog import Watchdog

APDU_TIMEOUT_MS: Final = 5_000
SERVICE_TIMEOUT_MS: Final = 5_000
TRANSACTION_TIMEOUT_MS: Final = 1_000
READER_POLL_MS: Final = 1_000
READERS_MAX: Final = 32
PNP: Final = "\\\\?PnP?\\Notification"

_NO_SERVICE: Final = "the card service does not run; start pcscd"
_WENT_AWAY: Final = "the card service went away; waiting for its return"
_TORN: Final = "the card left during an exchange; its outcome is unknown"
_BUSY: Final = "another program holds the reader; close it"

#: What each return code means to us; the rest is ReaderFault.
_ERRORS: Final[dict[int, tuple[type[ReaderError], str]]] = {
    0x8010001D: (ServiceMissing, _NO_SERVICE),
    0x8010001E: (ServiceMissing, _WENT_AWAY),
    0x80100013: (ServiceMissing, _WENT_AWAY),
    0x80100003: (ServiceMissing, _WENT_AWAY),
    0x8010006A: (ServiceMissing, "the card service refuses this user; allow it in polkit"),
    0x80100009: (ReaderMissing, "the reader is not plugged in"),
    0x80100017: (ReaderMissing, "the reader is not plugged in"),
    0x8010002E: (ReaderMissing, "no reader is plugged in"),
    0x8010000B: (ReaderBusy, _BUSY),
    0x8010000C: (CardRemoved, "the card was removed"),
    0x80100069: (CardRemoved, "the card was removed"),
    0x80100016: (CardRemoved, _TORN),
    0x80100068: (CardRemoved, "another program reset the card; tap again"),
    0x80100066: (CardMute, "the card has no answer to reset"),
    0x80100067: (CardMute, "the card has no power"),
    0x80100065: (CardUnreadable, "the reader does not know this kind of card"),
    0x8010000F: (CardUnreadable, "the card speaks no protocol that the reader knows"),
}
_CANCELLED: Final = 0x80100002
_TIMED_OUT: Final = 0x8010000A
_UNKNOWN_READER: Final = 0x80100009


@cache
def _scard() -> Any:
    from smartcard import scard

    return scard


def _check(code: int) -> None:
    """Turns a return code of PC/SC into our exceptions."""
    code &= 0xFFFFFFFF
    if code == 0:
        return
    kind, meaning = _ERRORS.get(code, (ReaderFault, "the reader failed"))
    raise kind(f"{meaning} ({code:08X})")


def _establish() -> Any:
    code, context = _scard().SCardEstablishContext(_scard().SCARD_SCOPE_USER)
    _check(code)
    return context


def _names(context: Any) -> list[str]:
    code, names = _scard().SCardListReaders(context, [])
    if code & 0xFFFFFFFF == 0x8010002E:
        return []
    _check(code)
    return [str(name) for name in names]


def reader_names() -> list[str]:
    """The readers that the service has now.

    Raises:
        ServiceMissing: it does not run, or does not answer within five seconds.
    """
    watchdog = Watchdog("PC/SC list")
    try:
        context = watchdog.call(_establish, limit_ms=SERVICE_TIMEOUT_MS)
        names = watchdog.call(_names, context, limit_ms=SERVICE_TIMEOUT_MS)
        watchdog.call(_scard().SCardReleaseContext, context, limit_ms=SERVICE_TIMEOUT_MS)
    except TimeoutError as error:
        raise ServiceMissing("the card service does not answer; restart pcscd") from error
    finally:
        watchdog.end()
    return names


class PcscReaders:
    """All readers of the PC/SC service whose name matches.

    Its own health record speaks for the service: ``ready`` when at least one reader is there.
    Every reader has its own record, told to the listener under the reader's name.

    Args:
        pattern: regular expression searched in the name; ``None`` takes all but SAM slots.
        apdu_timeout_ms: how long a card may take for one answer.
        exclusive: shut other programs out while a card is served, instead of holding a
            transaction.
        now_ms: clock for the health records.
    """

    name: Final = "PC/SC"

    def __init__(
        self,
        pattern: str | None = None,
        *,
        apdu_timeout_ms: int = APDU_TIMEOUT_MS,
        exclusive: bool = False,
        now_ms: NowMs = monotonic_ms,
    ) -> None:
        self._pattern = re.compile(pattern) if pattern is not None else None
        self._apdu_timeout_ms = apdu_timeout_ms
        self._exclusive = exclusive
        self._now_ms = now_ms
        self._machine = ReaderMachine(self.name, now_ms, self._health_changed)
        self._backoff = Backoff()
        self._readers: dict[str, AttendedReader] = {}
        self._listener: CardListener | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._context: Any = None

    @property
    def health(self) -> ReaderHealth:
        """The service's newest record."""
        return self._machine.health

    @property
    def readers(self) -> dict[str, ReaderHealth]:
        """The newest record of every reader seen since the start."""
        return {name: reader.health for name, reader in self._readers.copy().items()}

    def start(self, listener: CardListener) -> None:
        """Begins to watch the service."""
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError("PC/SC is already watched")
        self._listener = listener
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="PC/SC", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops watching; a listener that is busy with a card is waited for three seconds."""
        self._stopping.set()
        end_ms = monotonic_ms() + STOP_WAIT_MS
        while self._thread is not None and self._thread.is_alive() and monotonic_ms() < end_ms:
            context = self._context
            if context is not None:
                _scard().SCardCancel(context)
            self._thread.join(0.05)
        for reader in self._readers.values():
            reader.stop()
        self._readers = {}
        self._listener = None

    def _health_changed(self, health: ReaderHealth) -> None:
        if self._listener is not None:
            self._listener.health_changed(health)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._machine.opening()
                self._context = _establish()
                self._watch()
            except ReaderError as error:
                self._machine.fault(str(error))
            finally:
                context, self._context = self._context, None
                if context is not None:
                    _scard().SCardReleaseContext(context)
            self._stopping.wait(self._backoff.next_ms() / 1000)

    def _watch(self) -> None:
        """Follows the readers until the service goes away."""
        while not self._stopping.is_set():
            names = [name for name in _names(self._context) if self._wanted(name)]
            for name in names:
                self._attend(name)
            if names:
                self._machine.ready()
            else:
                self._machine.absent("no reader matches; plug one in")
            self._backoff.reset()
            code, _ = _scard().SCardGetStatusChange(self._context, READER_POLL_MS, [(PNP, 0)])
            if code & 0xFFFFFFFF == _UNKNOWN_READER:  # a service without that notification
                self._stopping.wait(READER_POLL_MS / 1000)
            elif code & 0xFFFFFFFF not in (_CANCELLED, _TIMED_OUT):
                _check(code)

    def _wanted(self, name: str) -> bool:
        if self._pattern is not None:
            return self._pattern.search(name) is not None
        return parse_reader_name(name).role is not SlotRole.SAM

    def _attend(self, name: str) -> None:
        """Starts the reader's own thread; it goes on by itself when the reader is away."""
        if name in self._readers or len(self._readers) >= READERS_MAX or self._listener is None:
            return
        slot = _PcscSlot(name, self._apdu_timeout_ms, exclusive=self._exclusive)
        self._readers[name] = reader = AttendedReader(slot, now_ms=self._now_ms)
        reader.start(self._listener)


class _PcscSlot:
    """The driver's side of one reader, with a context of its own."""

    def __init__(self, name: str, apdu_timeout_ms: int, *, exclusive: bool) -> None:
        self.name = name
        self._apdu_timeout_ms = apdu_timeout_ms
        self._exclusive = exclusive
        self._context: Any = None
        self._watchdog = Watchdog(f"exchange {name}")
        self._state = 0
        self._atr = b""

    def open(self) -> None:
        try:
            self._context = self._watchdog.call(_establish, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError as error:
            self.abandon()
            raise ServiceMissing("the card service does not answer; restart pcscd") from error

    def close(self) -> None:
        """Ends the context; in the exchange thread, since that may hang as well."""
        context, self._context = self._context, None
        if context is None:
            self._watchdog.end()
        else:
            self._watchdog.end(lambda: _scard().SCardReleaseContext(context))
        self._watchdog = Watchdog(f"exchange {self.name}")

    abandon = close

    def wake(self) -> None:
        context = self._context
        if context is not None:
            _scard().SCardCancel(context)

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        if self._context is None:  # a card that hung took the context with it
            self.open()
        scard = _scard()
        if seen is None:
            self._state = scard.SCARD_STATE_UNAWARE
        end_ms = monotonic_ms() + limit_ms
        while True:
            left_ms = max(0, end_ms - monotonic_ms())
            asked = [(self.name, self._state)]
            code, states = scard.SCardGetStatusChange(self._context, left_ms, asked)
            if code & 0xFFFFFFFF in (_CANCELLED, _TIMED_OUT):
                return self._sight()
            _check(code)
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
        present = self._state & _scard().SCARD_STATE_PRESENT
        return Sight(Presence.CARD if present else Presence.EMPTY, self._state >> 16)

    def connect(self) -> PoweredCard:
        # pcscd lets SCardConnect wait as long as another program is in a transaction
        shared = self._in_use()
        limit_ms = TRANSACTION_TIMEOUT_MS if shared else SERVICE_TIMEOUT_MS
        try:
            card, protocol = self._watchdog.call(self._power, limit_ms=limit_ms)
        except TimeoutError as error:
            self.abandon()
            if shared:
                raise ReaderBusy(_BUSY) from error
            raise CardMute("the reader hangs while it powers the card") from error
        try:
            self._watchdog.call(self._begin, card, limit_ms=TRANSACTION_TIMEOUT_MS)
        except TimeoutError as error:
            self.abandon()
            raise ReaderBusy(_BUSY) from error
        return _PcscCard(self, self._watchdog, card, protocol, self._atr, self._apdu_timeout_ms)

    def _in_use(self) -> bool:
        scard = _scard()
        code, states = scard.SCardGetStatusChange(self._context, 0, [(self.name, 0)])
        _check(code)
        event: int = states[0][1]
        return bool(event & (scard.SCARD_STATE_INUSE | scard.SCARD_STATE_EXCLUSIVE))

    def _power(self) -> tuple[Any, int]:
        scard = _scard()
        share = scard.SCARD_SHARE_EXCLUSIVE if self._exclusive else scard.SCARD_SHARE_SHARED
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, protocol = scard.SCardConnect(self._context, self.name, share, protocols)
        _check(code)
        return card, protocol

    def _begin(self, card: Any) -> None:
        """Keeps other programs' commands from coming between ours."""
        code = _scard().SCardBeginTransaction(card)
        if code:
            _scard().SCardDisconnect(card, _scard().SCARD_LEAVE_CARD)
        _check(code)


class _PcscCard:
    """One connected card."""

    def __init__(
        self,
        slot: _PcscSlot,
        watchdog: Watchdog,
        card: Any,
        protocol: int,
        atr: bytes,
        apdu_timeout_ms: int,
    ) -> None:
        scard = _scard()
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
            _check(code)
        except (ServiceMissing, ReaderMissing, ReaderBusy) as error:
            raise ReaderFault(f"{error}; the exchange's outcome is unknown") from error
        if not answer:  # pcscd reports a card torn off during the exchange as success
            raise CardRemoved(_TORN)
        return split_response(bytes(answer))

    def close(self) -> None:
        if self._mute:
            return
        try:
            self._watchdog.call(self._leave, limit_ms=SERVICE_TIMEOUT_MS)
        except TimeoutError:
            self._mute = True
            self._slot.abandon()

    def _leave(self) -> None:
        scard = _scard()
        scard.SCardEndTransaction(self._card, scard.SCARD_LEAVE_CARD)
        scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)
