"""Cards and states of one reader, as a course of instructions needs them: one after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from readers.connection import CardConnection, ResettableConnection
from readers.errors import ReaderError
from readers.supervision import ReaderHealth, ReaderState

#: A card may lie there before it is asked for, when nobody is there to be asked.
EARLY_CARD_S: Final = 2.0


class CardEvents:
    """A listener that runs what is due on the next card, and lets the course wait for events."""

    def __init__(self, name: str) -> None:
        """Listens to the reader of this name alone."""
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[ResettableConnection], Any]] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._state = ReaderState.ABSENT

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        """Runs what is due, in the reader's thread."""
        if reader != self._name:
            return
        try:  # a card may lie there before it is asked for
            job = self._jobs.get(timeout=EARLY_CARD_S)
        except queue.Empty:
            return
        try:
            result: Any = job(connection)  # type: ignore[arg-type]
        except ReaderError as error:
            result = error
        except Exception as error:
            self._told.put(("inserted", error))  # ours: the course must not wait for ever
            raise
        self._told.put(("inserted", result))

    def card_removed(self, reader: str) -> None:
        """Takes note."""
        if reader == self._name:
            self._told.put(("removed", None))

    def several_cards(self, reader: str) -> None:
        """Takes note."""
        if reader == self._name:
            self._told.put(("several", None))

    def health_changed(self, health: ReaderHealth) -> None:
        """Takes note."""
        if health.name == self._name:
            with self._changed:
                self._state = health.state
                self._changed.notify_all()

    def due(self, job: Callable[[ResettableConnection], Any]) -> None:
        """The next card that comes is given to this job, and none before it."""
        self.forget()
        while not self._told.empty():
            self._told.get_nowait()
        self._jobs.put(job)

    def forget(self) -> None:
        """Nothing is due on the next card."""
        while not self._jobs.empty():
            self._jobs.get_nowait()

    def wait(self, event: str, limit_ms: int) -> Any:
        """What came with the event.

        Raises:
            TimeoutError: it did not come; a running job is waited for however long it takes.
        """
        end = time.monotonic() + limit_ms / 1000
        while True:
            left = end - time.monotonic()
            running = event == "inserted" and self._jobs.empty()
            try:
                told, result = self._told.get(timeout=1.0 if running else max(left, 0.001))
            except queue.Empty:
                if running or left > 0:
                    continue
                raise TimeoutError(event) from None
            if told == event:
                if isinstance(result, Exception) and not isinstance(result, ReaderError):
                    raise result
                return result

    def state(self, wanted: set[ReaderState], limit_ms: int) -> bool:
        """Whether the reader reaches one of the states in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state in wanted, limit_ms / 1000)
