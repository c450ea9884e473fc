"""Serves an application on a free loopback port from a thread, and stops it again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

START_SECONDS_MAX = 10.0


def monotonic_ms() -> int:
    """A monotonic clock in milliseconds."""
    return time.monotonic_ns() // 1_000_000


def bound_socket(port: int = 0) -> socket.socket:
    """A listening socket on loopback, so that its port is known before the application is."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


class Served:
    """An application that listens; ``stop`` ends it, also its open streams."""

    def __init__(self, make_app: Callable[[int], ASGIApp], port: int = 0) -> None:
        self._listener = bound_socket(port)
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(self.port), log_level="error", timeout_graceful_shutdown=1, lifespan="on"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the application did not start")
            time.sleep(0.01)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stops listening and waits for the end."""
        self._server.should_exit = True
        self._thread.join(timeout=START_SECONDS_MAX)
        self._listener.close()
