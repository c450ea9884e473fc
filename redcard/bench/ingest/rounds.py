"""The figures of the server: what each measures, and what it stands beside."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from redcard.bench.ingest.client import send
from redcard.bench.ingest.lab import DOMAIN, Lab, lab
from redcard.bench.ingest.load import Fleet, Post, in_turn
from redcard.bench.ingest.online import hold_rate
from redcard.bench.ingest.processes import workers
from redcard.bench.ingest.status import status_figures
from redcard.bench.paths import Figure, figure
from server.core import ServerCore
from server.hot_path import copy_of

#: Rounds of both sides in turn; the best of each counts.
ROUNDS: Final = 3
#: Terminals of a round, and connections over which they send.
TERMINALS: Final = 24
CONNECTIONS_LARGE: Final = 8
CONNECTIONS_SMALL: Final = 12
LARGE: Final = 500
WORKERS: Final = 2
#: pretix 2026.8.0's redeem call on a machine like this one with 8 clients, as noted: the best rate
#: of its rounds, and the least processor time of a call. It is not installed here.
PRETIX_RATE: Final = 61.0
PRETIX_PROCESSOR_MS: Final = 31.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done; a campaign does what the figures are stated for.

    Attributes:
        batches: of 500 entries a terminal and round.
        stored: entries that the larger table holds already.
        grown: entries over which memory is watched.
        cards: of the roster whose status is measured.
    """

    batches: int
    stored: int
    grown: int
    cards: int


SMALL: Final = Scale(batches=4, stored=400_000, grown=150_000, cards=355_500)
FULL: Final = Scale(batches=10, stored=20_000_000, grown=1_000_000, cards=3_555_000)


def bench_ingest(
    directory: Path,
    scale: Scale = SMALL,
    progress: Callable[[int, int], None] | None = None,
    only: Sequence[str] = (),
) -> list[Figure]:
    """All figures of the server, against a PostgreSQL that is started for it.

    Args:
        directory: a folder on the disk to use; what is made there is removed again.
        scale: how much is done.
        progress: called with steps done and steps in all.
        only: names of the parts to run; empty runs all.

    Raises:
        DatabaseFault: there is no PostgreSQL here.
    """
    everything: dict[str, Callable[[Lab, Scale], list[Figure]]] = {
        "large": _large,
        "small": _small,
        "online": _online,
        "stored": _stored,
        "memory": _memory,
        "status": lambda _lab, size: status_figures(directory, size.cards),
    }
    parts = [part for name, part in everything.items() if not only or name in only]
    found: list[Figure] = []
    with lab(directory) as bench:
        for number, part in enumerate(parts):
            found += part(bench, scale)
            if progress is not None:
                progress(number + 1, len(parts))
    return found


class Fleets:
    """One fleet after the other, enrolled in a database."""

    def __init__(self, bench: Lab, url: str) -> None:
        """Enrols in the database of ``url``."""
        self._bench = bench
        self._url = url
        self._number = 0

    def next(self, count: int = TERMINALS) -> Fleet:
        """A fleet that nobody has seen."""
        self._number += 1
        fleet = Fleet(DOMAIN, self._number, count)
        self._bench.enrol(self._url, fleet)
        return fleet


def _posts(fleet: Fleet, count: int, entries: int) -> list[Post]:
    return in_turn([list(fleet.batches(ledger, count, entries)) for ledger in fleet.ledgers])


def _rate(port: int, posts: Sequence[Post], connections: int) -> float:
    """Entries a second."""
    took_s = asyncio.run(send(port, posts, connections))
    return sum(len(post.entries) for post in posts) / took_s


def _large(bench: Lab, scale: Scale) -> list[Figure]:
    """Batches of 500, two workers, beside raw COPY and beside one signature an entry."""
    url = bench.database()
    fleets = Fleets(bench, url)
    ours: list[float] = []
    copies: list[float] = []
    signed: list[float] = []
    sent: list[Post] = []
    with (
        workers(bench.home, "server", url, WORKERS) as plain,
        workers(bench.home, "per-entry", url, WORKERS) as costly,
    ):
        for number in range(ROUNDS + 1):
            posts = _posts(fleets.next(), scale.batches, LARGE)
            few = _posts(fleets.next(WORKERS * 2), 1, LARGE)
            rates = (
                _rate(plain.port, posts, CONNECTIONS_LARGE),
                bench.at(url, partial(_raw_copy, posts)),
                _rate(costly.port, few, CONNECTIONS_LARGE),
            )
            if number:  # the first warms everything up
                for into, rate in zip((ours, copies, signed), rates, strict=True):
                    into.append(rate)
            sent += posts + few
    bench.know(url, sent)
    judged = [bench.at(url, _judge_rate)]
    return [
        figure("ingest_copy", "entries/s", ours, copies, 0.35, aim="at least"),
        figure("ingest_per_entry_signature", "entries/s", ours, signed, 10.0, aim="at least"),
        figure("judging_of_batches", "entries/s", judged, [max(ours) / 2], 1.0, aim="at least"),
    ]


