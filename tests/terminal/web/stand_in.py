"""A terminal in memory behind the same surface as the real service, to bring pages to any state.

It keeps the promises pages rely on: the same nonce gives the same answer, a void is a new act, a
view is whole, and callbacks come from whatever thread made the change. Times move only when told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ledger.codes import Code
from ledger.log.note import KeySigner
from ledger.log.proof import tap_receipt
from terminal.answers import (
    CardShown,
    LinkShown,
    OfferChoice,
    OfferShown,
    Phase,
    PlaceShown,
    PositionView,
    ReaderShown,
    RecentTap,
    ShiftShown,
    StaffProof,
    SyncAnswer,
    TapAnswer,
    TerminalStatus,
    TotalLine,
    Totals,
    Unshown,
    Wording,
)
from terminal.errors import NoCard, PositionUnknown
from terminal.wording import nothing_recorded, recorded_at, voided, wording_of
from tests.terminal.web.work_stand_in import WorkStandIn

#: Friday 2014-05-30 10:00 in Shanghai.
TEN_O_CLOCK_MS = 1_401_415_200_000
MINUTE_MS = 60_000
VOID_WINDOW_MS = 15 * MINUTE_MS
KIOSK, COUNTER = "kiosk", "counter"
STAFF_PIN = "2468"
RECEIPT = tap_receipt(
    KeySigner(
        "demo.redcard.example/redcard/abcdefghijklmnopqrstuvwx23",
        lambda _: bytes(range(64)),
        bytes(32),
    ),
    17,
    bytes(range(32)),
)

MUSEUM = OfferShown(
    "BJ-T-005", "孔庙和国子监博物馆免费参观", "Confucius Temple and Imperial College, free entry",
    "entry", "city", until_ms=1_420_041_600_000, limits=((1, "day"),),
)  # fmt: skip
PACK = OfferShown(
    "XC-L-009", "端午优惠券套包（名优企业）", "Dragon Boat coupon pack", "coupon", "district",
    until_ms=1_403_280_000_000, stock_left=214, limits=((1, "offer"),), proxy=True,
)  # fmt: skip
CINEMA = OfferShown(
    "BJ-C-004", "十元看电影", "Ten-yuan cinema", "coupon", "city",
    until_ms=1_420_041_600_000, member_price_fen=1000, stock_left=96, limits=((1, "month"),),
    proxy=True,
)  # fmt: skip
PUPPETS = OfferShown("BJ-C-003", "亲子木偶剧", "Family puppet show", "ticket", "city", stock_left=0)
FAIR = OfferShown("BJ-C-001", "地坛庙会门票", "Ditan temple fair ticket", "ticket", "city")
TOMBS = OfferShown(
    "BJ-T-007", "明十三陵淡季免费参观", "Ming Tombs, free off season", "entry", "city"
)
NEARBY = (
    PlaceShown("S0102", "北新桥街道工会服务站", "Beixinqiao station", "010-6400-0102"),
    PlaceShown("S0104", "东四街道工会服务站", "Dongsi station", "010-6400-0104"),
)
OFFERS = (PACK, CINEMA, PUPPETS, FAIR, TOMBS)

_DONGSI = {"place": "东四街道工会服务站", "place_en": "Dongsi station"}
_EIGHTH_OF_FEBRUARY_MS = 1_391_824_800_000

#: What lies in the box: what a tap at the kiosk answers.
CARDS = {
    "good": "A00", "again": "A03", "used": "L02", "forged": "C02", "unknown": "C03",
    "blocked": "C04", "expired": "C06", "several": "C07", "torn": "C01", "check": "M03",
}  # fmt: skip
_OUTCOMES = {"A": "approve", "M03": "refer", "C01": "error", "C07": "error"}


def monotonic_ms() -> int:
    """A monotonic clock in milliseconds."""
    return time.monotonic_ns() // 1_000_000


def words(code: str, offer: OfferShown | None = None) -> Wording:
    """The wording of a code with the details that the rules would give."""
    details: dict[str, str | int] = {"kind": offer.kind if offer else "entry", "per": "day"}
    if offer is not None:
        details["offer"] = offer.title
    if code == "L01":
        details |= {**_DONGSI, "date_ms": _EIGHTH_OF_FEBRUARY_MS}
    elif code != "A00":
        details["time_ms"] = TEN_O_CLOCK_MS
    return wording_of(Code(code), details)


def outcome(code: str) -> str:
    """The outcome of a code that this stand-in knows."""
    return _OUTCOMES.get(code) or _OUTCOMES.get(code[0], "decline")


@dataclass
class Place:
    """One position."""

    view: PositionView
    acts: list[RecentTap] = field(default_factory=list)
    card: str = ""
    had: set[str] = field(default_factory=set)


class StandIn:
    """The terminal; satisfies ``terminal.surface.TerminalSurface``."""

    def __init__(self) -> None:
        self.now_ms = TEN_O_CLOCK_MS
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[str], None]] = []
        self._answers: dict[str, TapAnswer] = {}
        self._size = 2
        self.work = WorkStandIn(self)
        self.problems: list[tuple[str, str]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.places = {
            KIOSK: Place(
                self._blank(KIOSK, "M01", "孔庙和国子监博物馆", "Confucius Temple museum")
            ),
            COUNTER: Place(
                self._blank(COUNTER, "S0201", "德胜街道工会服务站", "Desheng service station")
            ),
        }
        self.places[KIOSK].view = replace(self.places[KIOSK].view, offer=MUSEUM)

    def _blank(self, position: str, venue: str, name: str, english: str) -> PositionView:
        return PositionView(
            position=position,
            profile=position,
            venue=venue,
            venue_name=name,
            venue_name_en=english,
            phase=Phase.IDLE,
            since_ms=self.now_ms,
            now_ms=self.now_ms,
            reader=ReaderShown("Virtual PCD 00 00", "ready"),
            link=LinkShown(
                connected=True,
                pending=0,
                acknowledged=2,
                last_sync_ms=self.now_ms,
                snapshot="fresh",
            ),
            size=2,
            signed=0,
            confirmed=0,
        )

    # What a test does to it.

    def change(self, position: str, **fields: object) -> None:
        """Replaces fields of a view, as any event in the service would."""
        with self._lock:
            place = self.places[position]
            place.view = replace(place.view, **fields, revision=place.view.revision + 1)  # type: ignore[arg-type]
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback(position)

    def everywhere(self, **fields: object) -> None:
        """The same at every position."""
        for position in self.places:
            self.change(position, **fields)

    def advance(self, ms: int) -> None:
        """Moves the terminal's time."""
        self.now_ms += ms

    def network(self, *, on: bool) -> None:
        """Pulls or plugs the cable; what was recorded meanwhile is pending."""
        for place in self.places.values():
            link = replace(place.view.link, connected=on)
            if on:
                link = replace(link, pending=0, acknowledged=self._size, last_sync_ms=self.now_ms)
                place.acts = [replace(act, confirmed=True) for act in place.acts]
            self.change(place.view.position, link=link)

    def reading(self, position: str) -> None:
        """A card was seen and is being read."""
        self.advance(1)
        reader = replace(self.places[position].view.reader, state="card")
        self.change(position, phase=Phase.READING, since_ms=self.now_ms, answer=None, reader=reader)

    def insert(self, position: str, card: str, offer: OfferShown | None = None) -> None:
        """Lays a card on the reader; a kiosk answers, a counter opens a session."""
        self.reading(position)
        self.advance(1)
        place = self.places[position]
        place.card = card
        if position == KIOSK:
            nonce = f"K{self.now_ms}"
            self._answer(position, self._make(position, nonce, CARDS[card], offer or MUSEUM))
            return
        code = CARDS[card] if CARDS[card][0] == "C" else ""
        if code in ("C01", "C07"):
            self._answer(position, self._make(position, f"N{self.now_ms}", code, None))
            return
        shown = CardShown(
            code=code, present=True, scheme="unionpay", assurance="authenticated", advice="",
            expires_ms=self.now_ms + 60_000, message=words(code) if code else None,
        )  # fmt: skip
        self.change(
            position,
            phase=Phase.CARD,
            since_ms=self.now_ms,
            card=shown,
            choices=tuple(self._choices(place)),
        )

    def remove(self, position: str) -> None:
        """Takes the card away; a session and an answer stay."""
        view = self.places[position].view
        self.change(position, reader=replace(view.reader, state="ready"))

    def unplug(self, position: str) -> None:
        """Pulls the reader's cable."""
        self.change(position, reader=ReaderShown("", "absent"), phase=Phase.IDLE)

    def plug(self, position: str) -> None:
        """Plugs the reader in again."""
        self.change(position, reader=ReaderShown("Virtual PCD 00 00", "ready"))

    def interrupted(self, position: str, *, recorded: bool) -> None:
        """What a page finds after a power cut in the middle of a tap."""
        offer = MUSEUM if position == KIOSK else PACK
        unshown = Unshown(
            "01J0000000000000000000CRSH",
            recorded=recorded,
            offer=offer.id,
            ts_ms=self.now_ms,
            message=recorded_at("10:01") if recorded else nothing_recorded(),
        )
        self.change(position, phase=Phase.IDLE, answer=None, unshown=unshown)

    # The surface.

    def positions(self) -> tuple[str, ...]:
        return tuple(self.places)

    def snapshot_view(self, position: str) -> PositionView:
        with self._lock:
            return replace(self._place(position).view, now_ms=self.now_ms)

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def card_present(self, position: str) -> bool:
        return self._place(position).view.card is not None

    def choices(self, position: str) -> list[OfferChoice]:
        if not self.card_present(position):
            raise NoCard("no card; nothing was recorded")
        return list(self._place(position).view.choices)

    def tap(
        self,
        position: str,
        offer: str,
        nonce: str,
        *,
        quantity: int = 1,
        companions: int = 0,
        evidence: Mapping[str, str] | None = None,
        supervisor: str = "",
        supervisor_pin: str = "",
        reason: str = "",
        simulate: bool = False,
        reservation: str = "",
        hold: str = "",
        wait_ms: int = 0,
    ) -> TapAnswer:
        self.hold.wait()
        place = self._place(position)
        if nonce in self._answers and self._answers[nonce].outcome != "refer":
            return replace(self._answers[nonce], replay=True)
        if place.view.card is None:
            raise NoCard("no card; nothing was recorded")
        chosen = next(one for one in OFFERS if one.id == offer)
        code = self._code(place, chosen)
        if supervisor and code == "L02":
            code = "A02" if supervisor_pin == STAFF_PIN else "T05"
        if place.card == "check" and not evidence:
            code = "M03"
        answer = self._make(position, nonce, code, chosen, quantity)
        self._answer(position, answer)
        return answer

    def void(
        self,
        position: str,
        nonce: str,
        *,
        reason: str,
        void_nonce: str = "",
        supervisor: str = "",
        supervisor_pin: str = "",
    ) -> TapAnswer:
        place = self._place(position)
        self._size += 1
        for index, act in enumerate(place.acts):
            if act.nonce == nonce:
                place.acts[index] = replace(act, reversed=True, voidable_ms=0)
                place.had.discard(act.offer)
        original = self._answers[nonce]
        self._answers[nonce] = replace(original, reversed=True)
        answer = TapAnswer(
            "approve", "A00", "approved", void_nonce, voided(), original.offer,
            entry=self._size, ts_ms=self.now_ms,
        )  # fmt: skip
        shown = place.view.answer
        if shown is not None and shown.nonce == nonce:
            self.change(position, answer=replace(shown, reversed=True))
        else:
            self.change(position)
        return answer

    def outcome_of(self, nonce: str) -> TapAnswer | None:
        return self._answers.get(nonce)

    def dismiss(self, position: str) -> None:
        self.change(
            position, phase=Phase.IDLE, since_ms=self.now_ms, card=None, choices=(), answer=None
        )

    def choose(self, position: str, offer: str) -> None:
        chosen = next((one for one in self._place(position).view.tiles if one.id == offer), None)
        self.change(position, offer=chosen)

    def close_day(self, position: str) -> Totals:
        totals = self.totals(position)
        self._place(position).acts.clear()
        self.change(position)
        return totals

    def staff_enter(self, position: str, pin: str) -> StaffProof:
        self._place(position)
        return StaffProof(ok=pin == STAFF_PIN)

    def report_problem(self, position: str, about: str, tap: str = "") -> int:
        self._place(position)
        self.problems.append((about, tap))
        return len(self.problems)

    def last_unshown(self, position: str) -> Unshown | None:
        return self._place(position).view.unshown

    def acknowledge(self, position: str, nonce: str) -> None:
        unshown = self._place(position).view.unshown
        if unshown is not None and unshown.nonce == nonce:
            self.change(position, unshown=None)

    def totals(self, position: str) -> Totals:
        acts = [act for act in self._place(position).acts if act.kind == "redeem"]
        counts: dict[str, TotalLine] = {}
        for act in acts:
            line = counts.get(act.offer) or TotalLine(act.offer, act.title, act.title_en, 0, 0)
            counts[act.offer] = replace(
                line, count=line.count + 1 - act.reversed, voids=line.voids + act.reversed
            )
        return Totals(
            TEN_O_CLOCK_MS,
            sum(line.count for line in counts.values()),
            sum(line.voids for line in counts.values()),
            0,
            tuple(counts.values()),
        )

    def recent(self, position: str, limit: int = 20) -> list[RecentTap]:
        return self._place(position).acts[:limit]

    def status(self) -> TerminalStatus:
        view = self.places[KIOSK].view
        return TerminalStatus(
            "abcdefghijklmnopqrstuvwx23", "T1", "demo.redcard.example/redcard/abc", self._size,
            "", "0" * 16, self.now_ms, view.link, (view.reader,), tuple(self.places),
        )  # fmt: skip

    def sync_now(self) -> SyncAnswer:
        self.network(on=True)
        return SyncAnswer("ok", 0, self._size, 0, "fresh")

    def open_shift(self, position: str, operator: str) -> ShiftShown:
        shift = ShiftShown("S1", operator, self.now_ms)
        self.change(position, shift=shift)
        return shift

    def close_shift(self, position: str) -> Totals:
        self.change(position, shift=None)
        return self.totals(position)

    # Inside.

    def _place(self, position: str) -> Place:
        try:
            return self.places[position]
        except KeyError as error:
            raise PositionUnknown(position) from error

    def _code(self, place: Place, offer: OfferShown) -> str:
        code = CARDS[place.card]
        if code[0] == "C":
            return code
        if offer is TOMBS and not place.view.link.connected:
            return "T04"
        if offer is PUPPETS:
            return "L05"
        if offer is FAIR:
            return "O03"
        if offer.id in place.had:
            return "L01"
        if place.card == "used":
            return "L02"
        return "A00" if place.view.link.connected else "A01"

    def _choices(self, place: Place) -> list[OfferChoice]:
        found, keys = [], iter("123456789")
        for offer in OFFERS:
            code = self._code(place, offer)
            good = code[0] == "A"
            until = 1_402_016_400_000 if offer is PUPPETS else None
            found.append(
                OfferChoice(
                    next(keys) if good else "",
                    offer,
                    outcome(code),
                    code,
                    until,
                    int(offer.id in place.had or offer is FAIR),
                    words(code, offer),
                )
            )
        return sorted(found, key=lambda one: not one.key)

    def _make(
        self, position: str, nonce: str, code: str, offer: OfferShown | None, quantity: int = 1
    ) -> TapAnswer:
        approved = code[0] == "A"
        connected = self.places[position].view.link.connected
        if code == "A00" and not connected:
            code = "A01"
        entry = None
        if outcome(code) in ("approve", "decline"):
            self._size += 1
            entry = self._size
            if not connected:
                for place in self.places.values():
                    link = replace(place.view.link, pending=place.view.link.pending + 1)
                    place.view = replace(place.view, link=link)
        answer = TapAnswer(
            outcome(code), code, "", nonce, words(code, offer), offer.id if offer else "",
            entry=entry, usage=int(approved), ts_ms=self.now_ms,
            receipt=RECEIPT if approved else "", own_ms=1.84,
        )  # fmt: skip
        self._answers[nonce] = answer
        if entry is not None and offer is not None:
            kind = "redeem" if approved else "decline"
            if code == "A03":
                kind = "reentry"
            voidable = VOID_WINDOW_MS if kind == "redeem" else 0
            self.places[position].acts.insert(
                0,
                RecentTap(
                    entry,
                    nonce,
                    kind,
                    code,
                    offer.id,
                    offer.title,
                    offer.title_en,
                    self.now_ms,
                    quantity,
                    reversed=False,
                    confirmed=connected,
                    voidable_ms=voidable,
                ),
            )
            if approved:
                self.places[position].had.add(offer.id)
        return answer

    def _answer(self, position: str, answer: TapAnswer) -> None:
        fields: dict[str, object] = {"answer": answer, "since_ms": self.now_ms}
        if answer.outcome == "approve":
            # Every redemption needs a tap of its own.
            fields |= {"card": None, "choices": ()}
        self.change(position, phase=Phase.ANSWER, **fields)
