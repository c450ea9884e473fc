"""The terminal's end against the real server's application: what each alone cannot prove."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from keys.passphrase import Argon2Cost
from ledger.log.note import Ed25519Verifier
from server.home import Configuration, ServerHome
from sync import download
from sync.client import Client, ServerKeys
from sync.enrolment import decode_enrolled, encode_request, enrol_request
from sync.protocol import ENROL_PATH, SIZE_HEADER
from sync.snapshot import SnapshotStore
from sync.state import SyncState
from sync.transport import Request
from sync.uplink import SyncStatus
from tests.sync.signed_log import SignedLog, key, public
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import DOMAIN, VENUES

TERMINALS = ("t-1", "t-2")


class RealLog(SignedLog):
    """A log of the domain that the server was made for."""

    @property
    def origin(self) -> str:
        return f"{DOMAIN}/redcard/{self.ledger}"


@dataclass
class Station:
    log: RealLog
    state: SyncState
    client: Client
    store: SnapshotStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Federation]:
    home, clock = tmp_path / "server", HandClock()
    cost = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
    ServerHome.create(home, Configuration(domain=DOMAIN, listen="127.0.0.1:0"), cost=cost)
    made = Federation(home, clock)
    made.core.repository.create(made.home.custodians())
    made.run(made.core.import_venues(json.dumps(VENUES).encode()))
    made.publish_offers()
    yield made
    made.close()


def enrol(server: Federation, folder: Path, name: str) -> Station:
    code = server.run(server.core.activation(name, ["S01"], name=name)).code
    identity = pyrage.x25519.Identity.generate()
    request = enrol_request(
        code=code,
        public_key=public(key(name)),
        recipient=str(identity.to_public()),
        name=name,
        version="0.1.0",
        sign=key(name).sign,
    )
    answer = server.transport.exchange(Request("POST", ENROL_PATH, {}, encode_request(request)))
    assert answer.status == 200, answer.body
    enrolled = decode_enrolled(answer.body)
    assert len(pyrage.decrypt(enrolled.card_key, [identity])) >= 16
    keys = {use: Ed25519Verifier.from_vkey(vkey) for use, vkey in enrolled.vkeys.items()}
    log = RealLog(enrolled.ledger, name)
    log.grow(3)
    state = SyncState.open(":memory:", origin=log.origin)
    store = SnapshotStore(folder / name, enrolled.tuf_root)
    client = Client(
        source=log,
        state=state,
        transport=server.transport,
        keys=ServerKeys(keys["witness"], keys["judgements"], keys["feed"], enrolled.recipient),
        sign=key(name).sign,
        now_ms=server.clock.wall_ms,
        downlink=store,
    )
    return Station(log, state, client, store)


@pytest.fixture
def stations(server: Federation, tmp_path: Path) -> Iterator[list[Station]]:
    made = [enrol(server, tmp_path, name) for name in TERMINALS]
    yield made
    for station in made:
        station.state.close()


def test_sync_brings_entries_up_and_the_snapshot_down(stations: list[Station]) -> None:
    one = stations[0]
    result = one.client.sync()
    assert (result.status, result.push.pending) == (SyncStatus.OK, 0), result
    assert result.pull.snapshot is not None
    assert result.pull.snapshot.changed
    assert one.store.current is not None
    assert {"offers/offers.json", "offers/venues.json"} <= set(one.store.current.files)
    assert one.store.current.faults() == []
    again = one.client.sync()
    assert again.pull.snapshot is not None
    assert not again.pull.snapshot.changed


def test_targets_come_in_pieces_by_range(
    stations: list[Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 100)
    one = stations[0]
    assert one.client.pull().status is SyncStatus.OK
    assert one.store.current is not None
    assert one.store.current.faults() == []


def test_a_stick_is_relayed_by_another_terminal_and_its_receipts_return(
    stations: list[Station], tmp_path: Path
) -> None:
    one, two = stations
    one.log.grow(600)
    exported = one.client.export(tmp_path / "carried")
    assert exported.entries == 603
    relayed = two.client.import_(tmp_path / "carried")
    assert (relayed.status, relayed.size) == (SyncStatus.OK, 603), relayed
    assert relayed.written is not None
    first = relayed.written.read_bytes()
    assert two.client.import_(tmp_path / "carried").status is SyncStatus.OK
    assert relayed.written.read_bytes() == first
    back = one.client.import_(relayed.written)
    assert (back.status, back.receipts, back.pending) == (SyncStatus.OK, 2, 0)
    assert one.client.sync().status is SyncStatus.OK


def test_a_terminal_two_hours_slow_still_pulls(server: Federation, stations: list[Station]) -> None:
    one = stations[0]
    one.client._now_ms = lambda: server.clock.wall_ms() - 7_200_000
    assert one.client.sync().status is SyncStatus.OK


def test_a_clone_is_quarantined_for_both_machines(stations: list[Station]) -> None:
    one = stations[0]
    one.client.push()
    clone_log = RealLog(one.log.ledger, one.log.seed)
    for entry in one.log.stored:
        clone_log.commit(entry)
    clone_log.grow(1, word="clone")
    one.log.grow(2, word="one")
    assert one.client.push().status is SyncStatus.OK
    one.client._source = clone_log
    with SyncState.open(":memory:", origin=clone_log.origin) as fresh:
        one.client._state = fresh
        assert one.client.push().status is SyncStatus.QUARANTINED
        one.client._state, one.client._source = one.state, one.log
    # The honest machine has nothing to send, and is told all the same.
    idle = one.client.sync()
    assert (idle.status, idle.push.batches) == (SyncStatus.QUARANTINED, 0)
    one.log.grow(1)
    assert one.client.push().status is SyncStatus.QUARANTINED


def test_a_server_restored_from_a_backup_is_refilled_by_an_idle_terminal(
    server: Federation, stations: list[Station], tmp_path: Path
) -> None:
    one, two = stations
    one.client.sync()
    backup = shutil.copytree(tmp_path / "server", tmp_path / "backup")
    one.log.grow(700)
    two.log.grow(2)
    one.client.sync()
    two.client.sync()
    receipts = one.state.receipts()
    restored = Federation(backup, HandClock())
    try:
        for station in stations:
            station.client._transport = restored.transport
            result = station.client.sync()
            assert (result.status, result.push.pending) == (SyncStatus.OK, 0), result
            held = restored.run(restored.core.standing(station.log.ledger))
            assert held[SIZE_HEADER] == str(station.log.size)
    finally:
        restored.close()
    assert receipts == one.state.receipts()[: len(receipts)]
