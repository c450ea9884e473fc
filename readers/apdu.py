"""Command APDUs and status words (ISO/IEC 7816-4:2020, clauses 5.1 and 5.6). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from readers.errors import ProtocolViolation

COMMAND_BYTES_MAX: Final = 65_544
DATA_BYTES_MAX: Final = 65_535
SHORT_DATA_BYTES_MAX: Final = 255
#: ``le`` that asks for everything a short answer can carry; stands as 00 on the wire.
SHORT_LE_MAX: Final = 256
EXTENDED_LE_MAX: Final = 65_536


@unique
class StatusWord(IntEnum):
    """Status words that have one meaning by themselves (7816-4, tables 5 to 7)."""

    SUCCESS = 0x9000
    NO_INFORMATION = 0x6200
    DATA_MAY_BE_CORRUPTED = 0x6281
    END_OF_FILE = 0x6282
    SELECTED_FILE_DEACTIVATED = 0x6283
    TERMINATED = 0x6285
    WARNING_CHANGED = 0x6300
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    CLASS_FUNCTION_NOT_SUPPORTED = 0x6800
    CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_COMMAND_EXPECTED = 0x6883
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_NOT_SATISFIED = 0x6982
    AUTHENTICATION_BLOCKED = 0x6983
    REFERENCE_DATA_NOT_USABLE = 0x6984
    CONDITIONS_NOT_SATISFIED = 0x6985
    COMMAND_NOT_ALLOWED = 0x6986
    WRONG_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NOT_ENOUGH_MEMORY = 0x6A84
    INCORRECT_P1_P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88
    WRONG_P1_P2 = 0x6B00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    NO_DIAGNOSIS = 0x6F00


_FAMILIES: Final = {0x61: "bytes_remaining", 0x6C: "wrong_le", 0x62: "warning", 0x63: "warning"}


def sw_name(sw: int) -> str:
    """Names a status word for messages and logs: ``6A82 file_not_found``, ``61A0 bytes_remaining``.

    Args:
        sw: the status word, 0 to 0xFFFF.
    """
    try:
        name = StatusWord(sw).name.lower()
    except ValueError:
        counter = f"tries_left_{sw & 0x0F}"
        name = counter if sw & 0xFFF0 == 0x63C0 else _FAMILIES.get(sw >> 8, "unknown")
    return f"{sw:04X} {name}"


def split_response(raw: bytes) -> tuple[bytes, int]:
    """Separates a response APDU into its data and its status word (7816-4, 5.1).

    Raises:
        ProtocolViolation: fewer than the two bytes of a status word, or more than the longest
            answer an extended Le can ask for.
    """
    if not 2 <= len(raw) <= EXTENDED_LE_MAX + 2:
        raise ProtocolViolation(f"response of {len(raw)} bytes has no place for a status word")
    return raw[:-2], int.from_bytes(raw[-2:])


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command APDU (7816-4, 5.1), cases 1 to 4, short and extended.

    The encoding is short where it can be. ``CommandApdu.parse(raw).to_bytes() == raw`` for
    everything that ``parse`` accepts.

    Attributes:
        cla: class byte.
        ins: instruction byte.
        p1: first parameter byte.
        p2: second parameter byte.
        data: command data, at most 65,535 bytes; its length stands as Lc.
        le: most bytes of answer data that are asked for, 1 to 65,536, or ``None`` for no Le
            field; 256 is the short Le 00.
        extended: extended length fields although short ones would do.

    Raises:
        ValueError: a field does not fit.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None
    extended: bool = False

    def __post_init__(self) -> None:
        for name in ("cla", "ins", "p1", "p2"):
            if not 0 <= getattr(self, name) <= 0xFF:
                raise ValueError(f"{name} is one byte")
        if len(self.data) > DATA_BYTES_MAX:
            raise ValueError(f"command data is at most {DATA_BYTES_MAX} bytes")
        if self.le is not None and not 1 <= self.le <= EXTENDED_LE_MAX:
            raise ValueError("le counts bytes, 1 to 65536; 256 asks for a whole short answer")
        if self.extended and not self.data and self.le is None:
            raise ValueError("a command without data and without le has no length to extend")
        if self.extended and self._needs_extended():
            object.__setattr__(self, "extended", False)  # said already by the lengths

    def _needs_extended(self) -> bool:
        return len(self.data) > SHORT_DATA_BYTES_MAX or (self.le or 0) > SHORT_LE_MAX

    def to_bytes(self) -> bytes:
        """Encodes the command as it goes over the wire."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        if self.extended or self._needs_extended():
            body = b"\x00"
            if self.data:
                body += len(self.data).to_bytes(2) + self.data
            if self.le is not None:
                body += (self.le % EXTENDED_LE_MAX).to_bytes(2)
            return header + body
        body = bytes((len(self.data),)) + self.data if self.data else b""
        if self.le is not None:
            body += bytes((self.le % SHORT_LE_MAX,))
        return header + body

    @classmethod
    def parse(cls, raw: bytes) -> CommandApdu:
        """Decodes a command APDU.

        Raises:
            ProtocolViolation: the length fields contradict the length of ``raw``.
        """
        if not 4 <= len(raw) <= COMMAND_BYTES_MAX:
            raise ProtocolViolation(f"a command APDU of {len(raw)} bytes")
        (cla, ins, p1, p2), body = raw[:4], raw[4:]
        if not body:
            return cls(cla, ins, p1, p2)
        if len(body) >= 3 and body[0] == 0:
            data, le = _extended_body(body[1:])
            return cls(cla, ins, p1, p2, data=data, le=le, extended=True)
        data, le = _short_body(body)
        return cls(cla, ins, p1, p2, data=data, le=le)


def _short_body(body: bytes) -> tuple[bytes, int | None]:
    lc = body[0]
    if len(body) == 1:
        return b"", lc or SHORT_LE_MAX
    if lc == 0 or len(body) not in (1 + lc, 2 + lc):
        raise ProtocolViolation(f"Lc {lc} contradicts a command body of {len(body)} bytes")
    return body[1 : 1 + lc], (body[1 + lc] or SHORT_LE_MAX) if len(body) == 2 + lc else None


def _extended_body(body: bytes) -> tuple[bytes, int | None]:
    lc = int.from_bytes(body[:2])
    if len(body) == 2:
        return b"", lc or EXTENDED_LE_MAX
    if lc == 0 or len(body) not in (2 + lc, 4 + lc):
        raise ProtocolViolation(f"extended Lc {lc} contradicts a body of {len(body)} bytes")
    tail = body[2 + lc :]
    return body[2 : 2 + lc], (int.from_bytes(tail) or EXTENDED_LE_MAX) if tail else None
