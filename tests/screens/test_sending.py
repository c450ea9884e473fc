"""Files and event streams without worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message

from screens.sending import EventStream, StaticFolder


def ask(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    app = Starlette(routes=[Mount("/static/screens", StaticFolder("screens"))])

    async def once() -> httpx.Response:
        way = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=way, base_url="http://here") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(once())


def test_a_file_comes_once_and_then_only_its_mark() -> None:
    first = ask("/static/screens/base.css")
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/css; charset=utf-8"
    assert b"box-sizing" in first.content
    again = ask("/static/screens/base.css", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ask("/static/screens/base.css", "POST").status_code == 405


@pytest.mark.parametrize("name", ["none.css", "", "../web.py", "..%2fweb.py", "%2e%2e/web.py"])
def test_nothing_else_is_given_out(name: str) -> None:
    assert ask(f"/static/screens/{name}").status_code == 404


class Wire:
    """The other end of a connection."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.hung_up = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def receive(self) -> Message:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    def body(self) -> bytes:
        return b"".join(one.get("body", b"") for one in self.sent)


SCOPE: dict[str, Any] = {"type": "http"}


def test_a_stream_ends_with_its_events() -> None:
    async def events() -> AsyncGenerator[str, None]:
        yield "data: 一\n\n"

    async def play() -> Wire:
        wire = Wire()
        await EventStream(events(), {"x-a": "1"})(SCOPE, wire.receive, wire.send)
        return wire

    wire = asyncio.run(play())
    assert (b"content-type", b"text/event-stream; charset=utf-8") in wire.sent[0]["headers"]
    assert (b"x-a", b"1") in wire.sent[0]["headers"]
    assert wire.body() == "data: 一\n\n".encode()
    assert wire.sent[-1]["more_body"] is False


def test_a_stream_whose_reader_has_gone_is_closed() -> None:
    closed: list[bool] = []

    async def events(begun: asyncio.Event) -> AsyncGenerator[str, None]:
        try:
            yield "retry: 1\n\n"
            begun.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def play() -> None:
        wire, begun = Wire(), asyncio.Event()
        serving = asyncio.ensure_future(EventStream(events(begun))(SCOPE, wire.receive, wire.send))
        await begun.wait()
        wire.hung_up.set()
        await serving

    asyncio.run(play())
    assert closed == [True]


def test_a_fault_of_the_events_is_told() -> None:
    async def events() -> AsyncGenerator[str, None]:
        yield "data: 1\n\n"
        raise LookupError("no such view")

    async def play() -> None:
        wire = Wire()
        await EventStream(events())(SCOPE, wire.receive, wire.send)

    with pytest.raises(LookupError):
        asyncio.run(play())
