"""What a reader tells of itself through PC/SC part 10 (2.02.09): features and properties. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from firmware_profiles.model import Exchange, Sighting
from readers.errors import ProtocolViolation
from readers.identity import parse_reader_name

FEATURE_CCID_ESCAPE: Final = 0x13
FEATURE_TLV_PROPERTIES: Final = 0x12
PROPERTY_FIRMWARE: Final = 0x08
PROPERTY_APDU_BYTES: Final = 0x0A
PROPERTY_VENDOR: Final = 0x0B
PROPERTY_PRODUCT: Final = 0x0C
_EXTENDED_BYTES: Final = 0x10000


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader and its driver tell without a card.

    Attributes:
        sighting: ready to be matched with a profile.
        features: the driver's features and the control code of each.
    """

    sighting: Sighting
    features: Mapping[int, int] = field(default_factory=dict)

    @property
    def escape(self) -> int | None:
        """Control code for commands to the reader itself; ``None`` where the driver offers none.

        libccid offers it exactly when it would let them through (``ifdDriverOptions``).
        """
        return self.features.get(FEATURE_CCID_ESCAPE)


def parse_features(answer: bytes) -> dict[int, int]:
    """The reader's features and the control code of each (part 10, 2.2).

    Raises:
        ProtocolViolation: the answer is not made of triples with four bytes each.
    """
    return {tag: int.from_bytes(value) for tag, value in _simple_tlv(answer) if _is_word(value)}


def parse_properties(answer: bytes) -> dict[int, bytes]:
    """The reader's properties (part 10, 2.6.14); numbers are little-endian.

    Raises:
        ProtocolViolation: a property runs past the end.
    """
    return dict(_simple_tlv(answer))


def sighting(name: str, ifd_version: bytes = b"", properties: bytes = b"") -> Sighting:
    """All that is known of a reader, ready to be matched with a profile.

    Args:
        name: as the service lists it.
        ifd_version: SCARD_ATTR_VENDOR_IFD_VERSION, 0xMMmmbbbb little-endian, or empty.
        properties: answer to FEATURE_GET_TLV_PROPERTIES, or empty.

    Raises:
        ProtocolViolation: the properties are malformed.
    """
    told = parse_properties(properties)
    most = told.get(PROPERTY_APDU_BYTES)
    exchange = None
    if most is not None:
        extended = int.from_bytes(most, "little") >= _EXTENDED_BYTES
        exchange = Exchange.EXTENDED if extended else Exchange.SHORT
    return Sighting(
        name=name,
        interface=parse_reader_name(name).interface,
        vid=_number(told.get(PROPERTY_VENDOR)),
        pid=_number(told.get(PROPERTY_PRODUCT)),
        device_version=int.from_bytes(ifd_version, "little") >> 16 if ifd_version else None,
        firmware=told.get(PROPERTY_FIRMWARE, b"").decode("ascii", "replace").strip(),
        exchange=exchange,
    )


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value, "little") if value else None


def _is_word(value: bytes) -> bool:
    if len(value) != 4:
        raise ProtocolViolation(f"a control code of {len(value)} bytes")
    return True


def _simple_tlv(answer: bytes) -> list[tuple[int, bytes]]:
    found = []
    at = 0
    while at < len(answer):
        end = at + 2 + (answer[at + 1] if at + 1 < len(answer) else len(answer))
        if end > len(answer):
            raise ProtocolViolation("a reader property runs past the end of the answer")
        found.append((answer[at], answer[at + 2 : end]))
        at = end
    return found
