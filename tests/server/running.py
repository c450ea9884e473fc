"""The real server in a process of its own, to be killed; and the real HTTP in this one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time as wall
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.world import START_MS

#: Run by a child process: serves the home of argv[1] at port argv[2] and dies where it is told.
CHILD = """
import asyncio, os, sys
from pathlib import Path
from server import commits
from server.app import serve
from server.core import ServerCore

die = os.environ.get("DIE", "")
write = commits.GroupCommit._write

async def dying(self, group):
    if die == "before":
        os.kill(os.getpid(), 9)
    await write(self, group)
    if die == "after":
        os.kill(os.getpid(), 9)

if die:
    commits.GroupCommit._write = dying

async def main():
    core = await ServerCore.open(Path(sys.argv[1]), lambda: int(sys.argv[3]))
    await serve(core, host="127.0.0.1", port=int(sys.argv[2]))

asyncio.run(main())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def child(home: Path, *, die: str = "") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server process; its address, and the process itself."""
    port = free_port()
    environment = {**os.environ, "DIE": die}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), str(port), str(START_MS + 60_000)], env=environment
    )
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise AssertionError("the server did not start")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            wall.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def run_file(home: Path) -> dict[str, str]:
    document: dict[str, str] = json.loads((home / "run" / "server.json").read_text())
    return document
