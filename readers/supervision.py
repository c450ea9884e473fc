"""One state machine for all drivers, its health record, and the ports drivers and callers share.

::

    absent ──► opening ──► ready ◄──► card
      ▲           │          │          │
      └───────────┴── fault ◄┴──────────┘

``absent`` is no fault: the reader is not plugged in. A fault is counted when it begins, a
recovery when the reader is ready again after one. Nothing here starts a thread or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Protocol, TypeAlias

from readers.connection import CardConnection

#: Milliseconds of a clock that never steps back; only differences mean anything.
NowMs: TypeAlias = Callable[[], int]

BACKOFF_FIRST_MS: Final = 50
BACKOFF_MOST_MS: Final = 1_000


@unique
class ReaderState(StrEnum):
    """What a reader is doing."""

    ABSENT = "absent"
    OPENING = "opening"
    READY = "ready"
    CARD = "card"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class ReaderHealth:
    """One reader's record for status, pages and the fleet view.

    Attributes:
        name: the reader, as its driver names it.
        state: what it is doing.
        since_ms: when that state began, by the clock the driver was given.
        detail: why, and what to do, in one sentence; empty when all is well.
        faults: faults since the driver was started.
        recoveries: how many of them went away by themselves.
    """

    name: str
    state: ReaderState
    since_ms: int
    detail: str = ""
    faults: int = 0
    recoveries: int = 0


class CardListener(Protocol):
    """Who is told about cards.

    Every call about one reader comes from that reader's own thread, so a slow listener holds up
    its own reader and no other. An exception that escapes a listener is logged by its type,
    counted as a fault, and the reader goes on.
    """

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        """A card is powered and can be talked to until this returns.

        When it returns, the driver lets go of the card without resetting it and waits for its
        removal. The connection is of no use afterwards. A card that answers nothing at all is
        announced too; every exchange with it raises ``CardMute``.
        """

    def card_removed(self, reader: str) -> None:
        """What was announced by ``card_inserted`` or ``several_cards`` has left."""

    def several_cards(self, reader: str) -> None:
        """More than one card is in the field; none is powered."""

    def health_changed(self, health: ReaderHealth) -> None:
        """The reader's state or its detail changed."""


class CardReader(Protocol):
    """A running driver: of one reader, or of all readers of one service."""

    @property
    def name(self) -> str:
        """The reader's name, or the service's."""

    @property
    def health(self) -> ReaderHealth:
        """The newest record; may be read from any thread."""

    def start(self, listener: CardListener) -> None:
        """Begins to watch in a thread of its own; returns at once and never fails."""

    def stop(self) -> None:
        """Stops watching; when it returns, no call to the listener begins any more."""


class ReaderMachine:
    """The state of one reader and its record.

    Args:
        name: the reader's name.
        now_ms: clock for ``since_ms``.
        changed: told of every new record, in the thread that made the change.
    """

    def __init__(self, name: str, now_ms: NowMs, changed: Callable[[ReaderHealth], None]) -> None:
        self._now_ms = now_ms
        self._changed = changed
        self._unrecovered = False
        self._health = ReaderHealth(name, ReaderState.ABSENT, now_ms())

    @property
    def health(self) -> ReaderHealth:
        """The newest record."""
        return self._health

    def opening(self) -> None:
        """The driver tries to open the reader; what is already said of it stays meanwhile."""
        if self._health.state is ReaderState.ABSENT and not self._health.detail:
            self._move(ReaderState.OPENING, "")

    def ready(self) -> None:
        """The reader works and no card is on it."""
        self._works(ReaderState.READY, "")

    def card(self, detail: str = "") -> None:
        """A card, or several, is on the reader."""
        self._works(ReaderState.CARD, detail)

    def absent(self, detail: str) -> None:
        """The reader is not there."""
        self._move(ReaderState.ABSENT, detail)

    def fault(self, detail: str) -> None:
        """The reader, its service or the card on it does not work."""
        begins, self._unrecovered = not self._unrecovered, True
        self._move(ReaderState.FAULT, detail, faults=int(begins))

    def _works(self, state: ReaderState, detail: str) -> None:
        recovered, self._unrecovered = self._unrecovered, False
        self._move(state, detail, recoveries=int(recovered))

    def _move(
        self, state: ReaderState, detail: str, *, faults: int = 0, recoveries: int = 0
    ) -> None:
        old = self._health
        if (old.state, old.detail) == (state, detail):
            return
        self._health = ReaderHealth(
            old.name,
            state,
            old.since_ms if state is old.state else self._now_ms(),
            detail,
            old.faults + faults,
            old.recoveries + recoveries,
        )
        self._changed(self._health)


class Backoff:
    """Waits that double from 50 ms to one second, so that recovery comes within two."""

    def __init__(self, first_ms: int = BACKOFF_FIRST_MS, most_ms: int = BACKOFF_MOST_MS) -> None:
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._next_ms = first_ms

    def next_ms(self) -> int:
        """The next wait in milliseconds."""
        wait_ms = self._next_ms
        self._next_ms = min(wait_ms * 2, self._most_ms)
        return wait_ms

    def reset(self) -> None:
        """Begins again with the shortest wait, after something worked."""
        self._next_ms = self._first_ms
