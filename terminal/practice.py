"""Practice mode (练习): a terminal within the terminal, with a ledger and keys of its own.

While a position practises, everything that is asked of it is asked of its room: another ledger of
another origin, another signing key, another card key, and cards of the demo authority alone. A
member's card is not genuine there (C02), and a demo card is not in service. Nothing of it travels
to the server. Pages show a ribbon from ``PositionView.practice``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from terminal.service import TerminalService
    from terminal.work_answers import PracticeShown

P = ParamSpec("P")
R = TypeVar("R")


class HasRooms(Protocol):
    """Who serves positions, some of which may be in a room of their own."""

    rooms: dict[str, Any]


S = TypeVar("S", bound=HasRooms)


def in_its_room(
    method: Callable[Concatenate[S, str, P], R],
) -> Callable[Concatenate[S, str, P], R]:
    """Lets the room of a position answer while that position practises."""

    def call(self: S, position: str, *args: P.args, **kwargs: P.kwargs) -> R:
        room: S = self.rooms.get(position, self)
        return method(room, position, *args, **kwargs)

    update_wrapper(call, method)
    # A request may name its position; the type of Concatenate knows it by its place alone.
    return cast("Callable[Concatenate[S, str, P], R]", call)


class Practice:
    """Sends positions into the practice room and back. Safe from several threads."""

    def __init__(self, service: TerminalService, open_room: Callable[[], TerminalService]) -> None:
        """``open_room`` opens the room when it is first needed, or says why it cannot."""
        self._service = service
        self._open_room = open_room
        self._room: TerminalService | None = None
        self._lock = threading.Lock()

    def shown(self, position: str) -> PracticeShown:
        """Whether a position practises, and the room's ledger."""
        self._service.position(position)
        from terminal.work_answers import PracticeShown

        room = self._room
        return PracticeShown(
            on=position in self._service.rooms,
            ledger=room.parts.ledger if room is not None else "",
            entries=room.parts.writer.size if room is not None else 0,
        )

    def start(self, position: str) -> PracticeShown:
        """From now on this position practises; what was shown there is put away first.

        Raises:
            PracticeUnavailable: this terminal has no demo authority; the message says what to do.
            LogFault: the practice ledger cannot be used.
        """
        held = self._service.position(position)
        with self._lock:
            if position not in self._service.rooms:
                self._service.dismiss(position)
                if self._room is None:
                    self._room = self._open_room()
                inside = self._room.position(position)
                for health in held.readers():
                    inside.set_health(health)
                self._service.rooms[position] = self._room
                self._service.work.rooms[position] = self._room.work
                self._service.reception.rooms[position] = self._room.reception
        held.touch()
        return self.shown(position)

    def end(self, position: str) -> PracticeShown:
        """Back to service; a position that does not practise stays as it is."""
        held = self._service.position(position)
        with self._lock:
            room = self._service.rooms.pop(position, None)
            self._service.work.rooms.pop(position, None)
            self._service.reception.rooms.pop(position, None)
            if room is not None:
                room.work.cancel_collection(position)
                room.dismiss(position)
        held.touch()
        return self.shown(position)

    def close(self) -> None:
        """Ends every practice and closes its ledger."""
        for position in list(self._service.rooms):
            self.end(position)
        with self._lock:
            room, self._room = self._room, None
        if room is not None:
            room.close()
