"""Commands of an EMV application and their answers (EMV Book 1, 11 and 12; Book 3, 6.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from readers import tlv
from readers.apdu import CommandApdu, StatusWord, sw_name
from readers.chaining import ResponseChaining
from readers.connection import CardConnection, Interface
from readers.errors import CardNotSupported, CardUnreadable, ProtocolViolation

PPSE: Final = b"2PAY.SYS.DDF01"
PSE: Final = b"1PAY.SYS.DDF01"
#: Instructions that could move a member's money; none is ever sent (GENERATE AC).
FORBIDDEN_INSTRUCTIONS: Final = frozenset({0xAE})
DIRECTORY_RECORDS_MAX: Final = 10
CANDIDATES_MAX: Final = 8
_AID_BYTES_MIN: Final = 5
_AID_BYTES_MAX: Final = 16
_NOT_SELECTABLE: Final = frozenset(
    {
        StatusWord.FILE_NOT_FOUND,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.SELECTED_FILE_DEACTIVATED,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
    }
)
_USE_OTHER_INTERFACE: Final = frozenset(
    {
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.REFERENCE_DATA_NOT_USABLE,
        StatusWord.COMMAND_NOT_ALLOWED,
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An application that a directory offers.

    Attributes:
        aid: its name, 5 to 16 bytes.
        priority: 1 first, 15 last; 16 if the directory gives none.
    """

    aid: bytes
    priority: int


@dataclass(frozen=True, slots=True)
class Application:
    """A selected application.

    Attributes:
        aid: its name as the card gives it.
        pdol: what it asks for with GET PROCESSING OPTIONS.
    """

    aid: bytes
    pdol: bytes


