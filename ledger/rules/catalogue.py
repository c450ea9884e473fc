"""Offers and venues from their JSON files (``docs/offers.md``); faults name line and field.

A file is refused whole by ``load_offers``; only a signed snapshot is read leniently, so that one
bad offer fails closed (code O10) and the others stay in force.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from ledger.errors import OfferInvalid
from ledger.rules import fields, holidays, values
from ledger.rules.lines import line_of
from ledger.rules.offer import BrokenOffer, Limit, Offer, OfflineMode, Stock, StockMode, Venue

CATALOGUE_BYTES_MAX: Final = 64 * 1024 * 1024

#: Counts that start anew within a day; terminals may keep them loosely while they cannot talk.
SOFT_COUNTS: Final = frozenset({StockMode.PER_DAY, StockMode.PER_SESSION})

_VENUE_TEXTS: Final = ("name", "name_en", "kind", "level", "district", "street", "phone", "zone")
_VENUE_NOTES: Final = frozenset(
    {
        "demo",
        "address",
        "longitude",
        "latitude",
        "owner",
        "owner_kind",
        "accepted",
        "area_m2",
        "street_facing",
        "outside_compound",
    }
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All offers of one snapshot or file, and the venues they are used at.

    Attributes:
        offers: by identifier; an offer that failed validation is a ``BrokenOffer``.
        venues: by identifier.
    """

    offers: Mapping[str, Offer | BrokenOffer] = field(default_factory=dict)
    venues: Mapping[str, Venue] = field(default_factory=dict)

    def at(self, venue: Venue) -> list[Offer]:
        """Sound offers that can be used at a venue, by identifier."""
        found = [offer for offer in self.offers.values() if isinstance(offer, Offer)]
        return sorted((one for one in found if held_at(one, venue)), key=lambda one: one.id)


def held_at(offer: Offer, venue: Venue) -> bool:
    """Whether an offer is given at a venue: by name, by scope, or everywhere."""
    if offer.venues and venue.id not in offer.venues:
        return False
    scope = offer.scope
    if scope is None:
        return True
    return (
        (not scope.district or venue.district in scope.district)
        and (not scope.street or venue.street in scope.street)
        and (not scope.level or venue.level in scope.level)
    )


def load_offers(
    data: bytes,
    *,
    venues: Mapping[str, Venue] | None = None,
    holiday_dates: frozenset[date] | None = None,
    lenient: bool = False,
) -> Catalogue:
    """Reads a JSON array of offers.

    Args:
        data: the file's bytes, UTF-8.
        venues: venues to carry along; when given, offers may name no others.
        holiday_dates: public holidays, local dates; absent, the shipped calendar.
        lenient: an offer that fails keeps its identifier and becomes O10 at each tap.

    Raises:
        OfferInvalid: the file, or without ``lenient`` an offer, is malformed.
    """
    text, items = _array(data)
    calendar = holidays.PUBLIC_HOLIDAYS if holiday_dates is None else holiday_dates
    offers: dict[str, Offer | BrokenOffer] = {}
    for index, item in enumerate(items):
        try:
            offer = parse_offer(item, holiday_dates=calendar)
            _check_known(offer, offers, venues)
        except OfferInvalid as fault:
            identifier = str(item.get("id", "")) if isinstance(item, dict) else ""
            if not lenient or not identifier:
                raise _placed(fault, text, index) from None
            version = item.get("version")
            offers[identifier] = BrokenOffer(
                identifier, str(fault), version if type(version) is int else 0
            )
        else:
            offers[offer.id] = offer
    return Catalogue(offers=share_groups(offers), venues=dict(venues or {}))


def faults(data: bytes, *, venues: Mapping[str, Venue] | None = None) -> list[OfferInvalid]:
    """Every fault of an offers file, one for each offer that does not parse.

    Args:
        data: the file's bytes, UTF-8.
        venues: when given, offers may name no others.
    """
    found: list[OfferInvalid] = []
    try:
        text, items = _array(data)
    except OfferInvalid as fault:
        return [fault]
    offers: dict[str, Offer | BrokenOffer] = {}
    for index, item in enumerate(items):
        try:
            offer = parse_offer(item)
            _check_known(offer, offers, venues)
        except OfferInvalid as fault:
            found.append(_placed(fault, text, index))
        else:
            offers[offer.id] = offer
    return found


def load_venues(data: bytes) -> dict[str, Venue]:
    """Reads a JSON array of venues.

    Raises:
        OfferInvalid: the file is malformed; the message names line and field.
    """
    text, items = _array(data)
    venues: dict[str, Venue] = {}
    for index, item in enumerate(items):
        try:
            venue = parse_venue(item)
        except OfferInvalid as fault:
            raise _placed(fault, text, index) from None
        if venue.id in venues:
            twice = OfferInvalid(f"venue {venue.id} is defined twice", field="id")
            raise _placed(twice, text, index)
        venues[venue.id] = venue
    return venues


