"""A terminal's key is replaced: the server learns the new one, and believes the old one no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.keystore import KeyKind, MemoryKeyStore
from ledger.errors import LogFault, LogLocked
from ledger.log.audit import verify_database
from ledger.log.checkpoint import parse
from ledger.log.keylist import open_key_list
from ledger.log.note import Ed25519Verifier, split_note
from ledger.log.proof import prove
from ledger.log.reading import LogReader
from ledger.log.receipt_check import check_paper
from ledger.log.shards import keys_of
from readers.virtual.authority import TestCa
from server.key_list import key_list
from sync.protocol import TERMINALS_PATH
from sync.state import SyncState
from sync.transport import Request
from terminal.machine import ledger_key
from terminal.rotation import rotate_ledger_key
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.station import Station


@pytest.fixture
def station(tmp_path: Path, world: TestCa, founded: Path) -> Iterator[Station]:
    clock = HandClock()
    federation = Federation(shutil.copytree(founded, tmp_path / "server"), clock)
    federation.members(1, 2, 3)
    made = Station(tmp_path / "terminal", world, federation, clock)
    yield made
    made.close()
    federation.close()


def test_the_server_follows_a_rotation_and_refuses_the_old_key(station: Station) -> None:
    station.service.sync_now()
    first = station.kiosk(station.card(1))
    assert first.code == "A00"
    station.service.sync_now()
    with pytest.raises(LogLocked):
        rotate_ledger_key(station.home, station.clock, keys=station.keys)
    station.service.close()
    made = rotate_ledger_key(station.home, station.clock, keys=station.keys)
    assert made.name == "ledger.2"
    assert ledger_key(station.keys, station.home.ledger_path) == "ledger.2"

    station.start()
    second = station.kiosk(station.card(2))
    assert second.entry is not None
    assert second.receipt
    answer = station.service.sync_now()
    assert answer.pending == 0
    assert verify_database(station.home.ledger_path).faults == []

    federation, home = station.federation, station.home.enrolment()
    vkeys = federation.run(federation.core.origin_of(home.ledger))[1]
    assert list(vkeys) == keys_of(station.home.ledger_path)
    server = [Ed25519Verifier.from_vkey(one) for one in home.vkeys.values()]
    listed = open_key_list(federation.run(key_list(federation.core)), server)
    over_http = federation.transport.exchange(Request("GET", TERMINALS_PATH))
    assert open_key_list(over_http.body, server) == listed
    assert [one.vkey for one in listed.of(home.origin)] == list(vkeys)
    with LogReader.open(station.home.ledger_path) as reader:
        for tapped in (first, second):
            entry = next(iter(reader.entries(tapped.entry or 0, (tapped.entry or 0) + 1)))
            checked = check_paper(tapped.receipt.encode(), listed, server, entry)
            assert (checked.ok, checked.entry, checked.reason) == (True, True, "")
        with SyncState.open(station.home.sync_path, origin=home.origin) as state:
            note = state.receipts()[-1].note
        proof = prove(reader, second.entry, note)
        entry = next(iter(reader.entries(second.entry, second.entry + 1)))
    checked = check_paper(proof, listed, server, entry)
    assert (checked.ok, checked.confirmed, checked.reason) == (True, True, "")


def test_a_store_without_the_new_key_is_told_so(station: Station) -> None:
    station.service.close()
    rotate_ledger_key(station.home, station.clock, keys=station.keys)
    old = MemoryKeyStore()
    old.generate("ledger", KeyKind.ED25519)
    old.generate("ledger.9", KeyKind.ED25519)
    with pytest.raises(LogFault, match="not in this home"):
        ledger_key(old, station.home.ledger_path)
    station.start()


def test_an_interrupted_rotation_takes_the_key_that_was_made(station: Station) -> None:
    station.service.close()
    station.keys.generate("ledger.2", KeyKind.ED25519)
    public = station.keys.public_key("ledger.2")
    made = rotate_ledger_key(station.home, station.clock, keys=station.keys)
    assert Ed25519Verifier.from_vkey(made.vkey).public_key == public
    assert rotate_ledger_key(station.home, station.clock, keys=station.keys).name == "ledger.3"
    with LogReader.open(station.home.ledger_path) as reader:
        text, lines = split_note(reader.checkpoint()[1])
    assert parse(text).size == reader_size(station)
    assert len(lines) == 2
    station.start()


def reader_size(station: Station) -> int:
    with LogReader.open(station.home.ledger_path) as reader:
        return reader.size
