"""What every signal is given, what it answers, and which signals there are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import server.signals
from ledger.rules.offer import VENUE_ZONE, BrokenOffer, Offer, Venue
from ledger.rules.windows import local

_TITLE_MAX: Final = 40

#: What a signal tells of a pattern: counts, minutes, kilometres, names of places and offers.
Details = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One redemption that counts: neither voided nor a duplicate.

    Attributes:
        position: ``<ledger>/<seq>``.
        nonce: of the tap.
        at_ms: when it happened, as judged.
        day: ``yyyymmdd`` of the venue.
        card: card hash.
        member: member reference, or empty.
        offer: offer id.
        offer_version: as the entry names it.
        venue: venue id.
        code: A00, A01 or A02.
        quantity: units.
        agent: card hash of who collected for the member, or empty.
    """

    position: str
    nonce: str
    at_ms: int
    day: int
    card: str
    member: str
    offer: str
    offer_version: int
    venue: str
    code: str
    quantity: int = 1
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the uses: offers by id and version, newest by id, venues by id."""

    versions: Mapping[tuple[str, int], Offer | BrokenOffer]
    newest: Mapping[str, Offer | BrokenOffer]
    venues: Mapping[str, Venue]

    def offer_of(self, use: Use) -> Offer | None:
        """The version that an entry names, else the newest; ``None`` if none of them is sound."""
        named = self.versions.get((use.offer, use.offer_version)) or self.newest.get(use.offer)
        return named if isinstance(named, Offer) else None

    def title_of(self, use: Use) -> str:
        """What people call the offer."""
        offer = self.offer_of(use)
        return (offer.title if offer is not None else "")[:_TITLE_MAX] or use.offer

    def venue_of(self, use: Use) -> Venue:
        """The venue, or a nameless one of its id."""
        return self.venues.get(use.venue) or Venue(use.venue)

    def name_of(self, use: Use) -> str:
        """What people call the venue."""
        return self.venue_of(use).name[:_TITLE_MAX] or use.venue

    def clock_of(self, use: Use) -> str:
        """The venue's clock at the use, ``hh:mm``."""
        return f"{local(use.at_ms, self.venue_of(use).zone or VENUE_ZONE):%H:%M}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a signal saw on one day.

    Attributes:
        subject: what makes it the same pattern when the day is looked at again: a card hash or a
            venue, never personal data; unique within signal, offer and day.
        offer: the offer concerned, or empty.
        uses: the redemptions, by time.
        details: what the explanation says.
    """

    subject: str
    offer: str
    uses: tuple[Use, ...]
    details: Details


class Signal(Protocol):
    """One kind of pattern. Pure: the same day gives the same patterns."""

    @property
    def name(self) -> str:
        """Word of a case's reason, at most 24 characters ``[a-z_]``."""

    @property
    def title(self) -> tuple[str, str]:
        """What people call it, Chinese and English."""

    def look(self, uses: Sequence[Use], known: Surroundings) -> Iterable[Pattern]:
        """Looks at all uses of one day, in order of time."""

    def explain(self, details: Details) -> tuple[str, str]:
        """What was seen, why it is unusual and what to look at: Chinese and English."""


def signals() -> Iterator[Signal]:
    """Every signal of this folder, by name of its file."""
    for found in sorted(pkgutil.iter_modules(server.signals.__path__), key=lambda one: one.name):
        module = importlib.import_module(f"{server.signals.__name__}.{found.name}")
        signal: Signal | None = getattr(module, "SIGNAL", None)
        if signal is not None:
            yield signal


def explain(reason: str, details: Details) -> tuple[str, str] | None:
    """The words of a case that a signal opened; ``None`` if no signal bears its reason."""
    for signal in signals():
        if signal.name == reason:
            return signal.explain(details)
    return None
