"""What a decision needs to know of the terminal: its snapshot, its link, its caps and leases."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from ledger.rules.catalogue import Catalogue
from ledger.rules.offer import BrokenOffer, Offer
from ledger.rules.published_words import NO_WORDS, PublishedWords
from ledger.rules.request import CardView, MemberView
from ledger.rules.terms import CardStatus, SnapshotAge, Venue
from ledger.rules.usage import Usage
from readers.cards.scheme import CardAssurance
from terminal.clock import Clock, Moment, TimeFloor, moment
from terminal.presenting import Presented

#: A00 needs an authenticated exchange with the server at most this long before the tap.
CONNECTED_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Listed:
    """What the roster says of a card; ``expires`` is the last good year and month."""

    status: CardStatus
    member: MemberView | None
    expires: tuple[int, int] | None = None


class Directory(Protocol):
    """The roster: exact status of every card, by its hash."""

    def find(self, card: str) -> Listed | None:
        """What is known of a card, ``None`` if it is in no roster."""

    @property
    def card_key_id(self) -> str:
        """Which card key its hashes were made with, empty if it does not say."""

    def __len__(self) -> int:
        """Number of cards."""


class NoCards:
    """The roster of a terminal that has never received one: every card is unknown."""

    card_key_id = ""

    def find(self, card: str) -> Listed | None:
        """Always ``None``."""
        del card
        return None

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Installed:
    """The snapshot in force; replaced whole, never changed.

    Attributes:
        catalogue: offers and venues.
        cards: the roster.
        signed_ms: when the server signed that this snapshot is current, 0 for never.
        version: version of the snapshot metadata.
        used: what members used at other terminals, as of the snapshot.
        words: the federation's own texts and notices.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    cards: Directory = field(default_factory=NoCards)
    signed_ms: int = 0
    version: int = 0
    used: Usage = field(default_factory=Usage)
    words: PublishedWords = NO_WORDS

    def offer(self, name: str) -> Offer | BrokenOffer | None:
        """The offer of this id, also a broken one."""
        return self.catalogue.offers.get(name)

    def venue(self, name: str) -> Venue:
        """The venue of this id; one that the snapshot does not know has a name and no place."""
        return self.catalogue.venues.get(name) or Venue(name)


def card_view(presented: Presented, cards: Directory, today_iso: str) -> CardView:
    """Joins what the chip proved and what the roster says.

    The chip's own expiry counts where the roster has nothing graver to say (C04 and C05 win).

    Args:
        presented: the card as presented.
        cards: the roster.
        today_iso: local date at the venue, ISO 8601.
    """
    card = presented.card
    if card is None:
        return CardView(card=presented.claimed, status=presented.status)
    listed = cards.find(card.card)
    if listed is None:
        status, member = CardStatus.UNKNOWN, None
    else:
        status, member = listed.status, listed.member
    expired = card.expires is not None and card.expires.isoformat() < today_iso
    if listed is not None and listed.expires is not None:
        expired = expired or "{:04d}-{:02d}".format(*listed.expires) < today_iso[:7]
    if expired and status in {CardStatus.ACTIVE, CardStatus.NOT_ACTIVE}:
        status = CardStatus.EXPIRED
    assurance = "authenticated" if card.assurance is CardAssurance.AUTHENTICATED else "identified"
    return CardView(card.card, status, card.scheme, assurance, member)


def snapshot_age(signed_ms: int, now_ms: int, age_max_ms: int | None) -> SnapshotAge:
    """Grades the snapshot: fresh below half its limit, degraded below it, locked from it on."""
    if age_max_ms is None:
        return SnapshotAge.FRESH
    age_ms = max(0, now_ms - signed_ms)
    if age_ms >= age_max_ms:
        return SnapshotAge.LOCKED
    return SnapshotAge.DEGRADED if 2 * age_ms >= age_max_ms else SnapshotAge.FRESH


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the server.

    Attributes:
        heard_boot_ms: boot time of the last authenticated exchange, ``None`` for none yet.
        heard_ms: terminal time of it.
        failed: an exchange failed since.
        acknowledged: size of the ledger under the newest receipt.
        revoked: the server has revoked this ledger.
        quarantined: the server keeps this ledger apart as a fork.
        problem: what hinders the exchange, one sentence, or empty.
    """

    heard_boot_ms: int | None = None
    heard_ms: int | None = None
    failed: bool = False
    acknowledged: int = 0
    revoked: bool = False
    quarantined: bool = False
    problem: str = ""

    def connected(self, boot_ms: int) -> bool:
        """Whether the last authenticated exchange lies within 30 s and none failed since."""
        if self.heard_boot_ms is None or self.failed:
            return False
        return boot_ms - self.heard_boot_ms <= CONNECTED_MS


class TerminalTime:
    """The terminal's clock above its floor; shared by all threads."""

    def __init__(self, clock: Clock, floor: TimeFloor) -> None:
        self.clock = clock
        self._floor = floor
        self._lock = threading.Lock()

    def now(self) -> Moment:
        """Reads the clock once."""
        return moment(self.clock, self._floor)

    def signed(self, signed_ms: int) -> TimeFloor:
        """The server has signed a time; returns the floor to store."""
        with self._lock:
            self._floor = self._floor.raised(signed_ms, self.clock)
            return self._floor


class TerminalFacts:
    """The facts in force, each replaced whole under a lock."""

    def __init__(
        self, time: TerminalTime, installed: Installed, age_max_ms: int | None = None
    ) -> None:
        self.time = time
        self._age_max_ms = age_max_ms
        self._installed = installed
        self._link = Link()
        self._lock = threading.Lock()

    @property
    def installed(self) -> Installed:
        """The snapshot in force."""
        return self._installed

    @property
    def link(self) -> Link:
        """What is known of the server."""
        return self._link

    def snapshot_age(self, now: Moment) -> SnapshotAge:
        """How old the snapshot is against its limit."""
        return snapshot_age(self._installed.signed_ms, now.now_ms, self._age_max_ms)

    def limit_age(self, age_max_ms: int | None) -> None:
        """Sets the age from which every new tap is T02, ``None`` for never."""
        self._age_max_ms = age_max_ms

    def install(self, installed: Installed) -> None:
        """Puts another snapshot in force, whole."""
        with self._lock:
            self._installed = installed

    def update_link(self, **changes: object) -> Link:
        """Changes some of what is known of the server."""
        with self._lock:
            self._link = replace(self._link, **changes)  # type: ignore[arg-type]
            return self._link

    def heard(self, **changes: object) -> Link:
        """An authenticated exchange succeeded just now."""
        now = self.time.now()
        facts: Mapping[str, object] = {
            "heard_boot_ms": now.boot_ms,
            "heard_ms": now.now_ms,
            "failed": False,
            "problem": "",
        }
        return self.update_link(**{**facts, **changes})
