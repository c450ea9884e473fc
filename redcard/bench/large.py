"""What a million entries change: appending, opening after a crash, proving one of them."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.log.proof import prove
from ledger.log.reading import LogReader
from redcard.bench.ledgers import Machine, Taps
from redcard.bench.paths import Figure, figure
from redcard.bench.raw import ROUNDS, Samples

SMALL_ENTRIES: Final = 10_000
LARGE_ENTRIES: Final = 1_000_000
#: Commits before rounds, which leave both write-ahead logs allocated.
WARMING_COMMITS: Final = 1_000
PROOFS: Final = 25
#: Milliseconds that opening after a crash, and making a proof, may take at a million entries.
OPEN_MS_MAX: Final = 500.0
PROOF_MS_MAX: Final = 5.0

Progress = Callable[[int, int], None]


def bench_growth(
    directory: Path,
    small: int = SMALL_ENTRIES,
    large: int = LARGE_ENTRIES,
    commits: int = 500,
    progress: Progress | None = None,
) -> list[Figure]:
    """Append latency at ``large`` entries beside that at ``small``, and opening after a crash.

    Args:
        directory: a folder on the disk to measure; what is made there is removed again.
        small: entries of the ledger to compare with.
        large: entries of the large ledger.
        commits: appends to each a round, of `ROUNDS` rounds.
        progress: called with entries or rounds done and in all.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    machine = Machine()
    try:
        with (
            machine.create(place / "small.db") as few,
            machine.create(place / "large.db") as many,
        ):
            taps = [Taps(few), Taps(many)]
            taps[0].fill(small)
            taps[1].fill(large, _told(progress, large))
            steps = [one.step(1) for one in taps]
            Samples.of(*steps, count=WARMING_COMMITS)
            rounds = [Samples.of(*steps, count=commits) for _ in range(ROUNDS)]
            # What a crash leaves: both files as they are, without a farewell.
            for suffix in ("", "-wal"):
                shutil.copy(place / f"large.db{suffix}", place / f"crashed.db{suffix}")
        opened = [_opened(place / "crashed.db", place, machine) for _ in range(ROUNDS)]
    finally:
        shutil.rmtree(place)
    return [
        figure(
            "append_1m_to_10k",
            "us",
            [one.quantile(0.5) for _, one in rounds],
            [one.quantile(0.5) for one, _ in rounds],
            1.1,
        ),
        _allowed("open_after_crash_1m", opened, OPEN_MS_MAX),
    ]


def bench_proof(
    directory: Path,
    large: int = LARGE_ENTRIES,
    proofs: int = PROOFS,
    progress: Progress | None = None,
) -> list[Figure]:
    """A tlog-proof of an entry anywhere in a ledger of ``large`` entries, the file just opened.

    Beside it, in the samples: the bare hashing of as many entries and nodes as the proof needs.

    Args:
        directory: a folder on the disk to use; what is made there is removed again.
        large: entries of the ledger.
        proofs: proofs a round, of `ROUNDS` rounds.
        progress: called with entries done and in all.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    try:
        with Machine().create(place / "ledger.db") as store:
            Taps(store).fill(large, _told(progress, large))
        ours: list[tuple[float, float]] = []
        for number in range(ROUNDS):
            taken = [
                _proved(place / "ledger.db", (number * proofs + at) * 7_919 % large)
                for at in range(proofs)
            ]
            ours.append(sorted(taken)[proofs // 2])
    finally:
        shutil.rmtree(place)
    return [_allowed("proof_1m", ours, PROOF_MS_MAX)]


def _allowed(name: str, samples: list[tuple[float, float]], limit_ms: float) -> Figure:
    """A figure of what may take so long; the samples hold ours, and what it costs at least."""
    ours = [round(one, 3) for one, _ in samples]
    raw = [round(one, 3) for _, one in samples]
    value = min(ours)
    return Figure(
        name,
        value,
        "ms",
        limit_ms,
        round(value / limit_ms, 3),
        1.0,
        value <= limit_ms,
        {"ours": ours, "raw": raw},
    )


def _opened(crashed: Path, place: Path, machine: Machine) -> tuple[float, float]:
    """Milliseconds until a crashed ledger takes entries, and until SQLite alone has read it."""
    with _copied(crashed, place / "sqlite.db") as path:
        before = time.perf_counter()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT max(seq) FROM entry").fetchone()
        bare = time.perf_counter() - before
    with _copied(crashed, place / "opened.db") as path:
        before = time.perf_counter()
        store = machine.open(path)
        took = time.perf_counter() - before
        store.close()
    return took * 1e3, bare * 1e3


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[Path]:
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
    try:
        yield target
    finally:
        for path in target.parent.glob(f"{target.name}*"):
            path.unlink()


def _proved(path: Path, seq: int) -> tuple[float, float]:
    """Milliseconds of one proof from a file that was just opened, and of hashing one tile twice."""
    with LogReader.open(path) as reader:
        before = time.perf_counter()
        prove(reader, seq)
        took = time.perf_counter() - before
        first = seq - seq % 256
        entries = list(reader.entries(first, min(first + 256, reader.size)))
        before = time.perf_counter()
        for data in entries:
            sha256(b"\x00" + data).digest()
            sha256(data[:65]).digest()
        return took * 1e3, (time.perf_counter() - before) * 1e3


def _told(progress: Progress | None, total: int) -> Callable[[int], object]:
    return (lambda done: progress(done, total)) if progress is not None else bool
