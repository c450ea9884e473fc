"""Lines of text from scanners and stripe readers: how they are cut, and how they look to a scheme.

A scanned code or a magnetic stripe is no card, yet it takes the same way through a terminal: as a
connection whose interface is ``LINE``, which no chip can claim, and which answers one command.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from readers.apdu import CommandApdu, StatusWord
from readers.connection import Interface

#: Track 2 has 40 characters, track 1 has 79, both together 119; a QR code of a member far fewer.
LINE_BYTES_MAX: Final = 256
#: What ends a line: scanners send one, the other or both.
_ENDS: Final = b"\r\n"
#: Frame characters that some readers put around a line (STX, ETX) and that carry nothing.
_FRAME: Final = b"\x02\x03"
#: The one command that a line answers. GET DATA of the class that PC/SC keeps for what is no card
#: (part 3, 3.2.2.1.3), for a tag of our own.
READ_LINE: Final = CommandApdu(0xFF, 0xCA, 0xC1, 0x7E, le=256).to_bytes()
_DEVICE: Final = re.compile(r"/dev/[A-Za-z0-9._:+/-]+")
_REMOTE: Final = re.compile(r"(rfc2217|socket)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


def is_port(port: str) -> bool:
    """Whether it names a port; pyserial's other forms write files or take options."""
    return bool(_DEVICE.fullmatch(port) or _REMOTE.fullmatch(port))


class LineCard:
    """One line, as a powered card."""

    interface: Final = Interface.LINE

    def __init__(self, line: bytes) -> None:
        """Takes a line without its end."""
        self._line = bytearray(line)

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Answers ``READ_LINE`` with the line, and nothing else."""
        if command != READ_LINE or not self._line:
            return b"", StatusWord.INS_NOT_SUPPORTED
        return bytes(self._line), StatusWord.SUCCESS

    def close(self) -> None:
        """Forgets the line: it may hold an account number."""
        self._line[:] = bytes(len(self._line))
        self._line.clear()


class LineFramer:
    """Cuts what a port sends into lines.

    A line holds printable ASCII only. One that is longer than the limit, or that has noise in it,
    is dropped whole up to its end: half an account number must never pass for one.
    """

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        """Begins between two lines."""
        self._most = line_bytes_max
        self._line = bytearray()
        self._spoilt = False
        self.dropped = 0

    @property
    def within(self) -> bool:
        """Whether a line has begun and has not ended."""
        return bool(self._line) or self._spoilt

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end within ``data``, without their ends; empty ones are left out."""
        for byte in data:
            if byte in _ENDS:
                if line := self._end():
                    yield line
            elif byte in _FRAME or self._spoilt:
                continue
            elif 0x20 <= byte < 0x7F and len(self._line) < self._most:
                self._line.append(byte)
            else:
                self._wipe()
                self._spoilt = True

    def abandon(self) -> None:
        """Drops a line that has begun; what follows belongs to another."""
        if self.within:
            self.dropped += 1
        self._spoilt = False
        self._wipe()

    def _end(self) -> bytes:
        if self._spoilt:
            self.abandon()
            return b""
        line = bytes(self._line)
        self._wipe()
        return line

    def _wipe(self) -> None:
        self._line[:] = bytes(len(self._line))
        self._line.clear()
