"""The demo's box of red cards: the same cards from the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum, unique

from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.personalisation import Recipe
from readers.virtual.unionpay import Manners, VirtualUnionPayCard, make_pan, years_later


@unique
class Kind(StrEnum):
    """What is special about a card in the box."""

    GOOD = "good"
    BLOCKED = "blocked"
    REPLACED = "replaced"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class BoxCard:
    """A card in the box, as it is laid on a reader or put into its slot.

    Attributes:
        name: ``good-1``, ``blocked``, ...
        kind: what is special about it.
        identifier: what the card hash is made of: the PAN's ASCII digits, for the demo's
            member feed; it is a test PAN.
        contactless: the card over the air.
        contact: the same card in the slot.
    """

    name: str
    kind: Kind
    identifier: bytes = field(repr=False)
    contactless: VirtualUnionPayCard
    contact: VirtualUnionPayCard

    @property
    def enrolled(self) -> bool:
        """Whether the federation knows the card: all but the unknown one and the copy."""
        return self.kind not in (Kind.UNKNOWN, Kind.FORGED)


def demo_box(world: TestCa, *, seed: int, today: date, good: int = 6) -> tuple[BoxCard, ...]:
    """Fills a box: good cards, then one of every other kind.

    The forged card is a copy of ``good-1``: its account number and certificates, another key.
    Blocked and replaced cards are genuine; the roster says what they are.

    Args:
        world: test keys.
        seed: the same seed gives the same account numbers.
        today: the demo's date; cards are valid around it.
        good: how many good cards.
    """
    draw = random.Random(seed)  # noqa: S311 - account numbers of a demo
    serials = draw.sample(range(10**9), good + len(Kind))
    valid = years_later(today, 5)
    box: list[BoxCard] = []
    for number in range(1, good + 1):
        recipe = Recipe(pan=make_pan(serials.pop()), expires=valid)
        box.append(_card(world, f"good-{number}", Kind.GOOD, recipe))
    for kind in (Kind.BLOCKED, Kind.REPLACED, Kind.UNKNOWN):
        recipe = Recipe(pan=make_pan(serials.pop()), expires=valid)
        box.append(_card(world, kind.value, kind, recipe))
    past = years_later(today, -1)
    recipe = Recipe(pan=make_pan(serials.pop()), expires=past)
    box.append(_card(world, "expired", Kind.EXPIRED, recipe))
    copied = Recipe(pan=make_pan(serials.pop()), expires=valid)
    if box[0].kind is Kind.GOOD:
        copied = replace(copied, pan=box[0].identifier.decode())
    forger = world.forger
    box.append(_card(world, "forged", Kind.FORGED, replace(copied, signer=forger)))
    return tuple(box)


def _card(world: TestCa, name: str, kind: Kind, recipe: Recipe) -> BoxCard:
    return BoxCard(
        name,
        kind,
        recipe.pan.encode("ascii"),
        VirtualUnionPayCard(world, recipe, interface=Interface.CONTACTLESS),
        VirtualUnionPayCard(
            world,
            recipe,
            interface=Interface.CONTACT,
            manners=Manners(get_response=True),
        ),
    )
