"""The card's side of ISO-DEP (ISO/IEC 14443-4), around a virtual card. For virtual NFC readers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from readers.errors import CardRemoved, ProtocolViolation
from readers.identity import FRAME_BYTES, parse_atr
from readers.virtual.box import VirtualCard

#: Frame waiting time integer 11: 619 ms to answer or to ask for more (clause 7.2). Real cards allow
#: themselves less; a virtual one shares its processor with those who wait for it.
FWI: Final = 11
WAIT_S: Final = 0.03
#: How often the card asks for more time before it falls silent.
EXTENSIONS_MAX: Final = 60
_RATS: Final = 0xE0
_DESELECT: Final = 0xC2
_REQB: Final = 0x05
_ATTRIB: Final = 0x1D
_CID_FOLLOWS: Final = 0x08
_WTX: Final = 0xF2


@dataclass(frozen=True, slots=True)
class Selection:
    """How a card of type B is selected: by the number in its answer to request.

    Attributes:
        atqb: answer to REQB and WUPB, twelve bytes (ISO/IEC 14443-3, 7.9).
    """

    atqb: bytes


class IsoDepTarget:
    """Blocks in, blocks out, with chaining both ways and waiting time extension.

    Args:
        card: answers the APDUs.
        frame_bytes: largest frame the card takes (FSC), one of clause 5.2.3.
        selection: for type B; without it the card is of type A, selected by RATS.
    """

    def __init__(
        self, card: VirtualCard, frame_bytes: int = 256, selection: Selection | None = None
    ) -> None:
        self._card = card
        self._selection = selection
        self._fsci = FRAME_BYTES.index(frame_bytes)
        self._reader_frame_bytes = 256
        self._reset()

    def answer(self, frame: bytes) -> bytes | None:
        """The card's answer to one frame without its checksum, or ``None`` for silence.

        Raises:
            CardRemoved: the card leaves the field instead of answering.
        """
        if not frame:
            return None
        first = frame[0]
        if self._selection is not None and first in (_REQB, _ATTRIB):
            return self._select_b(frame, self._selection)
        if first == _RATS:
            return self._select(frame) if self._selection is None else None
        if first & 0xF0 == 0xD0:  # PPS: keeps 106 kbit/s (clause 5.3)
            return frame[:1]
        if first & ~_CID_FOLLOWS == _DESELECT:
            self._card.power_off()
            self._reset()
            return frame
        if first & 0xF7 == _WTX:
            return self._when_ready() if self._job is not None else None
        if first & 0xE2 == 0x02:
            return self._information(frame)
        if first & 0xE6 == 0xA2:
            return self._receipt(first)
        return None

    def _reset(self) -> None:
        self._number = 1
        self._received = b""
        self._parts: list[bytes] = []
        self._last: bytes | None = None
        self._job: _Job | None = None
        self._extensions = 0

    def _select(self, frame: bytes) -> bytes | None:
        if len(frame) != 2:
            return None
        self._reset()
        self._reader_frame_bytes = FRAME_BYTES[min(frame[1] >> 4, 8)]
        try:
            historical = parse_atr(self._card.atr).historical
        except ProtocolViolation:
            historical = b""
        body = bytes((0x70 | self._fsci, 0x80, FWI << 4, 0x02)) + historical
        return bytes((len(body) + 1,)) + body

    def attrib(self) -> bytes:
        """What a reader sends to select this card of type B, for 256 byte frames without CID."""
        pupi = b"" if self._selection is None else self._selection.atqb[1:5]
        return bytes((_ATTRIB,)) + pupi + bytes((0x00, 0x08, 0x01, 0x00))

    def _select_b(self, frame: bytes, selection: Selection) -> bytes | None:
        """REQB or WUPB, and ATTRIB (ISO/IEC 14443-3, 7.7 and 7.10)."""
        if frame[0] == _REQB:
            return selection.atqb if len(frame) == 3 else None
        if len(frame) < 9 or frame[1:5] != selection.atqb[1:5]:
            return None
        self._reset()
        self._reader_frame_bytes = FRAME_BYTES[min(frame[6] & 0x0F, 8)]
        return bytes((frame[8] & 0x0F,))

    def _information(self, frame: bytes) -> bytes | None:
        self._number = frame[0] & 1
        self._received += frame[1:]
        if frame[0] & 0x10:  # more to come
            self._last = bytes((0xA2 | self._number,))
            return self._last
        command, self._received = self._received, b""
        self._job = _Job(self._card, command)
        self._extensions = 0
        return self._when_ready()

    def _when_ready(self) -> bytes | None:
        """The answer's first part, or the request for more time (clause 7.3)."""
        job = self._job
        if job is None:
            return None
        answer = job.wait()
        if answer is None:
            self._extensions += 1
            self._last = bytes((_WTX, 1)) if self._extensions <= EXTENSIONS_MAX else None
            return self._last
        self._job = None
        size = self._reader_frame_bytes - 3
        self._parts = [answer[at : at + size] for at in range(0, len(answer), size)] or [b""]
        return self._next_part()

    def _next_part(self) -> bytes:
        part = self._parts.pop(0)
        self._last = bytes((0x02 | (0x10 if self._parts else 0) | self._number,)) + part
        return self._last

    def _receipt(self, first: int) -> bytes | None:
        """R-blocks (clause 7.5.4.3): the last block again, or the next part of a chain."""
        same = first & 1 == self._number
        if first & 0x10:  # NAK
            return self._last if same else bytes((0xA2 | self._number,))
        if same:
            return self._last
        if not self._parts:
            return None
        self._number ^= 1
        return self._next_part()


class _Job:
    """One command in work, in a thread, so that the card can ask for more time meanwhile."""

    def __init__(self, card: VirtualCard, command: bytes) -> None:
        self._done = threading.Event()
        self._answer: bytes | None = None
        threading.Thread(target=self._run, args=(card, command), daemon=True).start()

    def wait(self) -> bytes | None:
        """The answer, or ``None`` if it is not ready yet.

        Raises:
            CardRemoved: the card has left.
        """
        if not self._done.wait(WAIT_S):
            return None
        if self._answer is None:
            raise CardRemoved("the card left during an exchange")
        return self._answer

    def _run(self, card: VirtualCard, command: bytes) -> None:
        try:
            self._answer = card.process(command)
        except (CardRemoved, ProtocolViolation):
            self._answer = None
        self._done.set()
