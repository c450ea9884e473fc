"""Scanners and stripe readers on serial ports, by pyserial. The one importer of serial.

They send lines and are told nothing. A line is a presentation that is over once it is served, so
the loop that attends card readers attends them too: the same states, the same backoff. Local
ports, ``rfc2217://`` (a counter elsewhere, with its line settings) and ``socket://`` (plain TCP).
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import socket
import threading
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any, Final

from readers.attendance import AttendedReader, PoweredCard, Presence, Sight, monotonic_ms
from readers.errors import CardRemoved, ReaderBusy, ReaderFault, ReaderMissing
from readers.lines import LineCard, LineFramer, is_port
from readers.ports import PORT_GONE
from readers.supervision import NowMs
from readers.watchdog import Watchdog

BAUDRATE: Final = 9_600
BAUDRATES: Final = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200)
POLL_MS: Final = 100
#: pyserial waits five seconds for a connection and three for its negotiation.
OPEN_TIMEOUT_MS: Final = 10_000
READ_TIMEOUT_MS: Final = 5_000
READ_BYTES_MAX: Final = 4_096
LINES_WAITING_MAX: Final = 8
#: A line that stops in the middle for so long is not continued.
LINE_PAUSE_MS: Final = 1_000
#: A code that stays before the scanner is read over and over; that is one presentation.
REPEAT_MS: Final = 2_000
#: Seconds after which an unused connection is asked whether it lives, and then how often.
KEEPALIVE_S: Final = 5


@cache
def _serial() -> Any:
    import serial

    return serial


class SerialReader(AttendedReader):
    """A scanner or a stripe reader, as a ``CardReader``.

    Args:
        port: device file, best the stable one under ``/dev/serial/by-id``, or
            ``rfc2217://host:port``, or ``socket://host:port``.
        name: the reader's name; the port if there is none.
        baudrate: bits per second; eight data bits, no parity, one stop bit.
        now_ms: clock for the health record.

    Raises:
        ReaderMissing: the port is none of these.
    """

    def __init__(
        self,
        port: str,
        name: str = "",
        *,
        baudrate: int = BAUDRATE,
        now_ms: NowMs = monotonic_ms,
    ) -> None:
        if not is_port(port):
            raise ReaderMissing(
                f"{port!r} is no port such as /dev/serial/by-id/usb-Scanner or rfc2217://host:4000"
            )
        super().__init__(_SerialSlot(port, name or port, baudrate), now_ms=now_ms)


def send(port: str, data: bytes, *, baudrate: int = BAUDRATE, limit_s: float = 10.0) -> None:
    """Writes to what listens on a port, for example a receipt printer.

    Args:
        port: as for :class:`SerialReader`.
        data: the bytes.
        baudrate: bits per second.
        limit_s: how long it may take; a printer without paper takes nothing more.

    Raises:
        ReaderMissing: it is no port, or it is not plugged in.
        ReaderFault: it does not open, or did not take all bytes in time.
    """
    if not is_port(port) or (port.startswith("/") and not Path(port).exists()):
        raise ReaderMissing(f"{port} is not plugged in, or is no port")
    opened = _open_port(port, baudrate)
    try:
        opened.write_timeout = limit_s
        opened.write(data)
        opened.flush()
    except PORT_GONE as error:
        raise ReaderFault(f"{port} did not take the bytes; check paper and cable") from error
    finally:
        _close_port(opened)


class _SerialSlot:
    """The driver's side of one port."""

    def __init__(self, port: str, name: str, baudrate: int) -> None:
        self.name = name
        self._path = port
        self._baudrate = baudrate
        self._port: Any = None
        self._framer = LineFramer()
        self._lines: deque[bytes] = deque(maxlen=LINES_WAITING_MAX)
        self._repeats = _Repeats()
        self._heard_ms = 0
        self._arrival = 0
        self._awake = threading.Event()
        self._watchdog = Watchdog(f"port {name}")

    def open(self) -> None:
        if self._path.startswith("/") and not Path(self._path).exists():
            raise ReaderMissing(f"{self._path} is not plugged in")
        self._awake.clear()
        self._framer = LineFramer()
        try:
            self._port = self._watchdog.call(
                _open_port, self._path, self._baudrate, limit_ms=OPEN_TIMEOUT_MS
            )
        except TimeoutError as error:
            raise ReaderFault(f"{self._path} does not open; replug it") from error

    def close(self) -> None:
        port, self._port = self._port, None
        self._lines.clear()
        self._watchdog.end(None if port is None else lambda: _close_port(port))
        self._watchdog = Watchdog(f"port {self.name}")

    def wake(self) -> None:
        self._awake.set()

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        if seen is not None and seen == self._sight() and self._lines:
            self._lines.popleft()  # it was served: whoever presented it has gone
            self._arrival += 1
        end_ms = monotonic_ms() + limit_ms
        while self._sight() == seen and monotonic_ms() < end_ms and not self._awake.is_set():
            self._hear()
        self._awake.clear()
        return self._sight()

    def connect(self) -> PoweredCard:
        if not self._lines:
            raise CardRemoved("the line was served before")
        return LineCard(self._lines[0])

    def _sight(self) -> Sight:
        return Sight(Presence.CARD if self._lines else Presence.EMPTY, self._arrival)

    def _hear(self) -> None:
        """Reads what has come, for a tenth of a second at most."""
        try:
            data = self._watchdog.call(_read, self._port, limit_ms=READ_TIMEOUT_MS)
        except TimeoutError as error:
            raise ReaderFault(f"{self._path} hangs; replug it") from error
        except ReaderFault as error:
            if self._path.startswith("/") and not Path(self._path).exists():
                raise ReaderMissing(f"{self._path} is not plugged in") from error
            raise
        now_ms = monotonic_ms()
        if self._framer.within and now_ms - self._heard_ms > LINE_PAUSE_MS:
            self._framer.abandon()
        if data:
            self._heard_ms = now_ms
        for line in self._framer.feed(data):
            if self._repeats.fresh(line, now_ms):
                self._arrival += not self._lines
                self._lines.append(line)


