"""Shifts of a position: opened by a clerk, closed with totals that the ledger itself counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ledger.errors import LogFault
from terminal.answers import ShiftShown, TotalLine, Totals
from terminal.daybook import Tally
from terminal.entries import Place, shift_close_entry, shift_open_entry
from terminal.errors import RequestInvalid, ShiftState
from terminal.state import Installed, TerminalFacts
from terminal.writer import LedgerWriter

_OPERATOR: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")


class Shifts:
    """Opens and closes shifts. One per terminal; safe to call from several threads."""

    def __init__(
        self, *, writer: LedgerWriter, facts: TerminalFacts, new_id: Callable[[], str]
    ) -> None:
        self._writer = writer
        self._facts = facts
        self._new_id = new_id

    def place(self, position: str, venue: str) -> Place:
        """Where and by whom the next entry of a position is made."""
        with self._writer.turn:
            shift = self._writer.daybook.page(position).shift
        if shift is None:
            return Place(position, venue, position)
        return Place(position, venue, shift.operator, shift.id)

    def current(self, position: str) -> ShiftShown | None:
        """The open shift of a position."""
        with self._writer.turn:
            shift = self._writer.daybook.page(position).shift
        return None if shift is None else ShiftShown(shift.id, shift.operator, shift.opened_ms)

    def open(self, position: str, venue: str, operator: str) -> ShiftShown:
        """Opens a shift; durable on return.

        Args:
            position: where.
            venue: its venue.
            operator: staff number, 1 to 32 letters, digits, ``-`` and ``_``; never a name, since
                it stands in the ledger.

        Raises:
            RequestInvalid: the operator has the wrong form.
            ShiftState: a shift is open already.
            LogFault: it was not recorded.
        """
        check_operator(operator)
        with self._writer.turn:
            self._check_ready()
            shift = self._writer.daybook.page(position).shift
            if shift is not None:
                raise ShiftState(
                    f"{position} has an open shift of {shift.operator}; close it first"
                )
            place = Place(position, venue, operator, self._new_id())
            self._writer.append(shift_open_entry(place, self._facts.time.now()))
            opened = self.current(position)
        assert opened is not None  # the fold has just read the entry
        return opened

    def close(self, position: str, venue: str, *, day: bool = False) -> Totals:
        """Closes the open shift; durable on return.

        Args:
            position: where.
            venue: its venue.
            day: also without a shift: a kiosk that nobody opened ends its day.

        Raises:
            ShiftState: none is open.
            LogFault: it was not recorded; the shift is still open.
        """
        with self._writer.turn:
            self._check_ready()
            shift = self._writer.daybook.page(position).shift
            if shift is None and not day:
                raise ShiftState(f"{position} has no open shift")
            now = self._facts.time.now()
            tally = self._writer.daybook.tally(position, now.now_ms)
            offers = sorted(tally.offers)
            entry = shift_close_entry(
                Place(position, venue, shift.operator, shift.id)
                if shift is not None
                else Place(position, venue, position, self._new_id()),
                now,
                offers,
                [tally.offers[name].redeemed for name in offers],
                [tally.offers[name].voided for name in offers],
            )
            totals = totals_of(tally, self._facts.installed)
            self._writer.append(entry)
            return totals

    def totals(self, position: str) -> Totals:
        """Counts since the shift opened, or since local midnight without a shift."""
        with self._writer.turn:
            tally = self._writer.daybook.tally(position, self._facts.time.now().now_ms)
            return totals_of(tally, self._facts.installed)

    def _check_ready(self) -> None:
        if not self._writer.ready:
            raise LogFault(self._writer.fault)


def check_operator(operator: str) -> None:
    """A staff number, never a name: it stands in the ledger.

    Raises:
        RequestInvalid: of another form.
    """
    if not _OPERATOR.match(operator):
        raise RequestInvalid("a staff number of 1 to 32 letters, digits, - and _", field="operator")


def totals_of(tally: Tally, installed: Installed) -> Totals:
    """Counts with the titles of their offers."""
    lines = []
    for name in sorted(tally.offers):
        count, offer = tally.offers[name], installed.offer(name)
        title = getattr(offer, "title", "") or name
        lines.append(
            TotalLine(
                offer=name,
                title=title,
                title_en=getattr(offer, "title_en", "") or title,
                count=count.redeemed,
                voids=count.voided,
            )
        )
    return Totals(
        since_ms=tally.since_ms,
        redeemed=sum(line.count for line in lines),
        voided=sum(line.voids for line in lines),
        declined=tally.declined,
        lines=tuple(lines),
    )
