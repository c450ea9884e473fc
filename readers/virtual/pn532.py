"""A PN532 on a pseudo terminal, with virtual cards of type A, B and F in its field (UM0701-02).

Any driver for the chip's serial port can open ``path``. Cards answer by ISO-DEP in the card, as
real ones do; the chip's own protocols (InDataExchange) are there as well. Not imitated: timing of
the air, the chip as a target.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from readers.errors import CardRemoved
from readers.virtual import pn532_frames as frames
from readers.virtual.box import VirtualCard
from readers.virtual.pn532_targets import (
    FRAMING_A,
    FRAMING_B,
    FRAMING_F,
    Target,
    TypeA,
    TypeB,
    TypeF,
)

CARDS_MAX: Final = 2
POLL_S: Final = 0.1
_FIRMWARE: Final = bytes.fromhex("32010607")
_FIFO_DATA: Final = 0x6339
_TX_MODE: Final = 0x6302
_SENS_REQ: Final = 0x26
_TIMED_OUT: Final = b"\x01"
_OK: Final = b"\x00"
_AUTOMATIC_RATS: Final = 0x10
_FRAMING: Final = 0x03
#: Technologies that InListPassiveTarget asks for, and their modulation (7.3.5).
_TECHNOLOGIES: Final = {0: FRAMING_A, 1: FRAMING_F, 2: FRAMING_F, 3: FRAMING_B}
_FOR_EVER: Final = 0xFF
#: SetSerialBaudRate (7.2.7); the chip wakes up with the fifth.
_BAUDRATES: Final = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
_BITS_A_BYTE: Final = 10


@dataclass(frozen=True, slots=True)
class ChipFaults:
    """Faults to play, by the number of the command since the chip was made; the first is 1.

    Attributes:
        no_ack_at: the command is neither confirmed nor carried out.
        silent_at: it is confirmed, and its answer never comes.
        broken_at: its answer has a wrong checksum.
        error_at: its answer is the error frame.
    """

    no_ack_at: int = 0
    silent_at: int = 0
    broken_at: int = 0
    error_at: int = 0


class Pn532:
    """The chip. ``insert`` and ``remove`` lay cards on it; ``close`` unplugs it.

    Args:
        faults: faults to play.
        paced: answers take as long as a serial line takes at the chip's baud rate.

    Attributes:
        path: device file that a driver opens.
    """

    def __init__(self, faults: ChipFaults = ChipFaults(), *, paced: bool = False) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # and kept open: a driver closes and opens while it starts
        self.path = os.ttyname(self._slave)
        self._cards: list[Target] = []
        self._target: Target | None = None
        self._faults = faults
        self._paced = paced
        self._baudrate = _BAUDRATES[4]
        self._commands = 0
        self._last = b""
        self._retries = 0
        self._waiting: tuple[int, bytes] | None = None
        self._lock = threading.Lock()
        self._registers: dict[int, int] = {}
        self._parameters = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="PN532", daemon=True)
        self._thread.start()

    @property
    def commands(self) -> int:
        """How many commands have come."""
        return self._commands

    def insert(self, card: VirtualCard, *, processor: bool = True) -> None:
        """Lays a card of type A on the chip, beside what lies there.

        Args:
            card: answers the commands.
            processor: whether it says that it speaks ISO-DEP; storage cards do not.
        """
        self.lay(TypeA(card, processor=processor))

    def insert_b(self, card: VirtualCard) -> None:
        """Lays a card of type B on the chip."""
        self.lay(TypeB(card))

    def insert_f(self, idm: bytes) -> None:
        """Lays a card of type F on the chip, known by its eight bytes."""
        self.lay(TypeF(idm))

    def lay(self, target: Target) -> None:
        """Lays any target on the chip."""
        with self._lock:
            self._cards.append(target)

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
                self._look_again()
                continue
            with contextlib.suppress(OSError):  # the other side has closed, and may come back
                for kind, body in reader.feed(os.read(self._master, 4096)):
                    self._take(kind, body)

    def _take(self, kind: frames.Kind, body: bytes) -> None:
        if kind is frames.Kind.BROKEN:
            os.write(self._master, frames.NACK)
        elif kind is frames.Kind.NACK:
            self._write(self._last)  # the host has not understood: once more (6.2.1.4)
        elif kind is frames.Kind.ACK:
            self._waiting = None  # the command under way is aborted (6.2.1.3)
        else:
            self._obey(body)

    def _obey(self, body: bytes) -> None:
        self._waiting = None
        if body[0] != 0xD4 or len(body) < 2:
            self._write(frames.encode(frames.BODY_ERROR))
            return
        self._commands += 1
        faults, number = self._faults, self._commands
        if number == faults.no_ack_at:
            return
        self._write(frames.ACK)
        answer = None if number == faults.error_at else self._command(body[1], body[2:])
        if number == faults.silent_at or self._waiting is not None:
            return
        if answer is None:
            frame = frames.encode(frames.BODY_ERROR)
        else:
            frame = frames.encode(bytes((0xD5, body[1] + 1)) + answer)
        self._last = frame
        if number == faults.broken_at:
            frame = frame[:-2] + bytes((frame[-2] ^ 0xFF, frame[-1]))
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self._paced:
            time.sleep(len(frame) * _BITS_A_BYTE / self._baudrate)
        os.write(self._master, frame)

    def _look_again(self) -> None:
        """Goes on with a command that waits for a card for ever."""
        if self._waiting is None:
            return
        code, data = self._waiting
        answer = self._list_passive(data[0], data[1])
        if answer[0]:
            self._waiting = None
            self._last = frames.encode(bytes((0xD5, code + 1)) + answer)
            self._write(self._last)

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
            case 0x10 if data and data[0] < len(_BAUDRATES):
                self._baudrate = _BAUDRATES[data[0]]
                return b""
            case 0x14:  # SAM
                return b""
            case 0x32:
                return self._configure_field(data)
            case 0x16 | 0x44 | 0x52 | 0x54:  # power down, deselect, release, select
                return _OK
            case 0x4A if len(data) >= 2:
                listed = self._list_passive(data[0], data[1])
                if not listed[0] and self._retries == _FOR_EVER:
                    self._waiting = (code, data)
                return listed
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
        if len(data) >= 4 and data[0] == 0x05:  # MxRtyATR, MxRtyPSL, MxRtyPassiveActivation
            self._retries = data[3]
        return b""

    def _register(self, address: bytes) -> int:
        number = int.from_bytes(address)
        # what drivers read to learn that no card has answered: their own request, still there
        empty = _SENS_REQ if number == _FIFO_DATA and not self._cards else 0
        return empty or self._registers.get(number, 0)

    def _list_passive(self, most: int, technology: int) -> bytes:
        """InListPassiveTarget (7.3.5)."""
        framing = _TECHNOLOGIES.get(technology)
        most = min(most, CARDS_MAX if framing == FRAMING_A else 1)
        with self._lock:
            found = [one for one in self._cards if one.framing == framing][:most]
            self._target = found[0] if found else None
        if framing is not None:
            self._registers[_TX_MODE] = framing
        answer = bytes((len(found),))
        for number, card in enumerate(found, 1):
            select_it = bool(self._parameters & _AUTOMATIC_RATS) and number == 1
            answer += bytes((number,)) + card.listed(select=select_it)
        return answer

    def _auto_poll(self, kinds: bytes) -> bytes:
        """InAutoPoll (7.3.13): the first kind asked for that lies there; one round, at once."""
        for kind in kinds:
            with self._lock:
                lies = next((one for one in self._cards if kind in one.kinds), None)
            if lies is None:
                continue
            technology = next(key for key, value in _TECHNOLOGIES.items() if value == lies.framing)
            listed = self._list_passive(1, technology)
            return bytes((1, kind, len(listed) - 1)) + listed[1:]
        return b"\x00"

    def _through(self, data: bytes) -> bytes:
        """InCommunicateThru (7.3.9): one raw frame to the card."""
        target = self._target
        if target is None or self._registers.get(_TX_MODE, 0) & _FRAMING != target.framing:
            return _TIMED_OUT  # nothing there, or modulated for cards of another type
        return self._ask(lambda: target.frame(data))

    def _exchange(self, command: bytes) -> bytes:
        """InDataExchange (7.3.8): the chip speaks the card's protocol itself."""
        target = self._target
        return _TIMED_OUT if target is None else self._ask(lambda: target.exchange(command))

    def _ask(self, answer_of: Callable[[], bytes | None]) -> bytes:
        try:
            answer = answer_of()
        except CardRemoved:
            self.remove()
            answer = None
        return _TIMED_OUT if answer is None else _OK + answer
