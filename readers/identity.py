"""What a card and a reader say of themselves: ATR, ATS, reader names.

Total: malformed input raises ``ProtocolViolation``; a reader's name always parses to something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from readers.connection import Interface
from readers.errors import ProtocolViolation

ATR_BYTES_MAX: Final = 33
ATS_BYTES_MAX: Final = 254
NAME_CHARACTERS_MAX: Final = 256
#: Frame sizes in bytes by FSCI (ISO/IEC 14443-4, table 1 and its amendment).
FRAME_BYTES: Final = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
#: RID of the PC/SC workgroup, in ATRs that a reader makes up for storage cards (part 3, 3.1.3.2.3).
_STORAGE_CARD: Final = bytes.fromhex("804F0CA000000306")


@unique
class SlotRole(StrEnum):
    """What a slot of a reader takes."""

    PICC = "picc"
    ICC = "icc"
    SAM = "sam"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Atr:
    """An answer to reset (ISO/IEC 7816-3, 8.2).

    Attributes:
        raw: the bytes as received.
        protocols: transmission protocols T offered, in order, without repeats.
        historical: historical bytes, at most 15.
        interface_bytes: TA1, TB1, ... by their name.
        check_ok: whether TCK fits, or ``None`` where the standard asks for none.
    """

    raw: bytes
    protocols: tuple[int, ...]
    historical: bytes
    interface_bytes: dict[str, int]
    check_ok: bool | None

    @property
    def made_by_contactless_reader(self) -> bool:
        """Whether it has the form that a reader gives a contactless card (PC/SC part 3)."""
        return self.raw[1] & 0xF0 == 0x80 and self.raw[2:4] == b"\x80\x01"

    @property
    def storage_card(self) -> bool:
        """Whether the reader stands in for a card without a processor: at most identified."""
        return self.historical.startswith(_STORAGE_CARD)


def parse_atr(raw: bytes) -> Atr:
    """Reads an answer to reset.

    Raises:
        ProtocolViolation: it is no ATR, or ends early.
    """
    if not 2 <= len(raw) <= ATR_BYTES_MAX or raw[0] not in (0x3B, 0x3F):
        raise ProtocolViolation(f"an ATR of {len(raw)} bytes that starts with {raw[:1].hex()}")
    interface_bytes: dict[str, int] = {}
    protocols: list[int] = []
    follows, historical_count, at, group = raw[1] >> 4, raw[1] & 0x0F, 2, 1
    while follows:
        indicated = 0
        for bit, letter in enumerate("ABCD"):
            if not follows >> bit & 1:
                continue
            if at >= len(raw):
                raise ProtocolViolation(f"the ATR ends before T{letter}{group}")
            interface_bytes[f"T{letter}{group}"] = raw[at]
            if letter == "D":
                indicated = raw[at] >> 4
                protocols.append(raw[at] & 0x0F)
            at += 1
        follows, group = indicated, group + 1
    protocols = list(dict.fromkeys(protocols)) or [0]
    end = at + historical_count
    checked = any(protocol != 0 for protocol in protocols)
    if len(raw) not in (end + checked, end + 1):
        raise ProtocolViolation(f"an ATR of {len(raw)} bytes says it has {end + checked}")
    check_ok = _xor(raw[1:]) == 0 if len(raw) > end else None
    return Atr(raw, tuple(protocols), raw[at:end], interface_bytes, check_ok)


@dataclass(frozen=True, slots=True)
class Ats:
    """An answer to select of a type A card (ISO/IEC 14443-4, 5.2).

    Attributes:
        frame_bytes: largest frame the card takes (FSC).
        waiting_ms: longest time to an answer (FWT), unless the card asks for more.
        guard_ms: pause the card needs after its ATS (SFGT).
        takes_nad: whether it understands node addresses.
        takes_cid: whether it understands card identifiers.
        historical: historical bytes.
    """

    frame_bytes: int
    waiting_ms: float
    guard_ms: float
    takes_nad: bool
    takes_cid: bool
    historical: bytes


def parse_ats(raw: bytes) -> Ats:
    """Reads an answer to select, from TL on, without CRC.

    Raises:
        ProtocolViolation: its length byte or its announced bytes do not fit.
    """
    if not 1 <= len(raw) <= ATS_BYTES_MAX or raw[0] != len(raw):
        raise ProtocolViolation(f"an ATS of {len(raw)} bytes with length {raw[:1].hex()}")
    t0 = raw[1] if len(raw) > 1 else 0x02  # 5.2.3: without T0, FSCI is 2
    at = 2
    values = {"A": 0x00, "B": 0x40, "C": 0x02}  # defaults of 5.2.4 to 5.2.6: FWI 4, CID
    for bit, letter in ((0x10, "A"), (0x20, "B"), (0x40, "C")):
        if t0 & bit:
            if at >= len(raw):
                raise ProtocolViolation(f"the ATS ends before T{letter}(1)")
            values[letter] = raw[at]
            at += 1
    return Ats(
        frame_bytes=FRAME_BYTES[min(t0 & 0x0F, len(FRAME_BYTES) - 1)],
        waiting_ms=_frame_time_ms(values["B"] >> 4, missing=4),
        guard_ms=_frame_time_ms(values["B"] & 0x0F, missing=0) if values["B"] & 0x0F else 0.0,
        takes_nad=bool(values["C"] & 0x01),
        takes_cid=bool(values["C"] & 0x02),
        historical=raw[at:],
    )


@dataclass(frozen=True, slots=True)
class ReaderName:
    """A reader's name, taken apart.

    Attributes:
        product: manufacturer and model.
        interface: the USB interface's own name, where the service tells it.
        serial: serial number, where the service tells it.
        index: number of the reader among those of the service, or ``None``.
        slot: number of the slot in the reader, or ``None``.
        grammar: ``pcsc-lite``, ``windows`` or ``plain``.
    """

    product: str
    interface: str
    serial: str
    index: int | None
    slot: int | None
    grammar: str

    @property
    def role(self) -> SlotRole:
        """What the slot takes, as far as the name says."""
        text = f"{self.product} {self.interface}"
        for role, pattern in _ROLES:
            if pattern.search(text):
                return role
        return SlotRole.UNKNOWN


_ROLES: Final = (
    (SlotRole.SAM, re.compile(r"\bSAM\b", re.IGNORECASE)),
    (SlotRole.PICC, re.compile(r"\b(PICC|CL|CONTACTLESS|NFC|RFID|PaSoRi)\b", re.IGNORECASE)),
    (SlotRole.ICC, re.compile(r"\b(ICC|CONTACT|CONTACTED)\b", re.IGNORECASE)),
)
_PCSC_LITE: Final = re.compile(r"(?P<rest>.+) (?P<index>[0-9A-F]{2}) (?P<slot>[0-9A-F]{2})")
_SERIAL: Final = re.compile(r"(?P<rest>.+) \((?P<serial>[^()]*)\)")
_INTERFACE: Final = re.compile(r"(?P<rest>[^\[]+) \[(?P<interface>[^\[\]]*)\]")
_WINDOWS: Final = re.compile(r"(?P<product>.+) (?P<index>[0-9]{1,3})")


def parse_reader_name(name: str) -> ReaderName:
    """Takes a reader's name apart.

    pcsc-lite writes ``Product [Interface] (serial) 01 00``, brackets only where it knows them,
    index and slot as two hexadecimal digits; Windows writes ``Product 0``.

    Args:
        name: as the service tells it; longer than 256 characters is cut.
    """
    name = name[:NAME_CHARACTERS_MAX].strip()
    if match := _PCSC_LITE.fullmatch(name):
        rest, index, slot = match["rest"], int(match["index"], 16), int(match["slot"], 16)
        serial = interface = ""
        if part := _SERIAL.fullmatch(rest):
            rest, serial = part["rest"], part["serial"]
        if part := _INTERFACE.fullmatch(rest):
            rest, interface = part["rest"], part["interface"]
        return ReaderName(rest, interface, serial, index, slot, "pcsc-lite")
    if match := _WINDOWS.fullmatch(name):
        return ReaderName(match["product"], "", "", int(match["index"]), None, "windows")
    return ReaderName(name, "", "", None, None, "plain")


def interface_of(atr: bytes, reader_name: str = "") -> Interface:
    """How a card is coupled: by the reader's name where it says, else by the form of the ATR."""
    role = parse_reader_name(reader_name).role
    if role is SlotRole.PICC:
        return Interface.CONTACTLESS
    if role in (SlotRole.ICC, SlotRole.SAM):
        return Interface.CONTACT
    try:
        contactless = parse_atr(atr).made_by_contactless_reader
    except ProtocolViolation:
        contactless = False
    return Interface.CONTACTLESS if contactless else Interface.CONTACT


def _frame_time_ms(exponent: int, missing: int) -> float:
    """256 x 16 / fc x 2^n in milliseconds, fc 13.56 MHz; 15 is reserved (14443-4, 5.2.5)."""
    return 256 * 16 / 13_560 * float(1 << (missing if exponent == 15 else exponent))


def _xor(data: bytes) -> int:
    result = 0
    for byte in data:
        result ^= byte
    return result
