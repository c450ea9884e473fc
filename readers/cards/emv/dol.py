"""Filling data object lists: PDOL and DDOL (EMV Book 3, 5.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readers import tlv
from readers.errors import ProtocolViolation

FILLED_BYTES_MAX: Final = 252
#: Every tag that carries an amount (EMV Book 3, A). They are zero, whatever anyone asks for.
AMOUNT_TAGS: Final = frozenset({0x81, 0x9F02, 0x9F03, 0x9F04, 0x9F3A})
#: Numeric elements keep their right end when shortened and are padded on the left.
_NUMERIC_TAGS: Final = frozenset({0x9A, 0x9C, 0x5F2A, 0x9F1A, 0x9F15, 0x9F21, 0x9F35, 0x9F01})


def fill(dol: bytes, values: Mapping[int, bytes]) -> bytes:
    """Concatenates the values that a list asks for, each at the length it asks for.

    A tag that ``values`` lacks is zeros. Amounts are zeros always.

    Args:
        dol: tag 9F38 or 9F49.
        values: the terminal's data by tag.

    Raises:
        ProtocolViolation: the list is malformed or asks for more than 252 bytes.
    """
    filled = b"".join(
        bytes(length) if tag in AMOUNT_TAGS else _fit(values.get(tag, b""), length, tag)
        for tag, length in tlv.parse_dol(dol)
    )
    if len(filled) > FILLED_BYTES_MAX:
        raise ProtocolViolation(f"the card asks for {len(filled)} bytes of terminal data")
    return filled


def asks_for(dol: bytes, tag: int, length: int) -> bool:
    """Whether a list asks for a tag at exactly this length.

    Raises:
        ProtocolViolation: the list is malformed.
    """
    return (tag, length) in tlv.parse_dol(dol)


def _fit(value: bytes, length: int, tag: int) -> bytes:
    if tag in _NUMERIC_TAGS:
        return value[max(0, len(value) - length) :].rjust(length, b"\x00")
    return value[:length].ljust(length, b"\x00")
