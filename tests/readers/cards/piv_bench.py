"""What the PIV tests share: roots of the test world, and one tap."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from readers.cards.detect import identify
from readers.cards.piv import Piv
from readers.cards.piv_roots import PivRoots, load_piv_roots
from readers.cards.scheme import AuthenticatedCard
from readers.connection import Interface
from readers.virtual.piv import Recipe, TestPivAuthority, VirtualPivCard
from readers.virtual.piv_authority import Content
from tests.readers.cards.bench import TODAY, Numbers, Wire, context

KINDS = ("p256", "rsa2048")


def roots(world: TestPivAuthority, **changes: Any) -> PivRoots:
    ends = datetime(2049, 1, 1, tzinfo=UTC)
    return load_piv_roots(world.bundle(expires=ends, **changes), TODAY, allow_test=True)


def content(**changes: Any) -> Content:
    """What a card's certificate says, with something changed."""
    return Content(**{"serial": 1001, "ends": date(2039, 12, 31), **changes})


def piv_card(
    world: TestPivAuthority,
    *,
    interface: Interface = Interface.CONTACTLESS,
    manners: Any = None,
    **changes: Any,
) -> VirtualPivCard:
    return VirtualPivCard(world, Recipe(**changes), interface=interface, manners=manners)


def piv_tap(
    virtual: Any,
    world: TestPivAuthority,
    *,
    today: date = TODAY,
    trusted: PivRoots | None = None,
    numbers: Numbers | None = None,
) -> AuthenticatedCard:
    """One tap on a terminal that knows the test authority."""
    scheme = Piv(trusted if trusted is not None else roots(world))
    return identify(Wire(virtual), [scheme], context(today, numbers))
