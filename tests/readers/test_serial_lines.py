"""Lines as they come from a port: cut, bounded, and never half of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.apdu import CommandApdu
from readers.connection import Interface
from readers.lines import LINE_BYTES_MAX, READ_LINE, LineCard, LineFramer

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"abc\r", [b"abc"]),
        (b"abc\r\n\r\ndef\n", [b"abc", b"def"]),
        (b"\x02;62=1?\x03\r", [b";62=1?"]),
        (b"abc", []),
        (b"ab\x80c\rdef\r", [b"def"]),
        (b"a" * LINE_BYTES_MAX + b"\r", [b"a" * LINE_BYTES_MAX]),
        (b"a" * (LINE_BYTES_MAX + 1) + b"\rb\r", [b"b"]),
        (b"a" * 100_000 + b"\rb\r", [b"b"]),
    ],
)
def test_what_is_a_line(data: bytes, lines: list[bytes]) -> None:
    assert list(LineFramer().feed(data)) == lines


def test_what_is_dropped_is_counted() -> None:
    framer = LineFramer(4)
    assert list(framer.feed(b"12345\r\x001\r12")) == []
    assert framer.dropped == 2
    assert framer.within
    framer.abandon()
    assert framer.dropped == 3
    assert list(framer.feed(b"34\r")) == [b"34"]


@given(st.lists(PRINTABLE, max_size=5), st.integers(1, 7))
def test_lines_arrive_whole_however_they_are_split(texts: list[str], step: int) -> None:
    data = b"".join(text.encode() + b"\r\n" for text in texts)
    framer = LineFramer()
    found = [line for at in range(0, len(data), step) for line in framer.feed(data[at : at + step])]
    assert found == [text.encode() for text in texts]


@given(st.binary(max_size=600))
def test_noise_makes_only_bounded_printable_lines(data: bytes) -> None:
    for line in LineFramer().feed(data):
        assert 0 < len(line) <= LINE_BYTES_MAX
        assert all(0x20 <= byte < 0x7F for byte in line)


def test_a_line_answers_one_command_and_is_forgotten() -> None:
    card = LineCard(b"MEMBER-0001")
    assert card.interface is Interface.LINE
    assert card.transmit(CommandApdu(0, 0xA4, 4, 0, b"2PAY.SYS.DDF01", 256).to_bytes()) == (
        b"",
        0x6D00,
    )
    assert card.transmit(READ_LINE) == (b"MEMBER-0001", 0x9000)
    card.close()
    assert card.transmit(READ_LINE) == (b"", 0x6D00)
