"""A process that appends until it is stopped, and says which entries it was told are durable.

``python -m tests.faults.worker MODE LEDGER ACKS COUNT``: COUNT commits, or without end at 0. After
every commit that returned, the size and root of the log go to ACKS, 40 bytes in one write.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from ledger.errors import LogFault
from ledger.log import store as writer
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import create, reopen, tap

#: As it should be; what it does wrong on purpose, which the tests must catch; and two steps of
#: what a failed flush leaves.
MODES = ("FULL", "NORMAL", "OFF", "ack_first", "failed_flush", "open")
#: As `disk.c` numbers it.
EIO_SYNC = 4
#: Pages of write-ahead log between copies, small so that copies happen between the crashes.
WAL_PAGES_MAX = 25


def group(commit: int) -> int:
    """Entries of a commit: mostly one, every fourth a group."""
    return 7 if commit % 4 == 3 else 1


def work(mode: str, path: Path, acks: int, commits: int) -> LogStore:
    writer.WAL_PAGES_MAX = WAL_PAGES_MAX  # type: ignore[misc]
    store = reopen(path) if path.exists() and path.stat().st_size else create(path)
    if mode in ("NORMAL", "OFF"):
        store._connection.execute(f"PRAGMA synchronous = {mode}")
    acknowledge(acks, store.size, store.root)
    at = commit = 0
    first = store.size
    while not commits or commit < commits:
        entries = [tap(first + at + more, mono_ms=10_000) for more in range(group(commit))]
        if mode == "ack_first":
            acknowledge(acks, store.size + len(entries), bytes(32))
        done = store.append(entries)
        if mode != "ack_first":
            acknowledge(acks, done.size, done.root)
        at += len(entries)
        commit += 1
    return store


def fail_a_flush(path: Path, acks: int, commits: int) -> None:
    """The flush of the last commit fails, and the process dies of it."""
    shim = ctypes.CDLL(None)
    store = work("FULL", path, acks, commits)
    shim.arm(EIO_SYNC, ctypes.c_long(1), 0)
    try:
        store.append([tap(5_000, mono_ms=20_000)])
    except LogFault:
        os._exit(0)
    raise AssertionError("the flush did not fail")


def only_open(path: Path, acks: int) -> None:
    """What recovery found counts as durable; the process dies before it does anything else."""
    store = reopen(path)
    acknowledge(acks, store.size, store.root)
    os._exit(0)


def acknowledge(acks: int, size: int, root: bytes) -> None:
    os.write(acks, size.to_bytes(8, "big") + root)


def main() -> None:
    mode, path, acks, commits = sys.argv[1:]
    descriptor = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if mode == "failed_flush":
        fail_a_flush(Path(path), descriptor, int(commits))
    if mode == "open":
        only_open(Path(path), descriptor)
    # Half of the recorded runs end by closing, so that copying and removing the WAL is recorded.
    store = work(mode, Path(path), descriptor, int(commits))
    store.close()
    work(mode, Path(path), descriptor, int(commits) // 3)
    os._exit(0)


if __name__ == "__main__":
    main()
