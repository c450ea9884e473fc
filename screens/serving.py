"""Serves local pages from a thread, and ends them in order.

An event stream never ends by itself, so a server that stops must first tell its application to
end the streams; only then does it stop quickly and without a lost answer.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK: Final = "127.0.0.1"
START_SECONDS_MAX: Final = 10.0
STOP_SECONDS_MAX: Final = 10.0
#: What an answer under way may still take when the server stops.
_GRACE_SECONDS: Final = 3


class EndingApp(Protocol):
    """An ASGI application whose event streams can be ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""

    def end_streams(self) -> None:
        """Ends all event streams; called on the event loop of the server."""


class LocalSite:
    """Joins an application with what ends its streams."""

    def __init__(self, app: ASGIApp, end_streams: Callable[[], None]) -> None:
        self._app = app
        self._end_streams = end_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        await self._app(scope, receive, send)

    def end_streams(self) -> None:
        """Ends all event streams."""
        self._end_streams()


def loopback_socket(port: int = 0) -> socket.socket:
    """A socket bound to loopback, so that its port is known before the application is made.

    Args:
        port: the port, or 0 for any free one.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        raise
    return listener


class LocalServer:
    """One application on one loopback port, in a thread of its own."""

    def __init__(self, make_app: Callable[[int], EndingApp], port: int = 0) -> None:
        """Binds the port, makes the application for it and waits until it answers.

        Args:
            make_app: gets the port on which the application will be reached.
            port: the port, or 0 for any free one.

        Raises:
            OSError: the port is taken.
            RuntimeError: the application failed to start; its log says why.
        """
        import uvicorn

        self._listener = loopback_socket(port)
        self.port: int = self._listener.getsockname()[1]
        app = make_app(self.port)

        class Ending(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                app.end_streams()
                await super().shutdown(sockets)

        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
        )
        self._server: uvicorn.Server = Ending(config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._listener]},
            name=f"pages-{self.port}",
            daemon=True,
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                self.stop()
                raise RuntimeError(f"the pages on port {self.port} did not start; see the log")
            time.sleep(0.005)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{LOOPBACK}:{self.port}"

    def stop(self) -> None:
        """Ends streams, finishes answers under way, and frees the port; may be called twice."""
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS_MAX)
        self._listener.close()
