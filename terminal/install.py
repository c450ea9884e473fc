"""Verified targets into force: catalogue, roster and CA keys, whole or not at all.

``sync`` has verified who signed the bytes; here it is decided whether they make sense. A malformed
file is refused and the snapshot in force stays, with one exception: a single offer that does not
parse becomes a broken one (O10) and the others come into force, for a signed snapshot cannot be
mended by the terminal and must not stop all other offers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from ledger.errors import OfferInvalid
from ledger.rules.catalogue import Catalogue, load_offers, load_venues
from ledger.rules.terms import VENUE_ZONE
from ledger.rules.windows import local_day
from readers.cards.scheme import CardScheme
from readers.errors import ReaderError
from sync.errors import SyncError
from sync.snapshot import Generation, SnapshotStore
from sync.trust import TargetFile
from terminal.errors import SnapshotRefused
from terminal.state import Directory, Installed, NoCards, TerminalFacts

OFFERS: Final = "offers.json"
VENUES: Final = "venues.json"
ROSTER: Final = "roster"
CA_KEYS: Final = "ca_keys.json"

#: Makes the card schemes from the CA bundle of the snapshot, ``None`` without one.
SchemesFactory: TypeAlias = Callable[[bytes | None, date], Sequence[CardScheme]]
#: Opens the roster file of the snapshot.
RosterOpener: TypeAlias = Callable[[Path], Directory]


def red_card_schemes(*, allow_test: bool) -> SchemesFactory:
    """The schemes of a terminal: the red card, off without a CA bundle in force.

    Args:
        allow_test: test keys are accepted; in the demo alone.
    """

    def make(bundle: bytes | None, today: date) -> Sequence[CardScheme]:
        from readers.cards.emv.ca_keys import load_ca_keys
        from readers.cards.unionpay import UnionPay

        if bundle is None:
            return ()
        return (UnionPay(load_ca_keys(bundle, today, allow_test=allow_test)),)

    return make


class Installer:
    """Puts what ``sync`` has brought into force."""

    def __init__(
        self,
        store: SnapshotStore | None,
        facts: TerminalFacts,
        schemes: SchemesFactory,
        open_roster: RosterOpener,
    ) -> None:
        self._store = store
        self._facts = facts
        self._make_schemes = schemes
        self._open_roster = open_roster
        self._generation = 0
        self._files: Mapping[str, TargetFile] = {}
        self.schemes: Sequence[CardScheme] = ()
        self.problem = "no snapshot has been pulled yet; run `redcard sync pull`"

    def install(self) -> bool:
        """Puts the newest generation in force; returns whether anything but its age changed.

        Raises:
            SnapshotRefused: a file in it makes no sense; what was in force stays.
        """
        generation = self._store.current if self._store is not None else None
        if generation is None:
            self.schemes = self._make_schemes(None, self._today())
            return False
        if generation.number == self._generation:
            return False
        installed = self._facts.installed
        if self._generation and generation.files == self._files:
            # The same targets under a newer signature: only their age is another.
            self._facts.install(replace(installed, signed_ms=generation.signed_ms))
        else:
            fresh = self._read(generation)
            schemes = self._schemes_of(generation)
            self._facts.install(fresh)
            self.schemes = schemes
        self._generation, self._files = generation.number, generation.files
        return True

    def _read(self, generation: Generation) -> Installed:
        try:
            catalogue = catalogue_of(generation)
            roster = named(generation, ROSTER)
            cards: Directory = NoCards()
            if roster:
                cards = self._open_roster(generation.path(roster))
        except (OfferInvalid, SyncError, OSError) as error:
            raise SnapshotRefused(
                f"snapshot {generation.version} is not usable ({error}); version "
                f"{self._facts.installed.version} stays in force: tell the federation"
            ) from error
        return Installed(catalogue, cards, generation.signed_ms, generation.version)

    def _today(self) -> date:
        return local_day(self._facts.time.now().now_ms, VENUE_ZONE)

    def _schemes_of(self, generation: Generation) -> Sequence[CardScheme]:
        """Card schemes; without usable CA keys every card is unknown, and the status says why."""
        name = named(generation, CA_KEYS)
        self.problem = "" if name else "the snapshot brings no CA keys; cards cannot be read"
        try:
            return self._make_schemes(generation.read(name) if name else None, self._today())
        except (ReaderError, SyncError) as error:
            self.problem = str(error)
            return ()


def catalogue_of(generation: Generation) -> Catalogue:
    """Offers and venues of a verified snapshot; an offer that does not parse is a broken one.

    Raises:
        OfferInvalid: a file makes no sense as a whole.
        SyncError: the disk has altered it.
    """
    offers, venues = named(generation, OFFERS), named(generation, VENUES)
    places = load_venues(generation.read(venues)) if venues else {}
    if not offers:
        return Catalogue(venues=places)
    return load_offers(generation.read(offers), venues=places, lenient=True)


def named(generation: Generation, name: str) -> str:
    """The target whose last part is this name, empty if there is none."""
    for path in generation.files:
        base = path.rpartition("/")[2]
        if base == name or (name == ROSTER and base.partition(".")[0] == ROSTER):
            return path
    return ""
