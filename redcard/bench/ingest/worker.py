"""One server process under load: ``python -m redcard.bench.ingest.worker HOME FD MODE DATABASE``.

``server``       the server as it runs, without judging
``judging``      the same, judging beside it
``per-entry``    the same, verifying a signature for each entry beside the head's
``no-database``  the same endpoint and the same checks, with the heads kept in memory

It serves the listening socket it was handed, so that several share one address.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any, Final

from ledger.log.checkpoint import cosign
from ledger.log.merkle import Frontier
from ledger.log.note import Signer, open_note
from redcard.bench.ingest.load import START_MS
from server.commits import StoredLog
from server.core import ServerCore
from server.database import Database
from server.heads import read_log
from server.home import WITNESS
from server.ingest import Answer, Ingest
from sync.admission import Admitted, LogState, admit
from sync.protocol import RECEIPT_MEDIA_TYPE, Batch

MODES: Final = ("server", "judging", "per-entry", "no-database")
#: Server time of the bench: after all that its terminals recorded.
NOW_MS: Final = START_MS + 400 * 86_400_000


class PerEntry(Ingest):
    """Verifies as many signatures as a batch has entries, as if each carried its own."""

    async def take_batch(self, batch: Batch, *, carrier: str = "http") -> Answer:
        """Verifies, then admits as always."""
        async with self._database.reading() as connection:
            stored = await read_log(connection, batch.ledger)
        for _ in batch.entries:
            # One Ed25519 verification of a message of this length costs what any other does.
            open_note(batch.checkpoint, stored.verifiers)
        return await super().take_batch(batch, carrier=carrier)


class NoDatabase(Ingest):
    """Admits against heads in memory: everything the endpoint does but storing."""

    def __init__(self, database: Database, cosigner: Signer) -> None:
        """Keeps heads of the ledgers enrolled in ``database``."""
        super().__init__(database, cosigner, lambda: NOW_MS)
        self._heads: dict[str, StoredLog] = {}

    async def take_batch(self, batch: Batch, *, carrier: str = "http") -> Answer:  # noqa: ARG002
        """Admits and answers; nothing is durable."""
        head = self._heads.get(batch.ledger)
        if head is None:
            async with self._database.reading() as connection:
                head = await read_log(connection, batch.ledger)
        before = head.state
        if batch.old_size == 0:
            before = LogState(
                before.ledger, before.origin, before.vkeys, 0, Frontier().root(), Frontier(),
                before.state,
            )  # fmt: skip
        done = admit(before, batch, lambda _start, _stop: (), head.verifiers)
        assert isinstance(done, Admitted), done
        after = LogState(
            before.ledger, before.origin, before.vkeys, done.size, done.root, done.frontier,
            before.state,
        )  # fmt: skip
        self._heads[batch.ledger] = StoredLog(head.log, after, head.verifiers)
        receipt = cosign(done.checkpoint, self._cosigner, NOW_MS // 1000)
        return Answer(200, RECEIPT_MEDIA_TYPE, receipt)


async def serve(home: Path, listening: socket.socket, mode: str, database: str) -> None:
    """Serves until it is told to stop."""
    import uvicorn

    from server.app import create_app

    core = await ServerCore.open(home, lambda: NOW_MS, database_url=database)
    try:
        signer = core.home.signer(WITNESS)
        if mode == "per-entry":
            core.ingest = PerEntry(core.database, signer, core.now_ms)
        elif mode == "no-database":
            core.ingest = NoDatabase(core.database, signer)
        app = create_app(core, judging=mode == "judging")
        config: Any = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="on"
        )
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await core.close()


def main() -> None:
    """Reads the arguments."""
    home, handle, mode, database = sys.argv[1:]
    if mode not in MODES:
        raise SystemExit(f"{mode} is none of {', '.join(MODES)}")
    listening = socket.socket(fileno=int(handle))
    asyncio.run(serve(Path(home), listening, mode, database))


if __name__ == "__main__":
    main()
