"""Where account numbers are while a card is read, and that they are gone afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from readers.cards.emv.pan import Pan
from readers.cards.errors import AuthenticationFailed
from readers.cards.scheme import SchemeContext
from readers.cards.track2 import identify_track2
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.virtual.authority import TestCa
from tests.readers.cards.bench import BOTH, PAN, TODAY, Numbers, Wire, ca_keys, card, named, tap


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Pan]:
    """Every Pan that is made while the test runs."""
    found: list[Pan] = []
    original: Callable[[Pan, bytes], None] = Pan.__init__

    def remember(self: Pan, digits: bytes) -> None:
        original(self, digits)
        found.append(self)

    monkeypatch.setattr(Pan, "__init__", remember)
    return found


def wiped(made: list[Pan]) -> bool:
    return not any(pan.take().strip(b"\x00") for pan in made)


@pytest.mark.parametrize("interface", BOTH)
def test_every_account_number_is_wiped(
    world: TestCa, interface: Interface, made: list[Pan]
) -> None:
    tap(card(world, interface), world)
    assert len(made) == 3  # 5A, 57 and the certificate
    assert wiped(made)


@pytest.mark.parametrize("interface", BOTH)
def test_also_when_the_card_is_false(world: TestCa, interface: Interface, made: list[Pan]) -> None:
    with pytest.raises(AuthenticationFailed):
        tap(card(world, interface, signer=world.forger), world)
    assert made
    assert wiped(made)


def test_also_from_a_stripe(made: list[Pan]) -> None:
    identify_track2(f";{PAN}=1905220?", named)
    assert len(made) == 1
    assert wiped(made)


class BrokenHash(Exception):
    """The card hash cannot be made: the key store is gone."""


def test_also_when_something_else_breaks(world: TestCa, made: list[Pan]) -> None:
    """No card error, so the frames stay in the traceback; what they hold is empty."""

    def broken(scheme: str, identifier: bytes) -> str:
        raise BrokenHash(scheme)

    virtual = card(world, Interface.CONTACT)
    context = SchemeContext(TODAY, Numbers(), broken)
    with pytest.raises(BrokenHash) as raised:
        UnionPay(ca_keys(world)).authenticate(Wire(virtual), context)
    assert wiped(made)
    trace, seen = raised.value.__traceback__, 0
    while trace is not None:
        reading = trace.tb_frame.f_locals.get("reading")
        if reading is not None:
            assert reading.data == {}
            assert reading.records == []
            seen += 1
        trace = trace.tb_next
    assert seen
