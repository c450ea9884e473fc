"""The home's end of sync alone, for a command: push, pull, and files by stick.

It reads the ledger, never writes it, and needs no lock; a running service does not mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ledger.errors import NoteInvalid
from ledger.log.reading import LogReader
from sync.client import Client, PullResult
from sync.errors import Malformed, Refused, TrustError, Unreachable
from sync.transport import ANSWER_BYTES_MAX, Request, Response
from sync.uplink import SyncStatus
from terminal.clock import Clock
from terminal.home import Home
from terminal.machine import ledger_signer, open_keys
from terminal.server_side import open_server


@contextmanager
def open_client(home: Home, clock: Clock) -> Iterator[Client]:
    """The home's end of sync alone, beside a running service or without one.

    It reads the ledger, never writes it, and needs no lock.

    Raises:
        NotEnrolled: ``redcard init`` first.
    """
    enrolment = home.enrolment()
    keys = open_keys(home)
    with ExitStack() as undo:
        server = open_server(home, enrolment, None)
        undo.callback(server.state.close)
        transport = server.transport or NoServer()
        undo.callback(transport.close)
        source = LogReader.open(home.ledger_path)
        undo.callback(source.close)
        yield Client(
            source=source,
            state=server.state,
            transport=transport,
            keys=server.keys,
            sign=ledger_signer(keys, enrolment.origin, home.ledger_path).sign,
            now_ms=lambda: max(clock.wall_ms(), server.state.number("signed_ms")),
            downlink=server.store,
        )


def pull_from(home: Home, folder: Path) -> PullResult:
    """Brings the shared snapshot from a folder, such as a stick that the server filled.

    A running service takes it at its next exchange, whether or not that reaches a server.

    Raises:
        NotEnrolled: ``redcard init`` first.
    """
    from sync.transport import FolderTransport

    with ExitStack() as undo:
        server = open_server(home, home.enrolment(), FolderTransport(folder))
        undo.callback(server.state.close)
        assert server.transport is not None, "it was given"
        if server.store is None:
            return PullResult(SyncStatus.UNVERIFIED, detail="there is no root to trust; enrol anew")
        try:
            snapshot = server.store.refresh(server.transport)
        except (Refused, Unreachable) as error:
            return PullResult(SyncStatus.OFFLINE, detail=f"{folder} is not whole: {error}")
        except (Malformed, NoteInvalid, TrustError) as error:
            return PullResult(SyncStatus.UNVERIFIED, detail=str(error))
        server.state.raise_number("signed_ms", snapshot.signed_ms)
        return PullResult(SyncStatus.OK, snapshot=snapshot)


class NoServer:
    """A transport that leads nowhere: files by stick still work."""

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """Says that no server is configured."""
        del request, bytes_max
        raise Unreachable("no server is set in terminal.toml; use redcard sync export")

    def close(self) -> None:
        """Nothing to close."""
