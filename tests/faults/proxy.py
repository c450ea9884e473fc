"""A seeded TCP proxy that delays, cuts, swallows and resets connections.

The same seed gives the same faults in the same order of connections. It runs an event loop in a
thread of its own and stops cleanly; ``counts`` says what it did, so that a test can demand that its
faults really happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from types import TracebackType
from typing import Final, Self

#: Fault and weight; ``ok`` passes everything.
FAULTS: Final = {
    "ok": 60,
    "delay": 8,
    "reset": 8,
    "cut_request": 8,
    "cut_answer": 8,
    "lose_answer": 8,
}
DELAY_S: Final = 0.005
CUT_BYTES_MAX: Final = 400


class FaultProxy:
    """Stands between a client and ``upstream``.

    Args:
        upstream: host and port of the real server.
        seed: of the faults.
        faults: weights by name; the default mixes all.
    """

    def __init__(
        self, upstream: tuple[str, int], seed: int, faults: dict[str, int] | None = None
    ) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        self._weights = dict(faults or FAULTS)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names = list(self._weights)
        fault = self._random.choices(names, [self._weights[name] for name in names])[0]
        limit = self._random.randrange(CUT_BYTES_MAX)
        self.counts[fault] += 1
        if fault == "reset":
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        try:
            if fault == "delay":
                await asyncio.sleep(DELAY_S)
            cut_request = limit if fault == "cut_request" else None
            cut_answer = {"cut_answer": limit, "lose_answer": 0}.get(fault)
            request = asyncio.create_task(_pump(reader, up_writer, cut_request))
            answer = asyncio.create_task(_pump(up_reader, writer, cut_answer))
            done, _ = await asyncio.wait({request, answer}, return_when=asyncio.FIRST_COMPLETED)
            if answer not in done and request.result():
                # Half a request went up; the server sees the connection break.
                up_writer.transport.abort()
            for task in (request, answer):
                task.cancel()
            await asyncio.gather(request, answer, return_exceptions=True)
        finally:
            writer.transport.abort()
            up_writer.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None
) -> bool:
    """Copies until the source ends or the limit is reached; says whether it cut."""
    total = 0
    while data := await source.read(4096):
        if limit is not None and total + len(data) > limit:
            sink.write(data[: max(0, limit - total)])
            await sink.drain()
            return True
        total += len(data)
        sink.write(data)
        await sink.drain()
    return False
