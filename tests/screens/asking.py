"""Asks an application in the process, without a socket."""

from __future__ import annotations

import asyncio

import httpx
from starlette.types import ASGIApp


def ask(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    base: str = "http://127.0.0.1:8000",
    content: bytes = b"",
) -> httpx.Response:
    """One request and its whole answer; a fault inside becomes the application's own 500."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(once())
