"""Blocking calls with a time limit, for libraries that have none.

A call that hangs cannot be ended in Python. It runs in a thread of its own, and whoever waited
too long walks away from it; what it held is cleaned up if it ever comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Watchdog:
    """Runs blocking calls one at a time in a thread of its own.

    Belongs to one caller. After ``TimeoutError`` it is spent: take a new one.

    Args:
        name: name of the thread, for diagnosis.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._spent = False

    @property
    def running(self) -> bool:
        """Whether its thread has not ended: a call hangs, or more calls may come."""
        return self._thread is not None and self._thread.is_alive()

    def call(self, function: Callable[..., T], *args: Any, limit_ms: int) -> T:
        """Calls ``function(*args)`` and returns what it returns, or raises what it raises.

        Raises:
            TimeoutError: no answer within ``limit_ms``.
        """
        if self._spent:
            raise TimeoutError(f"{self._name} still waits for an earlier call")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((function, args))
        try:
            value, error = self._answers.get(timeout=limit_ms / 1000)
        except Empty:
            self._spent = True
            raise TimeoutError(f"no answer in {limit_ms} ms") from None
        if error is not None:
            raise error
        result: T = value
        return result

    def end(self, last: Callable[[], Any] | None = None) -> None:
        """Ends the thread once the running call, if any, has returned.

        Args:
            last: called in that thread at the end, to let go of what the hung call held.
        """
        if self._thread is None:
            if last is not None:
                last()
            return
        if last is not None:
            self._jobs.put((last, ()))
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, args = job
            try:
                self._answers.put((function(*args), None))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                self._answers.put((None, error))
