"""Chaining layers against scripted connections."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.apdu import CommandApdu
from readers.chaining import CommandChaining, ResponseChaining, expect_success
from readers.connection import Interface
from readers.errors import ProtocolViolation


class Script:
    """A connection that answers in order; the last answer repeats."""

    interface = Interface.CONTACT

    def __init__(self, answers: Sequence[tuple[bytes, int]]) -> None:
        self.answers = list(answers)
        self.commands: list[bytes] = []

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        self.commands.append(command)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


SELECT = CommandApdu(0, 0xA4, 4, 0, b"1PAY.SYS.DDF01", 256).to_bytes()


def test_a_plain_answer_passes() -> None:
    card = Script([(b"abc", 0x9000)])
    assert ResponseChaining(card).transmit(SELECT) == (b"abc", 0x9000)
    assert card.commands == [SELECT]
    assert ResponseChaining(card).interface is Interface.CONTACT
    assert CommandChaining(card).interface is Interface.CONTACT


@given(st.lists(st.binary(min_size=1, max_size=256), min_size=1, max_size=20))
def test_parts_are_joined(parts: list[bytes]) -> None:
    answers = [(part, 0x6100 | len(parts[at + 1]) & 0xFF) for at, part in enumerate(parts[:-1])]
    card = Script([(b"", 0x6100 | len(parts[0]) & 0xFF), *answers, (parts[-1], 0x9000)])
    assert ResponseChaining(card).transmit(SELECT) == (b"".join(parts), 0x9000)
    assert [CommandApdu.parse(one).le for one in card.commands[1:]] == [len(p) for p in parts]


def test_wrong_le_is_corrected_once() -> None:
    card = Script([(b"", 0x6C07), (b"1234567", 0x9000)])
    command = CommandApdu(0, 0xB2, 1, 0x0C, le=256).to_bytes()
    assert ResponseChaining(card).transmit(command) == (b"1234567", 0x9000)
    assert card.commands == [command, bytes.fromhex("00B2010C07")]
    with pytest.raises(ProtocolViolation, match="twice"):
        ResponseChaining(Script([(b"", 0x6C07)])).transmit(command)


def test_get_response_with_wrong_length_is_corrected() -> None:
    card = Script([(b"", 0x6110), (b"", 0x6C08), (b"12345678", 0x6A82)])
    assert ResponseChaining(card).transmit(SELECT) == (b"12345678", 0x6A82)
    assert card.commands[1:] == [bytes.fromhex("00C0000010"), bytes.fromhex("00C0000008")]


@pytest.mark.parametrize(
    ("cla", "expected"), [(0x00, 0x00), (0x80, 0x00), (0x03, 0x03), (0x84, 0x00), (0x47, 0x47)]
)
def test_get_response_stays_on_the_channel(cla: int, expected: int) -> None:
    card = Script([(b"", 0x6101), (b"x", 0x9000)])
    ResponseChaining(card).transmit(bytes((cla, 0xA8, 0, 0)))
    assert card.commands[1][:2] == bytes((expected, 0xC0))


def test_an_endless_answer_ends() -> None:
    endless = Script([(b"x", 0x6100)])
    with pytest.raises(ProtocolViolation, match="64 parts"):
        ResponseChaining(endless).transmit(SELECT)
    assert len(endless.commands) == 64
    with pytest.raises(ProtocolViolation, match="16384 bytes"):
        ResponseChaining(Script([(bytes(256 + 1), 0x6100)])).transmit(SELECT)
    empty = Script([(b"", 0x6110)])
    with pytest.raises(ProtocolViolation, match="nothing"):
        ResponseChaining(empty).transmit(SELECT)
    assert len(empty.commands) == 2


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 255))
def test_long_commands_go_in_parts(data: bytes, part_bytes: int) -> None:
    card = Script([(b"", 0x9000)])
    command = CommandApdu(0, 0x87, 0x11, 0x9E, data, 300)
    CommandChaining(card, part_bytes=part_bytes).transmit(command.to_bytes())
    parts = [CommandApdu.parse(one) for one in card.commands]
    assert b"".join(part.data for part in parts) == data
    if len(parts) > 1:
        assert [part.cla for part in parts] == [0x10] * (len(parts) - 1) + [0x00]
        assert parts[-1].le == 256


def test_a_refused_part_ends_the_chain() -> None:
    card = Script([(b"", 0x9000), (b"", 0x6884)])
    command = CommandApdu(0, 0x87, 0x11, 0x9E, bytes(600)).to_bytes()
    assert CommandChaining(card).transmit(command) == (b"", 0x6884)
    assert len(card.commands) == 2
    with pytest.raises(ValueError):
        CommandChaining(card, part_bytes=256)


def test_only_success_will_do() -> None:
    assert expect_success((b"x", 0x9000), "SELECT") == b"x"
    with pytest.raises(ProtocolViolation, match="SELECT: 6A82 file_not_found"):
        expect_success((b"", 0x6A82), "SELECT")