async def _raw_copy(posts: Sequence[Post], core: ServerCore) -> float:
    """The same rows by COPY, prepared beforehand, in one transaction into a table of their own."""
    rows = [
        (at, seq, entry)
        for at, post in enumerate(posts)
        for seq, entry in enumerate(post.entries, post.old_size)
    ]
    data = copy_of(rows)
    async with core.database.writing() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute("DROP TABLE IF EXISTS raw_entries")
        await raw.execute(
            "CREATE TABLE raw_entries (log int, seq bigint, body bytea, PRIMARY KEY (log, seq))"
        )
    began = time.perf_counter()
    async with core.database.writing() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.copy_to_table("raw_entries", source=io.BytesIO(data), format="binary")
    return len(rows) / (time.perf_counter() - began)


async def _judge_rate(core: ServerCore) -> float:
    """Entries judged a second by one process, of members with a card each."""
    await core.projector.step()
    began = time.perf_counter()
    count = await core.judge()
    return count / (time.perf_counter() - began)


def _small(bench: Lab, scale: Scale) -> list[Figure]:
    """Batches of one entry with group commit, beside the same endpoint without a database."""
    url = bench.database()
    fleets = Fleets(bench, url)
    ours: list[float] = []
    bare: list[float] = []
    count = 25 * scale.batches
    sent: list[Post] = []
    with (
        workers(bench.home, "server", url) as plain,
        workers(bench.home, "no-database", url) as without,
    ):
        for number in range(ROUNDS + 1):
            posts = _posts(fleets.next(), count, 1)
            rates = (
                _rate(plain.port, posts, CONNECTIONS_SMALL),
                _rate(without.port, posts, CONNECTIONS_SMALL),
            )
            sent += posts
            if number:
                ours.append(rates[0])
                bare.append(rates[1])
    bench.know(url, sent)
    judged = [bench.at(url, _judge_rate)]
    return [
        figure("ingest_of_one", "entries/s", ours, bare, 0.5, aim="at least"),
        figure("judging", "entries/s", judged, [max(ours) / 2], 1.0, aim="at least"),
    ]


def _online(bench: Lab, scale: Scale) -> list[Figure]:
    """Decisions at the server with 8 clients, beside pretix's redeem call as noted."""
    url = bench.database()
    fleets = Fleets(bench, url)
    rates: list[float] = []
    costs: list[float] = []
    with workers(bench.home, "server", url, WORKERS) as running:
        for number in range(ROUNDS + 1):
            fleet = fleets.next(8)
            people = _posts(fleet, 25 * scale.batches, 1)
            bench.know(url, people)
            before = running.processor_s() + bench.postgres.processor_s()
            rate = asyncio.run(hold_rate(running.port, fleet, people))
            used_s = running.processor_s() + bench.postgres.processor_s() - before
            if number:
                rates.append(rate)
                costs.append(used_s / len(people) * 1e3)
    return [
        figure("online_rate", "calls/s", rates, [PRETIX_RATE], 10.0, aim="at least"),
        figure("online_processor", "ms/call", costs, [PRETIX_PROCESSOR_MS], 3.0 / 31.0),
    ]


def _stored(bench: Lab, scale: Scale) -> list[Figure]:
    """What an entry costs when many are stored, beside when few are."""
    small, large = bench.database(), bench.database()
    for url, held in ((small, 20_000), (large, scale.stored)):
        bench.at(url, partial(_fill, held))
    fleets = {url: Fleets(bench, url) for url in (small, large)}
    with (
        workers(bench.home, "server", small) as few,
        workers(bench.home, "server", large) as many,
    ):
        costs: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS + 1):
            for into, running, url in ((costs[0], few, small), (costs[1], many, large)):
                posts = _posts(fleets[url].next(), scale.batches, LARGE)
                rate = _rate(running.port, posts, CONNECTIONS_LARGE)
                if number:
                    into.append(1e6 / rate)
    return [figure("cost_when_full", "us/entry", costs[1], costs[0], 1.3)]


async def _fill(count: int, core: ServerCore) -> None:
    """Puts entries straight into the table, spread over some ledgers as if they had come."""
    fleet = Fleet(DOMAIN, 0, 1)
    body = next(fleet.batches(fleet.ledgers[0], 1, 1)).entries[0]
    each = count // TERMINALS
    async with core.database.writing() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        # Ledgers of the filling have numbers that no terminal of the bench has.
        for log in range(1_000_000, 1_000_000 + TERMINALS):
            for start in range(0, each, 50_000):
                rows = ((log, seq, body) for seq in range(start, min(each, start + 50_000)))
                await raw.copy_to_table(
                    "entries", source=io.BytesIO(copy_of(rows)), format="binary"
                )


def _memory(bench: Lab, scale: Scale) -> list[Figure]:
    """What the server process has grown by, an entry."""
    url = bench.database()
    fleets = Fleets(bench, url)
    with workers(bench.home, "server", url) as running:
        fleet = fleets.next()
        per_round = LARGE * TERMINALS
        warming = max(scale.grown // per_round // 3, 1)
        _rate(running.port, _posts(fleet, warming, LARGE), CONNECTIONS_LARGE)
        resident = [running.resident_bytes()]
        while (len(resident) - 1) * per_round < scale.grown:
            _rate(running.port, _posts(fleet, 1, LARGE), CONNECTIONS_LARGE)
            resident.append(running.resident_bytes())
    # What is held for a moment comes and goes by megabytes: the middles of both halves are taken,
    # which lie half of all entries apart.
    half = len(resident) // 2
    grown = max(median(resident[-half:]) - median(resident[:half]), 0)
    between = (len(resident) - half) * per_round
    return [figure("memory_growth", "bytes/entry", [grown / between], [1.0], 16.0)]
