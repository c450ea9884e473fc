"""Offers as the rules see them: one frozen record for each published version.

Times are integer milliseconds since the Unix epoch (UTC); durations are milliseconds; money is fen
(1/100 yuan); minutes of a local day run from 0 to 1440. Windows are half-open, ``[from, until)``.
Days, weeks, months and years are the venue's. The records of a request and of the answer stand in
``request`` and the closed lists in ``terms``; both can be imported from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from ledger.rules.request import (
    CardView,
    Decision,
    LeaseView,
    MemberView,
    Prior,
    RedemptionRequest,
    TerminalState,
)
from ledger.rules.terms import (
    CAP_DEFAULT_UNITS,
    DAY_MINUTES,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    PROXY_CARDS_DEFAULT,
    VENUE_ZONE,
    Ask,
    Booking,
    CardStatus,
    HolidayRule,
    Level,
    LimitScope,
    MemberStatus,
    OfferKind,
    OfflineMode,
    OnlineAnswer,
    Period,
    Profile,
    Refill,
    ReservationState,
    SnapshotAge,
    StockMode,
    Venue,
)

__all__ = [
    "CAP_DEFAULT_UNITS",
    "DAY_MINUTES",
    "DAY_MS",
    "HOUR_MS",
    "MINUTE_MS",
    "PROXY_CARDS_DEFAULT",
    "VENUE_ZONE",
    "Ask",
    "Booking",
    "BrokenOffer",
    "CardStatus",
    "CardView",
    "Decision",
    "Eligibility",
    "Evidence",
    "HolidayRule",
    "Hours",
    "LeaseView",
    "Level",
    "Limit",
    "LimitScope",
    "MemberStatus",
    "MemberView",
    "Offer",
    "OfferKind",
    "OfflineMode",
    "OnlineAnswer",
    "Period",
    "Prior",
    "Profile",
    "RedemptionRequest",
    "Refill",
    "ReservationState",
    "Session",
    "SnapshotAge",
    "Stock",
    "StockMode",
    "TerminalState",
    "Venue",
    "VenueScope",
]


@dataclass(frozen=True, slots=True)
class Hours:
    """A local window of a day in minutes, half-open; the end may be 1440."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting: every open day by its hours, or once at a fixed instant.

    Attributes:
        hours: the local window on each open day, or ``None`` for a single sitting.
        from_ms: start of a single sitting.
        until_ms: end of a single sitting.
    """

    hours: Hours | None = None
    from_ms: int = 0
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """One rule on how often a member may use an offer.

    Attributes:
        count: units allowed in the period, or ``None`` when only days or time count.
        per: the period; ``offer`` is the whole life.
        scope: counted per member, or per member and venue.
        group: name under which several offers share one count, or empty.
        offers: identifiers of all offers of the group; filled in by the catalogue.
        days: number of distinct local days allowed in the period, or ``None``.
        within_ms: time since the first use of the period in which more uses are allowed.
        since_ms: only uses from this instant on, itself included, are limited.
        before_ms: only uses before this instant are limited.
    """

    count: int | None = None
    per: Period = Period.OFFER
    scope: LimitScope = LimitScope.MEMBER
    group: str = ""
    offers: tuple[str, ...] = ()
    days: int | None = None
    within_ms: int | None = None
    since_ms: int | None = None
    before_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """How many units exist and how leases of them are cut.

    Attributes:
        mode: how the quantity is divided.
        quantity: units in the pool, a day or a session; the sum for ``per_venue``.
        per_venue: units of each venue, for ``per_venue`` only.
        lease_ttl_ms: life of a lease, or ``None`` for the offer's end.
        leases: units that terminals hold at the start, by terminal.
    """

    mode: StockMode = StockMode.NONE
    quantity: int = 0
    per_venue: Mapping[str, int] = field(default_factory=dict)
    lease_ttl_ms: int | None = None
    leases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Who may use an offer; every part that is not empty must hold."""

    district: frozenset[str] = frozenset()
    street: frozenset[str] = frozenset()
    tags_all: frozenset[str] = frozenset()
    tags_any: frozenset[str] = frozenset()
    tags_none: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VenueScope:
    """At which venues an offer holds, by the venue's own place; empty parts do not count."""

    district: frozenset[str] = frozenset()
    street: frozenset[str] = frozenset()
    level: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that the clerk is asked to note, for example the number of a document."""

    name: str
    required: bool = True
    title: str = ""
    title_en: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One published version of an offer; see ``docs/offers.md`` for the file format."""

    id: str
    version: int = 1
    title: str = ""
    title_en: str = ""
    category: str = ""
    brand: str = ""
    programme: str = ""
    campaign: str = ""
    keywords: tuple[str, ...] = ()
    level: str = ""
    owner: str = ""
    kind: OfferKind = OfferKind.SERVICE
    suspended: bool = False
    from_ms: int
    until_ms: int
    weekdays: frozenset[int] = frozenset()
    hours: tuple[Hours, ...] = ()
    holidays: HolidayRule = HolidayRule.ORDINARY
    holiday_dates: frozenset[date] = frozenset()
    sessions: tuple[Session, ...] = ()
    venues: frozenset[str] = frozenset()
    scope: VenueScope | None = None
    eligibility: Eligibility = Eligibility()
    limits: tuple[Limit, ...] = ()
    interval_ms: int = 0
    re_entry_ms: int = 0
    stock: Stock = field(default_factory=Stock)
    member_price_fen: int | None = None
    list_price_fen: int | None = None
    discount_per_mille: int | None = None
    companions_max: int = 0
    companions_rule: str = ""
    evidence: tuple[Evidence, ...] = ()
    tolerance_ms: int = 0
    offline: OfflineMode = OfflineMode.OPEN
    cap: int = CAP_DEFAULT_UNITS
    home_venue: bool = False
    proxy_collect: bool = False
    proxy_cards: int = PROXY_CARDS_DEFAULT
    identified: bool = False
    identity_check: bool = False
    phone: str = ""
    booking: Booking = Booking.NONE
    booking_days: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokenOffer:
    """An offer of a signed snapshot that does not parse: every tap for it is O10."""

    id: str
    fault: str
    version: int = 0
