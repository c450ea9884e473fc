from __future__ import annotations

import pytest

from readers.cards.detect import Rehearsal, identify
from readers.cards.scheme import CardAssurance
from readers.cards.uid import Uid
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.errors import CardNotSupported
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import Manners
from tests.readers.cards.bench import BOTH, Wire, ca_keys, card, context, named


class Tag:
    """A tag that a reader knows by its UID alone."""

    def __init__(self, uid: bytes, interface: Interface = Interface.CONTACTLESS) -> None:
        self.uid, self.interface = uid, interface
        self.commands: list[bytes] = []

    def process(self, command: bytes) -> bytes:
        self.commands.append(command)
        return self.uid + b"\x90\x00" if command == bytes.fromhex("FFCA000000") else b"\x6d\x00"


@pytest.mark.parametrize("uid", ["04782E21801D80", "11223344", "0102030405060708", "01" * 10])
def test_uid_is_identification(world: TestCa, uid: str) -> None:
    tag = Tag(bytes.fromhex(uid))
    answer = identify(Wire(tag), [UnionPay(ca_keys(world)), Uid()], context())
    assert answer.assurance is CardAssurance.IDENTIFIED
    assert answer.scheme == "uid"
    assert answer.card == named("uid", bytes.fromhex(uid))
    assert answer.card != named("unionpay", bytes.fromhex(uid))
    # One SELECT by the first scheme, one question for the UID: none is repeated.
    assert [command[1] for command in tag.commands] == [0xA4, 0xCA]
    assert uid not in repr(answer)


@pytest.mark.parametrize("uid", ["08112233", "", "01020304050607080910111213", "010203"])
def test_random_and_odd_uids_are_none(uid: str) -> None:
    tag = Tag(bytes.fromhex(uid))
    with pytest.raises(CardNotSupported):
        identify(Wire(tag), [Uid()], context())
    with pytest.raises(CardNotSupported):
        Uid().authenticate(Wire(tag), context())


def test_uid_only_where_it_is_in_the_list_and_over_the_air(world: TestCa) -> None:
    tag = Tag(b"\x01\x02\x03\x04\x05\x06\x07")
    with pytest.raises(CardNotSupported, match="nothing was recorded"):
        identify(Wire(tag), [UnionPay(ca_keys(world))], context())
    with pytest.raises(CardNotSupported):
        identify(Wire(Tag(b"\x01\x02\x03\x04", Interface.CONTACT)), [Uid()], context())
    with pytest.raises(CardNotSupported):
        identify(Wire(tag), [], context())
    assert (Uid().name, UnionPay(None).name) == ("uid", "unionpay")
    assert "identification" in Uid().strength


@pytest.mark.parametrize("interface", BOTH)
@pytest.mark.parametrize("partial", [True, False])
def test_recognising_costs_no_exchange(world: TestCa, interface: Interface, partial: bool) -> None:
    manners = Manners(partial=partial)
    alone, found = card(world, interface, manners), card(world, interface, manners)
    UnionPay(ca_keys(world)).authenticate(Wire(alone), context())
    identify(Wire(found), [UnionPay(ca_keys(world))], context())
    assert found.commands == alone.commands


def test_a_rehearsal_answers_once_in_order_and_gives_up_at_the_first_difference() -> None:
    tag = Tag(b"\x01\x02\x03\x04")
    rehearsal = Rehearsal(Wire(tag))
    uid, other = bytes.fromhex("FFCA000000"), bytes.fromhex("00A4040000")
    first = [rehearsal.transmit(uid), rehearsal.transmit(other), rehearsal.transmit(uid)]
    rehearsal.again()
    assert [rehearsal.transmit(uid)] == first[:1]
    assert len(tag.commands) == 3
    rehearsal.transmit(uid)  # the second was ``other``: from here the card itself is asked
    rehearsal.transmit(other)
    assert tag.commands[3:] == [uid, other]
    assert rehearsal.interface is Interface.CONTACTLESS
