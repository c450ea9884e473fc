"""The least that a message costs until it is painted: an empty page behind an event stream.

Measured in the same run as the kiosk's page, in the same browser and by the same process: what the
browser's own frames, the stream and the machine take before anything of ours is drawn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from screens.serving import LocalServer, LocalSite

PAGE: Final = """<!doctype html><title>floor</title><body><script>
new EventSource('/events').onmessage = (event) => {
  document.body.textContent = event.data;
  document.body.dataset.turn = event.data;
};
</script>"""


class Floor:
    """The page, its stream, and the server of both."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._number = 0
        routes = [Route("/", self._page), Route("/events", self._events)]
        app = Starlette(routes=routes)
        self.server = LocalServer(lambda _port: LocalSite(app, lambda: self._queue.put_nowait("")))

    async def _page(self, request: Request) -> Response:
        del request
        return HTMLResponse(PAGE)

    async def _events(self, request: Request) -> Response:
        del request
        self._loop = asyncio.get_running_loop()
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        while text := await self._queue.get():
            yield f"data: {text}\n\n"

    def say(self) -> float:
        """Sends one message; returns when, milliseconds since 1970."""
        assert self._loop is not None, "no page has opened the stream"
        self._number += 1
        said = time.time() * 1_000
        self._loop.call_soon_threadsafe(self._queue.put_nowait, str(self._number))
        return said

    def close(self) -> None:
        """Ends it."""
        self.server.stop()
