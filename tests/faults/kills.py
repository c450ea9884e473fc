"""Kills a process that appends, again and again, and looks what is there afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LogFault
from tests.faults.shim import ROOT
from tests.ledger.log.ledgers import reopen

#: A worker that acknowledges nothing for so long is broken, not slow.
PATIENCE_S = 30.0
#: Commits between two kills on one ledger: 1 at first, then one more each time, up to so many.
COMMITS_MAX = 20
_ACK_BYTES = 40


@dataclass
class Killed:
    """What a loop of kills showed."""

    kills: int = 0
    lost: int = 0
    corrupt: int = 0
    unacknowledged: int = 0
    entries: int = 0
    first: str = ""


def kill_loop(folder: Path, kills: int, mode: str = "FULL") -> Killed:
    """Kills one ledger's worker so many times; each start opens what the last one left."""
    path, acks = folder / "ledger.db", folder / "acks"
    acks.touch()
    outcome = Killed()
    while outcome.kills < kills:
        _one(path, acks, 1 + outcome.kills % COMMITS_MAX, mode)
        outcome.kills += 1
        last = acks.read_bytes()[-_ACK_BYTES:]
        fault = _look(path, int.from_bytes(last[:8], "big"), last[8:], outcome)
        outcome.lost += fault.startswith("lost")
        outcome.corrupt += fault.startswith("corrupt")
        outcome.first = outcome.first or (fault and f"kill {outcome.kills}: {fault}")
        if fault:
            # What is missing now stays missing: the rest would count it again.
            break
    return outcome


def _one(path: Path, acks: Path, commits: int, mode: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker", mode, path, acks, "0"], cwd=ROOT
    )
    try:
        # The first acknowledgement is of what was found when opening.
        wanted = acks.stat().st_size + _ACK_BYTES * (1 + commits)
        deadline = time.monotonic() + PATIENCE_S
        while acks.stat().st_size < wanted and worker.poll() is None:
            assert time.monotonic() < deadline, "the worker acknowledges nothing"
            time.sleep(0.0005)
        assert worker.poll() is None, f"the worker ended by itself: {worker.returncode}"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()


def _look(path: Path, size: int, root: bytes, outcome: Killed) -> str:
    try:
        with reopen(path) as store:
            outcome.entries = store.size
            if store.size < size:
                return f"lost: {size} acknowledged, {store.size} found"
            outcome.unacknowledged += store.size > size
            if any(root) and store.root_at(size) != root:
                return "corrupt: another root at the acknowledged size"
    except LogFault as fault:
        return f"corrupt: {fault}"
    return ""
