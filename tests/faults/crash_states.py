"""Every state in which a power cut may leave a disk, built from a record of what a program wrote.

Between two flushes of a file the disk may have kept any of its writes, in any order, and of a write
any 512-byte sectors. A name made in a folder may be gone until the folder was flushed. After each
recorded operation some of these states are built, opened as the program opens them, and compared
with what had been acknowledged.
"""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import LogFault
from tests.faults.shim import ROOT, environment
from tests.ledger.log.ledgers import reopen

SECTOR_BYTES = 512
_HEADER = struct.Struct("<cHqI")


@dataclass(frozen=True)
class Operation:
    """``w`` write, ``t`` truncate, ``s`` flush, ``f`` failed flush, ``u`` remove."""

    kind: str
    path: Path
    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        if self.kind == "w":
            content.extend(bytes(max(0, self.offset - len(content))))
            content[self.offset : self.offset + len(self.data)] = self.data
        elif self.offset < len(content):
            del content[self.offset :]
        else:
            content.extend(bytes(self.offset - len(content)))


@dataclass
class File:
    """A file as the disk surely has it, and what was not flushed yet.

    After a failed flush the kernel holds the pages to be clean: every reader sees them, no later
    flush writes them, and a power cut takes them.
    """

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)
    orphaned: list[Operation] = field(default_factory=list)

    def flush(self) -> None:
        for operation in self.pending:
            operation.apply(self.durable)
        self.pending.clear()

    def fail_flush(self) -> None:
        self.orphaned.extend(self.pending)
        self.pending.clear()

    def cut(self, choice: random.Random, variant: int) -> bytes:
        """Variant 0 lost all that was pending, 1 lost nothing, others lost and tore at random."""
        content = bytearray(self.durable)
        for operation in (*self.orphaned, *self.pending) if variant else ():
            if variant == 1:
                operation.apply(content)
            elif choice.random() < 0.5:
                continue
            elif operation.kind == "w" and choice.random() < 0.3:
                for at in range(0, len(operation.data), SECTOR_BYTES):
                    if choice.random() < 0.5:
                        part = operation.data[at : at + SECTOR_BYTES]
                        Operation("w", operation.path, operation.offset + at, part).apply(content)
            else:
                operation.apply(content)
        return bytes(content)


@dataclass
class Outcome:
    """What the states of one run showed."""

    states: int = 0
    lost: int = 0
    corrupt: int = 0
    first: str = ""


class Disk:
    """Replays operations and gives the states a power cut may leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[Path, File] = {}
        self.unnamed: set[Path] = set()
        self.removed: dict[Path, File] = {}

    def replay(self, operation: Operation) -> None:
        if operation.path == self.folder:
            self.unnamed.clear()
            self.removed.clear()
            return
        if operation.kind == "u":
            if gone := self.files.pop(operation.path, None):
                self.removed[operation.path] = gone
            return
        if operation.path not in self.files:
            self.unnamed.add(operation.path)
            self.removed.pop(operation.path, None)
        file = self.files.setdefault(operation.path, File())
        if operation.kind == "s":
            file.flush()
        elif operation.kind == "f":
            file.fail_flush()
        else:
            file.pending.append(operation)

    def cut(self, choice: random.Random, variant: int) -> dict[str, bytes]:
        kept = dict(self.files)
        if variant > 1:
            kept = {p: f for p, f in kept.items() if p not in self.unnamed or choice.random() < 0.5}
            kept.update((p, f) for p, f in self.removed.items() if choice.random() < 0.5)
        elif variant == 0:
            kept = {p: f for p, f in kept.items() if p not in self.unnamed}
        return {path.name: file.cut(choice, variant) for path, file in kept.items()}


def record(folder: Path, library: Path, mode: str, commits: int) -> list[Operation]:
    """Runs the worker and returns what was done to the ledger so far, in this run and before."""
    ledger, log = folder / "ledger", folder / "record"
    ledger.mkdir(exist_ok=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.worker",
            mode,
            ledger / "ledger.db",
            ledger / "acks",
            str(commits),
        ],
        env=environment(library, ledger, log),
        cwd=ROOT,
        check=True,
    )
    return list(operations(log.read_bytes()))


def operations(data: bytes) -> Iterator[Operation]:
    at = 0
    while at < len(data):
        kind, named, offset, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        path = Path(data[at : at + named].decode())
        at += named
        yield Operation(kind.decode(), path, offset, data[at : at + length])
        at += length


def enumerate_states(recorded: list[Operation], folder: Path, variants: int, seed: int) -> Outcome:
    """Builds ``variants`` states after each operation and checks each."""
    choice, outcome = random.Random(seed), Outcome()
    disk = Disk(folder / "ledger")
    image = folder / "image"
    image.mkdir()
    acknowledged = (0, bytes(32))
    for number, operation in enumerate(recorded):
        if operation.path.name == "acks":
            acknowledged = (int.from_bytes(operation.data[:8], "big"), operation.data[8:])
        elif operation.path.suffix in (".lock", ".reserve"):
            continue
        else:
            disk.replay(operation)
        for variant in range(variants):
            fault = check(image, disk.cut(choice, variant), *acknowledged)
            outcome.states += 1
            outcome.lost += fault.startswith("lost")
            outcome.corrupt += fault.startswith("corrupt")
            outcome.first = outcome.first or (fault and f"operation {number}: {fault}")
    return outcome


def check(image: Path, files: dict[str, bytes], size: int, root: bytes) -> str:
    """Opens a state as the program would; an empty answer means nothing acknowledged is missing."""
    for path in image.iterdir():
        path.unlink()
    for name, content in files.items():
        (image / name).write_bytes(content)
    try:
        with reopen(image / "ledger.db") as store:
            if store.size < size:
                return f"lost: {size} acknowledged, {store.size} found"
            if any(root) and store.root_at(size) != root:
                return "corrupt: another root at the acknowledged size"
    except LogFault as fault:
        return f"corrupt: {fault}" if size else ""
    return ""
