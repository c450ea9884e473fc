"""PC/SC: readers behind pcscd or the system's smart card service. The one importer of smartcard.

The driver stands on ``smartcard.scard`` alone. Every reader has its own thread and its own
context, so one that hangs holds up no other. A watching thread follows readers as they come and
go and the service as it dies and returns.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from firmware_profiles.model import Sighting
from readers import part10
from readers.attendance import (
    STOP_WAIT_MS,
    AttendedReader,
    monotonic_ms,
)
from readers.errors import (
    ReaderError,
    ReaderMissing,
    ServiceMissing,
)
from readers.identity import SlotRole, parse_reader_name
from readers.pcsc_codes import NO_READERS, check
from readers.pcsc_context import SERVICE_TIMEOUT_MS, Contexts, ServiceContext
from readers.pcsc_escape import features_of, send_escape
from readers.pcsc_slot import PcscSlot
from readers.supervision import Backoff, CardListener, NowMs, ReaderHealth, ReaderMachine

APDU_TIMEOUT_MS: Final = 5_000
READER_POLL_MS: Final = 1_000
READERS_MAX: Final = 32
PNP: Final = "\\\\?PnP?\\Notification"


@cache
def _scard() -> Any:
    from smartcard import scard

    return scard


def _names(context: Any) -> list[str]:
    code, names = _scard().SCardListReaders(context, [])
    if code & 0xFFFFFFFF == NO_READERS:
        return []
    check(code)
    return [str(name) for name in names]


def reader_names() -> list[str]:
    """The readers that the service has now.

    Raises:
        ServiceMissing: it does not run, or does not answer within five seconds.
    """
    names: list[str] = _briefly(_names)
    return names


def look_at(name: str) -> Sighting:
    """What a reader tells of itself, without touching a card; raises as ``ask`` does."""
    return ask(name).sighting


def ask(name: str) -> part10.Told:
    """What a reader and its driver tell, without touching a card.

    Raises:
        ServiceMissing, ReaderMissing, ReaderBusy, ReaderFault: it cannot be asked.
        ProtocolViolation: it answers nonsense.
    """
    told: part10.Told = _briefly(lambda context: _directly(context, name, _tell))
    return told


def escape(name: str, command: bytes) -> bytes:
    """Sends a command to the reader itself, whatever lies on it, if its driver offers that.

    Raises:
        EscapeOff: the driver offers no way.
        ServiceMissing, ReaderMissing, ReaderBusy, ReaderFault: it cannot be asked.
    """
    answer: bytes = _briefly(
        lambda context: _directly(
            context, name, lambda reader, _: send_escape(_scard(), reader, command)
        )
    )
    return answer


def open_slot(name: str, apdu_timeout_ms: int, *, exclusive: bool = False) -> PcscSlot:
    """One reader's slot, not opened, for whoever attends it without the loop."""
    return PcscSlot(_scard(), name, apdu_timeout_ms, exclusive=exclusive)


def _briefly(ask: Callable[[Any], Any]) -> Any:
    """Asks with a context made for the purpose, and no longer than five seconds."""
    context = ServiceContext(_scard(), "question")
    context.open()
    try:
        return context.call(ask, context.value, limit_ms=SERVICE_TIMEOUT_MS)
    except TimeoutError as error:
        raise ServiceMissing("the card service does not answer; restart pcscd") from error
    finally:
        context.close()


def _directly(context: Any, name: str, ask_reader: Callable[[Any, str], Any]) -> Any:
    scard = _scard()
    code, reader, _ = scard.SCardConnect(
        context, name, scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED
    )
    check(code)
    try:
        return ask_reader(reader, name)
    finally:
        scard.SCardDisconnect(reader, scard.SCARD_LEAVE_CARD)


def _tell(reader: Any, name: str) -> part10.Told:
    scard = _scard()
    code, version = scard.SCardGetAttrib(reader, scard.SCARD_ATTR_VENDOR_IFD_VERSION)
    version = bytes(version) if code == 0 else b""
    properties = b""
    features = features_of(scard, reader)
    if part10.FEATURE_TLV_PROPERTIES in features:
        code, answer = scard.SCardControl(reader, features[part10.FEATURE_TLV_PROPERTIES], [])
        properties = bytes(answer) if code == 0 else b""
    return part10.Told(part10.sighting(name, version, properties), features)


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
        self._context: ServiceContext | None = None

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
                context.cancel()
            self._thread.join(0.05)
        for reader in self._readers.values():
            reader.stop()
        self._readers = {}
        self._listener = None

    def _health_changed(self, health: ReaderHealth) -> None:
        if self._listener is not None:
            self._listener.health_changed(health)

    def _run(self) -> None:
        contexts = Contexts(_scard(), "readers")
        while not self._stopping.is_set():
            try:
                self._machine.opening()
                self._context = contexts.open()
                self._watch(self._context)
            except ReaderError as error:
                self._machine.fault(str(error))
            finally:
                context, self._context = self._context, None
                if context is not None:
                    context.close()
            self._stopping.wait(self._backoff.next_ms() / 1000)

    def _watch(self, context: ServiceContext) -> None:
        """Follows the readers until the service goes away."""
        while not self._stopping.is_set():
            try:
                listed = context.call(_names, context.value, limit_ms=SERVICE_TIMEOUT_MS)
            except TimeoutError as error:
                raise ServiceMissing("the card service does not answer") from error
            names = [name for name in listed if self._wanted(name)]
            for name in names:
                self._attend(name)
            if names:
                self._machine.ready()
            else:
                self._machine.absent("no reader matches; plug one in")
            self._backoff.reset()
            try:
                context.changes([(PNP, 0)], READER_POLL_MS)
            except ReaderMissing:  # a service without that notification
                self._stopping.wait(READER_POLL_MS / 1000)

    def _wanted(self, name: str) -> bool:
        if self._pattern is not None:
            return self._pattern.search(name) is not None
        return parse_reader_name(name).role is not SlotRole.SAM

    def _attend(self, name: str) -> None:
        """Starts the reader's own thread; it goes on by itself when the reader is away."""
        if name in self._readers or len(self._readers) >= READERS_MAX or self._listener is None:
            return
        slot = open_slot(name, self._apdu_timeout_ms, exclusive=self._exclusive)
        self._readers[name] = reader = AttendedReader(slot, now_ms=self._now_ms)
        reader.start(self._listener)
