"""Every bench by its name, as ``redcard bench`` runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from redcard.bench.paths import Figure

Progress = Callable[[int, int], None]


def measure(name: str, directory: Path, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Runs one bench.

    Args:
        name: ``append``, ``verify``, ``tap``, ``apdu``, ``rules`` or ``roster``.
        directory: a folder on the disk to measure.
        progress: called with steps done and steps in all.

    Returns:
        Figures as ``bench --json`` prints them; ``met`` is computed from the samples.
    """
    return [figure.document() for figure in _BENCHES[name](directory, progress)]


def _append(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.large import bench_growth
    from redcard.bench.paths import bench_append

    return [
        *bench_append(directory, progress=progress),
        *bench_growth(directory, progress=progress),
    ]


def _verify(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.large import bench_proof
    from redcard.bench.paths import bench_verify

    return [
        *bench_verify(directory, progress=progress),
        *bench_proof(directory, progress=progress),
    ]


def _tap(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.tap import bench_tap

    return bench_tap(directory, progress=progress)


def _apdu(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.apdu import bench_apdu

    del directory  # no disk is touched
    return bench_apdu(progress=progress)


def _ingest(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.ingest.rounds import bench_ingest

    return bench_ingest(directory, progress=progress)


def _ingest_full(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.ingest.rounds import FULL, bench_ingest

    return bench_ingest(directory, FULL, progress)


def _rules(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.rules import bench_rules

    return bench_rules(directory, progress)


def _roster(directory: Path, progress: Progress | None) -> list[Figure]:
    from redcard.bench.roster import bench_roster

    return bench_roster(directory, progress=progress)


_BENCHES: dict[str, Callable[[Path, Progress | None], list[Figure]]] = {
    "append": _append,
    "verify": _verify,
    "tap": _tap,
    "apdu": _apdu,
    "rules": _rules,
    "roster": _roster,
    "ingest": _ingest,
    "ingest-full": _ingest_full,
}
NAMES = tuple(_BENCHES)
