"""The campaign ``herd``: ten thousand terminals come back at once to the real server.

Each has a few entries, connects by itself, and when it is told to come back it does so as the
terminal's own backoff says. In the end all are drained, and it is told what that cost.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from redcard.bench.ingest.client import Connection
from redcard.bench.ingest.load import Fleet, Post
from redcard.bench.postgres import processor_s
from server.database import SQLITE_NAME, Database
from sync.protocol import BATCH_MEDIA_TYPE, entries_path
from sync.retry import Backoff
from tests.campaigns.real_server import Server, make_home
from tests.campaigns.report import Budget, Report
from tests.sync.signed_log import DOMAIN

#: All come within this time: more a second than one server process takes.
ARRIVAL_S_PER_TERMINAL: Final = 0.0008
ENTRIES: Final = 15
ATTEMPTS_MAX: Final = 40
CONNECTIONS_MAX: Final = 4_096
_COME_BACK: Final = {429, 503}


class Herd:
    """Terminals that all want the same server now."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._backoff = Backoff()
        self._places = asyncio.Semaphore(CONNECTIONS_MAX)
        self.answers: Counter[str] = Counter()
        self.waits_s: list[float] = []

    async def drain(self, posts: Sequence[Post]) -> list[str]:
        """Sends everything; says who did not come through."""
        told = await asyncio.gather(*(self._come(post, len(posts)) for post in posts))
        return [fault for fault in told if fault]

    async def _come(self, post: Post, count: int) -> str:
        await asyncio.sleep(self._random.random() * count * ARRIVAL_S_PER_TERMINAL)
        began = time.monotonic()
        for failures in range(1, ATTEMPTS_MAX + 1):
            status, wait_s = await self._send(post)
            if status == 200:
                self.waits_s.append(time.monotonic() - began)
                return ""
            if status and status not in _COME_BACK:
                return f"{post.ledger} was answered {status}"
            fraction = self._random.random()
            delay_ms = self._backoff.delay_ms(min(failures, 4), fraction, retry_after_s=wait_s)
            await asyncio.sleep(delay_ms / 1_000)
        return f"{post.ledger} never came through"

    async def _send(self, post: Post) -> tuple[int, int]:
        """Status of one try, 0 without an answer; and what the server asked to wait, seconds."""
        async with self._places:
            try:
                connection = await Connection.open(self._port)
            except OSError:
                self.answers["no connection"] += 1
                return 0, 0
            try:
                target = entries_path(post.ledger)
                status, _ = await connection.post(target, post.body, BATCH_MEDIA_TYPE)
            except (OSError, asyncio.IncompleteReadError):
                self.answers["cut off"] += 1
                return 0, 0
            finally:
                await connection.close()
        self.answers[str(status)] += 1
        return status, connection.retry_after_s


def faults_of(home: Path, posts: Sequence[Post]) -> list[str]:
    """Ledgers of which the server holds something else than was sent."""
    wanted = {post.ledger: list(post.entries) for post in posts}
    held: dict[str, list[bytes]] = {ledger: [] for ledger in wanted}
    with closing(sqlite3.connect(f"file:{home / SQLITE_NAME}?mode=ro", uri=True)) as database:
        for ledger, body in database.execute(
            "SELECT l.ledger, e.body FROM entries e JOIN ledgers l USING (log) ORDER BY log, seq"
        ):
            held[ledger].append(bytes(body))
    return [f"{ledger} is not whole" for ledger in wanted if held[ledger] != wanted[ledger]]


def play(folder: Path, count: int, *words: str) -> tuple[list[str], Herd, float, float]:
    """A herd against a new server; faults, the herd, seconds in all and seconds of processor."""
    home = make_home(folder / "server").path
    fleet = Fleet(DOMAIN, 0, count)

    async def enrol() -> None:
        database = await Database.open(home)
        await fleet.enrol(database)
        await database.close()

    asyncio.run(enrol())
    posts = [post for ledger in fleet.ledgers for post in fleet.batches(ledger, 1, ENTRIES)]
    with closing(Server(home, *words)) as server:
        server.start()
        server.wait()
        herd = Herd(server.address[1])
        used_s, began = processor_s(server.pid), time.monotonic()
        faults = asyncio.run(herd.drain(posts))
        took_s, used_s = time.monotonic() - began, processor_s(server.pid) - used_s
    return faults + faults_of(home, posts), herd, took_s, used_s


def run(budget: Budget) -> Report:
    """``budget.rounds`` terminals."""
    report = Report()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * CONNECTIONS_MAX), hard))
    try:
        with tempfile.TemporaryDirectory(prefix="redcard-herd-") as folder:
            faults, herd, took_s, used_s = play(Path(folder), budget.rounds)
        for fault in faults[:5]:
            report.need(False, fault)
        waits = sorted(herd.waits_s) or [0.0]
        report.figures["terminals drained"] = len(herd.waits_s)
        report.figures["told to come back"] = sum(herd.answers[str(one)] for one in _COME_BACK)
        report.figures["tries without an answer"] = (
            herd.answers["no connection"] + herd.answers["cut off"]
        )
        report.figures["seconds until all were drained"] = round(took_s, 1)
        report.figures["half were drained within seconds of their arrival"] = round(
            waits[len(waits) // 2], 2
        )
        report.figures["the last was after seconds"] = round(waits[-1], 2)
        report.figures["processor of the server, ms a terminal"] = round(
            used_s / budget.rounds * 1e3, 2
        )
        with tempfile.TemporaryDirectory(prefix="redcard-herd-") as folder:
            report.controls["a server that answers before it stores"] = bool(
                play(Path(folder), 12, "lie")[0]
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return report