class Exchange:
    """One card's conversation, which can neither ask for a cryptogram nor name an amount."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = (
            connection if isinstance(connection, ResponseChaining) else ResponseChaining(connection)
        )

    @property
    def interface(self) -> Interface:
        """How the card is coupled."""
        return self._connection.interface

    def send(self, command: CommandApdu) -> tuple[bytes, int]:
        """Sends one command.

        Raises:
            ValueError: the command is one that no tap may send.
            ReaderError: as the connection raises it.
        """
        if command.ins in FORBIDDEN_INSTRUCTIONS:
            raise ValueError(f"instruction {command.ins:02X} could touch money and is never sent")
        return self._connection.transmit(command.to_bytes())

    def select(self, name: bytes) -> bytes | None:
        """SELECT by name (EMV Book 1, 11.3); the file control information, or ``None``.

        Raises:
            ProtocolViolation: the card answers neither with success nor with a refusal.
        """
        answer, sw = self.send(CommandApdu(0x00, 0xA4, 0x04, 0x00, name, le=256))
        if sw in _NOT_SELECTABLE:
            return None
        if sw != StatusWord.SUCCESS:
            raise ProtocolViolation(f"SELECT: {sw_name(sw)}")
        return answer

    def options(self, data: bytes) -> bytes:
        """GET PROCESSING OPTIONS (EMV Book 3, 6.5.8).

        Raises:
            CardNotSupported: the card refuses on this interface.
            ProtocolViolation: any other refusal.
        """
        command = CommandApdu(0x80, 0xA8, 0x00, 0x00, tlv.encode(0x83, data), le=256)
        answer, sw = self.send(command)
        if sw in _USE_OTHER_INTERFACE:
            raise CardNotSupported(
                f"the card does not work on the {self.interface} interface ({sw_name(sw)}); "
                "try its other interface"
            )
        if sw != StatusWord.SUCCESS:
            raise ProtocolViolation(f"GET PROCESSING OPTIONS: {sw_name(sw)}")
        return answer

    def record(self, sfi: int, number: int) -> bytes | None:
        """READ RECORD (EMV Book 3, 6.5.11), or ``None`` if there is no such record.

        Raises:
            ProtocolViolation: any other refusal.
        """
        answer, sw = self.send(CommandApdu(0x00, 0xB2, number, sfi << 3 | 0x04, le=256))
        if sw == StatusWord.RECORD_NOT_FOUND:
            return None
        if sw != StatusWord.SUCCESS:
            raise ProtocolViolation(f"READ RECORD: {sw_name(sw)}")
        return answer

    def internal_authenticate(self, data: bytes) -> bytes:
        """INTERNAL AUTHENTICATE (EMV Book 3, 6.5.9); the signed dynamic data, tag 9F4B.

        Raises:
            CardUnreadable: the answer is in neither of its two formats.
            ProtocolViolation: the card refuses.
        """
        answer, sw = self.send(CommandApdu(0x00, 0x88, 0x00, 0x00, data, le=256))
        if sw != StatusWord.SUCCESS:
            raise ProtocolViolation(f"INTERNAL AUTHENTICATE: {sw_name(sw)}")
        signature = tlv.find(answer, 0x80)
        if signature is None:
            signature = tlv.find(answer, 0x77, 0x9F4B)
        if signature is None:
            raise CardUnreadable("the card's signature comes in neither format 1 nor format 2")
        return signature


def contactless_candidates(exchange: Exchange, rid: bytes) -> list[Candidate]:
    """Applications of one provider that the contactless directory offers, best first.

    EMV Book B, 3.3.2: one SELECT of 2PAY.SYS.DDF01 answers with the whole directory.

    Raises:
        CardUnreadable: the directory is malformed.
    """
    answer = exchange.select(PPSE)
    if answer is None:
        return []
    entries = tlv.find(answer, 0x6F, 0xA5, 0xBF0C)
    return _ranked(tlv.parse(entries or b""), rid)


def contact_candidates(exchange: Exchange, rid: bytes) -> list[Candidate]:
    """Applications of one provider that the contact directory offers, best first.

    EMV Book 1, 12.3.2: SELECT 1PAY.SYS.DDF01, then the records of the file that it names.

    Raises:
        CardUnreadable: the directory is malformed.
    """
    answer = exchange.select(PSE)
    if answer is None:
        return []
    sfi = tlv.find(answer, 0x6F, 0xA5, 0x88)
    if sfi is None or len(sfi) != 1 or not 1 <= sfi[0] <= 10:
        raise CardUnreadable("the contact directory names no file")
    return _ranked(list(_directory_entries(exchange, sfi[0])), rid)


def select_application(
    exchange: Exchange, candidates: Sequence[Candidate], rid: bytes
) -> Application | None:
    """Selects the best candidate that the card lets itself be selected by.

    Raises:
        CardUnreadable: the answer is malformed or names another provider's application.
    """
    for candidate in candidates:
        answer = exchange.select(candidate.aid)
        if answer is not None:
            return read_application(answer, rid)
    return None


def read_application(answer: bytes, rid: bytes) -> Application:
    """Reads the file control information of an application (EMV Book 1, 11.3.4).

    Raises:
        CardUnreadable: malformed, or another provider's application.
    """
    aid = tlv.find(answer, 0x6F, 0x84) or b""
    if not aid.startswith(rid) or len(aid) > _AID_BYTES_MAX:
        raise CardUnreadable("the card selected another application than was asked for")
    return Application(aid, tlv.find(answer, 0x6F, 0xA5, 0x9F38) or b"")


def _directory_entries(exchange: Exchange, sfi: int) -> Iterator[tlv.Tlv]:
    for number in range(1, DIRECTORY_RECORDS_MAX + 1):
        record = exchange.record(sfi, number)
        if record is None:
            return
        yield from tlv.parse(tlv.find(record, 0x70) or b"")


def _ranked(entries: Sequence[tlv.Tlv], rid: bytes) -> list[Candidate]:
    found: dict[bytes, Candidate] = {}
    for entry in entries:
        if entry.tag != 0x61:
            continue
        aid = tlv.find(entry.value, 0x4F) or b""
        if not aid.startswith(rid) or not _AID_BYTES_MIN <= len(aid) <= _AID_BYTES_MAX:
            continue
        indicator = tlv.find(entry.value, 0x87) or b"\x00"
        found.setdefault(aid, Candidate(aid, indicator[0] & 0x0F or 16))
    return sorted(found.values(), key=lambda candidate: candidate.priority)[:CANDIDATES_MAX]
