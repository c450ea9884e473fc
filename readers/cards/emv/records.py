"""What a card says of itself: processing options, file locator, records (EMV Book 3, 6.5.8, 10).

Pure and total: every function answers or raises a declared error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from readers import tlv
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable

_FORMAT_1: Final = 0x80
_FORMAT_2: Final = 0x77
_RECORD_TEMPLATE: Final = 0x70
_AIP: Final = 0x82
_AFL: Final = 0x94
_STATIC_DATA_TAG_LIST: Final = 0x9F4A
_AFL_BYTES_MAX: Final = 252
_SFI_MAX: Final = 30
#: Files below this carry records whose template is not part of what was signed (Book 3, 10.3).
_SFI_PLAIN_MAX: Final = 10
RECORDS_MAX: Final = 48
RECORD_BYTES_MAX: Final = 4096
#: AIP byte 1 (EMV Book 3, C1).
_AIP_SDA: Final = 0x40
_AIP_DDA: Final = 0x20
_AIP_CDA: Final = 0x01


@dataclass(frozen=True, slots=True)
class RecordAddress:
    """One record to read.

    Attributes:
        sfi: short file identifier, 1 to 30.
        number: record number, 1 to 255.
        signed: whether it belongs to the static data to be authenticated.
    """

    sfi: int
    number: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Options:
    """What GET PROCESSING OPTIONS answered.

    Attributes:
        aip: application interchange profile, 2 bytes.
        records: the records to read, in the order of the file locator.
        data: further data objects of the answer, by tag.
    """

    aip: bytes
    records: tuple[RecordAddress, ...]
    data: Mapping[int, bytes] = field(repr=False)

    @property
    def static(self) -> bool:
        """Whether the card offers static data authentication."""
        return bool(self.aip[0] & _AIP_SDA)

    @property
    def dynamic(self) -> bool:
        """Whether the card offers dynamic data authentication."""
        return bool(self.aip[0] & _AIP_DDA)

    @property
    def combined(self) -> bool:
        """Whether the card offers the combined kind, which needs GENERATE AC."""
        return bool(self.aip[0] & _AIP_CDA)


def parse_options(answer: bytes) -> Options:
    """Reads the answer to GET PROCESSING OPTIONS in either format (EMV Book 3, 6.5.8.4).

    Raises:
        CardUnreadable: neither format, or without interchange profile.
    """
    objects = tlv.parse(answer)
    if len(objects) != 1 or objects[0].tag not in (_FORMAT_1, _FORMAT_2):
        raise CardUnreadable("the processing options come in neither format 1 nor format 2")
    if objects[0].tag == _FORMAT_1:
        value = objects[0].value
        data: dict[int, bytes] = {_AIP: value[:2], _AFL: value[2:]}
    else:
        data = {}
        merge(data, tlv.parse(objects[0].value))
    aip = data.pop(_AIP, b"")
    if len(aip) != 2:
        raise CardUnreadable("the processing options hold no interchange profile")
    return Options(aip, parse_locator(data.pop(_AFL, b"")), data)


def parse_locator(afl: bytes) -> tuple[RecordAddress, ...]:
    """Reads an application file locator (EMV Book 3, 10.2).

    Raises:
        CardUnreadable: malformed, a record named twice, or more than 48 records.
    """
    if len(afl) % 4 or len(afl) > _AFL_BYTES_MAX:
        raise CardUnreadable(f"a file locator of {len(afl)} bytes")
    addresses: list[RecordAddress] = []
    for at in range(0, len(afl), 4):
        sfi, first, last, signed = afl[at] >> 3, afl[at + 1], afl[at + 2], afl[at + 3]
        if afl[at] & 0x07 or not 1 <= sfi <= _SFI_MAX or not 1 <= first <= last:
            raise CardUnreadable("the file locator names a file or record that cannot be")
        if signed > last - first + 1:
            raise CardUnreadable("the file locator marks more records as signed than it names")
        if len(addresses) + last - first + 1 > RECORDS_MAX:
            raise CardUnreadable(f"the file locator names more than {RECORDS_MAX} records")
        addresses += [
            RecordAddress(sfi, number, number < first + signed) for number in range(first, last + 1)
        ]
    if len({(address.sfi, address.number) for address in addresses}) != len(addresses):
        raise CardUnreadable("the file locator names a record twice")
    return tuple(addresses)


def parse_record(record: bytes) -> list[tlv.Tlv]:
    """The data objects of a record, which is one template 70.

    Raises:
        CardUnreadable: not one template 70, or too long.
    """
    return tlv.parse(_template(record).value)


def merge(data: dict[int, bytes], objects: Sequence[tlv.Tlv]) -> None:
    """Adds data objects. The same tag twice must have the same value (EMV Book 3, 10.2).

    Raises:
        CardUnreadable: a tag comes with two values.
    """
    for item in objects:
        if data.setdefault(item.tag, item.value) != item.value:
            raise CardUnreadable(f"tag {item.tag:X} comes with two values")


def static_data(options: Options, records: Sequence[bytes], data: Mapping[int, bytes]) -> bytes:
    """The static data to be authenticated (EMV Book 3, 10.3).

    Of each record that the locator marks: the content of template 70 for files 1 to 10, the
    whole record for files 11 to 30. Then, if the card has a tag list 9F4A, the interchange
    profile, which is the only thing that list may name.

    Args:
        options: the processing options.
        records: the records as read, one for each of ``options.records``.
        data: all data objects read, for tag 9F4A.

    Raises:
        AuthenticationFailed: the tag list names anything but 82.
        CardUnreadable: a marked record is no template 70.
    """
    parts = list(_signed_parts(options.records, records))
    tag_list = data.get(_STATIC_DATA_TAG_LIST)
    if tag_list is not None:
        if tag_list != bytes((_AIP,)):
            raise AuthenticationFailed(
                Failure.STATIC_DATA_TAG_LIST, "the static data tag list names more than the AIP"
            )
        parts.append(options.aip)
    return b"".join(parts)


def _signed_parts(addresses: Sequence[RecordAddress], records: Sequence[bytes]) -> Iterator[bytes]:
    for address, record in zip(addresses, records, strict=True):
        if address.signed:
            template = _template(record)
            yield template.value if address.sfi <= _SFI_PLAIN_MAX else record


def _template(record: bytes) -> tlv.Tlv:
    if len(record) > RECORD_BYTES_MAX:
        raise CardUnreadable(f"a record of {len(record)} bytes")
    objects = tlv.parse(record)
    if len(objects) != 1 or objects[0].tag != _RECORD_TEMPLATE:
        raise CardUnreadable("a record is not one template 70")
    return objects[0]
