"""BER-TLV as cards use it (ISO/IEC 7816-4:2020, 5.2.2; EMV Book 3, Annex B). Pure and total.

Every function either answers or raises ``ProtocolViolation``, in time bounded by the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readers.errors import ProtocolViolation

INPUT_BYTES_MAX: Final = 65_536
ELEMENTS_MAX: Final = 512
TAG_BYTES_MAX: Final = 4
LENGTH_BYTES_MAX: Final = 3
DEPTH_MAX: Final = 8
DOL_ENTRIES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object.

    Attributes:
        tag: the tag's bytes read as one big-endian number, for example 0x9F4B.
        value: the value field.
        raw: the whole object as it stood, tag and length included (signed data needs it).
    """

    tag: int
    value: bytes
    raw: bytes

    @property
    def constructed(self) -> bool:
        """Whether the value is itself made of data objects (bit 6 of the first tag byte)."""
        return bool(tag_bytes(self.tag)[0] & 0x20)

    def children(self) -> list[Tlv]:
        """The data objects inside a constructed one.

        Raises:
            ProtocolViolation: the object is primitive or its content is malformed.
        """
        if not self.constructed:
            raise ProtocolViolation(f"tag {self.tag:X} is primitive")
        return parse(self.value)


def parse(data: bytes) -> list[Tlv]:
    """Splits data into its data objects, one level deep; 00 between objects is padding.

    Args:
        data: at most 65,536 bytes.

    Raises:
        ProtocolViolation: a tag or length is malformed or runs past the end, the length is
            indefinite, or a limit of this module is exceeded.
    """
    if len(data) > INPUT_BYTES_MAX:
        raise ProtocolViolation(f"TLV of {len(data)} bytes; at most {INPUT_BYTES_MAX}")
    found: list[Tlv] = []
    at = 0
    while at < len(data):
        if data[at] == 0x00:  # EMV Book 3, B1: zero bytes between objects have no meaning
            at += 1
            continue
        start = at
        tag, at = _read_tag(data, at)
        length, at = _read_length(data, at)
        if length > len(data) - at:
            raise ProtocolViolation(f"tag {tag:X} says {length} bytes, {len(data) - at} follow")
        at += length
        found.append(Tlv(tag, data[at - length : at], data[start:at]))
        if len(found) > ELEMENTS_MAX:
            raise ProtocolViolation(f"more than {ELEMENTS_MAX} data objects")
    return found


def find(data: bytes, *path: int) -> bytes | None:
    """The value of the first object reached by following tags downwards, or ``None``.

    ``find(fci, 0x6F, 0xA5, 0xBF0C)`` looks only where the standard puts the object, never by
    scanning bytes.

    Raises:
        ProtocolViolation: malformed TLV on the way, or a path longer than 8 tags.
    """
    if not 0 < len(path) <= DEPTH_MAX:
        raise ProtocolViolation(f"a path of {len(path)} tags; 1 to {DEPTH_MAX}")
    value = data
    for tag in path:
        match = next((tlv for tlv in parse(value) if tlv.tag == tag), None)
        if match is None:
            return None
        value = match.value
    return value


def encode(tag: int, value: bytes) -> bytes:
    """One data object with the shortest length field (definite form).

    Raises:
        ProtocolViolation: the number is no well-formed tag, or the object is too long.
    """
    head = tag_bytes(tag)
    size = len(value)
    if size < 0x80:
        length = bytes((size,))
    else:
        width = (size.bit_length() + 7) // 8
        length = bytes((0x80 | width,)) + size.to_bytes(width)
    encoded = head + length + value
    if len(encoded) > INPUT_BYTES_MAX:
        raise ProtocolViolation(f"an object of {len(encoded)} bytes; at most {INPUT_BYTES_MAX}")
    return encoded


def tag_bytes(tag: int) -> bytes:
    """The bytes of a tag given as a number.

    Raises:
        ProtocolViolation: the number is no well-formed tag of at most four bytes.
    """
    if not 0 < tag < 1 << (8 * TAG_BYTES_MAX):
        raise ProtocolViolation(f"{tag:#x} is no tag")
    head = tag.to_bytes((tag.bit_length() + 7) // 8)
    read, end = _read_tag(head, 0)
    if (read, end) != (tag, len(head)):
        raise ProtocolViolation(f"{tag:X} is no tag")
    return head


def parse_dol(data: bytes) -> list[tuple[int, int]]:
    """Reads a data object list: tags, each with the length wanted (EMV Book 3, 5.4).

    Raises:
        ProtocolViolation: a tag without its length byte, or more than 64 entries.
    """
    entries: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        tag, at = _read_tag(data, at)
        if at >= len(data):
            raise ProtocolViolation(f"tag {tag:X} of a data object list has no length")
        entries.append((tag, data[at]))
        at += 1
        if len(entries) > DOL_ENTRIES_MAX:
            raise ProtocolViolation(f"more than {DOL_ENTRIES_MAX} entries in a data object list")
    return entries


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    """Tag number and the position after it (7816-4, 5.2.2.1: 1F in the low bits continues)."""
    first = data[at]
    if first == 0x00:
        raise ProtocolViolation("a tag starts with 00")
    end = at + 1
    if first & 0x1F == 0x1F:
        while True:
            if end >= len(data) or end - at >= TAG_BYTES_MAX:
                raise ProtocolViolation("a tag does not end")
            end += 1
            if not data[end - 1] & 0x80:
                break
    return int.from_bytes(data[at:end]), end


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """Length and the position after it (7816-4, 5.2.2.2)."""
    if at >= len(data):
        raise ProtocolViolation("a tag has no length")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    width = first & 0x7F
    end = at + 1 + width
    if not 1 <= width <= LENGTH_BYTES_MAX or end > len(data):
        raise ProtocolViolation(f"length field {first:02X} is not definite or too long")
    return int.from_bytes(data[at + 1 : end]), end
