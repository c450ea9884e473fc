"""Ways to a printer: USB device file, network, serial, and a folder of pictures.

Each sends a whole slip or raises :class:`~terminal.errors.PrinterFault`, within a bounded time.
None asks the printer anything before it sends: many cannot answer, and a slip is no redemption.
"""

from __future__ import annotations

import os
import re
import select
import socket
import time
from pathlib import Path
from typing import Final, Protocol

from terminal.errors import PrinterFault
from terminal.receipts.escpos import Paper

SEND_LIMIT_S: Final = 10.0
CONNECT_LIMIT_S: Final = 3.0
NETWORK_PORT: Final = 9_100
SERIAL_BAUDRATE: Final = 19_200
CHUNK_BYTES: Final = 4_096
#: Pictures that a folder keeps; the oldest go first.
PICTURES_MAX: Final = 500
_NETWORK: Final = re.compile(r"tcp://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")


class PrinterPort(Protocol):
    """One printer, as far as bytes go."""

    name: str

    def send(self, slip: bytes) -> None:
        """Sends a whole slip.

        Raises:
            PrinterFault: it did not arrive whole, as far as one can know.
        """


class DevicePort:
    """A USB printer by the kernel's ``usblp``, for example ``/dev/usb/lp0``."""

    def __init__(self, path: str, *, limit_s: float = SEND_LIMIT_S) -> None:
        self.name = path
        self._limit_s = limit_s

    def send(self, slip: bytes) -> None:
        """See :class:`PrinterPort`. A printer without paper stops taking bytes."""
        try:
            descriptor = os.open(self.name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError:
            raise PrinterFault(f"{self.name} is not plugged in") from None
        except OSError as error:
            raise PrinterFault(f"{self.name} cannot be opened: {error.strerror}") from error
        try:
            self._write(descriptor, slip)
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, slip: bytes) -> None:
        end = time.monotonic() + self._limit_s
        left = memoryview(slip)
        while left:
            ready = select.select([], [descriptor], [], max(0.0, end - time.monotonic()))[1]
            if not ready:
                raise PrinterFault(f"{self.name} takes no bytes; check its paper and cover")
            try:
                left = left[os.write(descriptor, left[:CHUNK_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PrinterFault(f"{self.name} went away: {error.strerror}") from error


class NetworkPort:
    """A printer that takes raw bytes over TCP, on port 9100 as a rule."""

    def __init__(
        self, host: str, port: int = NETWORK_PORT, *, limit_s: float = SEND_LIMIT_S
    ) -> None:
        self.name = f"tcp://{host}:{port}"
        self._address = (host.strip("[]"), port)
        self._limit_s = limit_s

    def send(self, slip: bytes) -> None:
        """See :class:`PrinterPort`. A clean end tells that the printer took all bytes."""
        try:
            with socket.create_connection(self._address, CONNECT_LIMIT_S) as link:
                link.settimeout(self._limit_s)
                link.sendall(slip)
                link.shutdown(socket.SHUT_WR)
                while link.recv(CHUNK_BYTES):
                    pass
        except TimeoutError:
            raise PrinterFault(f"{self.name} does not answer; check its power and paper") from None
        except OSError as error:
            raise PrinterFault(f"{self.name} cannot be reached: {error.strerror}") from error


class SerialPort:
    """A printer on a serial line."""

    def __init__(self, path: str, baudrate: int = SERIAL_BAUDRATE) -> None:
        self.name = path
        self._baudrate = baudrate

    def send(self, slip: bytes) -> None:
        """See :class:`PrinterPort`."""
        from readers.errors import ReaderError
        from readers.serial_port import send

        try:
            send(self.name, slip, baudrate=self._baudrate, limit_s=SEND_LIMIT_S)
        except ReaderError as error:
            raise PrinterFault(str(error)) from error


class PictureFolder:
    """No printer at all: each slip becomes a PNG of the paper, drawn from the very bytes."""

    def __init__(self, folder: Path, paper: Paper) -> None:
        self.name = str(folder)
        self._folder = folder
        self._paper = paper

    def send(self, slip: bytes) -> None:
        """See :class:`PrinterPort`."""
        from terminal.receipts.preview import Unprintable, picture_of

        try:
            picture = picture_of(slip, self._paper)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = sorted(self._folder.glob("slip-*.png"))
            number = int(kept[-1].stem.partition("-")[2]) + 1 if kept else 1
            (self._folder / f"slip-{number:08}.png").write_bytes(picture)
            for old in kept[: max(0, len(kept) + 1 - PICTURES_MAX)]:
                old.unlink(missing_ok=True)
        except (OSError, Unprintable, ValueError) as error:
            raise PrinterFault(f"no picture in {self._folder}: {error}") from error


def port_of(address: str, paper: Paper, *, base: Path, baudrate: int = 0) -> PrinterPort:
    """The port that an address of ``terminal.toml`` names.

    Args:
        address: ``/dev/usb/lp0``, ``tcp://host[:port]``, ``serial:/dev/ttyS0`` or ``png:folder``.
        paper: the roll, for pictures.
        base: folder that a relative folder of pictures lies in.
        baudrate: of a serial line, 0 for the usual one.

    Raises:
        ValueError: it is none of these.
    """
    network = _NETWORK.match(address)
    if network:
        number = int(network[2] or NETWORK_PORT)
        if 0 < number < 65_536:
            return NetworkPort(network[1], number)
    elif address.startswith("serial:/dev/"):
        return SerialPort(address.removeprefix("serial:"), baudrate or SERIAL_BAUDRATE)
    elif address.startswith("png:") and len(address) > 4:
        return PictureFolder(base / address.removeprefix("png:"), paper)
    elif address.startswith("/dev/"):
        return DevicePort(address)
    raise ValueError("must be /dev/usb/lp0, tcp://host:9100, serial:/dev/ttyS0 or png:folder")
