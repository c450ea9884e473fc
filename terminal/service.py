"""The running terminal: one writer, its positions and readers, and what they may be asked.

``terminal.composition.open_terminal`` builds one from a home. It fulfils
``terminal.surface.TerminalSurface``; every method may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from readers.supervision import ReaderHealth
from sync.health import ProblemReport
from terminal import views
from terminal.answers import (
    OfferChoice,
    PositionView,
    ReaderShown,
    RecentTap,
    ShiftShown,
    StaffProof,
    SyncAnswer,
    TapAnswer,
    TerminalStatus,
    Totals,
    Unshown,
)
from terminal.choosing import ChoiceList
from terminal.corrections import VoidOrder
from terminal.errors import NoCard, PositionUnknown, RequestInvalid
from terminal.parts import Parts
from terminal.position import Position
from terminal.practice import Practice, in_its_room
from terminal.problems import ProblemDesk
from terminal.reception import Reception
from terminal.requests import (
    COMPANIONS_MAX,
    QUANTITY_MAX,
    WAIT_MS_MAX,
    check_evidence,
    check_name,
    check_nonce,
    check_number,
    check_reason,
)
from terminal.tap_order import TapOrder
from terminal.tapdesk import TapDesk
from terminal.unshown import resolve
from terminal.viewing import Viewer

if TYPE_CHECKING:
    from terminal.counterwork import CounterWork


class TerminalService:
    """One terminal. ``start`` begins to serve; ``close`` ends it in order."""

    def __init__(self, parts: Parts, positions: Sequence[Position]) -> None:
        self.parts = parts
        self._positions = {position.id: position for position in positions}
        self._desk = TapDesk(parts)
        self.reception = Reception(positions, self._desk, parts.facts.time)
        self._callbacks: set[Callable[[str], None]] = set()
        self._lock = threading.Lock()
        self._reports = ProblemDesk(parts.journal)
        self._list = ChoiceList(parts)
        self._viewer = Viewer(parts, self._list)
        #: Where a position is in practice mode: the room that serves it meanwhile.
        self.rooms: dict[str, TerminalService] = {}
        self.practice: Practice | None = None
        self._work: CounterWork | None = None

    def train(self, open_room: Callable[[], TerminalService]) -> None:
        """From now on positions may practise; ``open_room`` opens the room at the first time."""
        self.practice = Practice(self, open_room)
        if self._work is not None:
            self._work.training = self.practice

    @property
    def work(self) -> CounterWork:
        """The counter's daily work: collections, goods, holds, bookings, search."""
        with self._lock:
            if self._work is None:
                # A kiosk has sixty megabytes and none of these desks.
                from terminal.counterwork import CounterWork

                work = CounterWork(self.parts, self.position)
                work.wedges.present = self.reception.typed
                work.training = self.practice
                self._work = work
            return self._work

    def start(self) -> None:
        """Finds out what an interruption hid, then starts readers and courier."""
        self.parts.courier.recall_standing()
        for name, held in self._positions.items():
            found = resolve(name, self.parts, held.config.venue)
            if found is not None:
                self._desk.unshown[name] = found
        self._warm()
        for reader in self.parts.readers:
            reader.start(self.reception)
        self.parts.courier.start()

    def close(self) -> None:
        """Stops readers, then the courier, then closes the ledger; a second call is harmless."""
        for position in self._positions.values():
            position.disarm()
        for reader in self.parts.readers:
            reader.stop()
        self.parts.courier.stop()
        if self.practice is not None:
            self.practice.close()
        self.parts.writer.close()
        for close in self.parts.closing:
            close()
        self.parts.journal.close()

    # What pages see.

    def positions(self) -> tuple[str, ...]:
        """See ``TerminalSurface.positions``."""
        return tuple(self._positions)

    def readers(self) -> list[ReaderHealth]:
        """The records of all readers of all positions, by name."""
        found = {one.name: one for held in self._positions.values() for one in held.readers()}
        return [found[name] for name in sorted(found)]

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """See ``TerminalSurface.subscribe``."""
        with self._lock:
            self._callbacks.add(callback)

        def end() -> None:
            with self._lock:
                self._callbacks.discard(callback)

        return end

    def notify(self, position: str) -> None:
        """Tells every subscriber that a position's view changed."""
        with self._lock:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(position)

    def touch_all(self) -> None:
        """Something that every page shows has changed: link, clock, snapshot."""
        for position in self._positions.values():
            position.touch()
        self._warm()

    @in_its_room
    def snapshot_view(self, position: str) -> PositionView:
        """See ``TerminalSurface.snapshot_view``."""
        return self._viewer.view(self.position(position), self._desk.unshown.get(position))

    @in_its_room
    def card_present(self, position: str) -> bool:
        """See ``TerminalSurface.card_present``."""
        boot_ms = self.parts.facts.time.now().boot_ms
        return self.position(position).session(boot_ms) is not None

    @in_its_room
    def choices(self, position: str) -> list[OfferChoice]:
        """See ``TerminalSurface.choices``."""
        held = self.position(position)
        now = self.parts.facts.time.now()
        if held.session(now.boot_ms) is None:
            raise NoCard("no card is at hand; tap one first. Nothing was recorded")
        return list(self._list.of(held, now))

    @in_its_room
    def recent(self, position: str, limit: int = 20) -> list[RecentTap]:
        """See ``TerminalSurface.recent``."""
        held, parts = self.position(position), self.parts
        place = parts.shifts.place(position, held.config.venue)
        verdicts, link = parts.verdicts(), parts.facts.link
        with parts.writer.turn:
            acts = list(reversed(parts.writer.daybook.page(position).acts.values()))[:limit]
            return views.recent_shown(
                acts,
                parts.facts.installed,
                place,
                parts.facts.time.now(),
                parts.facts.time.clock.boot_id(),
                link.acknowledged,
                verdicts,
            )

    @in_its_room
    def totals(self, position: str) -> Totals:
        """See ``TerminalSurface.totals``."""
        return self.parts.shifts.totals(self.position(position).id)

    def status(self) -> TerminalStatus:
        """See ``TerminalSurface.status``."""
        parts, now = self.parts, self.parts.facts.time.now()
        installed = parts.facts.installed
        with parts.writer.turn:
            size, fault = parts.writer.size, parts.writer.fault
            root = parts.writer.log.root.hex() if not fault else ""
        link = views.link_shown(
            parts.facts.link,
            size,
            parts.facts.snapshot_age(now).value,
            now,
            parts.courier.progress,
        )
        healths = [one for held in self._positions.values() for one in held.readers()]
        return TerminalStatus(
            ledger=parts.ledger,
            terminal=parts.name,
            origin=parts.origin,
            size=size,
            root=root,
            boot=parts.facts.time.clock.boot_id(),
            now_ms=now.now_ms,
            link=link,
            readers=tuple(ReaderShown(one.name, one.state.value, one.detail) for one in healths),
            positions=self.positions(),
            fault=fault,
            offers=len(installed.catalogue.offers),
            cards=len(installed.cards),
            snapshot_version=installed.version,
            problems=tuple(parts.problems()),
        )

    # What is asked of it.

    @in_its_room
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
        """See ``TerminalSurface.tap``."""
        held = self.position(position)
        check_nonce(nonce)
        check_number(wait_ms, "wait_ms", 0, WAIT_MS_MAX)
        wanted = check_name(offer, "offer") or held.config.offer
        if not wanted:
            raise RequestInvalid("is required; `redcard offers list` shows them", field="offer")
        order = TapOrder(
            place=self.parts.shifts.place(position, held.config.venue),
            profile=held.profile,
            offer=wanted,
            nonce=nonce,
            quantity=check_number(quantity, "quantity", 1, QUANTITY_MAX),
            companions=check_number(companions, "companions", 0, COMPANIONS_MAX),
            evidence=check_evidence(evidence),
            supervisor=check_name(supervisor, "supervisor"),
            supervisor_ok=self._desk.proved(held, supervisor, supervisor_pin),
            reason=check_reason(reason),
            simulate=simulate,
            reservation=reservation,
            hold=self._hold(hold, wanted, nonce),
        )
        return self._desk.run(held, order, self._desk.card_for(held, order, wait_ms))

    @in_its_room
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
        """See ``TerminalSurface.void``."""
        held = self.position(position)
        order = VoidOrder(
            place=self.parts.shifts.place(position, held.config.venue),
            profile=held.profile,
            nonce=check_nonce(nonce),
            void_nonce=check_nonce(void_nonce or self.parts.new_nonce(), "void_nonce"),
            reason=check_reason(reason),
            supervisor=check_name(supervisor, "supervisor"),
            supervisor_ok=self._desk.proved(held, supervisor, supervisor_pin),
        )
        answer = self.parts.corrections.void(order)
        self.parts.courier.nudge()
        self.touch_all()
        return answer

    def _hold(self, hold: str, offer: str, nonce: str) -> str:
        """The hold that a tap names; one answered before is answered though its hold is over."""
        if hold and self.parts.flow.recorded(nonce) is None:
            from terminal.holds import check_hold

            check_hold(self.parts, check_name(hold, "hold"), offer)
        return hold

    def outcome_of(self, nonce: str) -> TapAnswer | None:
        """See ``TerminalSurface.outcome_of``."""
        return self.parts.flow.recorded(check_nonce(nonce))

    @in_its_room
    def dismiss(self, position: str) -> None:
        """See ``TerminalSurface.dismiss``."""
        held = self.position(position)
        self._desk.settle(held, held.clear(self.parts.facts.time.now().now_ms))

    @in_its_room
    def choose(self, position: str, offer: str) -> None:
        """See ``TerminalSurface.choose``."""
        self.position(position).choose(offer, self.parts.facts.time.now().boot_ms)

    @in_its_room
    def last_unshown(self, position: str) -> Unshown | None:
        """See ``TerminalSurface.last_unshown``."""
        return self._desk.unshown.get(self.position(position).id)

    @in_its_room
    def acknowledge(self, position: str, nonce: str) -> None:
        """See ``TerminalSurface.acknowledge``."""
        self._desk.acknowledge(self.position(position), check_nonce(nonce))

    def sync_now(self) -> SyncAnswer:
        """See ``TerminalSurface.sync_now``."""
        return self.parts.courier.sync_now()

    @in_its_room
    def open_shift(self, position: str, operator: str) -> ShiftShown:
        """See ``TerminalSurface.open_shift``."""
        held = self.position(position)
        shift = self.parts.shifts.open(position, held.config.venue, operator)
        self.parts.courier.nudge()
        held.touch()
        return shift

    @in_its_room
    def close_shift(self, position: str) -> Totals:
        """See ``TerminalSurface.close_shift``."""
        held = self.position(position)
        totals = self.parts.shifts.close(position, held.config.venue)
        self.parts.courier.nudge()
        held.touch()
        return totals

    @in_its_room
    def close_day(self, position: str) -> Totals:
        """See ``TerminalSurface.close_day``."""
        held = self.position(position)
        totals = self.parts.shifts.close(position, held.config.venue, day=True)
        self.parts.courier.nudge()
        held.touch()
        return totals

    def staff_enter(self, position: str, pin: str) -> StaffProof:
        """See ``TerminalSurface.staff_enter``."""
        self.position(position)
        return self.parts.staff.enter(pin, self.parts.facts.time.now().now_ms)

    def report_problem(self, position: str, about: str, tap: str = "") -> int:
        """See ``TerminalSurface.report_problem``."""
        parts, venue = self.parts, self.position(position).config.venue
        if tap:
            check_nonce(tap)
        ts_ms = parts.facts.time.now().now_ms
        report = ProblemReport(parts.new_nonce(), about, venue, tap, ts_ms)
        waiting = self._reports.keep(report)
        parts.courier.nudge()
        return waiting

    # Inside.

    def _warm(self) -> None:
        """A clerk who types waits for no index; a kiosk has no search and pays for none."""
        if any(held.config.profile == "counter" for held in self._positions.values()):
            self.work.finder.warm(self.parts.facts.installed.catalogue)

    def position(self, name: str) -> Position:
        """One position by its name; raises PositionUnknown."""
        held = self._positions.get(name)
        if held is None:
            known = ", ".join(self._positions)
            raise PositionUnknown(f"no position {name!r}; terminal.toml has {known}")
        return held
