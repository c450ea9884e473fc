"""Verified targets into force: catalogue, roster and CA keys, whole or not at all.

``sync`` has verified who signed the bytes; here it is decided whether they make sense. A malformed
file is refused and the snapshot in force stays, with one exception: a single offer that does not
parse becomes a broken one (O10) and the others come into force, for a signed snapshot cannot be
mended by the terminal and must not stop all other offers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from ledger.errors import OfferInvalid, WordsInvalid
from ledger.rules.catalogue import Catalogue, load_offers, load_venues
from ledger.rules.offer import Offer
from ledger.rules.published_words import NO_WORDS, load_words
from ledger.rules.terms import VENUE_ZONE
from ledger.rules.usage import Usage, Use
from ledger.rules.windows import local_day
from readers.cards.scheme import CardScheme
from readers.errors import ReaderError
from sync.errors import SyncError
from sync.snapshot import SnapshotStore
from sync.trust import TargetFile
from sync.used import USED_TARGET, decode_used
from terminal.errors import SnapshotRefused
from terminal.kept import KeptSnapshot, SnapshotFiles, keep
from terminal.state import Directory, Installed, NoCards, TerminalFacts

_LOG: Final = logging.getLogger("redcard.install")

OFFERS: Final = "offers.json"
VENUES: Final = "venues.json"
ROSTER: Final = "roster"
CA_KEYS: Final = "ca_keys.json"
#: Authorities of staff cards; without them no staff card is read.
PIV_ROOTS: Final = "piv_roots.json"

USED: Final = USED_TARGET.rpartition("/")[2]
MESSAGES: Final = "messages.json"
_TARGETS: Final = (OFFERS, VENUES, ROSTER, CA_KEYS, PIV_ROOTS, USED, MESSAGES)

#: Makes the card schemes from the CA bundle of the snapshot, ``None`` without one.
SchemesFactory: TypeAlias = Callable[[bytes | None, date], Sequence[CardScheme]]
#: Makes the scheme of staff cards from the bundle of their roots.
StaffFactory: TypeAlias = Callable[[bytes, date], CardScheme]
#: Takes the reader profiles of a snapshot; says what is wrong with them, empty if nothing is.
ProfilesTaker: TypeAlias = Callable[[SnapshotFiles], str]
#: Opens the roster file of the snapshot.
RosterOpener: TypeAlias = Callable[[Path], Directory]


def red_card_schemes(*, allow_test: bool) -> SchemesFactory:
    """The schemes of a terminal: the red card, off without a CA bundle in force, and lines.

    What a scanner or stripe reader sends is identified only, and never by a chip's connection.

    Args:
        allow_test: test keys are accepted; in the demo alone.
    """

    def make(bundle: bytes | None, today: date) -> Sequence[CardScheme]:
        from readers.cards.emv.ca_keys import load_ca_keys
        from readers.cards.scanned import Scanned
        from readers.cards.unionpay import UnionPay

        if bundle is None:
            return (Scanned(),)
        # lines first: they are told by their interface, and nothing is asked of a chip for it
        return (Scanned(), UnionPay(load_ca_keys(bundle, today, allow_test=allow_test)))

    return make


def staff_scheme(*, allow_test: bool) -> StaffFactory:
    """The scheme of staff and supervisors' cards, PIV.

    Args:
        allow_test: test roots are accepted; in the demo alone.
    """

    def make(bundle: bytes, today: date) -> CardScheme:
        from readers.cards.piv import Piv
        from readers.cards.piv_roots import load_piv_roots

        return Piv(load_piv_roots(bundle, today, allow_test=allow_test))

    return make


class Installer:
    """Puts what ``sync`` has brought into force."""

    def __init__(
        self,
        store: SnapshotStore | None,
        facts: TerminalFacts,
        schemes: SchemesFactory,
        open_roster: RosterOpener,
        *,
        kept: Path | None = None,
        card_key_id: str = "",
        staff: StaffFactory | None = None,
        ledger: str = "",
        profiles: ProfilesTaker = lambda _snapshot: "",
    ) -> None:
        """Installs nothing yet.

        Args:
            store: what the downlink has brought, ``None`` before enrolment.
            facts: where it comes into force.
            schemes: makes the card schemes.
            open_roster: opens the roster file.
            kept: folder for the last snapshot that made sense.
            card_key_id: the card key in this terminal's store.
            staff: makes the scheme of staff cards, where the snapshot brings their roots.
            ledger: this terminal's own, whose uses are not counted twice.
            profiles: takes the reader profiles that a snapshot brings.
        """
        self._take_profiles = profiles
        self._ledger = ledger
        self._make_staff = staff
        self._kept = kept
        self._card_key_id = card_key_id
        self._store = store
        self._facts = facts
        self._make_schemes = schemes
        self._open_roster = open_roster
        #: Number and signed time of the generation in force.
        self._installed = (0, 0)
        self._files: Mapping[str, TargetFile] = {}
        self.schemes: Sequence[CardScheme] = ()
        #: The CA bundle in force, verified; ``None`` for none.
        self.ca_bundle: bytes | None = None
        self.problem = "no snapshot has been pulled yet; run `redcard sync pull`"

    def install(self) -> bool:
        """Puts the newest generation in force; returns whether anything but its age changed.

        Raises:
            SnapshotRefused: a file in it makes no sense; what was in force stays.
        """
        generation = self._store.current if self._store is not None else None
        if generation is None or (generation.number, generation.signed_ms) == self._installed:
            return False
        if self._installed[0] and generation.files == self._files:
            # The same targets under a newer signature: only their age is another.
            installed = self._facts.installed
            self._facts.install(replace(installed, signed_ms=generation.signed_ms))
        else:
            self._put(generation)
            self._keep(generation)
            self.problem = self.problem or self._take_profiles(generation)
        self._installed = (generation.number, generation.signed_ms)
        self._files = generation.files
        return True

    def carried(self) -> int:
        """Puts in force what another process has brought, by stick; its signed time, 0 for none."""
        if self._store is None or not self._store.reread():
            return 0
        try:
            self.install()
        except SnapshotRefused as refusal:
            self.problem = str(refusal)
            return 0
        return self._facts.installed.signed_ms

    def begin(self) -> None:
        """Puts in force what there is at start: the newest, else the last that made sense."""
        self.schemes = self._make_schemes(None, self._today())
        try:
            self.install()
        except SnapshotRefused as refusal:
            kept = KeptSnapshot.load(self._kept) if self._kept is not None else None
            if kept is not None:
                self._put(kept)
            self.problem = str(refusal)

    def _put(self, snapshot: SnapshotFiles) -> None:
        fresh = self._read(snapshot)
        schemes = self._schemes_of(snapshot, fresh.catalogue)
        if fresh.cards.card_key_id not in {"", self._card_key_id}:
            self.problem = (
                f"the roster is made with card key {fresh.cards.card_key_id}, this terminal has "
                f"{self._card_key_id or 'none'}: every card is unknown until it is enrolled anew"
            )
        self._facts.install(fresh)
        self.schemes = schemes

    def _keep(self, snapshot: SnapshotFiles) -> None:
        if self._kept is None:
            return
        names = (named(snapshot, name) for name in _TARGETS)
        try:
            keep(self._kept, snapshot, [name for name in names if name])
        except OSError as error:
            # It is in force all the same; only a later refusal would find nothing to fall back on.
            _LOG.warning("the snapshot in force could not be kept: %s", error)

    def _read(self, snapshot: SnapshotFiles) -> Installed:
        try:
            catalogue = catalogue_of(snapshot)
            roster = named(snapshot, ROSTER)
            cards: Directory = NoCards()
            if roster:
                cards = self._open_roster(snapshot.path(roster))
            used = used_elsewhere(snapshot, self._ledger)
            said = named(snapshot, MESSAGES)
            words = load_words(snapshot.read(said), lenient=True) if said else NO_WORDS
        except (OfferInvalid, WordsInvalid, SyncError, OSError) as error:
            raise SnapshotRefused(
                f"snapshot {snapshot.version} is not usable ({error}); version "
                f"{self._facts.installed.version} stays in force: tell the federation"
            ) from error
        return Installed(catalogue, cards, snapshot.signed_ms, snapshot.version, used, words)

    def _today(self) -> date:
        return local_day(self._facts.time.now().now_ms, VENUE_ZONE)

    def _schemes_of(self, snapshot: SnapshotFiles, catalogue: Catalogue) -> Sequence[CardScheme]:
        """All card schemes in order: the red card, staff cards, and numbers where they will do."""
        return (
            *self._red_card(snapshot),
            *self._staff_cards(snapshot),
            *_by_number(catalogue),
        )

    def _staff_cards(self, snapshot: SnapshotFiles) -> Sequence[CardScheme]:
        """The scheme of staff cards, if the snapshot brings usable roots; else none is read."""
        name = named(snapshot, PIV_ROOTS)
        if not name or self._make_staff is None:
            return ()
        try:
            return (self._make_staff(snapshot.read(name), self._today()),)
        except (ReaderError, SyncError) as error:
            self.problem = self.problem or f"staff cards cannot be read: {error}"
            return ()

    def _red_card(self, snapshot: SnapshotFiles) -> Sequence[CardScheme]:
        """Card schemes; without usable CA keys every card is unknown, and the status says why."""
        name = named(snapshot, CA_KEYS)
        self.problem = "" if name else "the snapshot brings no CA keys; cards cannot be read"
        try:
            self.ca_bundle = snapshot.read(name) if name else None
            return self._make_schemes(self.ca_bundle, self._today())
        except (ReaderError, SyncError) as error:
            self.problem = str(error)
            return ()


def _by_number(catalogue: Catalogue) -> Sequence[CardScheme]:
    """Cards known by their serial number, only where an offer takes what is merely identified."""
    offers = catalogue.offers.values()
    if not any(isinstance(one, Offer) and one.identified for one in offers):
        return ()
    from readers.cards.uid import Uid

    return (Uid(),)


def catalogue_of(snapshot: SnapshotFiles) -> Catalogue:
    """Offers and venues of a verified snapshot; an offer that does not parse is a broken one.

    Raises:
        OfferInvalid: a file makes no sense as a whole.
        SyncError: the disk has altered it.
    """
    offers, venues = named(snapshot, OFFERS), named(snapshot, VENUES)
    places = load_venues(snapshot.read(venues)) if venues else {}
    if not offers:
        return Catalogue(venues=places)
    return load_offers(snapshot.read(offers), venues=places, lenient=True)


def used_elsewhere(snapshot: SnapshotFiles, ledger: str) -> Usage:
    """What members used at other terminals, as the snapshot says; nothing if it brings none.

    What stands in this terminal's own ledger it knows better itself.

    Raises:
        SyncError: it makes no sense, or the disk has altered it.
    """
    usage, name = Usage(), named(snapshot, USED)
    for use in decode_used(snapshot.read(name)).uses if name else ():
        if use.ledger != ledger:
            usage.add(
                Use(
                    use.ts_ms,
                    use.ledger,
                    use.seq,
                    use.quantity,
                    use.venue,
                    use.offer,
                    use.member,
                )
            )
    return usage


def named(snapshot: SnapshotFiles, name: str) -> str:
    """The target whose last part is this name, empty if there is none."""
    for path in snapshot.files:
        base = path.rpartition("/")[2]
        if base == name or (name == ROSTER and base.partition(".")[0] == ROSTER):
            return path
    return ""
