"""What the terminal tells its pages, its loopback API and the command line.

Plain frozen records without behaviour, all of them fit for JSON by :func:`plain`. None carries a
PAN, a UID, a name or a telephone number of a member. Times end in ``_ms``: UTC milliseconds since
the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum, unique
from typing import Any


@unique
class Phase(StrEnum):
    """What one position is doing; a page draws exactly one of these."""

    IDLE = "idle"
    READING = "reading"
    CARD = "card"
    ANSWER = "answer"
    CONFIRMING = "confirming"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Line:
    """Two lines of text: the large words and the small ones."""

    big: str
    small: str


@dataclass(frozen=True, slots=True)
class Wording:
    """The text of an answer: for the member, and for the operator, in both languages."""

    zh: Line
    en: Line
    operator_zh: Line
    operator_en: Line


@dataclass(frozen=True, slots=True)
class OfferShown:
    """An offer as pages name it; prices in fen, ``until_ms`` is the end of its window.

    Attributes:
        limits: how often a member may have it: units and period, the tightest first.
        proxy: a representative may collect it for colleagues.
    """

    id: str
    title: str
    title_en: str
    kind: str
    level: str
    until_ms: int | None = None
    member_price_fen: int = 0
    stock_left: int | None = None
    limits: tuple[tuple[int, str], ...] = ()
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class OfferChoice:
    """One line of the counter's list: a dry run of the decision for the card at hand.

    Attributes:
        key: number key that picks it, ``1`` to ``9``, or empty when it cannot be taken.
        outcome: ``approve``, ``decline``, ``refer`` or ``error``.
        code: the code a tap would get now.
        until_ms: when it becomes possible, or ``None``.
        usage: units of this offer that the member has had.
    """

    key: str
    offer: OfferShown
    outcome: str
    code: str
    until_ms: int | None
    usage: int
    message: Wording


@dataclass(frozen=True, slots=True)
class TapAnswer:
    """The answer to a tap or a void. It exists only after the entry, if any, is durable.

    Attributes:
        outcome: ``approve``, ``decline``, ``refer`` or ``error``.
        code: code of ``ledger.codes``, or ``None`` while a crash leaves it open.
        name: stable English name of the code.
        nonce: the nonce of this act.
        replay: the nonce was answered before; nothing new was written.
        reversed: the original was voided since; never shown green.
        entry: sequence number in the ledger, or ``None`` when nothing was written.
        usage: units of this offer by this member after the step, voided ones excluded.
        until_ms: when it becomes possible, or ``None``.
        ts_ms: time of the entry, of this answer when there is none.
        forced: a supervisor's override changed the outcome.
        force_sent: a supervisor's credential came with the request.
        receipt: text of the receipt QR, at most 300 bytes, or empty.
        advice: what would make the card's proof stronger, for example ``use_contact``.
        own_ms: milliseconds of own code from the card's last answer to this answer.
    """

    outcome: str
    code: str | None
    name: str
    nonce: str
    message: Wording
    offer: str = ""
    replay: bool = False
    reversed: bool = False
    entry: int | None = None
    usage: int = 0
    until_ms: int | None = None
    ts_ms: int = 0
    forced: bool = False
    force_sent: bool = False
    simulate: bool = False
    overridden: str = ""
    receipt: str = ""
    own_ms: float = 0.0
    advice: str = ""
    details: Mapping[str, str | int] | None = None

    @property
    def green(self) -> bool:
        """Whether a page or a reader may show the approved state."""
        return self.outcome == "approve" and not self.reversed and not self.simulate


@dataclass(frozen=True, slots=True)
class ReaderShown:
    """State of the reader at one position: absent, opening, ready, card or fault."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CardShown:
    """What a counter page may know of the card at hand; no identity.

    Attributes:
        code: empty when the card is usable, else why not (C02 to C08, M01).
        present: whether it still lies on the reader.
        assurance: ``authenticated`` or ``identified``.
        advice: code of what would make the proof stronger, or empty.
        expires_ms: when the page forgets it.
    """

    code: str
    present: bool
    scheme: str
    assurance: str
    advice: str
    expires_ms: int
    message: Wording | None = None


@dataclass(frozen=True, slots=True)
class LinkShown:
    """The line to the server.

    Attributes:
        connected: an authenticated exchange succeeded within 30 s, and none failed since.
        pending: entries of all kinds without a stored receipt.
        acknowledged: size of the ledger under the newest receipt.
        last_sync_ms: time of the last authenticated exchange, or ``None``.
        snapshot: ``fresh``, ``degraded`` or ``locked``.
        busy: a push or pull is under way.
        done: entries acknowledged of ``total`` in the push under way.
        problem: one sentence, or empty.
    """

    connected: bool
    pending: int
    acknowledged: int
    last_sync_ms: int | None
    snapshot: str
    busy: bool = False
    done: int = 0
    total: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShiftShown:
    """The open shift of a position."""

    id: str
    operator: str
    opened_ms: int


