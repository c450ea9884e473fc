"""The server as a home knows it: its keys, the sync database, the snapshot, the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.log.note import Ed25519Verifier, Verifier
from ledger.log.reading import LogReader
from sync.client import ServerKeys
from sync.state import SyncState
from sync.transport import HttpTransport, Transport
from terminal.asking import ASK_TIMEOUT_MS
from terminal.home import Enrolment, Home
from terminal.wiping import WipeableStore

#: The target that is brought up to date by deltas.
ROSTER_TARGET: Final = "status/roster.bin"


@dataclass(frozen=True, slots=True)
class ServerSide:
    """The server's side as far as this home knows it."""

    keys: ServerKeys
    state: SyncState
    store: WipeableStore | None
    transport: Transport | None
    quick: Transport | None

    def closing(self, source: LogReader) -> tuple[Callable[[], None], ...]:
        """What is closed after the ledger, in order."""
        ends: tuple[Callable[[], None], ...] = (source.close, self.state.close)
        ways = (self.transport, self.quick)
        return (*ends, *(way.close for way in ways if way is not None))


def _apply_delta(old: Path, delta: Path, new: Path) -> None:
    # Once a day at most; until then nothing of it is in memory.
    from sync.roster_delta import apply_delta

    apply_delta(old, delta, new)


def open_server(home: Home, enrolment: Enrolment, transport: Transport | None) -> ServerSide:
    """The server's side of a home: its keys, the sync database, the snapshot, the way to it."""

    def verifier(use: str) -> Verifier:
        return Ed25519Verifier.from_vkey(enrolment.vkeys[use])

    quick = transport
    if transport is None and home.config.server:
        transport = HttpTransport(home.config.server)
        quick = HttpTransport(home.config.server, timeout_s=ASK_TIMEOUT_MS / 1_000)
    return ServerSide(
        keys=ServerKeys(
            verifier("witness"), verifier("judgements"), verifier("feed"), enrolment.recipient
        ),
        state=SyncState.open(home.sync_path, origin=enrolment.origin),
        store=WipeableStore(
            home.snapshot_path, home.root_path.read_bytes(), {ROSTER_TARGET: _apply_delta}
        )
        if home.root_path.exists()
        else None,
        transport=transport,
        quick=quick,
    )
