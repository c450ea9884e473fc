"""The counter's daily work, all in one place for pages, API and command line.

``TerminalService.work`` is one of these. Each part has a module of its own; this one joins them
and says what may be asked by which name (``terminal.work_paths``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Final

from terminal.bookings import BookingList
from terminal.collection import Collections
from terminal.entries import Place
from terminal.errors import NoCard, PracticeUnavailable, RequestInvalid
from terminal.goods import GoodsDesk, Parcel
from terminal.holds import HoldDesk
from terminal.inquiry import Inquiry
from terminal.manual import ManualDesk, PaperLine
from terminal.parts import Parts
from terminal.position import Position
from terminal.practice import Practice, in_its_room
from terminal.presenting import Presented
from terminal.requests import WAIT_MS_MAX, check_name, check_number
from terminal.search import RESULTS_MAX, OfferSearch, shown
from terminal.shiftwork import ShiftWork
from terminal.wedge_desk import WedgeDesk
from terminal.work_answers import (
    AccountShown,
    BookingShown,
    CollectionShown,
    CountLine,
    Found,
    GoodsLine,
    HoldShown,
    Lamp,
    ManualLine,
    Movement,
    PracticeShown,
    ShiftClosed,
    ShiftOpened,
)

#: Units of one offer for each colleague's card.
QUANTITY_EACH_MAX: Final = 10


class CounterWork:
    """What a counter does beside single taps. Every method may be called from any thread."""

    def __init__(self, parts: Parts, position_of: Callable[[str], Position]) -> None:
        self._parts = parts
        self._position_of = position_of
        #: Where a position is in practice mode: the work of its room.
        self.rooms: dict[str, CounterWork] = {}
        self.training: Practice | None = None
        self.finder = OfferSearch()
        self._collections = Collections(parts, position_of)
        self._shifts = ShiftWork(parts, self._printer_fault)
        self._goods = GoodsDesk(parts)
        self._holds = HoldDesk(parts)
        self._manual = ManualDesk(parts, parts.new_nonce)
        self._inquiry = Inquiry(parts)
        self._bookings = BookingList(parts)
        self.wedges = WedgeDesk()
        #: Says what is wrong with the printer; set by whoever has one.
        self.printer_fault: Callable[[], str] = str

    # Scanners that type.

    def typed(self, position: str, keys: Sequence[str], times: Sequence[int]) -> bool:
        """Keys of the page that came too fast for a person; a wedge's line is served as a card."""
        texts = [key for key in keys if isinstance(key, str)]
        moments = [at for at in times if isinstance(at, int)]
        if (len(texts), len(moments)) != (len(keys), len(times)):
            raise RequestInvalid("texts, and whole milliseconds", field="keys")
        return self.wedges.typed(self._position_of(position).id, texts, moments)

    # Proxy collection (代领).

    @in_its_room
    def collection(self, position: str) -> CollectionShown | None:
        """The open list of a position, else the one recorded last."""
        return self._collections.shown(self._position_of(position).id)

    @in_its_room
    def begin_collection(
        self, position: str, offer: str, quantity: int = 1, hold: str = ""
    ) -> CollectionShown:
        """Opens a list; the card at hand is the representative's own."""
        check_number(quantity, "quantity", 1, QUANTITY_EACH_MAX)
        return self._collections.begin(
            position, check_name(offer, "offer"), quantity, check_name(hold, "hold")
        )

    @in_its_room
    def remove_card(self, position: str, number: int) -> CollectionShown:
        """Takes a card off the list."""
        return self._collections.remove(position, check_number(number, "number", 1, 10_000))

    @in_its_room
    def confirm_collection(self, position: str, batch: str) -> CollectionShown:
        """Records the list by one commit; the same batch again answers the same; *writes*."""
        return self._collections.confirm(position, check_name(batch, "batch"))

    @in_its_room
    def cancel_collection(self, position: str) -> None:
        """Closes the list without recording anything, or puts the recorded one away."""
        self._collections.cancel(position)

    def sheet(self, batch: str) -> CollectionShown | None:
        """A recorded list, for its sign-off sheet."""
        return self._collections.sheet(check_name(batch, "batch"))

    @in_its_room
    def sheet_of(self, position: str, batch: str) -> CollectionShown | None:
        """The same of a position, which may practise."""
        del position
        return self.sheet(batch)

    # Search.

    def search(self, query: str, limit: int = 20, position: str = "") -> list[Found]:
        """Offers by name, pinyin initials or number; those given here first.

        Args:
            query: what was typed; empty lists all.
            limit: longest answer.
            position: where it is asked, for what is left there.
        """
        parts = self._parts
        check_number(limit, "limit", 1, RESULTS_MAX)
        installed, now = parts.facts.installed, parts.facts.time.now()
        held = self._position_of(position) if position else None
        venue = installed.venue(held.config.venue) if held is not None else None
        found = self.finder.find(installed.catalogue, query, venue=venue, limit=limit)
        with parts.writer.turn:
            left = {
                one.offer.id: parts.stock.left(one.offer, venue, now)
                for one in found
                if venue is not None and one.here
            }
        return [shown(one, left.get(one.offer.id)) for one in found]

    # Member self-query (会员自查).

    @in_its_room
    def account(self, position: str, wait_ms: int = 0) -> AccountShown:
        """What the member of the card at hand used and can still take; without a name.

        Args:
            position: where.
            wait_ms: without a card at hand, how long the next one is waited for.

        Raises:
            NoCard: none came in time.
        """
        held = self._position_of(position)
        check_number(wait_ms, "wait_ms", 0, WAIT_MS_MAX)
        return self._inquiry.account(held, self._card(held, wait_ms))

    # Shifts.

    @in_its_room
    def self_test(self, position: str) -> tuple[Lamp, ...]:
        """The four lamps of the opening: reader, printer, clock, ledger."""
        return self._shifts.self_test(self._position_of(position))

    @in_its_room
    def open_shift(self, position: str, operator: str, take_over: bool = False) -> ShiftOpened:  # noqa: FBT001, FBT002 - a field of the request
        """Opens a shift after its self-test; *writes*."""
        return self._shifts.open(self._position_of(position), operator, take_over=take_over)

    @in_its_room
    def closing(self, position: str) -> tuple[CountLine, ...]:
        """Goods that must lie on the shelf when the shift closes."""
        self._position_of(position)
        return self._shifts.goods({})

    @in_its_room
    def close_shift(
        self, position: str, counted: Mapping[str, int] | None = None, reason: str = ""
    ) -> ShiftClosed:
        """Closes the shift with its totals and the counted goods; *writes*."""
        return self._shifts.close(self._position_of(position), counted or {}, reason)

    # Goods (到货签收, 调拨).

    @in_its_room
    def goods(self, position: str) -> list[GoodsLine]:
        """Goods of each offer: received, sent, given, on hand, leased, held."""
        del position
        return self._goods.lines()

    @in_its_room
    def movements(self, position: str) -> list[Movement]:
        """The newest movements, newest first."""
        del position
        return self._goods.movements()

    @in_its_room
    def receive_goods(
        self,
        position: str,
        offer: str,
        quantity: int,
        expected: int = 0,
        numbers: Sequence[str] = (),
        reason: str = "",
        parcel: str = "",
        transfer: str = "",
        from_venue: str = "",
        slip: str = "",
        nonce: str = "",
    ) -> Movement:
        """Signs for a parcel, or for a transfer from another station; *writes*."""
        return self._goods.receive(
            self._place(position),
            Parcel(
                offer=check_name(offer, "offer"),
                quantity=quantity,
                expected=expected,
                numbers=numbers,
                reason=reason,
                parcel=parcel,
                transfer=transfer,
                from_venue=from_venue,
                slip=slip,
                nonce=check_name(nonce, "nonce"),
            ),
        )

    @in_its_room
    def send_goods(
        self,
        position: str,
        offer: str,
        quantity: int,
        to_venue: str,
        numbers: Sequence[str] = (),
        nonce: str = "",
    ) -> Movement:
        """Signs that goods leave for another station; *writes*."""
        return self._goods.send(
            self._place(position),
            check_name(offer, "offer"),
            quantity,
            to_venue,
            numbers,
            check_name(nonce, "nonce"),
        )

    # Telephone holds (电话预留).

    @in_its_room
    def holds(self, position: str) -> list[HoldShown]:
        """Holds that still hold something, the next to end first."""
        del position
        return self._holds.shown()

    @in_its_room
    def place_hold(
        self, position: str, offer: str, units: int, minutes: int = 120, label: str = ""
    ) -> HoldShown:
        """Holds units for a caller; *writes*."""
        place = self._place(position)
        held = self._holds.place(place, check_name(offer, "offer"), units, minutes, label)
        self._position_of(position).touch()
        return held

    @in_its_room
    def release_hold(self, position: str, hold: str) -> None:
        """Gives a hold back to everybody; *writes*."""
        self._holds.release(self._place(position), check_name(hold, "hold"))
        self._position_of(position).touch()

    # Bookings.

    @in_its_room
    def bookings(self, position: str, day: str = "") -> list[BookingShown]:
        """Bookings of the position's venue on a day, today as a rule."""
        return self._bookings.day(self._position_of(position), day)

    @in_its_room
    def book(
        self,
        position: str,
        offer: str,
        session: str,
        last4: str,
        name: str = "",
        units: int = 1,
    ) -> BookingShown:
        """Books a session at this venue for a caller; the name is compared and kept nowhere."""
        held = self._position_of(position)
        return self._bookings.add(held, check_name(offer, "offer"), session, last4, name, units)

    # Late entries (补录).

    @in_its_room
    def issue_sheet(self, position: str) -> str:
        """The number of the next paper sheet."""
        del position
        return self._manual.issue()

    @in_its_room
    def manual_lines(self, position: str) -> list[ManualLine]:
        """Late entries, newest first."""
        del position
        return self._manual.lines()

    @in_its_room
    def add_manual(
        self,
        position: str,
        sheet: str,
        line: int,
        offer: str,
        day: str,
        quantity: int = 1,
        reason: str = "",
        supervisor: str = "",
        supervisor_pin: str = "",
        with_card: bool = False,  # noqa: FBT001, FBT002 - a field of the request
    ) -> ManualLine:
        """Enters one line of a paper sheet, with the card at hand if it is here; *writes*."""
        held, now_ms = self._position_of(position), self._parts.facts.time.now().now_ms
        card = self._card(held, 0) if with_card else None
        proof = self._parts.supervisors.prove(supervisor, supervisor_pin, held.id, now_ms)
        paper = PaperLine(
            sheet=sheet,
            line=line,
            offer=check_name(offer, "offer"),
            day=day,
            quantity=quantity,
            reason=reason,
            supervisor=check_name(supervisor, "supervisor"),
            proved=proof.ok,
            card=card,
        )
        return self._manual.add(self._place(position), paper)

    # Practice (练习).

    def practice(self, position: str) -> PracticeShown:
        """Whether a position practises."""
        return self._training().shown(position)

    def start_practice(self, position: str) -> PracticeShown:
        """The position practises from now on: own ledger, demo cards only."""
        return self._training().start(position)

    def end_practice(self, position: str) -> PracticeShown:
        """Back to service."""
        return self._training().end(position)

    # Inside.

    def _training(self) -> Practice:
        if self.training is None:
            raise PracticeUnavailable("this terminal has no practice room")
        return self.training

    def _place(self, position: str) -> Place:
        held = self._position_of(position)
        return self._parts.shifts.place(held.id, held.config.venue)

    def _card(self, held: Position, wait_ms: int) -> Presented:
        session = held.session(self._parts.facts.time.now().boot_ms)
        if session is not None:
            return session.presented
        if not wait_ms:
            raise NoCard("no card is at hand; tap one first. Nothing was recorded")
        waiting = held.arm()
        try:
            return waiting.result(wait_ms / 1000)
        except (FutureTimeout, CancelledError):
            raise NoCard("no card came in time. Nothing was recorded; tap again") from None
        finally:
            held.release(waiting)

    def _printer_fault(self) -> str:
        return self.printer_fault()
