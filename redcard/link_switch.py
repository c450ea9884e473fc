"""The demo's network cable: a relay on loopback that can be pulled and put back.

The terminal reaches the server through it. Pulled, it cuts what is open and refuses what is new,
as a dead network does; nothing of the product knows that it exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final

CHUNK_BYTES: Final = 65_536
START_TIMEOUT_S: Final = 10


class LinkSwitch:
    """Relays TCP from a port of its own to the server's port, while it is on.

    Args:
        target: the server's port on 127.0.0.1.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._on = True
        self._open: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="link-switch", daemon=True)
        self.port = 0

    @property
    def on(self) -> bool:
        """Whether the cable is in."""
        return self._on

    def start(self) -> None:
        """Begins to relay; ``port`` is known when it returns."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError("the demo's link did not start; try again")

    def stop(self) -> None:
        """Cuts everything and ends the relay."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT_S)

    def switch(self, *, on: bool) -> None:
        """Puts the cable in or pulls it; pulling cuts open connections at once."""
        self._on = on
        if not on:
            self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._relay, "127.0.0.1", 0, reuse_address=True)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._on:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copies until one side ends; a cut connection is the point of this module, no fault."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
