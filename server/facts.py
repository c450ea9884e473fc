"""What a judgement rests on: events as the server holds them, and what was true when they happened.

Everything here is plain data, so that the same judge serves the projection, a rebuild and a
scenario in virtual time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from ledger.entry import Entry
from ledger.rules.offer import BrokenOffer, CardStatus, MemberView, Offer, Venue
from server.approvals import Approvals
from sync.feed import Reason, Verdict

T = TypeVar("T")

#: A terminal's clock may differ by this much from what receipts prove, without a flag.
CLOCK_TOLERANCE_MS: Final = 10 * 60 * 1000


class Position(NamedTuple):
    """Where an entry stands: ledger id, then position in it counted from 0."""

    ledger: str
    seq: int

    def __str__(self) -> str:
        return f"{self.ledger}/{self.seq}"


class History(Generic[T]):
    """Values with the moment from which each was in force.

    The first value also holds for all time before it: an import that is later than the first tap
    says nothing against that tap.
    """

    __slots__ = ("_moments", "_values")

    def __init__(self, points: Iterable[tuple[int, T]]) -> None:
        """Sorts the points.

        Args:
            points: pairs of milliseconds since the epoch and value; of two at the same moment
                the later in the sequence holds.
        """
        ordered = list(points)
        if len(ordered) > 1:
            ordered.sort(key=lambda point: point[0])
        self._moments = [moment for moment, _ in ordered]
        self._values = [value for _, value in ordered]

    def at(self, moment_ms: int) -> T | None:
        """The value in force, or ``None`` if there never was one."""
        if len(self._values) <= 1:
            return self._values[0] if self._values else None
        return self._values[max(bisect_right(self._moments, moment_ms) - 1, 0)]

    def __bool__(self) -> bool:
        return bool(self._values)


@dataclass(slots=True)
class Event:
    """One stored entry with the two moments between which it must have been written.

    Attributes:
        ledger: ledger id.
        seq: position in the ledger.
        entry: the decoded entry, or ``None`` if the stored bytes are no valid entry.
        after_ms: no earlier than this: enrolment, or the last receipt that the terminal is known
            to have had before; 0 if nothing is known.
        before_ms: no later than this: the receipt of the batch that brought it.
    """

    ledger: str
    seq: int
    entry: Entry | None
    after_ms: int
    before_ms: int
    #: Ledger and position in it.
    position: Position = field(init=False, compare=False, repr=False)
    #: The entry's kind, empty if the bytes are no valid entry.
    kind: str = field(init=False, compare=False, repr=False)
    #: Whether the terminal's clock disagrees with the receipts beyond the tolerance.
    skewed: bool = field(init=False, compare=False, repr=False)
    #: The moment for windows, days and reports: the terminal's word unless it is skewed.
    at_ms: int = field(init=False, compare=False, repr=False)
    #: Who was first: event time clipped to the receipts around it, ledger id, position.
    order: tuple[int, str, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Works out once what every look at the event asks for."""
        entry = self.entry
        claimed_ms = entry.get("ts_ms") if entry is not None else None
        if not isinstance(claimed_ms, int):
            claimed_ms = self.before_ms
        clipped_ms = max(min(claimed_ms, self.before_ms), min(self.after_ms, self.before_ms))
        self.position = Position(self.ledger, self.seq)
        self.kind = self.text("kind")
        self.skewed = abs(claimed_ms - clipped_ms) > CLOCK_TOLERANCE_MS
        self.at_ms = clipped_ms if self.skewed else claimed_ms
        self.order = (clipped_ms, self.ledger, self.seq)

    def text(self, name: str) -> str:
        """A text field of the entry, empty if absent."""
        value = self.entry.get(name, "") if self.entry is not None else ""
        return value if isinstance(value, str) else ""

    def number(self, name: str, default: int = 0) -> int:
        """An integer field of the entry, ``default`` if absent."""
        value = self.entry.get(name, default) if self.entry is not None else default
        return value if isinstance(value, int) else default


@dataclass(frozen=True, slots=True)
class CardState:
    """What the server knows of a card from one moment on.

    Attributes:
        status: as the roster gives it to terminals.
        member: member reference, empty if the card belongs to nobody yet.
    """

    status: CardStatus
    member: str


@dataclass(frozen=True, slots=True)
class LeaseTerm:
    """A stock lease as granted: units, and until when the terminal may spend them."""

    units: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that judging one member's events needs beside the events.

    Attributes:
        versions: every published version of the offers named, by offer id and version.
        in_force: per offer id, which version was published from when on.
        cards: per card hash, its states.
        members: per member reference, what was known of the member.
        venues: venues by id.
        revoked_from: per revoked ledger, the size that was receipted at the revocation; entries
            from there on are flagged.
        leases: leases by id.
        oversold: positions of redemptions beyond the stock (``server.stock.beyond``).
        approvals: what ``decide`` approved before, by the very offers in ``versions``.
    """

    versions: Mapping[tuple[str, int], Offer | BrokenOffer] = field(default_factory=dict)
    in_force: Mapping[str, History[Offer | BrokenOffer]] = field(default_factory=dict)
    cards: Mapping[str, History[CardState]] = field(default_factory=dict)
    members: Mapping[str, History[MemberView]] = field(default_factory=dict)
    venues: Mapping[str, Venue] = field(default_factory=dict)
    revoked_from: Mapping[str, int] = field(default_factory=dict)
    leases: Mapping[str, LeaseTerm] = field(default_factory=dict)
    oversold: frozenset[Position] = frozenset()
    approvals: Approvals = field(default_factory=Approvals)


@dataclass(frozen=True, slots=True)
class Finding:
    """The judge's word on one entry, before it is numbered and signed.

    Attributes:
        position: the entry.
        verdict: what it counts as.
        reasons: sorted names of what is wrong with it.
        counterpart: the entry it stands against: the first use of the same nonce, the use that
            had taken the limit, or for that use the one flagged after it.
        period: for a limit, the start of its period in milliseconds, 0 for the offer's life.
    """

    position: Position
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    counterpart: Position | None = None
    period: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Entries that somebody should look at together.

    Attributes:
        reason: what they have in common.
        positions: the flagged entries by event time; the accepted ones are not listed.
        member: member reference, empty if the entries are of none.
        offer: offer id.
        period: start of the limit's period, or ``None`` for another reason.
        first_ms: event time of the first of them.
    """

    reason: Reason
    positions: tuple[Position, ...]
    nonces: tuple[str, ...]
    member: str
    offer: str
    period: int | None
    first_ms: int
