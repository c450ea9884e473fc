"""A PN532 on a pseudo terminal, with virtual type A cards in its field (UM0701-02).

Any driver for the chip's serial port can open ``path``. Cards answer by ISO-DEP in the card, as
real ones do; the chip's own ISO-DEP (InDataExchange) is there as well. Not imitated: timing of
the air, types B and F (both are answered as an empty field), the chip as a target.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from typing import Final

from readers.errors import CardRemoved
from readers.virtual import pn532_frames as frames
from readers.virtual.box import VirtualCard
from readers.virtual.isodep import IsoDepTarget

CARDS_MAX: Final = 2
POLL_S: Final = 0.1
_FIRMWARE: Final = bytes.fromhex("32010607")
_FIFO_DATA: Final = 0x6339
_TX_MODE: Final = 0x6302
_SENS_REQ: Final = 0x26
_TIMED_OUT: Final = b"\x01"
_OK: Final = b"\x00"
_AUTOMATIC_RATS: Final = 0x10
_TYPE_A: Final = 0x00
#: Kinds of InAutoPoll that our cards are: any at 106 kbit/s type A, and ISO 14443-4 type A.
_TYPE_A_KINDS: Final = (0x00, 0x20)


class Pn532:
    """The chip. ``insert`` and ``remove`` lay cards on it; ``close`` unplugs it.

    Attributes:
        path: device file that a driver opens.
    """

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # and kept open: a driver closes and opens while it starts
        self.path = os.ttyname(self._slave)
        self._cards: list[VirtualCard] = []
        self._target: IsoDepTarget | None = None
        self._lock = threading.Lock()
        self._registers: dict[int, int] = {}
        self._parameters = 0
        self._select_response = 0x20
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="PN532", daemon=True)
        self._thread.start()

    def insert(self, card: VirtualCard, *, processor: bool = True) -> None:
        """Lays a card on the chip, beside the one that lies there.

        Args:
            card: answers the commands.
            processor: whether it says that it speaks ISO-DEP; storage cards do not.
        """
        with self._lock:
            self._cards.append(card)
            self._select_response = 0x20 if processor else 0x08

    def remove(self) -> None:
        """Takes all cards away."""
        with self._lock:
            leaving, self._cards = self._cards, []
            self._target = None
        for card in leaving:
            card.power_off()

    def close(self) -> None:
        """Unplugs the chip: its device file goes away."""
        self.remove()
        self._over.set()
        self._thread.join()
        for end in (self._master, self._slave):
            os.close(end)

    def _run(self) -> None:
        reader = frames.FrameReader()
        while not self._over.is_set():
            if not select.select([self._master], [], [], POLL_S)[0]:
                continue
            with contextlib.suppress(OSError):  # the other side has closed, and may come back
                for kind, body in reader.feed(os.read(self._master, 4096)):
                    self._take(kind, body)

    def _take(self, kind: frames.Kind, body: bytes) -> None:
        if kind is frames.Kind.BROKEN:
            os.write(self._master, frames.NACK)
        if kind is not frames.Kind.BODY:
            return  # an ACK also aborts a command, and none is under way here
        if body[0] != 0xD4 or len(body) < 2:
            os.write(self._master, frames.encode(frames.BODY_ERROR))
            return
        os.write(self._master, frames.ACK)
        answer = self._command(body[1], body[2:])
        if answer is None:
            os.write(self._master, frames.encode(frames.BODY_ERROR))
        else:
            os.write(self._master, frames.encode(bytes((0xD5, body[1] + 1)) + answer))

    def _command(self, code: int, data: bytes) -> bytes | None:
        """The answer to one command of chapter 7, ``None`` for a syntax error."""
        match code:
            case 0x00:  # Diagnose: the line test echoes, the others report success
                return data if data[:1] == b"\x00" else _OK
            case 0x02:
                return _FIRMWARE
            case 0x04:  # GetGeneralStatus
                return bytes((0, 0, 0, 0x80))
            case 0x06:
                return bytes(self._register(data[at : at + 2]) for at in range(0, len(data), 2))
            case 0x08:
                for at in range(0, len(data) - 2, 3):
                    self._registers[int.from_bytes(data[at : at + 2])] = data[at + 2]
                return b""
            case 0x12:
                self._parameters = data[0] if data else 0
                return b""
            case 0x10 | 0x14:  # baud rate, SAM
                return b""
            case 0x32:
                return self._configure_field(data)
            case 0x16 | 0x44 | 0x52 | 0x54:  # power down, deselect, release, select
                return _OK
            case 0x4A if len(data) >= 2:
                return self._list_passive(data[0], data[1])
            case 0x60:
                return self._auto_poll(data[2:])
            case 0x42:
                return self._through(data)
            case 0x40 if data:
                return self._exchange(data[1:])
        return None

    def _configure_field(self, data: bytes) -> bytes:
        """RFConfiguration (7.3.1); item 1 with bit 0 clear takes the field away."""
        if len(data) >= 2 and data[0] == 0x01 and not data[1] & 0x01:
            with self._lock:
                cards, self._target = list(self._cards), None
            for card in cards:
                card.power_off()
        return b""

    def _register(self, address: bytes) -> int:
        number = int.from_bytes(address)
        # what drivers read to learn that no card has answered: their own request, still there
        empty = _SENS_REQ if number == _FIFO_DATA and not self._cards else 0
        return empty or self._registers.get(number, 0)

    def _list_passive(self, most: int, technology: int) -> bytes:
        """InListPassiveTarget (7.3.5)."""
        with self._lock:
            cards = self._cards[: min(most, CARDS_MAX)] if technology == _TYPE_A else []
            self._target = IsoDepTarget(cards[0]) if cards else None
            target = self._target
        answer = bytes((len(cards),))
        for number, card in enumerate(cards, 1):
            uid = b"\x04" + (id(card) & 0xFFFFFF).to_bytes(3)
            answer += bytes((number,)) + b"\x00\x04"
            answer += bytes((self._select_response, len(uid))) + uid
            if self._parameters & _AUTOMATIC_RATS and target is not None:
                answer += target.answer(b"\xe0\x80") or b""
        return answer

    def _auto_poll(self, kinds: bytes) -> bytes:
        """InAutoPoll (7.3.13): the first kind asked for that lies there; one round, at once."""
        kind = next((kind for kind in kinds if kind in _TYPE_A_KINDS), None)
        listed = self._list_passive(1, _TYPE_A) if kind is not None else b"\x00"
        if kind is None or listed[0] == 0:
            return b"\x00"
        return bytes((1, kind, len(listed) - 1)) + listed[1:]

    def _through(self, data: bytes) -> bytes:
        """InCommunicateThru (7.3.9): one raw frame to the card."""
        target = self._target
        if self._registers.get(_TX_MODE, 0) & 0x03 != _TYPE_A:
            return _TIMED_OUT  # modulated for cards of another type
        try:
            answer = target.answer(data) if target is not None else None
        except CardRemoved:
            self.remove()
            answer = None
        return _TIMED_OUT if answer is None else _OK + answer

    def _exchange(self, command: bytes) -> bytes:
        """InDataExchange (7.3.8): the chip speaks ISO-DEP itself."""
        with self._lock:
            card = self._cards[0] if self._target is not None and self._cards else None
        try:
            return _TIMED_OUT if card is None else _OK + card.process(command)
        except CardRemoved:
            self.remove()
            return _TIMED_OUT
