"""The connection under a context of pcsc-lite, known so that a call which hangs in it can be cut.

A call into the library cannot be ended from outside, but it waits for an answer on a socket of this
process, and a socket can be shut down: the call then returns at once, with an error. So an exchange
runs in its caller's own thread, which two switches of threads would make a third slower, and still
has a time limit. Where the socket cannot be told (another system, another library), nothing of this
is used, and calls run in a thread of their own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from readers.attendance import monotonic_ms

T = TypeVar("T")

TICK_MS: Final = 50
CONNECTING_S: Final = 0.2
#: What pcsc-lite calls the socket on which it listens, in whatever folder (pcscd(8)).
SOCKET_NAME: Final = "pcscd.comm"
_DESCRIPTORS: Final = Path("/proc/self/fd")
#: One connection is made at a time, so that the new socket is known to be its own.
_connecting = threading.Lock()


class Link:
    """One connection to the service, and the clock of the exchange that runs over it."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        self._name = name
        self._connection = connection
        self._lock = threading.Lock()
        self._end_ms: int | None = None
        self._cut = False
        self._over = False
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., T], *args: Any, limit_ms: int) -> T:
        """Calls ``function(*args)`` in this thread.

        Raises:
            TimeoutError: it took longer; the connection is cut and of no more use.
        """
        self._end_ms = monotonic_ms() + limit_ms
        if not self._busy.is_set():
            self._watch()
        try:
            return function(*args)
        finally:
            with self._lock:
                self._end_ms = None
                cut = self._cut
            if cut:
                raise TimeoutError(f"no answer in {limit_ms} ms")

    def rest(self) -> None:
        """No exchange is to come for a while: the clock stands still."""
        self._busy.clear()

    def close(self) -> None:
        """Lets go of the connection, which stays the library's own."""
        with self._lock:
            self._over = True
        self._busy.set()
        self._connection.close()

    def _watch(self) -> None:
        self._busy.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"{self._name} limit", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        tick = threading.Event()
        while self._busy.wait():
            with self._lock:
                if self._over or self._cut:
                    return
                if self._end_ms is not None and monotonic_ms() >= self._end_ms:
                    self._cut = True
                    with contextlib.suppress(OSError):  # the service has hung up by itself
                        self._connection.shutdown(socket.SHUT_RDWR)
                    return
            tick.wait(TICK_MS / 1000)


def linked(name: str, connect: Callable[[], T]) -> tuple[T, Link | None]:
    """Calls what opens one connection to the service.

    Returns:
        What it returns, and the connection, or ``None`` where it cannot be told.
    """
    if not _connecting.acquire(timeout=CONNECTING_S):  # another one hangs
        return connect(), None
    try:
        before = _sockets()
        result = connect()
        new = _sockets() - before
        found = [one for number, _ in new if (one := _to_service(number)) is not None]
    finally:
        _connecting.release()
    if len(found) == 1:
        return result, Link(name, found[0])
    for connection in found:
        connection.close()
    return result, None


def _sockets() -> set[tuple[int, str]]:
    """Descriptors of this process that are sockets, with their inodes; empty where unknown."""
    found: set[tuple[int, str]] = set()
    try:
        listed = list(_DESCRIPTORS.iterdir())
    except OSError:
        return found
    for one in listed:
        with contextlib.suppress(OSError):  # closed meanwhile
            target = str(one.readlink())
            if target.startswith("socket:"):
                found.add((int(one.name), target))
    return found


def _to_service(descriptor: int) -> socket.socket | None:
    """A handle of our own on that socket, if the card service is at its other end."""
    try:
        connection = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return None
    with contextlib.suppress(OSError):
        peer = connection.getpeername()  # a pair or more where it is no path
        if isinstance(peer, str) and Path(peer).name == SOCKET_NAME:
            return connection
    connection.close()
    return None
