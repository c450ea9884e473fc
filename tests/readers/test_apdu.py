from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.apdu import CommandApdu, StatusWord, split_response, sw_name
from readers.errors import ProtocolViolation

BYTE = st.integers(0, 255)
DATA = st.one_of(st.binary(max_size=300), st.integers(0, 65_535).map(bytes))
LE = st.one_of(st.none(), st.integers(1, 300), st.integers(1, 65_536))


@given(BYTE, BYTE, BYTE, BYTE, DATA, LE, st.booleans())
def test_what_is_encoded_is_decoded(
    cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None, extended: bool
) -> None:
    extended = extended and bool(data or le)
    command = CommandApdu(cla, ins, p1, p2, data, le, extended)
    assert CommandApdu.parse(command.to_bytes()) == command


@given(st.one_of(st.binary(max_size=32), st.binary(min_size=255, max_size=270)))
def test_what_is_accepted_is_the_one_encoding(raw: bytes) -> None:
    try:
        command = CommandApdu.parse(raw)
    except ProtocolViolation:
        return
    assert command.to_bytes() == raw


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (CommandApdu(0, 0xA4, 4, 0), "00A40400"),
        (CommandApdu(0, 0xA4, 4, 0, le=256), "00A4040000"),
        (CommandApdu(0, 0xB2, 1, 0x0C, le=32), "00B2010C20"),
        (CommandApdu(0, 0xA4, 4, 0, b"2PAY", 256), "00A40400043250415900"),
        (CommandApdu(0, 0xA4, 4, 0, b"2PAY"), "00A404000432504159"),
        (CommandApdu(0, 0xB0, 0, 0, le=65_536), "00B00000000000"),
        (CommandApdu(0, 0xB0, 0, 0, le=257), "00B00000000101"),
        (CommandApdu(0, 0xD6, 0, 0, b"\xaa", extended=True), "00D60000000001AA"),
        (CommandApdu(0, 0xD6, 0, 0, b"\xaa", 1, extended=True), "00D60000000001AA0001"),
    ],
)
def test_cases_of_7816_4(command: CommandApdu, wire: str) -> None:
    assert command.to_bytes().hex().upper() == wire
    assert CommandApdu.parse(bytes.fromhex(wire)) == command


@pytest.mark.parametrize(
    "wire",
    ["", "00A404", "00A4040005AA", "00A4040001AABBCC", "00B000000001", "00B0000000000000"],
)
def test_contradicting_lengths_are_refused(wire: str) -> None:
    with pytest.raises(ProtocolViolation):
        CommandApdu.parse(bytes.fromhex(wire))


@pytest.mark.parametrize(
    "fields",
    [
        {"cla": 256},
        {"p2": -1},
        {"le": 0},
        {"le": 65_537},
        {"data": bytes(65_536)},
        {"extended": True},
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        CommandApdu(**{"cla": 0, "ins": 0, "p1": 0, "p2": 0, **fields})


@given(st.binary(min_size=2, max_size=300))
def test_a_response_ends_in_its_status_word(raw: bytes) -> None:
    data, sw = split_response(raw)
    assert data + sw.to_bytes(2) == raw


@pytest.mark.parametrize("raw", [b"", b"\x90", bytes(65_539)])
def test_a_response_without_status_word_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        split_response(raw)


@given(st.integers(0, 0xFFFF))
def test_every_status_word_has_a_name(sw: int) -> None:
    assert sw_name(sw).startswith(f"{sw:04X} ")


def test_names_of_status_words() -> None:
    assert sw_name(StatusWord.FILE_NOT_FOUND) == "6A82 file_not_found"
    assert sw_name(0x61A0) == "61A0 bytes_remaining"
    assert sw_name(0x6C00) == "6C00 wrong_le"
    assert sw_name(0x63C3) == "63C3 tries_left_3"
    assert sw_name(0x1234) == "1234 unknown"
