"""A server process for campaigns: ``python -m tests.campaigns.child_server HOME FD [lie]``.

It serves the listening socket it is handed, so that its successor after a kill has the same
address. With ``lie`` it answers the batches of every second ledger without storing them: what a
campaign must catch.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from redcard.bench.ingest.worker import serve
from server.commits import GroupCommit, Work

_honest = GroupCommit._write


async def _lying(self: GroupCommit, group: Sequence[Work]) -> None:
    kept = []
    for work in group:
        if work.number % 2:
            kept.append(work)
        else:
            work.won = True
    if kept:
        await _honest(self, kept)


def main() -> None:
    home, handle, *words = sys.argv[1:]
    if "lie" in words:
        GroupCommit._write = _lying  # type: ignore[method-assign]
    listening = socket.socket(fileno=int(handle))
    asyncio.run(serve(Path(home), listening, "server", ""))


if __name__ == "__main__":
    main()
