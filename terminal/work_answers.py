"""What the counter's daily work tells its pages, its API and the command line.

Plain frozen records, all fit for JSON by :func:`terminal.answers.plain`. None carries a PAN, a UID,
a member's name or a telephone number. Times end in ``_ms``: UTC milliseconds since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.answers import Line, TotalLine, Wording


@dataclass(frozen=True, slots=True)
class CollectedCard:
    """One colleague's card in a proxy collection (代领).

    Attributes:
        number: its place in the list, from 1; the clerk lays cards down in this order.
        outcome: ``approve``, ``decline``, ``refer`` or ``error``; a dry run until ``entry`` is set.
        code: code of ``ledger.codes``.
        tail: last four characters of the card hash, to tell two lines apart; no digit of the card.
        same_as: number of the line with the same card or member, or 0.
        entry: sequence number in the ledger, ``None`` while nothing is recorded.
        nonce: of its tap, set when the list was confirmed.
    """

    number: int
    outcome: str
    code: str
    message: Wording
    tail: str = ""
    same_as: int = 0
    until_ms: int | None = None
    entry: int | None = None
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class CollectionShown:
    """A proxy collection at one position: the representative first, then the colleagues.

    Attributes:
        batch: its identity, a ULID; entries carry it, and it names the sign-off sheet.
        state: ``open`` (cards are added by laying them on the reader), ``done`` (recorded).
        quantity: units for each card.
        agent: last four characters of the representative's card hash.
        units: units that confirming would give out now, or has given out.
        takable: cards that can take it; ``refused``: the others.
        stock_left: units this terminal can still give out after ``units``, ``None`` if unknown.
        allowance_left: cards that this representative may still collect today, after these.
        cards_max: longest list.
        hold: telephone hold that the units come from, or empty.
        checkpoint_size: size of the ledger after the one commit, 0 while open.
        last_fault: why the card laid last is not on the list: ``unreadable``, ``several``,
            ``full``, or empty.
    """

    batch: str
    state: str
    position: str
    offer: str
    title: str
    title_en: str
    quantity: int
    agent: str
    began_ms: int
    cards: tuple[CollectedCard, ...]
    units: int
    takable: int
    refused: int
    stock_left: int | None
    allowance_left: int
    cards_max: int
    hold: str = ""
    venue: str = ""
    operator: str = ""
    ts_ms: int = 0
    checkpoint_size: int = 0
    last_fault: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One offer that a search found; ``rank`` 0 is the best match.

    ``offline``: how it is given out without the server, as in the catalogue.
    """

    id: str
    title: str
    title_en: str
    kind: str
    level: str
    category: str
    until_ms: int
    here: bool
    rank: int
    stock_left: int | None = None
    phone: str = ""
    offline: str = ""


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One offer in a member's account.

    Attributes:
        used: units used by this member, as far as this terminal knows.
        last_ms: last use, or ``None``.
        last_place: where, in both languages; empty at a kiosk's own rule or when unknown.
        can_take: whether a tap would be approved here and now.
        until_ms: when it becomes possible, or ``None``.
    """

    offer: str
    title: str
    title_en: str
    used: int
    last_ms: int | None
    last_place: str
    last_place_en: str
    can_take: bool
    code: str
    until_ms: int | None
    message: Wording


@dataclass(frozen=True, slots=True)
class AccountShown:
    """A member's own account (会员自查): what was used and what is still possible. No name.

    Attributes:
        card_code: empty when the card is usable, else why not.
        year_units: units used this calendar year.
        used: offers with uses, newest first; ``possible``: others that can be taken here.
        as_of_ms: uses at other terminals are known up to here (the snapshot's time).
    """

    card_code: str
    year_units: int
    used: tuple[AccountLine, ...]
    possible: tuple[AccountLine, ...]
    as_of_ms: int
    message: Wording | None = None


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp of the self-test: ``reader``, ``printer``, ``clock``, ``ledger``; with a remedy.

    ``vital`` lamps stop taps; a printer never does.
    """

    name: str
    ok: bool
    vital: bool
    zh: Line
    en: Line


@dataclass(frozen=True, slots=True)
class CountLine:
    """Goods of one offer at closing: by the ledger, and as counted (``None``: not counted)."""

    offer: str
    title: str
    title_en: str
    expected: int
    counted: int | None = None
    difference: int = 0


@dataclass(frozen=True, slots=True)
class ShiftClosed:
    """A closed shift: totals as ``Totals`` has them, goods, the reason of a difference.

    ``pending`` entries are signed here and go up later: they never hinder a closing.
    """

    shift: str
    operator: str
    since_ms: int
    closed_ms: int
    redeemed: int
    voided: int
    declined: int
    lines: tuple[TotalLine, ...]
    goods: tuple[CountLine, ...]
    reason: str
    pending: int


@dataclass(frozen=True, slots=True)
class ShiftOpened:
    """An opened shift as ``ShiftShown`` has it, with what the self-test found.

    ``taken_over`` is the operator whose shift had been left open, closed by this opening.
    """

    id: str
    operator: str
    opened_ms: int
    selftest: tuple[Lamp, ...]
    taken_over: str = ""


@dataclass(frozen=True, slots=True)
class GoodsLine:
    """Goods of one offer at this terminal.

    Attributes:
        received, sent, given, voided: units since the ledger began.
        on_hand: what must lie on the shelf.
        leased: units that this terminal may give out under its leases.
        held: units held for callers.
        numbers: number ranges on hand, as on the parcels.
    """

    offer: str
    title: str
    title_en: str
    received: int
    sent: int
    given: int
    on_hand: int
    leased: int
    held: int
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Movement:
    """One signed movement of goods: ``received``, ``transferred``, ``held`` or ``released``."""

    seq: int
    ts_ms: int
    movement: str
    offer: str
    title: str
    title_en: str
    quantity: int
    expected: int
    reason: str
    numbers: tuple[str, ...]
    operator: str
    transfer: str = ""
    other_venue: str = ""
    parcel: str = ""
    slip: str = ""


@dataclass(frozen=True, slots=True)
class HoldShown:
    """Units held for a caller (电话预留); released by itself at ``until_ms``.

    ``code`` is what the caller says at the counter; ``label`` is the unit's name, kept on this
    machine only and forgotten with the hold.
    """

    hold: str
    code: str
    offer: str
    title: str
    title_en: str
    units: int
    left: int
    placed_ms: int
    until_ms: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class ManualLine:
    """One late entry from the paper sheet (补录)."""

    seq: int
    sheet: str
    offer: str
    day: str
    quantity: int
    reason: str
    supervisor: str


@dataclass(frozen=True, slots=True)
class BookingShown:
    """A booking for a session at this venue.

    ``state``: ``booked``, ``used``, ``missed`` (returned to stock), ``cancelled`` or ``moved``.
    ``who`` is a masked name with the card's last digits (张*敏 8821) at a counter, else empty.
    """

    booking: str
    offer: str
    title: str
    title_en: str
    venue: str
    from_ms: int
    until_ms: int
    quantity: int
    state: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class PracticeShown:
    """Practice mode of a position: on or off, its own ledger, how many practice entries it has."""

    on: bool
    ledger: str
    entries: int
