"""The processes of an audit: who checks which chunk, and how what they find comes back."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.log import audit_worker
from ledger.log.audit_chunk import Chunk, Job, unpack_chunk
from ledger.log.leaves import chunk_range, unpack

PROCESSES_MAX: Final = 8
_NUMBER_BYTES: Final = audit_worker.NUMBER_BYTES
_ROOT: Final = str(Path(__file__).resolve().parents[2])


class Crew:
    """The other processes, and the chunks that nobody has taken.

    Tickets lie in a pipe, from which whoever is free reads the next: there is nothing to lock, and
    nobody waits for a process that is still starting.
    """

    def __init__(self, job: Job, processes: int) -> None:
        self._job = job
        self._started: list[subprocess.Popen[bytes]] = []
        self._answers: list[int] = []
        self._tickets, self._untold = _tickets(job.chunks)
        for _ in range(min(processes, PROCESSES_MAX, job.chunks) - 1):
            self._start()

    def take(self) -> int:
        """The number of the next chunk that nobody has taken; none is left if there is no such."""
        ticket = os.read(self._tickets, _NUMBER_BYTES)
        if ticket:
            return int.from_bytes(ticket, "big")
        # A pipe may be too small for all; those left over are the asker's.
        self._untold += 1
        return self._untold - 1

    def found(self, *, wait: bool) -> Iterator[tuple[int, Chunk]]:
        """What the others have found by now; with ``wait``, at least one or the end of one."""
        if not self._answers:
            return
        ready, _, _ = select.select(self._answers, [], [], None if wait else 0)
        for answers in ready:
            answer = _receive(answers)
            if answer is None:
                self._answers.remove(answers)
                os.close(answers)
            elif self._job.tree:
                number, grown = unpack(answer)
                yield number, Chunk.of(*chunk_range(number, self._job.size), grown)
            else:
                yield unpack_chunk(answer)

    @property
    def alone(self) -> bool:
        """Whether no other process can answer any more."""
        return not self._answers

    def dismiss(self) -> None:
        """Ends the others; nothing of them is left."""
        for process in self._started:
            process.kill()
            process.wait()
        for descriptor in (*self._answers, self._tickets):
            os.close(descriptor)

    def _start(self) -> None:
        answers, theirs = os.pipe()
        self._answers.append(answers)
        job = self._job
        uri = f"file:{quote(str(Path(job.path).absolute()))}?mode=ro"
        # Without the site's start-up, which takes longer than many a ledger.
        program = sys.executable, "-I", "-S", audit_worker.__file__
        channels = str(self._tickets), str(theirs)
        task = job.path, uri, str(job.size), "tree" if job.tree else "full"
        try:
            process = subprocess.Popen(
                [*program, *channels, *task, _ROOT, *filter(None, sys.path)],
                stdin=subprocess.PIPE,
                pass_fds=(self._tickets, theirs),
                # Whoever interrupts this one ends that one from here, and in silence.
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self._started.append(process)
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(" ".join(map(str, job.sizes)).encode())


@contextmanager
def crew(job: Job, processes: int) -> Iterator[Crew]:
    """Starts the other processes; they are gone when the block ends, however it ends."""
    others = Crew(job, processes)
    try:
        yield others
    finally:
        others.dismiss()


def _tickets(chunks: int) -> tuple[int, int]:
    """A pipe with the numbers of chunks, and the first number that found no room in it."""
    ours, into = os.pipe()
    os.set_blocking(into, False)
    told = 0
    try:
        with suppress(BlockingIOError):
            for number in range(chunks):
                os.write(into, number.to_bytes(_NUMBER_BYTES, "big"))
                told = number + 1
    finally:
        os.close(into)
    return ours, told


def _receive(answers: int) -> bytes | None:
    """The next answer; None if whoever would send it is gone."""
    length = _read(answers, _NUMBER_BYTES)
    return _read(answers, int.from_bytes(length, "big")) if length else None


def _read(answers: int, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = os.read(answers, size - len(data))
        if not more:
            return None
        data += more
    return data
