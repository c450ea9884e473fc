"""Words of the rules: the closed lists from which offers, cards and states are described."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

VENUE_ZONE: Final = "Asia/Shanghai"
CAP_DEFAULT_UNITS: Final = 20
#: Colleagues' cards that one representative may collect for in a local day, of one offer.
PROXY_CARDS_DEFAULT: Final = 200
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
DAY_MINUTES: Final = 24 * 60


@unique
class Level(StrEnum):
    """Which of the three levels publishes an offer or runs a venue."""

    CITY = "city"
    DISTRICT = "district"
    STREET = "street"


@unique
class OfferKind(StrEnum):
    """What a member gets."""

    TICKET = "ticket"
    COUPON = "coupon"
    ENTRY = "entry"
    DISCOUNT = "discount"
    SERVICE = "service"
    ENROLMENT = "enrolment"


@unique
class OfflineMode(StrEnum):
    """What an offer promises while terminals cannot talk to each other."""

    OPEN = "open"
    CAPPED = "capped"
    LEASED = "leased"
    RESERVED = "reserved"
    ONLINE = "online"


@unique
class Period(StrEnum):
    """The calendar period in which a limit counts; ``offer`` is the offer's whole life."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"
    OFFER = "offer"


@unique
class LimitScope(StrEnum):
    """Whether a limit counts a member everywhere or at each venue apart."""

    MEMBER = "member"
    MEMBER_VENUE = "member_venue"


@unique
class StockMode(StrEnum):
    """How the stock of an offer is divided."""

    NONE = "none"
    POOL = "pool"
    PER_VENUE = "per_venue"
    PER_DAY = "per_day"
    PER_SESSION = "per_session"


@unique
class HolidayRule(StrEnum):
    """What public holidays mean; ``ordinary`` treats them as any day of the week."""

    ORDINARY = "ordinary"
    CLOSED = "closed"
    OPEN = "open"
    ONLY = "only"


@unique
class Booking(StrEnum):
    """Whether a place must be booked before."""

    NONE = "none"
    OPTIONAL = "optional_by_phone"
    REQUIRED = "required"


@unique
class CardStatus(StrEnum):
    """What reader and roster say of the card or cards in the field."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    REPLACED = "replaced"
    EXPIRED = "expired"
    NOT_ACTIVE = "not_active"
    UNKNOWN = "unknown"
    FAKE = "fake"
    UNREADABLE = "unreadable"
    SEVERAL = "several"


@unique
class MemberStatus(StrEnum):
    """Whether a member may use offers at all."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@unique
class Profile(StrEnum):
    """A counter has a clerk; a kiosk has nobody and can neither void nor override."""

    COUNTER = "counter"
    KIOSK = "kiosk"


@unique
class SnapshotAge(StrEnum):
    """How old the signed downlink data is against its limit."""

    FRESH = "fresh"
    DEGRADED = "degraded"
    LOCKED = "locked"


@unique
class Refill(StrEnum):
    """What came of asking the server for more units of a used-up lease."""

    NOT_ASKED = "not_asked"
    UNANSWERED = "unanswered"
    POOL_EMPTY = "pool_empty"
    VENUE_EMPTY = "venue_empty"


@unique
class Ask(StrEnum):
    """What a connected terminal asks the server, then decides again with what came of it."""

    NOTHING = ""
    REFILL = "refill"
    HOLD = "hold"


@unique
class OnlineAnswer(StrEnum):
    """What the server said of an ``online`` offer; ``code`` carries its own decision."""

    NOT_ASKED = "not_asked"
    UNANSWERED = "unanswered"
    HELD = "held"
    REFUSED = "refused"


@unique
class ReservationState(StrEnum):
    """What is known of the member's reservation for this offer at this venue."""

    NONE = "none"
    VALID = "valid"
    OTHER_VENUE = "other_venue"
    OTHER_TERMINAL = "other_terminal"
    TOO_MANY = "too_many"
    USED = "used"
    EXPIRED = "expired"
    NOT_GENUINE = "not_genuine"


@dataclass(frozen=True, slots=True)
class Venue:
    """A place with terminals: station, museum, merchant.

    Attributes:
        id: identifier as it stands in entries.
        zone: name of the IANA time zone that its days follow.
    """

    id: str
    name: str = ""
    name_en: str = ""
    kind: str = ""
    level: str = ""
    district: str = ""
    street: str = ""
    phone: str = ""
    zone: str = VENUE_ZONE