class _Repeats:
    """Knows the last line again without keeping it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._last = b""
        self._at_ms = 0

    def fresh(self, line: bytes, now_ms: int) -> bool:
        """Whether this is another presentation than the line before."""
        digest = hashlib.blake2b(line, key=self._key, digest_size=16).digest()
        again = digest == self._last and now_ms - self._at_ms < REPEAT_MS
        self._last, self._at_ms = digest, now_ms
        return not again


def _open_port(path: str, baudrate: int) -> Any:
    serial = _serial()
    local = path.startswith("/")
    try:
        port = serial.serial_for_url(
            path,
            baudrate=baudrate,
            timeout=POLL_MS / 1000,
            **({"exclusive": True} if local else {}),
        )
    except (*PORT_GONE, ValueError) as error:
        if local and "lock" in str(error).lower():
            raise ReaderBusy(f"another program holds {path}; close it") from error
        raise ReaderFault(f"{path} cannot be opened; check cable and address") from error
    if not local:
        _keep_alive(port)
    return port


def _keep_alive(port: Any) -> None:
    """A counter that lost its power says no goodbye; the kernel asks it."""
    link = getattr(port, "_socket", None)
    if link is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
            if hasattr(socket, option):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), KEEPALIVE_S)


def _close_port(port: Any) -> None:
    link = getattr(port, "_socket", None)
    with contextlib.suppress(*PORT_GONE):  # the port may be gone
        port.close()
    if link is not None:  # pyserial forgets to close a connection that the other end has left
        link.close()


def _read(port: Any) -> bytes:
    """What is there, or what comes first within the port's own time limit."""
    try:
        data = bytes(port.read(1))
        while data and len(data) < READ_BYTES_MAX and (more := port.in_waiting):
            data += bytes(port.read(min(more, READ_BYTES_MAX - len(data))))
    except (*PORT_GONE, TypeError) as error:
        raise ReaderFault("the port is gone; check its cable") from error
    return data
