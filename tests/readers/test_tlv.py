import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import tlv
from readers.errors import ProtocolViolation

FIRST = st.integers(1, 0xFF).filter(lambda byte: byte & 0x1F != 0x1F)
LONG = st.tuples(
    st.integers(0, 7).map(lambda top: top << 5 | 0x1F),
    st.lists(st.integers(0x80, 0xFF), max_size=2),
    st.integers(0, 0x7F),
).map(lambda parts: int.from_bytes(bytes((parts[0], *parts[1], parts[2]))))
TAG = st.one_of(FIRST, LONG)
VALUE = st.one_of(st.binary(max_size=40), st.integers(0, 60_000).map(bytes))


@given(st.lists(st.tuples(TAG, VALUE), max_size=6))
def test_what_is_encoded_is_decoded(objects: list[tuple[int, bytes]]) -> None:
    encoded = [tlv.encode(tag, value) for tag, value in objects]
    joined = b"".join(encoded)
    if len(joined) > tlv.INPUT_BYTES_MAX:
        return
    found = tlv.parse(joined)
    assert [(one.tag, one.value) for one in found] == objects
    assert [one.raw for one in found] == encoded


@given(st.one_of(st.binary(max_size=64), st.binary(max_size=2000)))
def test_parsing_is_total(data: bytes) -> None:
    try:
        found = tlv.parse(data)
    except ProtocolViolation:
        return
    padding = len(data) - sum(len(one.raw) for one in found)
    assert padding == 0 or data.count(0) >= padding
    for one in found:
        assert tlv.tag_bytes(one.tag) == one.raw[: len(tlv.tag_bytes(one.tag))]
        assert one.raw.endswith(one.value)


@given(st.binary(max_size=300))
def test_reading_a_dol_is_total(data: bytes) -> None:
    try:
        entries = tlv.parse_dol(data)
    except ProtocolViolation:
        return
    assert b"".join(tlv.tag_bytes(tag) + bytes((size,)) for tag, size in entries) == data


def test_an_fci_is_walked_by_path() -> None:
    application = tlv.encode(0x4F, bytes.fromhex("A000000333010101")) + tlv.encode(0x87, b"\x01")
    directory = tlv.encode(0xBF0C, tlv.encode(0x61, application))
    fci = tlv.encode(0x6F, tlv.encode(0x84, b"2PAY.SYS.DDF01") + tlv.encode(0xA5, directory))
    assert tlv.find(fci, 0x6F, 0xA5, 0xBF0C, 0x61, 0x87) == b"\x01"
    assert tlv.find(fci, 0x6F, 0x84) == b"2PAY.SYS.DDF01"
    assert tlv.find(fci, 0x6F, 0x88) is None
    assert tlv.find(fci, 0x87) is None  # never found by scanning deeper than asked
    assert [one.tag for one in tlv.parse(fci)[0].children()] == [0x84, 0xA5]


def test_length_that_is_not_the_shortest_is_read_and_kept_raw() -> None:
    (one,) = tlv.parse(bytes.fromhex("9F378200040102030400"))
    assert (one.tag, one.value) == (0x9F37, b"\x01\x02\x03\x04")
    assert one.raw == bytes.fromhex("9F37820004 01020304")


@pytest.mark.parametrize(
    "wire",
    [
        "9F",  # a tag without end
        "1F8080808001",  # a tag of more than four bytes
        "70",  # no length
        "7080",  # indefinite
        "70840000000100",  # a length of four bytes
        "7082FF",  # a length cut short
        "7005AABB",  # a value cut short
    ],
)
def test_malformed_objects_are_refused(wire: str) -> None:
    with pytest.raises(ProtocolViolation):
        tlv.parse(bytes.fromhex(wire))


def test_limits_hold() -> None:
    with pytest.raises(ProtocolViolation):
        tlv.parse(bytes(tlv.INPUT_BYTES_MAX + 1))
    assert tlv.parse(bytes(tlv.INPUT_BYTES_MAX)) == []
    with pytest.raises(ProtocolViolation):
        tlv.parse(b"\x81\x00" * (tlv.ELEMENTS_MAX + 1))
    with pytest.raises(ProtocolViolation):
        tlv.parse_dol(b"\x81\x00" * (tlv.DOL_ENTRIES_MAX + 1))
    with pytest.raises(ProtocolViolation):
        tlv.find(b"", *([0x70] * 9))
    with pytest.raises(ProtocolViolation):
        tlv.encode(0x81, bytes(tlv.INPUT_BYTES_MAX))


@pytest.mark.parametrize("tag", [0, -1, 0x1F, 0x9F80, 0x8101, 1 << 32])
def test_numbers_that_are_no_tags(tag: int) -> None:
    with pytest.raises(ProtocolViolation):
        tlv.encode(tag, b"")


def test_a_primitive_object_has_no_children() -> None:
    with pytest.raises(ProtocolViolation):
        tlv.parse(b"\x84\x01\x00")[0].children()


def test_a_dol_entry_needs_its_length() -> None:
    assert tlv.parse_dol(bytes.fromhex("9F66049F3704")) == [(0x9F66, 4), (0x9F37, 4)]
    with pytest.raises(ProtocolViolation):
        tlv.parse_dol(bytes.fromhex("9F66049F37"))
