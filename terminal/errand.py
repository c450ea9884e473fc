"""The home's end of sync alone, for a command: push, pull, and files by stick.

It reads the ledger, never writes it, and needs no lock; a running service does not mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ledger.log.reading import LogReader
from sync.client import Client
from sync.errors import Unreachable
from sync.transport import ANSWER_BYTES_MAX, Request, Response
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


class NoServer:
    """A transport that leads nowhere: files by stick still work."""

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """Says that no server is configured."""
        del request, bytes_max
        raise Unreachable("no server is set in terminal.toml; use redcard sync export")

    def close(self) -> None:
        """Nothing to close."""
