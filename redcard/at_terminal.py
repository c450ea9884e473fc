"""The way of commands to a terminal: the running service, else the terminal in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from redcard.console import Session
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from terminal.remote import TerminalDesk
    from terminal.surface import TerminalSurface

_PLACE: Final = ZoneInfo("Asia/Shanghai")


@contextmanager
def at_terminal(session: Session, *, readers: bool) -> Iterator[tuple[TerminalDesk, int]]:
    """The terminal of ``--home``, and its time in milliseconds.

    Args:
        session: whose home.
        readers: whether card readers are needed when it is opened here.
    """
    from redcard.demo_clock import clock_of
    from terminal.home import Home
    from terminal.remote import desk_of

    home = Home.open(session.home_or("terminal"))
    clock = clock_of(home.path)

    def open_here() -> TerminalSurface:
        from readers.pcsc import PcscReaders
        from terminal.composition import open_terminal
        from terminal.scanners import scanners_of

        found = [PcscReaders(), *scanners_of(home.config)] if readers else []
        service = open_terminal(home, clock, found)
        service.start()
        return service

    with desk_of(home, open_here) as desk:
        yield desk, clock.wall_ms()


def named(position: str) -> dict[str, str]:
    """The query of a position, empty for the first."""
    return {"position": position} if position else {}


def local_text(at_ms: int) -> str:
    """Date and time in Beijing, ``2014-05-30 10:00``."""
    return datetime.fromtimestamp(at_ms / 1000, _PLACE).strftime("%Y-%m-%d %H:%M")


def units_of(pairs: Sequence[str]) -> dict[str, int]:
    """``OFFER=UNITS`` of the command line.

    Raises:
        UsageInvalid: one has another form.
    """
    found: dict[str, int] = {}
    for pair in pairs:
        offer, equals, units = pair.partition("=")
        if not (offer and equals and units.isascii() and units.isdigit()):
            raise UsageInvalid(f"{pair!r} is not OFFER=UNITS")
        found[offer] = int(units)
    return found
