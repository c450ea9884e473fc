"""A shift from its self-test to its closing: totals by the ledger against goods as counted.

Opening tests reader, printer, clock and ledger and records what was not in order; closing compares
what must lie on the shelf with what was counted, and takes a reason for a difference. What is not
uploaded never hinders it. A shift that somebody left open is closed by whoever takes over, in the
same commit as the new one: its counts stay under the name of who worked it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ledger.entry import Entry, Value
from ledger.errors import LogFault
from ledger.rules.offer import Offer
from terminal.answers import Line
from terminal.daybook import OpenShift
from terminal.entries import Place, shift_close_entry, shift_open_entry
from terminal.errors import RequestInvalid, ShiftState
from terminal.parts import Parts
from terminal.position import Position
from terminal.requests import check_number, check_reason
from terminal.shift import check_operator, totals_of
from terminal.work_answers import CountLine, Lamp, ShiftClosed, ShiftOpened

#: Offers of one closing entry; a longer closing is several entries of one commit.
OFFERS_AN_ENTRY_MAX: Final = 64
GOODS_MAX: Final = 1_000_000
#: Why counted goods differ from the ledger; stable codes, worded by the pages.
COUNT_REASONS: Final = ("damaged", "lost", "miscounted", "unrecorded", "other")
LEFT_OPEN: Final = "left_open"

_READER: Final = (
    ("读卡器", "未连接：插好读卡器，自动恢复"),
    ("Card reader", "Not connected: plug it in, it recovers by itself"),
)
_PRINTER: Final = (
    ("打印机", "有故障：仍可发放，小票稍后补打"),
    ("Printer", "Faulty: hand out as usual, print slips later"),
)
_CLOCK: Final = (
    ("时钟", "时间不对：运行 sudo timedatectl set-ntp true"),
    ("Clock", "It is wrong: run sudo timedatectl set-ntp true"),
)
_LEDGER: Final = (
    ("账本", "不能写入：停止发放，运行 redcard doctor"),
    ("Ledger", "It cannot be written: stop, run redcard doctor"),
)
_OK: Final = ("正常", "in order")


class ShiftWork:
    """Opens and closes shifts with their tests and counts. Safe from several threads."""

    def __init__(self, parts: Parts, printer_fault: Callable[[], str]) -> None:
        self._parts = parts
        self._printer_fault = printer_fault

    def self_test(self, held: Position) -> tuple[Lamp, ...]:
        """The four lamps; cheap, so that a page may ask for it at any time."""
        parts, now = self._parts, self._parts.facts.time.now()
        with parts.writer.turn:
            writes = parts.writer.ready
        reads = held.reader().state in {"ready", "card"}
        return (
            _lamp("reader", _READER, ok=reads, vital=True),
            _lamp("printer", _PRINTER, ok=not self._printer_fault(), vital=False),
            _lamp("clock", _CLOCK, ok=now.clock_ok, vital=True),
            _lamp("ledger", _LEDGER, ok=writes, vital=True),
        )

    def open(self, held: Position, operator: str, *, take_over: bool) -> ShiftOpened:
        """Opens a shift; durable on return. A failing lamp is recorded and hinders nothing.

        Args:
            held: where.
            operator: staff number.
            take_over: close a shift that is still open, in the same commit.

        Raises:
            RequestInvalid: the operator has the wrong form.
            ShiftState: a shift is open and is not to be taken over; the message says what to do.
            LogFault: nothing was recorded.
        """
        check_operator(operator)
        lamps, parts = self.self_test(held), self._parts
        with parts.writer.turn:
            _check_ready(parts)
            now = parts.facts.time.now()
            left = parts.writer.daybook.page(held.id).shift
            entries: list[Entry] = []
            if left is not None:
                if not take_over:
                    raise ShiftState(
                        f"{held.id} has an open shift of {left.operator}, never closed; close it "
                        "first with its count, or take it over: what it gave out stays counted "
                        f"under {left.operator}"
                    )
                marks: dict[str, Value] = {"reason_code": LEFT_OPEN, "closed_by": operator}
                entries += self._closings(held, left, {}, marks)
            place = Place(held.id, held.config.venue, operator, parts.new_nonce())
            failing = [lamp.name for lamp in lamps if not lamp.ok]
            opening = dict(shift_open_entry(place, now))
            if failing:
                opening["selftest"] = failing
            parts.writer.append_all([*entries, opening])
        parts.courier.nudge()
        held.touch()
        return ShiftOpened(
            place.shift, operator, now.now_ms, lamps, left.operator if left is not None else ""
        )

    def goods(self, counted: Mapping[str, int]) -> tuple[CountLine, ...]:
        """Goods on the shelf by the ledger, beside what was counted."""
        parts = self._parts
        with parts.writer.turn:
            shelves = parts.writer.goods.shelves()
        lines = []
        for name, shelf in shelves.items():
            offer, seen = parts.facts.installed.offer(name), counted.get(name)
            title = offer.title if isinstance(offer, Offer) else name
            lines.append(
                CountLine(
                    offer=name,
                    title=title or name,
                    title_en=(offer.title_en if isinstance(offer, Offer) else "") or title or name,
                    expected=shelf.on_hand,
                    counted=seen,
                    difference=0 if seen is None else seen - shelf.on_hand,
                )
            )
        return tuple(lines)

    def close(self, held: Position, counted: Mapping[str, int], reason: str) -> ShiftClosed:
        """Closes the open shift; durable on return.

        Args:
            held: where.
            counted: units counted on the shelf, by offer; what is left out was not counted.
            reason: code of why counted goods differ, needed only then.

        Raises:
            ShiftState: no shift is open.
            RequestInvalid: goods differ and no reason is given, or an offer has no goods here; the
                shift stays open and nothing was recorded.
            LogFault: it was not recorded; the shift is still open.
        """
        parts = self._parts
        check_reason(reason)
        with parts.writer.turn:
            _check_ready(parts)
            shift = parts.writer.daybook.page(held.id).shift
            if shift is None:
                raise ShiftState(f"{held.id} has no open shift")
            goods = self._checked(counted, reason)
            now = parts.facts.time.now()
            totals = totals_of(
                parts.writer.daybook.tally(held.id, now.now_ms), parts.facts.installed
            )
            marks: dict[str, Value] = {"reason_code": reason} if reason else {}
            written = parts.writer.append_all(
                self._closings(held, shift, {one.offer: one for one in goods}, marks)
            )
            pending = written[-1].seq + 1 - parts.facts.link.acknowledged
        parts.courier.nudge()
        held.touch()
        return ShiftClosed(
            shift=shift.id,
            operator=shift.operator,
            since_ms=totals.since_ms,
            closed_ms=now.now_ms,
            redeemed=totals.redeemed,
            voided=totals.voided,
            declined=totals.declined,
            lines=totals.lines,
            goods=goods,
            reason=reason,
            pending=pending,
        )

    def _checked(self, counted: Mapping[str, int], reason: str) -> tuple[CountLine, ...]:
        for name, units in counted.items():
            check_number(units, f"counted.{name}"[:64], 0, GOODS_MAX)
        goods = self.goods(counted)
        stray = sorted(set(counted) - {one.offer for one in goods})
        if stray:
            raise RequestInvalid(
                f"no parcel of {stray[0][:64]} was ever signed for here", field="counted"
            )
        differing = [one for one in goods if one.difference]
        if differing and not reason:
            told = ", ".join(
                f"{one.offer} {one.counted} instead of {one.expected}" for one in differing
            )
            raise RequestInvalid(
                f"is needed for the difference ({told}): one of {', '.join(COUNT_REASONS)}",
                field="reason",
                word="reason_required",
            )
        return goods

    def _closings(
        self,
        held: Position,
        shift: OpenShift,
        goods: Mapping[str, CountLine],
        marks: Mapping[str, Value],
    ) -> list[Entry]:
        """The closing as entries of parallel arrays, one as a rule."""
        parts, now = self._parts, self._parts.facts.time.now()
        tally = parts.writer.daybook.tally(held.id, now.now_ms)
        names = sorted({*tally.offers, *goods})
        chunks = [
            names[start : start + OFFERS_AN_ENTRY_MAX]
            for start in range(0, max(1, len(names)), OFFERS_AN_ENTRY_MAX)
        ]
        place = Place(held.id, held.config.venue, shift.operator, shift.id)
        entries: list[Entry] = []
        for part, chunk in enumerate(chunks, 1):
            counts = [tally.offers.get(name) for name in chunk]
            entry = dict(
                shift_close_entry(
                    place,
                    now,
                    chunk,
                    [one.redeemed if one else 0 for one in counts],
                    [one.voided if one else 0 for one in counts],
                )
            )
            if any(goods[name].counted is not None for name in chunk if name in goods):
                seen = [goods[name].counted if name in goods else None for name in chunk]
                entry["counted"] = [-1 if one is None else one for one in seen]
                entry["differences"] = [
                    goods[name].difference if name in goods else 0 for name in chunk
                ]
            if len(chunks) > 1:
                entry.update(part=part, parts=len(chunks))
            entry.update(marks)
            entries.append(entry)
        return entries


def _lamp(name: str, words: tuple[tuple[str, str], ...], *, ok: bool, vital: bool) -> Lamp:
    (zh, zh_fault), (en, en_fault) = words
    return Lamp(
        name=name,
        ok=ok,
        vital=vital,
        zh=Line(zh, _OK[0] if ok else zh_fault),
        en=Line(en, _OK[1] if ok else en_fault),
    )


def _check_ready(parts: Parts) -> None:
    if not parts.writer.ready:
        raise LogFault(parts.writer.fault)
