"""Where else the same can be had: told when this machine is out of service."""

from __future__ import annotations

from typing import Final

from ledger.rules.terms import Venue
from terminal.answers import PlaceShown
from terminal.state import Installed

PLACES_SHOWN: Final = 2


def nearby(installed: Installed, here: Venue) -> tuple[PlaceShown, ...]:
    """The nearest other venues: of the same street first, then of the same district.

    Venues have no coordinates in the snapshot; street and district are what people name. Stations
    come before museums and merchants, since they can help with anything.
    """
    others = [one for one in installed.catalogue.venues.values() if one.id != here.id and one.name]
    others.sort(key=lambda one: (_distance(one, here), one.kind != "station", one.id))
    return tuple(
        PlaceShown(one.id, one.name, one.name_en or one.name, one.phone)
        for one in others[:PLACES_SHOWN]
    )


def _distance(venue: Venue, here: Venue) -> int:
    same_district = bool(here.district) and venue.district == here.district
    if same_district and here.street and venue.street == here.street:
        return 0
    return 1 if same_district else 2