def parse_venue(item: object) -> Venue:
    """One venue from its mapping.

    Raises:
        OfferInvalid: a key is unknown or a value is not a text.
    """
    source = values.mapping(item, "")
    values.only(source, {"id", *_VENUE_TEXTS} | _VENUE_NOTES, "")
    texts = {name: values.text(source, name) for name in _VENUE_TEXTS if name in source}
    if "zone" in texts:
        values.zone(texts["zone"], "zone")
    return Venue(id=values.identifier(source, "id"), **texts)


def parse_offer(item: object, *, holiday_dates: frozenset[date] | None = None) -> Offer:
    """One offer from its mapping, checked in itself.

    Raises:
        OfferInvalid: with ``field`` set to the dotted path; ``line`` is not known here.
    """
    calendar = holidays.PUBLIC_HOLIDAYS if holiday_dates is None else holiday_dates
    offer = fields.offer(values.mapping(item, ""), calendar)
    check(offer)
    return offer


def check(offer: Offer) -> None:
    """What must hold between the fields of one offer.

    Raises:
        OfferInvalid: naming the field that breaks the rule, and the remedy.
    """
    if offer.from_ms >= offer.until_ms:
        raise OfferInvalid("until must lie after from", field="until")
    if offer.stock.mode is not StockMode.NONE:
        _check_stock(offer)
    for index, limit in enumerate(offer.limits):
        if (limit.since_ms or 0) >= (limit.before_ms or values.INTEGER_MAX):
            raise OfferInvalid("before must lie after since", field=f"limits[{index}].before")
        if limit.group and limit.count is None:
            raise OfferInvalid("a group shares a count", field=f"limits[{index}].group")


def _check_stock(offer: Offer) -> None:
    exact = {OfflineMode.LEASED, OfflineMode.RESERVED, OfflineMode.ONLINE}
    soft = offer.offline is OfflineMode.CAPPED and offer.stock.mode in SOFT_COUNTS
    if offer.offline not in exact and not soft:
        raise OfferInvalid(
            f"stock {offer.stock.mode} would oversell with offline {offer.offline}: use leased, "
            "reserved or online (capped only for a soft count per day or session)",
            field="offline",
        )
    if offer.stock.mode is StockMode.PER_VENUE and offer.venues:
        stray = sorted(set(offer.stock.per_venue) - offer.venues)
        if stray:
            raise OfferInvalid(
                f"venue {stray[0]} does not give this offer", field="stock.per_venue"
            )


def share_groups(
    offers: Mapping[str, Offer | BrokenOffer],
) -> dict[str, Offer | BrokenOffer]:
    """Tells each limit of a group which offers share its count."""
    groups: dict[str, list[str]] = {}
    for offer in offers.values():
        for limit in offer.limits if isinstance(offer, Offer) else ():
            if limit.group and offer.id not in groups.setdefault(limit.group, []):
                groups[limit.group].append(offer.id)
    return {
        key: _shared(offer, groups) if isinstance(offer, Offer) else offer
        for key, offer in offers.items()
    }


def _shared(offer: Offer, groups: Mapping[str, Sequence[str]]) -> Offer:
    if not any(limit.group for limit in offer.limits):
        return offer
    limits: list[Limit] = [
        replace(limit, offers=tuple(sorted(groups[limit.group]))) if limit.group else limit
        for limit in offer.limits
    ]
    return replace(offer, limits=tuple(limits))


def _check_known(
    offer: Offer, offers: Mapping[str, object], venues: Mapping[str, Venue] | None
) -> None:
    if offer.id in offers:
        raise OfferInvalid(f"offer {offer.id} is defined twice", field="id")
    if venues is not None:
        stray = sorted(name for name in offer.venues if name not in venues)
        if stray:
            raise OfferInvalid(f"no venue is called {stray[0]}", field="venues")


def _array(data: bytes) -> tuple[str, list[dict[str, object]]]:
    if len(data) > CATALOGUE_BYTES_MAX:
        raise OfferInvalid(f"the file is larger than {CATALOGUE_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = data[: fault.start].count(b"\n") + 1
        raise OfferInvalid("the file is not UTF-8", line=line) from None
    try:
        parsed = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as fault:
        raise OfferInvalid(f"not JSON: {fault.msg}", line=fault.lineno) from None
    except RecursionError:
        raise OfferInvalid("the file is nested too deeply") from None
    except ValueError:
        # Python converts no more than 4,300 digits.
        raise OfferInvalid("the file holds a number of thousands of digits") from None
    if not isinstance(parsed, list):
        raise OfferInvalid("the file must hold one JSON array", line=1)
    return text, parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise OfferInvalid(f"the key {key} stands twice in one object", field=key)
    return dict(pairs)


def _placed(fault: OfferInvalid, text: str, index: int) -> OfferInvalid:
    message = str(fault).split(": ", 1)[1] if fault.field else str(fault)
    return OfferInvalid(message, field=fault.field, line=line_of(text, index, fault.field))


#: A stock that bounds nothing; the default of an offer.
NO_STOCK: Final = Stock()
