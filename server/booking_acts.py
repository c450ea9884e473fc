"""Acts on bookings from the server's own shell and the venue's page."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from server import bookings

if TYPE_CHECKING:
    from server.core import ServerCore

Arguments = Mapping[str, Any]


async def _book(core: ServerCore, arguments: Arguments) -> Any:
    wanted = bookings.Wanted(
        arguments["offer"],
        arguments["venue"],
        arguments["at"],
        arguments["last4"],
        arguments.get("name", ""),
        int(arguments.get("units", 1)),
    )
    return asdict(await bookings.book(core, wanted))


async def _book_all(core: ServerCore, arguments: Arguments) -> Any:
    outcomes = await bookings.book_all(core, base64.b64decode(arguments["data"]))
    return {
        "booked": sum(one.issued is not None for one in outcomes),
        "refused": sum(one.issued is None for one in outcomes),
        "lines": [
            {
                "line": one.wanted.line,
                "reservation": one.issued.reservation if one.issued is not None else "",
                "fault": one.fault,
            }
            for one in outcomes
        ],
    }


async def _bookings(core: ServerCore, arguments: Arguments) -> Any:
    return {"bookings": await bookings.day(core, arguments["venue"], arguments["day"])}


async def _move_bookings(core: ServerCore, arguments: Arguments) -> Any:
    names = ("offer", "venue", "at", "to")
    rows = await bookings.move(core, *(arguments[name] for name in names))
    return {"bookings": rows, "moved": sum("moved_to" in row for row in rows)}


BOOKING_ACTS: Final[Mapping[str, Callable[[ServerCore, Arguments], Awaitable[Any]]]] = {
    "book": _book,
    "book_all": _book_all,
    "bookings": _bookings,
    "move_bookings": _move_bookings,
}
