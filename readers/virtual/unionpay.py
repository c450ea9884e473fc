"""A strict virtual UnionPay card, contact or contactless, that keeps a record of its commands.

It refuses what a real card refuses: unknown names, commands out of order, wrong lengths. Its
keys are those of the test authority, so no terminal outside a demo believes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

from readers import tlv
from readers.apdu import SHORT_LE_MAX, CommandApdu, StatusWord
from readers.connection import Interface
from readers.errors import ProtocolViolation
from readers.virtual.authority import TestCa, dynamic_signature
from readers.virtual.personalisation import DEBIT_AID, LABEL, Personalised, Recipe, personalise

__all__ = ["Manners", "Recipe", "TestCa", "VirtualUnionPayCard", "make_pan", "years_later"]

_PPSE: Final = b"2PAY.SYS.DDF01"
_PSE: Final = b"1PAY.SYS.DDF01"
_DIRECTORY_SFI: Final = 1
_QPBOC: Final = 0x20


@dataclass(frozen=True, slots=True)
class Manners:
    """How the card speaks, whatever it says.

    Attributes:
        applications: AIDs in its directory with their priority, 0 for none; the first answers
            to partial names.
        blocked: AIDs that cannot be selected.
        partial: whether the provider's name alone selects (EMV Book 1, 12.3.3).
        get_response: answers come by 61xx and GET RESPONSE, and 6Cxx, as with T=0.
        endless: GET RESPONSE never ends.
        oversized: a record's length field promises more than there is.
    """

    applications: tuple[tuple[bytes, int], ...] = ((DEBIT_AID, 1),)
    blocked: frozenset[bytes] = frozenset()
    partial: bool = True
    get_response: bool = False
    endless: bool = False
    oversized: bool = False


class VirtualUnionPayCard:
    """One card; implements ``readers.virtual.box.VirtualCard``.

    Attributes:
        commands: every command it was sent since it was made.
    """

    def __init__(
        self,
        world: TestCa,
        recipe: Recipe,
        *,
        interface: Interface = Interface.CONTACTLESS,
        manners: Manners | None = None,
    ) -> None:
        self.commands: list[bytes] = []
        self._interface = interface
        self._contactless = interface is Interface.CONTACTLESS
        self._recipe = recipe
        self._signer = recipe.signer or world.icc
        self._manners = manners or Manners()
        self._world = world
        self._counter = 0
        self._pending = b""
        self._number = b""
        self._selected = ""
        self._signed: dict[int, bytes] = {}

    @cached_property
    def _card(self) -> Personalised:
        """Records and certificates, made when the card is first used: boxes hold many cards."""
        return personalise(self._recipe, self._world, contactless=self._contactless)

    @property
    def atr(self) -> bytes:
        """Answer to reset: T=1 in the slot; PC/SC part 3, 3.1.3.2.3.1 over the air."""
        history = b"REDCARD TEST"
        head = b"\x80\x01" if self._contactless else b"\x01"
        body = bytes((0x80 | len(history),)) + head + history
        check = 0
        for byte in body:
            check ^= byte
        return b"\x3b" + body + bytes((check,))

    @property
    def interface(self) -> Interface:
        """How it is coupled."""
        return self._interface

    def power_off(self) -> None:
        """Forgets selection and challenge; the transaction counter stays."""
        self._selected, self._pending, self._number = "", b"", b""
        self._signed = {}

    def process(self, command: bytes) -> bytes:
        """Answers one command APDU."""
        self.commands.append(bytes(command))
        try:
            apdu = CommandApdu.parse(command)
        except ProtocolViolation:
            return StatusWord.WRONG_LENGTH.to_bytes(2)
        if apdu.ins == 0xC0 and apdu.cla == 0x00:
            return self._rest(apdu.le or SHORT_LE_MAX)
        self._pending = b""
        data, sw = self._answer(apdu)
        if sw != StatusWord.SUCCESS:
            return data + sw.to_bytes(2)
        return self._deliver(apdu, data)

    def _answer(self, apdu: CommandApdu) -> tuple[bytes, int]:
        handlers = {
            (0x00, 0xA4): self._select,
            (0x80, 0xA8): self._options,
            (0x00, 0xB2): self._record,
            (0x00, 0x88): self._authenticate,
        }
        handler = handlers.get((apdu.cla, apdu.ins))
        if handler is None:
            known = apdu.cla in (0x00, 0x80)
            return b"", StatusWord.INS_NOT_SUPPORTED if known else StatusWord.CLA_NOT_SUPPORTED
        return handler(apdu)

    def _select(self, apdu: CommandApdu) -> tuple[bytes, int]:
        self._selected, self._number, self._signed = "", b"", {}
        if (apdu.p1, apdu.p2) != (0x04, 0x00):
            return b"", StatusWord.INCORRECT_P1_P2
        if apdu.data == (_PPSE if self._contactless else _PSE):
            self._selected = "directory"
            return self._directory(apdu.data), StatusWord.SUCCESS
        for aid, _ in self._manners.applications:
            partial = self._manners.partial and len(apdu.data) >= 5
            if apdu.data == aid or (partial and aid.startswith(apdu.data)):
                if aid in self._manners.blocked:
                    return b"", StatusWord.SELECTED_FILE_DEACTIVATED
                self._selected = "application"
                inner = tlv.encode(0x50, LABEL)
                if self._recipe.pdol:
                    inner += tlv.encode(0x9F38, self._recipe.pdol)
                fci = tlv.encode(0x84, aid) + tlv.encode(0xA5, inner)
                return tlv.encode(0x6F, fci), StatusWord.SUCCESS
        return b"", StatusWord.FILE_NOT_FOUND

    def _directory(self, name: bytes) -> bytes:
        if self._contactless:
            content = tlv.encode(0xBF0C, b"".join(map(self._entry, self._manners.applications)))
        else:
            content = tlv.encode(0x88, bytes((_DIRECTORY_SFI,)))
        return tlv.encode(0x6F, tlv.encode(0x84, name) + tlv.encode(0xA5, content))

    @staticmethod
    def _entry(application: tuple[bytes, int]) -> bytes:
        aid, priority = application
        content = tlv.encode(0x4F, aid) + tlv.encode(0x50, LABEL)
        if priority:
            content += tlv.encode(0x87, bytes((priority,)))
        return tlv.encode(0x61, content)

    def _options(self, apdu: CommandApdu) -> tuple[bytes, int]:
        if self._selected != "application":
            return b"", StatusWord.CONDITIONS_NOT_SATISFIED
        wanted = tlv.parse_dol(self._recipe.pdol)
        objects = tlv.parse(apdu.data)
        if len(objects) != 1 or objects[0].tag != 0x83:
            return b"", StatusWord.WRONG_DATA
        given = objects[0].value
        if len(given) != sum(length for _, length in wanted):
            return b"", StatusWord.WRONG_LENGTH
        values: dict[int, bytes] = {}
        for tag, length in wanted:
            values[tag], given = given[:length], given[length:]
        if self._contactless and not values.get(0x9F66, b"\x00")[0] & _QPBOC:
            return b"", StatusWord.CONDITIONS_NOT_SATISFIED
        self._selected = "processing"  # a second GPO needs a new selection (Book 3, 6.5.8.5)
        self._counter += 1
        self._number = values.get(0x9F37, b"")
        data = {0x82: self._recipe.aip, 0x94: self._card.locator}
        if self._contactless:
            data |= self._contactless_data(values)
        elif self._recipe.format_1:
            return tlv.encode(0x80, data[0x82] + data[0x94]), StatusWord.SUCCESS
        body = b"".join(
            tlv.encode(tag, value) for tag, value in data.items() if tag not in self._recipe.omit
        )
        return tlv.encode(0x77, body), StatusWord.SUCCESS

    def _contactless_data(self, values: dict[int, bytes]) -> dict[int, bytes]:
        data = {
            0x9F36: self._counter.to_bytes(2),
            0x57: self._card.track2,
            0x9F10: bytes.fromhex("07010103A00000010A01"),
            0x9F6C: b"\x00\x00",
        }
        if self._recipe.signature_in == "nowhere":
            return data
        related = bytes((self._recipe.related_version,)) + self._fresh("card", 4) + b"\x00\x00"
        signed = self._recipe.stale_number or self._number
        signed += values.get(0x9F02, b"") + values.get(0x5F2A, b"") + related
        self._signed = {0x9F4B: self._sign(signed), 0x9F69: related}
        if self._recipe.signature_in == "options":
            return data | self._signed
        data[0x94] = self._card.locator + bytes((12 << 3, 1, 1, 0))
        return data

    def _record(self, apdu: CommandApdu) -> tuple[bytes, int]:
        number, sfi = apdu.p1, apdu.p2 >> 3
        if apdu.p2 & 0x07 != 0x04:
            return b"", StatusWord.INCORRECT_P1_P2
        if self._selected == "directory" and not self._contactless:
            if sfi != _DIRECTORY_SFI or not 1 <= number <= len(self._manners.applications):
                return b"", StatusWord.RECORD_NOT_FOUND
            entry = self._entry(self._manners.applications[number - 1])
            return tlv.encode(0x70, entry), StatusWord.SUCCESS
        if self._selected != "processing":
            return b"", StatusWord.CONDITIONS_NOT_SATISFIED
        if self._manners.oversized:
            return bytes.fromhex("70847FFFFFFF5A08"), StatusWord.SUCCESS
        if (sfi, number) == (12, 1) and self._signed:
            omit = self._recipe.omit
            content = (tlv.encode(t, v) for t, v in self._signed.items() if t not in omit)
            return tlv.encode(0x70, b"".join(content)), StatusWord.SUCCESS
        record = self._card.records.get((sfi, number))
        return (record, StatusWord.SUCCESS) if record else (b"", StatusWord.RECORD_NOT_FOUND)

    def _authenticate(self, apdu: CommandApdu) -> tuple[bytes, int]:
        if self._contactless:
            return b"", StatusWord.INS_NOT_SUPPORTED
        if self._selected != "processing":
            return b"", StatusWord.CONDITIONS_NOT_SATISFIED
        if len(apdu.data) != sum(length for _, length in tlv.parse_dol(self._recipe.ddol)):
            return b"", StatusWord.WRONG_LENGTH
        signature = self._sign(self._recipe.stale_number or apdu.data)
        if self._recipe.format_1:
            return tlv.encode(0x80, signature), StatusWord.SUCCESS
        return tlv.encode(0x77, tlv.encode(0x9F4B, signature)), StatusWord.SUCCESS

    def _sign(self, terminal_data: bytes) -> bytes:
        number = self._fresh("icc", 8)
        return dynamic_signature(self._signer, terminal_data, number, self._recipe.odd_signature)

    def _fresh(self, purpose: str, length: int) -> bytes:
        """The card's own numbers: different in every transaction, the same in every run."""
        seed = f"{purpose} {self._recipe.pan} {self._counter}".encode()
        return hashlib.sha256(seed).digest()[:length]

    def _deliver(self, apdu: CommandApdu, data: bytes) -> bytes:
        if self._manners.endless and apdu.ins == 0xA8:
            self._pending = b"\x00" * 0xFFFF
            return b"\x61\x00"
        if not self._manners.get_response or not data:
            return data + StatusWord.SUCCESS.to_bytes(2)
        if apdu.data:  # case 4: T=0 has no room for data both ways (ISO/IEC 7816-3, 12.2.1)
            self._pending = data
            return bytes((0x61, min(len(data), 0xFF)))
        if apdu.le != len(data) and len(data) <= 0xFF:
            return bytes((0x6C, len(data)))
        return data + StatusWord.SUCCESS.to_bytes(2)

    def _rest(self, le: int) -> bytes:
        if not self._pending:
            return StatusWord.CONDITIONS_NOT_SATISFIED.to_bytes(2)
        if self._manners.endless:
            return b"\x00\x61\x00"
        part, self._pending = self._pending[:le], self._pending[le:]
        left = len(self._pending)
        return part + (bytes((0x61, min(left, 0xFF))) if left else b"\x90\x00")


def make_pan(serial: int) -> str:
    """A PAN of 16 digits under a bank number that no bank has, with its check digit.

    Args:
        serial: 0 to 999,999,999.
    """
    body = f"629999{serial:09d}"
    total = 0
    for at, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if at % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def years_later(day: date, years: int) -> date:
    """The same day some years later, the 28th instead of a 29 February that is missing."""
    return day.replace(year=day.year + years, day=min(day.day, 28))
