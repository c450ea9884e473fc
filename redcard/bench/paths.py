"""Benches of the signed ledger: append and verify, each beside its raw limit in the same run."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

from ledger import verify
from ledger.log import audit, audit_report
from redcard.bench.ledgers import Machine, Taps
from redcard.bench.raw import ROUNDS, BareAppend, RawAppend, Samples, Step, best, hash_leaves

GROUP_ENTRIES: Final = 100
#: Commits that leave the write-ahead log allocated, as it is after a morning's work.
WARMING_COMMITS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside its raw limit.

    Attributes:
        name: stable name.
        value: what ours took, in ``unit``.
        unit: ``us``, ``entries/s``, ``us/entry`` or ``bytes/entry``.
        raw: the limit, in the same unit.
        ratio: value ÷ raw.
        reach: the ratio to reach.
        met: whether it was reached, computed from the ratio.
        samples: both sides of every round, for whoever wants to look closer.
    """

    name: str
    value: float
    unit: str
    raw: float
    ratio: float
    reach: float
    met: bool
    samples: Mapping[str, list[float]] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """The figure as ``bench --json`` prints it."""
        return asdict(self)


def figure(
    name: str,
    unit: str,
    ours: list[float],
    raw: list[float],
    reach: float,
    *,
    aim: Literal["at most", "at least"] = "at most",
) -> Figure:
    """Compares the best rounds of both sides."""
    pick: Callable[[list[float]], float] = best if aim == "at most" else max
    value, limit = pick(ours), pick(raw)
    ratio = value / limit
    met = ratio <= reach if aim == "at most" else ratio >= reach
    samples = {"ours": [round(one, 3) for one in ours], "raw": [round(one, 3) for one in raw]}
    return Figure(
        name, round(value, 3), unit, round(limit, 3), round(ratio, 3), reach, met, samples
    )


def bench_append(
    directory: Path,
    commits: int = 1_000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Figure]:
    """Durable signed appends beside a raw write and fdatasync on the same disk.

    Args:
        directory: a folder on the disk to measure; what is made there is removed again.
        commits: appends a round, of `ROUNDS` rounds.
        progress: called with rounds done and rounds in all.

    Returns:
        p50, p99, the p50 of a bare signed log in SQLite (`raw.BareAppend`), group commit of 100
        against single commits, and bytes on disk.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    machine = Machine()
    store = machine.create(place / "ledger.db")
    try:
        taps = Taps(store)
        Samples.of(taps.step(1), count=WARMING_COMMITS)
        record = next(store.entries(store.size - 1, store.size))
        raw = RawAppend(place, record + b"\n", (ROUNDS + 1) * commits)
        bare = BareAppend(place, record.decode(), machine.sign)
        Samples.of(Step(bare.append), count=WARMING_COMMITS)
        many = max(commits // 20, 10)
        singles, groups, raws, bares = [], [], [], []
        for number in range(ROUNDS):
            limit, single, floor = Samples.of(
                Step(raw.append), taps.step(1), Step(bare.append), count=commits
            )
            raws.append(limit)
            singles.append(single)
            bares.append(floor)
            groups.extend(Samples.of(taps.step(GROUP_ENTRIES), count=many))
            if progress is not None:
                progress(number + 1, ROUNDS)
        raw.close()
        bare.close()
        size = store.size
        entry_bytes = sum(len(data) + 1 for data in store.entries(0, size))
    finally:
        store.close()
        file_bytes = (place / "ledger.db").stat().st_size
        shutil.rmtree(place)
    return [
        *_of_latency(singles, bares, raws),
        figure(
            "group_commit_100",
            "entries/s",
            [one.rate() * GROUP_ENTRIES for one in groups],
            [one.rate() for one in singles],
            20.0,
            aim="at least",
        ),
        figure("file_bytes", "bytes/entry", [file_bytes / size], [entry_bytes / size], 1.15),
    ]


def _of_latency(singles: list[Samples], bares: list[Samples], raws: list[Samples]) -> list[Figure]:
    def quantiles(rounds: list[Samples], part: float) -> list[float]:
        return [one.quantile(part) for one in rounds]

    limits = quantiles(raws, 0.5)
    return [
        figure("append_p50", "us", quantiles(singles, 0.5), limits, 1.5),
        figure("append_p99", "us", quantiles(singles, 0.99), quantiles(raws, 0.99), 2.0),
        # No goal, but the floor: a row, a head and a signature in SQLite, with nothing of ours.
        figure("append_bare_p50", "us", quantiles(bares, 0.5), limits, 1.5),
    ]


def bench_verify(
    directory: Path,
    entries: int = 1_000_000,
    few: int = 100_000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Figure]:
    """Both auditors over ledgers from disk, beside the bare hashing of their entries.

    Args:
        directory: a folder on the disk to use; what is made there is removed again.
        entries: size of the ledger for the product's audit.
        few: of the one for the auditor's file, which takes some times as long; and how many
            entries are hashed beside both, held in memory.
        progress: called with entries made, or rounds done, and in all.
    """
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=directory))
    told: Callable[[int], object] = bool
    if progress is not None:
        told = partial(_told, progress, entries)
    try:
        for name, size in (("large.db", entries), ("small.db", few)):
            with Machine().create(place / name) as store:
                Taps(store).fill(size, told if size == entries else bool)
                stored = list(store.entries(0, few))
        raws: list[float] = []
        ours: dict[str, list[float]] = {name: [] for name, _, _ in _VERIFIERS}
        for number in range(ROUNDS):
            raws.append(hash_leaves(stored) / len(stored) * 1e6)
            for name, check, _ in _VERIFIERS:
                size, path = entries, place / "large.db"
                if check is verify.verify_database:
                    size, path = few, place / "small.db"
                before = time.perf_counter()
                report = check(path)
                ours[name].append((time.perf_counter() - before) / size * 1e6)
                if not report.ok or report.size != size:
                    raise AssertionError(f"the bench's ledger has faults: {report.faults[:3]}")
            if progress is not None:
                progress(number + 1, ROUNDS)
    finally:
        shutil.rmtree(place)
    return [figure(name, "us/entry", ours[name], raws, reach) for name, _, reach in _VERIFIERS]


def _told(progress: Callable[[int, int], None], total: int, done: int) -> None:
    progress(done, total)


def _verify_tree(path: Path) -> audit_report.Report:
    return audit.verify_database(path, tree=True)


def _verify_tree_2(path: Path) -> audit_report.Report:
    return audit.verify_database(path, tree=True, processes=2)


#: What is measured, and the ratio to reach beside the bare hashing of the same entries.
_VERIFIERS: Final[
    tuple[tuple[str, Callable[[Path], audit_report.Report | verify.Report], float], ...]
] = (
    ("verify_tree", _verify_tree, 3.5),
    ("verify_tree_2", _verify_tree_2, 1.6),
    ("verify_full", audit.verify_database, 8.0),
    ("verify_auditor", verify.verify_database, 30.0),
)
