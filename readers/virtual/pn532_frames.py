"""Frames between a host and a PN532 (user manual UM0701-02, 6.2.1). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
#: A frame whose body is 7F: syntax error on application level (6.2.1.5).
BODY_ERROR: Final = b"\x7f"
BODY_BYTES_MAX: Final = 265
_START: Final = b"\x00\xff"


def encode(body: bytes) -> bytes:
    """A normal information frame, or an extended one for more than 255 bytes.

    Raises:
        ValueError: the body is empty or longer than 265 bytes.
    """
    if not 1 <= len(body) <= BODY_BYTES_MAX:
        raise ValueError(f"a frame body of {len(body)} bytes")
    if len(body) <= 0xFF:
        head = bytes((len(body), -len(body) & 0xFF))
    else:
        size = len(body).to_bytes(2)
        head = b"\xff\xff" + size + bytes((-sum(size) & 0xFF,))
    return b"\x00" + _START + head + body + bytes((-sum(body) & 0xFF, 0))


@unique
class Kind(Enum):
    """What arrived."""

    ACK = "ack"
    NACK = "nack"
    BODY = "body"
    BROKEN = "broken"


@dataclass(slots=True)
class FrameReader:
    """Finds frames in a stream of bytes; noise and wake-up preambles between them are skipped."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """Takes bytes in and returns the frames that are complete, with the body of each."""
        self._buffer += data
        found = []
        while (frame := self._next()) is not None:
            found.append(frame)
        return found

    def _next(self) -> tuple[Kind, bytes] | None:
        buffer = self._buffer
        start = buffer.find(_START)
        if start < 0:
            del buffer[: max(0, len(buffer) - 1)]
            return None
        del buffer[:start]
        if len(buffer) < 4:
            return None
        if buffer[2:4] == b"\x00\xff":
            return self._take(4, Kind.ACK)
        if buffer[2:4] == b"\xff\x00":
            return self._take(4, Kind.NACK)
        if buffer[2:4] == b"\xff\xff":
            if len(buffer) < 7:
                return None
            size, sound, at = int.from_bytes(buffer[4:6]), not sum(buffer[4:7]) & 0xFF, 7
        else:
            size, sound, at = buffer[2], not sum(buffer[2:4]) & 0xFF, 4
        if not sound or not 1 <= size <= BODY_BYTES_MAX:
            return self._take(2, Kind.BROKEN)
        if len(buffer) < at + size + 1:
            return None
        body = bytes(buffer[at : at + size])
        if (sum(body) + buffer[at + size]) & 0xFF:
            return self._take(at + size + 1, Kind.BROKEN)
        return self._take(at + size + 1, Kind.BODY, body)

    def _take(self, count: int, kind: Kind, body: bytes = b"") -> tuple[Kind, bytes]:
        del self._buffer[:count]
        return kind, body
