"""Whole cards with anything changed: only declared errors, and never an authenticated stranger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.cards.scheme import CardAssurance
from readers.cards.uid import Uid
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.errors import CardError
from readers.virtual.authority import TestCa
from readers.virtual.unionpay import VirtualUnionPayCard
from tests.readers.cards.bench import BOTH, PAN, ca_keys, card, named, tap

Change = Callable[[bytes], bytes]


class Tampered:
    """A genuine card behind someone who changes one of its answers."""

    def __init__(self, inner: VirtualUnionPayCard, at: int, change: Change) -> None:
        self._inner, self._at, self._change, self._count = inner, at, change, 0
        self.interface: Interface = inner.interface

    def process(self, command: bytes) -> bytes:
        answer = self._inner.process(command)
        self._count += 1
        return self._change(answer) if self._count == self._at else answer


@st.composite
def changes(draw: st.DrawFn) -> Change:
    kind = draw(st.sampled_from(["flip", "cut", "grow", "noise", "status"]))
    position, value = draw(st.integers(0, 400)), draw(st.integers(1, 255))
    noise = draw(st.binary(max_size=60))

    def change(answer: bytes) -> bytes:
        at = position % max(1, len(answer))
        if kind == "flip":
            changed = bytearray(answer)
            changed[at] ^= value
            return bytes(changed)
        if kind == "cut":
            return answer[:at]
        if kind == "grow":
            return answer[:at] + noise + answer[at:]
        return noise if kind == "noise" else answer[:-2] + bytes((value, position & 0xFF))

    return change


@pytest.mark.parametrize("interface", BOTH)
@settings(max_examples=150)
@given(at=st.integers(1, 12), change=changes())
def test_one_answer_changed(world: TestCa, interface: Interface, at: int, change: Change) -> None:
    inner = _cards(world)[interface]
    inner.power_off()
    try:
        answer = tap(Tampered(inner, at, change), world)
    except CardError:
        return
    if answer.assurance is CardAssurance.AUTHENTICATED:
        assert answer.card == named("unionpay", PAN.encode())


@settings(max_examples=100)
@given(answers=st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_cards_that_answer_noise(world: TestCa, answers: list[bytes]) -> None:
    class Noise:
        interface = Interface.CONTACTLESS

        def __init__(self) -> None:
            self.left = list(answers)

        def process(self, command: bytes) -> bytes:
            return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    try:
        answer = tap(Noise(), world, schemes=[UnionPay(ca_keys(world)), Uid()])
    except CardError:
        return
    assert answer.assurance is CardAssurance.IDENTIFIED


_MADE: dict[int, dict[Interface, VirtualUnionPayCard]] = {}


def _cards(world: TestCa) -> dict[Interface, VirtualUnionPayCard]:
    """One card for each interface, certified once for all examples."""
    if id(world) not in _MADE:
        _MADE[id(world)] = {interface: card(world, interface) for interface in BOTH}
    return _MADE[id(world)]
