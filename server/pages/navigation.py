"""The menu: which pages there are, in which order, and who sees which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from server.pages.words import N_
from server.roles import Actor, Right


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the menu."""

    path: str
    title: str
    right: Right


@dataclass(frozen=True, slots=True)
class Item:
    """A place as one visitor sees it."""

    path: str
    title: str
    current: bool


#: The menu in groups; a line stands between two.
PLACES: Final = (
    (Place("/", N_("Overview"), Right.OVERVIEW),),
    (
        Place("/offers", N_("Offers"), Right.OFFERS_VIEW),
        Place("/stock", N_("Stock"), Right.OFFERS_VIEW),
        Place("/hotline", N_("Hotline look-up"), Right.LOOK_UP),
        Place("/members", N_("Members"), Right.LOOK_UP),
    ),
    (
        Place("/terminals", N_("Terminals"), Right.FLEET_VIEW),
        Place("/cases", N_("Cases"), Right.CASES_VIEW),
    ),
    (
        Place("/reports", N_("Reports"), Right.REPORTS),
        Place("/settlement", N_("Settlement"), Right.SETTLEMENT_VIEW),
    ),
    (
        Place("/people", N_("People and roles"), Right.PEOPLE),
        Place("/audit", N_("Audit record"), Right.AUDIT),
    ),
)


def menu_of(actor: Actor, here: str) -> tuple[tuple[Item, ...], ...]:
    """The menu for somebody who stands at a path."""
    groups = (
        tuple(
            Item(place.path, place.title, _inside(here, place.path))
            for place in group
            if actor.may(place.right)
        )
        for group in PLACES
    )
    return tuple(group for group in groups if group)


def first_page(actor: Actor) -> str:
    """Where somebody begins."""
    return next((place.path for group in PLACES for place in group if actor.may(place.right)), "/")


def _inside(here: str, path: str) -> bool:
    return here == path if path == "/" else here == path or here.startswith(path + "/")
