"""Small files and event streams, sent without worker threads.

Starlette's own responses for both bring a second event-loop library along, more than a megabyte
that a kiosk does not have. The files here are few, small and our own; they are read when asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from importlib.resources import files
from mimetypes import guess_type
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_AGAIN_S: Final = 0.1
_TEXTS: Final = ("text/", "application/javascript", "application/json")


class StaticFolder:
    """The files of a package's ``static`` folder, to be mounted; it has no folders inside.

    Args:
        package: import name of the package.
    """

    def __init__(self, package: str) -> None:
        """Notes what there is."""
        self._folder = files(package).joinpath("static")
        self._names = {one.name for one in self._folder.iterdir() if one.is_file()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET and HEAD; with 304 when the browser has the file."""
        if scope["type"] != "http":
            raise HTTPException(404)
        request = Request(scope)
        name = request.url.path.rpartition("/")[2]
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405)
        if name not in self._names:
            raise HTTPException(404)
        data = self._folder.joinpath(name).read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            await Response(status_code=304, headers={"etag": tag})(scope, receive, send)
            return
        kind = guess_type(name)[0] or "application/octet-stream"
        if kind.startswith(_TEXTS):
            kind += "; charset=utf-8"
        headers = {"etag": tag, "content-type": kind}
        await Response(data, headers=headers)(scope, receive, send)


class EventStream(Response):
    """Server-sent events (HTML Living Standard, 9.2), until they end or the reader goes away."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[str, None], headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends what ``events`` yields, piece by piece; closes it at the end."""
        self.status_code = 200
        self.background = None
        self._events = events
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        del scope
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (sending, gone):
                # Whoever loses a cancellation is told again: no stream outlives its reader.
                while not one.done():
                    one.cancel()
                    await asyncio.wait({one}, timeout=_AGAIN_S)
            await self._events.aclose()
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        async for text in self._events:
            body = text.encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
