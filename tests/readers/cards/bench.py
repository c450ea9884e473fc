"""What the card tests share: a wire that keeps count, keys, a context, a shorthand for one tap."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from keys.derivation import card_hash
from readers.apdu import split_response
from readers.cards.detect import identify
from readers.cards.emv import CaBundleKeys, load_ca_keys
from readers.cards.scheme import AuthenticatedCard, CardScheme, SchemeContext
from readers.cards.unionpay import UnionPay
from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.personalisation import Recipe
from readers.virtual.unionpay import Manners, VirtualUnionPayCard, make_pan

TODAY = date(2014, 5, 30)
VALID = date(2019, 5, 31)
PAN = make_pan(123_456_789)
BOTH = (Interface.CONTACT, Interface.CONTACTLESS)


class Wire:
    """A card on a connection; keeps what went over it."""

    def __init__(self, card: Any) -> None:
        self.card = card
        self.sent: list[bytes] = []

    @property
    def interface(self) -> Interface:
        interface: Interface = self.card.interface
        return interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        self.sent.append(command)
        return split_response(self.card.process(command))


class Numbers:
    """Unpredictable numbers for a test: different at every call, the same in every run."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __call__(self, count: int) -> bytes:
        number = hashlib.sha256(b"challenge %d" % len(self.given)).digest()[:count]
        self.given.append(number)
        return number


def named(scheme: str, identifier: bytes) -> str:
    """The card hash under a key of the tests."""
    return card_hash(lambda data: hmac.digest(b"k" * 32, data, "sha256"), scheme, identifier)


def context(today: date = TODAY, numbers: Callable[[int], bytes] | None = None) -> SchemeContext:
    return SchemeContext(today, numbers or Numbers(), named)


def ca_keys(world: TestCa, **changes: Any) -> CaBundleKeys:
    ends = datetime(2049, 1, 1, tzinfo=UTC)
    return load_ca_keys(world.bundle(expires=ends, **changes), TODAY, allow_test=True)


def recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {"pan": PAN, "expires": VALID}
    return Recipe(**{**given, **changes})


def card(
    world: TestCa,
    interface: Interface,
    manners: Manners | None = None,
    **changes: Any,
) -> VirtualUnionPayCard:
    return VirtualUnionPayCard(world, recipe(**changes), interface=interface, manners=manners)


def tap(
    virtual: Any,
    world: TestCa,
    *,
    today: date = TODAY,
    schemes: Sequence[CardScheme] | None = None,
    numbers: Callable[[int], bytes] | None = None,
    **bundle: Any,
) -> AuthenticatedCard:
    """One tap on a terminal that knows the test authority."""
    chosen = schemes if schemes is not None else [UnionPay(ca_keys(world, **bundle))]
    return identify(Wire(virtual), chosen, context(today, numbers))
