"""The wire between a virtual card and a virtual reader: the protocol of vsmartcard's vpcd.

The card connects to the reader by TCP. Both ways a frame is a two-byte big-endian length and
that many bytes. One byte from the reader is a control: power off, power on, reset, or get ATR;
more are a command APDU. The card answers only "get ATR" and APDUs. It lies on the reader as
long as it is connected.
"""

from __future__ import annotations

import socket
from typing import Final

POWER_OFF: Final = 0
POWER_ON: Final = 1
RESET: Final = 2
GET_ATR: Final = 4

FRAME_BYTES_MAX: Final = 0xFFFF
LOOPBACK: Final = "127.0.0.1"


def send(connection: socket.socket, payload: bytes) -> None:
    """Sends one frame, in one piece.

    Raises:
        ValueError: more than 65,535 bytes.
        OSError: the other side is gone.
    """
    if len(payload) > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(payload)} bytes")
    connection.sendall(len(payload).to_bytes(2) + payload)


def receive(connection: socket.socket) -> bytes | None:
    """Receives one frame, or ``None`` when the other side has hung up.

    Raises:
        TimeoutError: the socket's time limit passed.
        OSError: the connection broke.
    """
    head = _exactly(connection, 2)
    return None if head is None else _exactly(connection, int.from_bytes(head))


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        # vpcd 3.3 sends length and payload by two calls. Unless the first is acknowledged at
        # once, the second waits 40 ms in the kernel (Nagle's rule against delayed ACK); the
        # option does not last, so it is set before every receive.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = connection.recv(count - len(data))
        if not part:
            return None
        data += part
    return bytes(data)