@dataclass(frozen=True, slots=True)
class TotalLine:
    """Count of one offer in a shift or a day: redemptions in units, and voids."""

    offer: str
    title: str
    title_en: str
    count: int
    voids: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one position since its shift opened, or since local midnight without a shift."""

    since_ms: int
    redeemed: int
    voided: int
    declined: int
    lines: tuple[TotalLine, ...] = ()


@dataclass(frozen=True, slots=True)
class RecentTap:
    """One line of a position's list of recent acts, newest first.

    Attributes:
        voidable_ms: milliseconds left in which this counter may void it, 0 when it may not.
        reversed: voided since.
        confirmed: the server's receipt covers it.
        verdict: the server's newest judgement, or empty.
    """

    seq: int
    nonce: str
    kind: str
    code: str
    offer: str
    title: str
    title_en: str
    ts_ms: int
    quantity: int
    reversed: bool
    confirmed: bool
    voidable_ms: int
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Unshown:
    """A tap that an interruption hid from the page, resolved by its nonce.

    Attributes:
        recorded: an entry with this nonce is in the ledger.
        answer: the recorded answer as a replay, or ``None`` when nothing was recorded.
        message: 「10:01 已登记」 or 「本次未登记」.
    """

    nonce: str
    recorded: bool
    offer: str
    ts_ms: int
    message: Wording
    answer: TapAnswer | None = None


@dataclass(frozen=True, slots=True)
class StaffProof:
    """Whether the staff corner opens.

    Attributes:
        ok: the PIN was right.
        set: this machine has a PIN at all.
        locked_until_ms: when the lockout ends, 0 if there is none.
    """

    ok: bool
    set: bool = True
    locked_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class PlaceShown:
    """Another venue where the same can be had, for whoever finds this machine out of service."""

    id: str
    name: str
    name_en: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class NoticeShown:
    """A notice of the federation to the people at the counter, shown until ``until_ms``."""

    id: str
    zh: str
    en: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class PositionView:
    """Everything a page needs to draw one position, at one moment.

    Attributes:
        since_ms: terminal time at which the phase began; results time out by it.
        now_ms: terminal time of this view, for the clock and the date on the page.
        demo: the terminal runs on a shifted clock; pages show its date.
        signed: entries in the ledger of kinds redeem and void.
        size: entries of all kinds.
        revision: grows with every change; a page that has it need not redraw.
        waiting: a tap asked for by the API or the command line waits for the next card.
        tiles: offers of a kiosk that has several; ``offer`` is the one touched, if any.
        nearby: where to go instead, while this machine is out of service.
        closed: the words of ``closed_code``.
        notices: what the federation tells the people here now.
    """

    position: str
    profile: str
    venue: str
    venue_name: str
    venue_name_en: str
    phase: Phase
    since_ms: int
    now_ms: int
    reader: ReaderShown
    link: LinkShown
    size: int
    signed: int
    confirmed: int
    offer: OfferShown | None = None
    card: CardShown | None = None
    choices: tuple[OfferChoice, ...] = ()
    answer: TapAnswer | None = None
    unshown: Unshown | None = None
    shift: ShiftShown | None = None
    closed_code: str = ""
    demo: bool = False
    practice: bool = False
    revision: int = 0
    waiting: bool = False
    tiles: tuple[OfferShown, ...] = ()
    nearby: tuple[PlaceShown, ...] = ()
    closed: Wording | None = None
    notices: tuple[NoticeShown, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminalStatus:
    """The terminal as ``redcard status`` prints it.

    Attributes:
        fault: why the ledger cannot be written, empty if it can.
        problems: what else hinders it, a sentence each: no CA keys, offers that do not parse.
    """

    ledger: str
    terminal: str
    origin: str
    size: int
    root: str
    boot: str
    now_ms: int
    link: LinkShown
    readers: tuple[ReaderShown, ...]
    positions: tuple[str, ...]
    fault: str = ""
    offers: int = 0
    cards: int = 0
    snapshot_version: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """What one push and pull did: ok, offline, need_from, quarantined, inconsistent or revoked."""

    status: str
    pushed: int
    acknowledged: int
    pending: int
    snapshot: str
    problem: str = ""


def plain(value: Any) -> Any:
    """Turns answers into what ``json.dumps`` takes; properties such as ``green`` included."""
    if is_dataclass(value) and not isinstance(value, type):
        document = {item.name: plain(getattr(value, item.name)) for item in fields(value)}
        if isinstance(value, TapAnswer):
            document["green"] = value.green
        return document
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
