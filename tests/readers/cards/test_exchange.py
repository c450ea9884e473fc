"""Directories and answers that are odd but allowed, or neither."""

from __future__ import annotations

import pytest

from readers import tlv
from readers.cards.exchange import (
    CANDIDATES_MAX,
    DIRECTORY_RECORDS_MAX,
    Candidate,
    Exchange,
    contact_candidates,
    contactless_candidates,
    read_application,
)
from readers.cards.unionpay_profile import RID
from readers.chaining import ResponseChaining
from readers.connection import Interface
from readers.errors import CardUnreadable, ProtocolViolation


class Scripted:
    """Answers commands in turn."""

    interface = Interface.CONTACT

    def __init__(self, *answers: tuple[bytes, int]) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        self.sent.append(command)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def entry(aid: bytes, priority: int | None = 1) -> bytes:
    content = tlv.encode(0x4F, aid)
    if priority is not None:
        content += tlv.encode(0x87, bytes((priority,)))
    return tlv.encode(0x61, content)


def directory(content: bytes) -> tuple[bytes, int]:
    return tlv.encode(0x6F, tlv.encode(0xA5, content)), 0x9000


def ppse(content: bytes) -> Exchange:
    return Exchange(Scripted(directory(tlv.encode(0xBF0C, content))))


def test_candidates_are_ranked_and_named_once() -> None:
    first, second, third = (RID + bytes((1, 1, n)) for n in (1, 2, 3))
    content = entry(second, 0x82) + entry(third, None) + entry(first, 1) + entry(second, 1)
    assert contactless_candidates(ppse(content), RID) == [
        Candidate(first, 1),
        Candidate(second, 2),
        Candidate(third, 16),
    ]


def test_what_is_no_entry_of_this_provider_is_passed_over() -> None:
    content = (
        tlv.encode(0x50, b"LABEL")
        + tlv.encode(0x61, b"")
        + entry(bytes.fromhex("A0000000031010"))
        + entry(RID[:4])
        + entry(RID + bytes(12))
        + entry(RID)
    )
    assert contactless_candidates(ppse(content), RID) == [Candidate(RID, 1)]
    assert contactless_candidates(ppse(b""), RID) == []
    assert contactless_candidates(Exchange(Scripted(directory(b""))), RID) == []


def test_a_directory_of_many() -> None:
    content = b"".join(entry(RID + bytes((n,)), 15) for n in range(20))
    assert len(contactless_candidates(ppse(content), RID)) == CANDIDATES_MAX


@pytest.mark.parametrize("content", [b"", tlv.encode(0x88, b""), tlv.encode(0x88, b"\x0b")])
def test_a_contact_directory_without_a_file(content: bytes) -> None:
    with pytest.raises(CardUnreadable, match="no file"):
        contact_candidates(Exchange(Scripted(directory(content))), RID)


def test_no_contact_directory() -> None:
    assert contact_candidates(Exchange(Scripted((b"", 0x6A82))), RID) == []


def test_a_contact_directory_that_never_ends() -> None:
    record = tlv.encode(0x70, entry(RID + b"\x01")), 0x9000
    card = Scripted(directory(tlv.encode(0x88, b"\x01")), record)
    assert contact_candidates(Exchange(card), RID) == [Candidate(RID + b"\x01", 1)]
    assert len(card.sent) == 1 + DIRECTORY_RECORDS_MAX


@pytest.mark.parametrize("sw", [0x6700, 0x6F00, 0x6283 + 1, 0x9001])
def test_answers_to_select_that_are_neither_yes_nor_no(sw: int) -> None:
    with pytest.raises(ProtocolViolation, match="SELECT"):
        Exchange(Scripted((b"", sw))).select(RID)


def test_a_name_that_is_too_long() -> None:
    answer = tlv.encode(0x6F, tlv.encode(0x84, RID + bytes(12)))
    with pytest.raises(CardUnreadable):
        read_application(answer, RID)
    assert read_application(tlv.encode(0x6F, tlv.encode(0x84, RID)), RID).pdol == b""


def test_a_layer_that_chains_is_not_wrapped_again() -> None:
    chained = ResponseChaining(Scripted((b"", 0x6A82)))
    exchange = Exchange(chained)
    assert exchange.interface is Interface.CONTACT
    assert exchange.select(RID) is None
