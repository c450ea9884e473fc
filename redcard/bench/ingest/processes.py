"""Starts and stops the server processes of the bench, and reads what they cost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redcard.bench.postgres import processor_s
from server.errors import DatabaseFault

_START_S: Final = 60
_STOP_S: Final = 30
_BACKLOG: Final = 4096


@dataclass(frozen=True, slots=True)
class Workers:
    """Server processes behind one address.

    Attributes:
        port: of 127.0.0.1.
        pids: of the processes.
    """

    port: int
    pids: tuple[int, ...]

    def processor_s(self) -> float:
        """Seconds of processor that they have used so far."""
        return sum(processor_s(pid) for pid in self.pids)

    def resident_bytes(self) -> int:
        """Memory that they hold now."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def workers(home: Path, mode: str, database: str = "", count: int = 1) -> Iterator[Workers]:
    """Server processes for as long as the context lasts.

    Args:
        home: a server's folder.
        mode: what they do; see ``redcard.bench.ingest.worker``.
        database: PostgreSQL URL, empty for SQLite in the home.
        count: how many.

    Raises:
        DatabaseFault: one of them did not start.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(_BACKLOG)
        port = int(listening.getsockname()[1])
        command = [sys.executable, "-m", "redcard.bench.ingest.worker", str(home)]
        command += [str(listening.fileno()), mode, database]
        started = [
            subprocess.Popen(command, pass_fds=(listening.fileno(),), stdin=subprocess.DEVNULL)
            for _ in range(count)
        ]
    try:
        asyncio.run(_until_ready(port, started))
        yield Workers(port, tuple(one.pid for one in started))
    finally:
        for one in started:
            one.send_signal(signal.SIGTERM)
        for one in started:
            try:
                one.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


async def _until_ready(port: int, started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Waits until each has answered: a connection may go to any of them."""
    from redcard.bench.ingest.client import Connection

    async with asyncio.timeout(_START_S):
        good = 0
        while good < 4 * len(started):
            if any(one.poll() is not None for one in started):
                raise DatabaseFault("a server process of the bench did not start")
            try:
                connection = await Connection.open(port)
                status, _ = await connection.get("/readyz")
                await connection.close()
                good = good + 1 if status == 200 else 0
            except OSError:
                good = 0
                await asyncio.sleep(0.05)
