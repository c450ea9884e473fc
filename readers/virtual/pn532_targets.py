"""What may lie in the field of the virtual PN532: cards of type A, B and F.

Types A and B speak ISO-DEP in the card, as real ones do; storage cards of type A and cards of
type F are known by their numbers and answer little else.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from readers.virtual.box import VirtualCard
from readers.virtual.isodep import FWI, IsoDepTarget, Selection

#: Low bits of CIU_TxMode and CIU_RxMode: what the air is modulated for (UM0701-02, 8.6.23.2).
FRAMING_A: Final = 0x00
FRAMING_F: Final = 0x02
FRAMING_B: Final = 0x03
_ISO_DEP: Final = 0x20
_STORAGE: Final = 0x08
_POLLING: Final = 0x00
_REQUEST_RESPONSE: Final = 0x04


class Target(Protocol):
    """One card in the field, as the chip sees it."""

    @property
    def framing(self) -> int:
        """Its modulation."""

    @property
    def kinds(self) -> tuple[int, ...]:
        """What InAutoPoll calls it (UM0701-02, 7.3.13)."""

    def listed(self, *, select: bool) -> bytes:
        """Its data in InListPassiveTarget, after the number; ``select`` also activates ISO-DEP."""

    def frame(self, frame: bytes) -> bytes | None:
        """Its answer to one raw frame, ``None`` for silence.

        Raises:
            CardRemoved: it leaves instead of answering.
        """

    def exchange(self, command: bytes) -> bytes | None:
        """Its answer to what the chip's own protocol carries.

        Raises:
            CardRemoved: it leaves instead of answering.
        """

    def power_off(self) -> None:
        """The field is gone."""


def number_of(card: VirtualCard, count: int) -> bytes:
    """A number of ``count`` bytes that stays the same as long as the card object does."""
    return hashlib.blake2b(id(card).to_bytes(8), digest_size=count).digest()


class TypeA:
    """A card of type A (ISO/IEC 14443-3, 6).

    Args:
        card: answers the commands.
        processor: it speaks ISO-DEP; storage cards do not.
        uid: 4, 7 or 10 bytes; one of its own if there is none.
    """

    framing: Final = FRAMING_A

    def __init__(self, card: VirtualCard, *, processor: bool = True, uid: bytes = b"") -> None:
        self._card = card
        self._isodep = IsoDepTarget(card)
        self._processor = processor
        self.uid = uid or b"\x04" + number_of(card, 3)

    @property
    def kinds(self) -> tuple[int, ...]:
        """Any of type A, and with a processor ISO/IEC 14443-4."""
        return (0x00, 0x20) if self._processor else (0x00, 0x10)

    def listed(self, *, select: bool) -> bytes:
        """SENS_RES, SEL_RES, number, and the answer to select."""
        double = (len(self.uid) - 4) // 3 << 6
        told = bytes((0x00, 0x04 | double, _ISO_DEP if self._processor else _STORAGE))
        told += bytes((len(self.uid),)) + self.uid
        if select and self._processor:
            told += self._isodep.answer(b"\xe0\x80") or b""
        return told

    def frame(self, frame: bytes) -> bytes | None:
        """ISO-DEP, or silence."""
        return self._isodep.answer(frame) if self._processor else None

    def exchange(self, command: bytes) -> bytes | None:
        """The card's own answer."""
        return self._card.process(command) if self._processor else None

    def power_off(self) -> None:
        """Forgets its state."""
        self._card.power_off()


class TypeB:
    """A card of type B (ISO/IEC 14443-3, 7).

    Args:
        card: answers the commands.
    """

    framing: Final = FRAMING_B
    kinds: Final = (0x03, 0x23)

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self.pupi = number_of(card, 4)
        # frames of 256 bytes, ISO/IEC 14443-4, frame option none (7.9.4)
        atqb = b"\x50" + self.pupi + bytes(4) + bytes((0x00, 0x81, FWI << 4))
        self._isodep = IsoDepTarget(card, selection=Selection(atqb))
        self._atqb = atqb

    def listed(self, *, select: bool) -> bytes:
        """ATQB, and the answer to ATTRIB, which the chip sends by itself."""
        del select
        return self._atqb + b"\x01" + (self._isodep.answer(self._isodep.attrib()) or b"")

    def frame(self, frame: bytes) -> bytes | None:
        """WUPB, ATTRIB, then ISO-DEP."""
        return self._isodep.answer(frame)

    def exchange(self, command: bytes) -> bytes | None:
        """The card's own answer."""
        return self._card.process(command)

    def power_off(self) -> None:
        """Forgets its state."""
        self._card.power_off()


class TypeF:
    """A card of type F (JIS X 6319-4): polled by its number, and says that it is there.

    Args:
        idm: its eight bytes.
    """

    framing: Final = FRAMING_F
    kinds: Final = (0x11, 0x12)

    def __init__(self, idm: bytes) -> None:
        if len(idm) != 8:
            raise ValueError("a type F card's number has eight bytes")
        self.idm = idm

    def listed(self, *, select: bool) -> bytes:
        """Its answer to polling, with length."""
        del select
        answer = b"\x01" + self.idm + bytes.fromhex("0120220427674EFF")
        return bytes((len(answer) + 1,)) + answer

    def frame(self, frame: bytes) -> bytes | None:
        """Polling and Request Response; both begin with their length."""
        if len(frame) < 2 or frame[0] != len(frame):
            return None
        if frame[1] == _POLLING:
            return self.listed(select=False)
        if frame[1] == _REQUEST_RESPONSE and frame[2:10] == self.idm:
            answer = b"\x05" + self.idm + b"\x00"
            return bytes((len(answer) + 1,)) + answer
        return None

    def exchange(self, command: bytes) -> bytes | None:
        """Type F has no protocol of the chip's own: the same frames."""
        return self.frame(command)

    def power_off(self) -> None:
        """Nothing to forget."""
