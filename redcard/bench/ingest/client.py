"""A client that costs little: HTTP/1.1 over sockets, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from redcard.bench.ingest.load import Post
from sync.protocol import BATCH_MEDIA_TYPE, entries_path


class Connection:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use ``open``."""
        self._reader = reader
        self._writer = writer
        #: What the last answer asked to wait, in seconds.
        self.retry_after_s = 0

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connects to 127.0.0.1."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, target: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return await self._exchange(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    async def post(
        self, target: str, body: bytes, media_type: str, authorization: str = ""
    ) -> tuple[int, bytes]:
        """Status and body of a POST."""
        signed = f"Authorization: {authorization}\r\n" if authorization else ""
        head = (
            f"POST {target} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {len(body)}\r\n{signed}\r\n"
        )
        return await self._exchange(head.encode("ascii") + body)

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = self.retry_after_s = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
            elif line.startswith(b"retry-after:"):
                self.retry_after_s = int(line[12:])
        body = await self._reader.readexactly(length) if length else b""
        return int(head[9:12]), body

    async def close(self) -> None:
        """Closes it."""
        self._writer.close()
        with suppress(OSError):  # the other end has closed it already
            await self._writer.wait_closed()


async def send(port: int, posts: Sequence[Post], connections: int) -> float:
    """Sends batches over some connections, each ledger's own in their order.

    Args:
        port: of the server.
        posts: what is sent.
        connections: how many there are; every ledger keeps to one.

    Returns:
        Seconds from the first byte to the last answer.

    Raises:
        AssertionError: an answer is not a receipt.
    """
    lanes: list[list[Post]] = [[] for _ in range(connections)]
    places: dict[str, int] = {}
    for post in posts:
        lanes[places.setdefault(post.ledger, len(places) % connections)].append(post)
    opened = [await Connection.open(port) for _ in lanes]

    async def drive(connection: Connection, lane: Sequence[Post]) -> None:
        for post in lane:
            target = entries_path(post.ledger)
            status, body = await connection.post(target, post.body, BATCH_MEDIA_TYPE)
            if status != 200:
                raise AssertionError(f"the server answered {status}: {body[:200]!r}")

    began = time.perf_counter()
    try:
        await asyncio.gather(
            *(drive(one, lane) for one, lane in zip(opened, lanes, strict=True) if lane)
        )
        return time.perf_counter() - began
    finally:
        for one in opened:
            await one.close()
