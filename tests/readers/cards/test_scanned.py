"""Stripes and codes: identified, labelled, and never a chip's word."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.detect import identify
from readers.cards.scanned import Scanned
from readers.cards.scheme import AuthenticatedCard, CardAssurance
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.errors import CardError, CardNotSupported, CardUnreadable
from readers.lines import LINE_BYTES_MAX, LineCard
from readers.virtual.authority import TestCa
from tests.readers.cards.bench import BOTH, PAN, Wire, ca_keys, context, named

STRIPE = f";{PAN}=19052201234567890?".encode()


def _scan(line: bytes, *before: object) -> AuthenticatedCard:
    return identify(LineCard(line), [*before, Scanned()], context())  # type: ignore[list-item]


@pytest.mark.parametrize("before", [b"", b"%B62^ZHANG/SAN^1905220?", b"%B62^ZHANG/SAN^1905220?x"])
def test_a_stripe_is_the_card_of_its_chip_identified(world: TestCa, before: bytes) -> None:
    found = _scan(before + STRIPE, UnionPay(ca_keys(world)))
    assert (found.card, found.scheme) == (named("unionpay", PAN.encode()), "unionpay")
    assert found.assurance is CardAssurance.IDENTIFIED
    assert (found.method, found.expires) == ("track2", date(2019, 5, 31))


def test_a_member_code_is_hashed_as_it_stands() -> None:
    found = _scan(b"RC-7f3a-0001-XYZ")
    assert found == AuthenticatedCard(
        named("member_code", b"RC-7f3a-0001-XYZ"),
        "member_code",
        CardAssurance.IDENTIFIED,
        "code",
        None,
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"6901234567892", CardNotSupported),  # the code on a bottle
        (b"134567890123456789", CardNotSupported),  # a payment application's
        (b"https://example.org/member/0001", CardNotSupported),
        (b"A1", CardNotSupported),
        (STRIPE[:-1], CardUnreadable),
        (b"%B62^ZHANG/SAN^1905220?", CardUnreadable),
        (b"%E?;E?", CardUnreadable),
        (b";6222020200112233=2912220?", CardUnreadable),
    ],
)
def test_what_is_neither(line: bytes, error: type[CardError]) -> None:
    with pytest.raises(error, match="nothing was recorded") as caught:
        _scan(line)
    assert line.decode() not in str(caught.value)


@pytest.mark.parametrize("interface", BOTH)
def test_a_chip_cannot_speak_for_a_stripe(interface: Interface) -> None:
    class Liar:
        def __init__(self) -> None:
            self.interface = interface

        def process(self, command: bytes) -> bytes:
            return STRIPE + b"\x90\x00"

    wire = Wire(Liar())
    with pytest.raises(CardNotSupported):
        identify(wire, [Scanned()], context())
    assert wire.sent == []


@given(st.binary(max_size=LINE_BYTES_MAX))
def test_any_line_is_identified_or_refused(line: bytes) -> None:
    try:
        assert _scan(line).assurance is CardAssurance.IDENTIFIED
    except CardError as error:
        assert "nothing was recorded" in str(error)
