"""Chaining as layers over a connection (ISO/IEC 7816-4:2020, 5.3.3, 5.3.4).

Each layer is itself a ``CardConnection``; schemes talk to ``ResponseChaining`` over whatever
driver and never see 61xx or 6Cxx.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from readers.apdu import SHORT_LE_MAX, CommandApdu, StatusWord, sw_name
from readers.connection import CardConnection, Interface
from readers.errors import ProtocolViolation

ROUNDS_MAX: Final = 64
ANSWER_BYTES_MAX: Final = 16_384
_INS_GET_RESPONSE: Final = 0xC0
_CHAINED: Final = 0x10


class ResponseChaining:
    """Collects an answer that comes in parts.

    ``61xx`` is followed by GET RESPONSE on the same logical channel, ``6Cxx`` by the same
    command with the length the card names. Rounds and bytes are bounded and every part must
    bring data, so that a card cannot hold the terminal.
    """

    def __init__(
        self,
        connection: CardConnection,
        *,
        rounds_max: int = ROUNDS_MAX,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._connection = connection
        self._rounds_max = rounds_max
        self._answer_bytes_max = answer_bytes_max

    @property
    def interface(self) -> Interface:
        """How the card is coupled."""
        return self._connection.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Sends a command and returns its whole answer, never 61xx or 6Cxx.

        Raises:
            ProtocolViolation: the answer does not end, or does not grow.
            CardRemoved, CardMute, ReaderFault: as the connection raises them.
        """
        answer = bytearray()
        asked, corrected, collecting = command, False, False
        for _ in range(self._rounds_max):
            data, sw = self._connection.transmit(asked)
            if sw >> 8 == 0x6C:
                if corrected:
                    raise ProtocolViolation("the card corrects Le twice for one command")
                corrected = True
                le = sw & 0xFF or SHORT_LE_MAX
                asked = replace(CommandApdu.parse(asked), le=le).to_bytes()
                continue
            answer += data
            if len(answer) > self._answer_bytes_max:
                raise ProtocolViolation(f"an answer of more than {self._answer_bytes_max} bytes")
            if sw >> 8 != 0x61:
                return bytes(answer), sw
            if collecting and not data:
                raise ProtocolViolation("GET RESPONSE brought nothing and asks for more")
            asked, corrected, collecting = _get_response(command, sw & 0xFF), False, True
        raise ProtocolViolation(f"an answer in more than {self._rounds_max} parts")


class CommandChaining:
    """Sends long command data in parts, for cards and readers without extended length.

    All parts but the last carry bit 5 of the class byte (7816-4, 5.3.3).
    """

    def __init__(self, connection: CardConnection, *, part_bytes: int = 255) -> None:
        if not 1 <= part_bytes <= 255:
            raise ValueError("a part of a chained command is 1 to 255 bytes")
        self._connection = connection
        self._part_bytes = part_bytes

    @property
    def interface(self) -> Interface:
        """How the card is coupled."""
        return self._connection.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Sends a command, in parts where its data is longer than one part.

        A part that the card refuses ends the chain; its status word is the answer.

        Raises:
            ProtocolViolation: the command is malformed.
            CardRemoved, CardMute, ReaderFault: as the connection raises them.
        """
        if len(command) <= 5 + self._part_bytes:  # also what is no plain command APDU
            return self._connection.transmit(command)
        whole = CommandApdu.parse(command)
        if len(whole.data) <= self._part_bytes:
            return self._connection.transmit(command)
        last = (len(whole.data) - 1) // self._part_bytes * self._part_bytes
        for at in range(0, last, self._part_bytes):
            data = whole.data[at : at + self._part_bytes]
            part = CommandApdu(whole.cla | _CHAINED, whole.ins, whole.p1, whole.p2, data)
            answer, sw = self._connection.transmit(part.to_bytes())
            if sw != StatusWord.SUCCESS:
                return answer, sw
        le = None if whole.le is None else min(whole.le, SHORT_LE_MAX)
        rest = replace(whole, data=whole.data[last:], le=le, extended=False)
        return self._connection.transmit(rest.to_bytes())


def expect_success(answer: tuple[bytes, int], what: str) -> bytes:
    """The answer's data, where only 9000 will do.

    Raises:
        ProtocolViolation: another status word; the message names it and ``what`` was asked.
    """
    data, sw = answer
    if sw != StatusWord.SUCCESS:
        raise ProtocolViolation(f"{what}: {sw_name(sw)}")
    return data


def _get_response(command: bytes, available: int) -> bytes:
    """GET RESPONSE on the logical channel of the command (7816-4, 5.4.1 and 11.4.1)."""
    cla = command[0] if command else 0
    channel = cla & 0x4F if cla & 0xC0 == 0x40 else cla & 0x03
    le = available or SHORT_LE_MAX
    return CommandApdu(channel, _INS_GET_RESPONSE, 0, 0, le=le).to_bytes()
