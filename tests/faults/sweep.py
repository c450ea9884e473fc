"""Fails every nth write and flush of a ledger's life, once and for good, and looks what is left.

Runs with ``disk.c`` preloaded: ``python -m tests.faults.sweep LIBRARY FOLDER STRIDE MODE``. A
stride fails only every so many; the mode ``ack_first`` is wrong on purpose. Prints one JSON object
of counts. After each fault the ledger is opened again without faults, as after a restart.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ledger.errors import LogFault, LogFull
from ledger.log import store as writer
from ledger.log.store import LogStore
from tests.faults.shim import FAST, ROOT, environment
from tests.ledger.log.ledgers import create, reopen, tap

KINDS = {"eio": 1, "enospc": 2, "short": 3, "sync": 4}
#: Operations of one life are fewer; a sweep that gets here does not end by itself.
OPERATIONS_MAX = 2_000


class Life:
    """One life of a ledger: opened, appended to, copied, closed, with a fault somewhere in it."""

    def __init__(self, path: Path, mode: str = "FULL") -> None:
        self.path = path
        self.mode = mode
        self.acknowledged = 0
        self.refused: list[LogFault] = []
        self.later_accepted = False

    def run(self) -> None:
        try:
            store = create(self.path) if not self.path.exists() else reopen(self.path)
        except LogFault as fault:
            self.refused.append(fault)
            return
        self.acknowledged = store.size
        for number in range(8):
            self._append(store, number)
        try:
            store.close()
        except LogFault as fault:
            self.refused.append(fault)

    def _append(self, store: LogStore, number: int) -> None:
        before = bool(self.refused)
        try:
            more = range(5 if number == 4 else 1)
            if self.mode == "ack_first":
                self.acknowledged = store.size + len(more)
            done = store.append([tap(number * 10 + at, mono_ms=9_000) for at in more])
        except LogFault as fault:
            self.refused.append(fault)
        else:
            self.acknowledged = done.size
            self.later_accepted |= before


def sweep(
    arm: Callable[[int, int, int], None],
    disarm: Callable[[], int],
    folder: Path,
    stride: int = 1,
    mode: str = "FULL",
) -> dict[str, int]:
    counts = dict.fromkeys(("lives", "hit", "lost", "unready", "appeared", "undeclared"), 0)
    counts.update(full=0, silent=0)
    template = folder / "template.db"
    with create(template) as store:
        store.append([tap(90 + at, mono_ms=8_000) for at in range(3)])
    for first in ("new", "old"):
        for kind in KINDS.values():
            for sticky in (0, 1):
                for nth in range(1, OPERATIONS_MAX, stride):
                    place = folder / "life"
                    shutil.rmtree(place, ignore_errors=True)
                    place.mkdir()
                    path = place / "ledger.db"
                    if first == "old":
                        shutil.copy(template, path)
                    arm(kind, nth, sticky)
                    life = Life(path, mode)
                    life.run()
                    hits = disarm()
                    judge(life, hits, counts)
                    if not hits:
                        break
    return counts


def run_sweep(library: Path, stride: int = 1, mode: str = "FULL") -> dict[str, int]:
    """Sweeps in a process of its own, on a disk in memory where there is one."""
    folder = Path(tempfile.mkdtemp(prefix="sweep", dir=FAST))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.faults.sweep",
        library,
        folder,
        str(stride),
        mode,
    ]
    try:
        done = subprocess.run(
            command,
            env=environment(library, folder / "life"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def judge(life: Life, hits: int, counts: dict[str, int]) -> None:
    counts["lives"] += 1
    counts["hit"] += bool(hits)
    counts["silent"] += bool(hits) and not life.refused
    counts["full"] += any(isinstance(fault, LogFull) for fault in life.refused)
    counts["unready"] += life.later_accepted
    try:
        with reopen(life.path) as store:
            counts["lost"] += store.size < life.acknowledged
            counts["appeared"] += store.size > life.acknowledged
            store.append([tap(99, mono_ms=9_500)])
    except LogFault:
        # Without an acknowledged entry there may be no ledger yet; making one must then work.
        counts["lost"] += bool(life.acknowledged)
        create(life.path).close()


def main() -> None:
    library, folder = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2])
    library.arm.argtypes = (ctypes.c_int, ctypes.c_long, ctypes.c_int)
    library.disarm.restype = ctypes.c_long
    writer.WAL_PAGES_MAX = 12  # type: ignore[misc]
    counts = sweep(library.arm, library.disarm, folder, int(sys.argv[3]), sys.argv[4])
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    main()
