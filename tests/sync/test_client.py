from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.log.checkpoint import cosign
from ledger.log.merkle import Frontier
from sync.admission import LedgerState
from sync.client import Client
from sync.envelope import (
    ReceiptFile,
    decode_receipts,
    encode_parts,
    encode_receipts,
    seal,
)
from sync.errors import EnvelopeInvalid, StateFault, Unreachable
from sync.feed import Judgement
from sync.protocol import Batch, Problem, encode_problem, encode_size
from sync.state import SyncState
from sync.transport import MemoryTransport, Request, Response
from sync.uplink import PushResult, SyncStatus
from tests.sync.memory_server import MemoryServer
from tests.sync.signed_log import WITNESS, SignedLog, key, ledger_name


@dataclass
class Terminal:
    log: SignedLog
    state: SyncState
    transport: MemoryTransport
    client: Client
    clock: list[int]


def terminal(server: MemoryServer, log: SignedLog, *, state: SyncState | None = None) -> Terminal:
    kept = state or SyncState.open(":memory:", origin=log.origin)
    transport = MemoryTransport(server)
    clock = [server.now_ms]
    client = Client(
        source=log,
        state=kept,
        transport=transport,
        keys=server.keys(),
        sign=key(log.seed).sign,
        now_ms=lambda: clock[0],
    )
    return Terminal(log, kept, transport, client, clock)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def one(server: MemoryServer) -> Iterator[Terminal]:
    log = SignedLog(ledger_name(1), "one")
    log.grow(3)
    server.enrol(log)
    made = terminal(server, log)
    yield made
    made.state.close()


def entries(server: MemoryServer, one: Terminal) -> list[bytes]:
    return server.logs[one.log.ledger].entries


def test_a_push_brings_every_entry_once_and_keeps_the_receipts(
    server: MemoryServer, one: Terminal
) -> None:
    seen: list[PushResult] = []
    one.log.grow(1200)
    result = one.client.push(seen.append)
    assert result.status is SyncStatus.OK
    assert (result.size, result.pending, result.batches, result.entries) == (1203, 0, 3, 1203)
    assert [step.pending for step in seen] == [703, 203, 0]
    assert entries(server, one) == one.log.stored
    notes = [receipt.note for receipt in one.state.receipts()]
    assert notes == list(server.logs[one.log.ledger].receipts.values())
    assert one.client.signed_ms() == max(r.time_s for r in one.state.receipts()) * 1000
    assert one.client.push().batches == 0


def test_a_lost_answer_is_a_replay(server: MemoryServer, one: Terminal) -> None:
    one.transport.lose_answers = 1
    lost = one.client.push()
    assert (lost.status, lost.size, lost.pending) == (SyncStatus.OFFLINE, 0, 3)
    first = dict(server.logs[one.log.ledger].receipts)
    assert one.client.push().status is SyncStatus.OK
    assert server.logs[one.log.ledger].receipts == first
    assert entries(server, one) == one.log.stored


def test_a_lost_answer_and_more_entries_is_an_overlap(server: MemoryServer, one: Terminal) -> None:
    one.transport.lose_answers = 1
    one.client.push()
    one.log.grow(4)
    assert one.client.push().size == 7
    assert entries(server, one) == one.log.stored


def test_offline_is_a_status_and_keeps_everything_pending(
    server: MemoryServer, one: Terminal
) -> None:
    one.transport.connected = False
    result = one.client.sync()
    assert result.status is SyncStatus.OFFLINE
    assert server.requests == 0
    report = one.client.status()
    assert (report.pending, report.acknowledged, report.last_sync_ms) == (3, 0, None)
    assert report.state == "offline"
    one.transport.connected = True
    one.client.sync()
    report = one.client.status()
    assert report.as_json() == {
        "pending": 0,
        "acknowledged": 3,
        "last_sync": "2026-04-24T03:06:40.000Z",
        "state": "ok",
        "detail": "",
        "oldest_pending_ms": None,
        "flagged": 0,
    }


def test_a_server_restored_from_a_backup_is_refilled(server: MemoryServer, one: Terminal) -> None:
    one.client.push()
    backup = server.backup()
    one.log.grow(600)
    one.client.push()
    before = len(one.state.receipts())
    server.restore(backup)
    one.log.grow(2)
    result = one.client.push()
    assert (result.status, result.pending) == (SyncStatus.OK, 0)
    assert entries(server, one) == one.log.stored
    assert len(one.state.receipts()) > before


def test_an_idle_terminal_refills_a_restored_server_too(
    server: MemoryServer, one: Terminal
) -> None:
    backup = server.backup()
    one.client.sync()
    server.restore(backup)
    result = one.client.sync()
    assert (result.status, result.push.pending) == (SyncStatus.OK, 0)
    assert entries(server, one) == one.log.stored


def test_a_server_that_lost_everything_is_refilled(server: MemoryServer, one: Terminal) -> None:
    backup = server.backup()
    one.client.push()
    server.restore(backup)
    one.log.grow(1)
    assert one.client.push().status is SyncStatus.OK
    assert entries(server, one) == one.log.stored


def test_a_lost_sync_database_costs_nothing_but_replays(
    server: MemoryServer, one: Terminal
) -> None:
    one.client.push()
    one.log.grow(5)
    fresh = terminal(server, one.log)
    assert fresh.client.push().status is SyncStatus.OK
    assert entries(server, one) == one.log.stored


def test_a_clone_is_found_and_both_machines_are_told(server: MemoryServer, one: Terminal) -> None:
    one.client.sync()
    clone_log = one.log.copy_at(3)
    clone = terminal(server, clone_log)
    clone.client.sync()
    one.log.grow(1, word="one")
    clone_log.grow(2, word="clone")
    assert one.client.sync().status is SyncStatus.OK
    result = clone.client.sync()
    assert result.push.status is SyncStatus.QUARANTINED
    assert result.push.pending == 2
    assert one.client.sync().status is SyncStatus.QUARANTINED
    one.log.grow(1)
    assert one.client.push().status is SyncStatus.QUARANTINED
    (evidence,) = server.logs[one.log.ledger].evidence
    assert evidence.checkpoint == clone_log.notes[5]
    assert entries(server, one) == one.log.stored[:4]


def test_a_disk_restored_below_the_cursor_shows_the_fork(
    server: MemoryServer, one: Terminal
) -> None:
    one.client.push()
    one.log.grow(5)
    one.client.push()
    old = one.log.copy_at(4)
    restored = terminal(server, old, state=one.state)
    result = restored.client.push()
    assert result.status is SyncStatus.INCONSISTENT
    assert "older copy" in result.detail
    old.grow(1, word="boot")
    assert restored.client.push().status is SyncStatus.QUARANTINED


def test_a_disk_restored_and_grown_beyond_the_cursor_shows_the_fork(
    server: MemoryServer, one: Terminal
) -> None:
    one.client.push()
    one.log.grow(5)
    one.client.push()
    old = one.log.copy_at(4)
    old.grow(9, word="boot")
    restored = terminal(server, old, state=one.state)
    assert restored.client.push().status is SyncStatus.QUARANTINED


def test_an_altered_entry_is_inconsistent_and_kept_as_evidence(
    server: MemoryServer, one: Terminal
) -> None:
    one.client.push()
    one.log.grow(2)
    one.log.stored[4] = b'{"altered":true}'
    result = one.client.push()
    assert (result.status, result.pending) == (SyncStatus.INCONSISTENT, 2)
    assert server.logs[one.log.ledger].evidence[0].entries[1] == b'{"altered":true}'
    assert server.logs[one.log.ledger].standing is LedgerState.OK


def test_a_revoked_terminal_hears_it_and_its_entries_are_taken(
    server: MemoryServer, one: Terminal
) -> None:
    server.logs[one.log.ledger].standing = LedgerState.REVOKED_LOST
    result = one.client.sync()
    assert (result.status, result.push.pending) == (SyncStatus.REVOKED, 0)
    server.logs[one.log.ledger].standing = LedgerState.REVOKED_COMPROMISED
    one.log.grow(1)
    result = one.client.sync()
    assert (result.status, result.push.pending) == (SyncStatus.REVOKED, 1)


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (Response(200, {}, b"<html>Please sign in"), SyncStatus.UNVERIFIED),
        (Response(302, {}, b""), SyncStatus.REFUSED),
        (Response(503, {"Retry-After": "7"}, b""), SyncStatus.OVERLOADED),
        (Response(429, {"Retry-After": "soon"}, b"{}"), SyncStatus.OVERLOADED),
        (Response(500, {}, b"x"), SyncStatus.OVERLOADED),
        (Response(409, {}, encode_size(0)), SyncStatus.NEED_FROM),
        (Response(409, {}, b"what"), SyncStatus.UNVERIFIED),
        (Response(404, {}, encode_problem(Problem(404, "unknown_ledger", "x"))), "refused"),
        (Response(200, {}, b"x" * 20_000), SyncStatus.OFFLINE),
    ],
)
def test_no_answer_loses_or_confirms_an_entry(
    server: MemoryServer, one: Terminal, response: Response, status: SyncStatus
) -> None:
    one.transport._answer = lambda _request: response
    result = one.client.push()
    assert (result.status, result.pending, result.receipts) == (status, 3, 0)
    assert result.detail
    if response.headers.get("Retry-After") == "7":
        assert result.retry_after_s == 7
    one.transport._answer = server
    assert one.client.push().status is SyncStatus.OK


def test_a_receipt_by_another_key_or_for_another_ledger_confirms_nothing(
    server: MemoryServer, one: Terminal
) -> None:
    other_log = SignedLog(ledger_name(2), "two")
    other_log.grow(3)
    server.enrol(other_log)
    other = terminal(server, other_log)
    other.client.push()
    foreign = other.state.receipts()[0].note
    one.transport._answer = lambda _request: Response(200, {}, foreign)
    assert one.client.push().status is SyncStatus.UNVERIFIED
    own = one.log.notes[3]
    one.transport._answer = lambda _request: Response(200, {}, own)
    assert one.client.push().status is SyncStatus.UNVERIFIED
    assert one.state.receipts() == []


def test_a_receipt_for_other_entries_confirms_nothing(server: MemoryServer, one: Terminal) -> None:
    other = one.log.copy_at(2)
    other.grow(1, word="other")
    forged = cosign(other.notes[3], WITNESS, 1_777_000_000)
    one.transport._answer = lambda _request: Response(200, {}, forged)
    result = one.client.push()
    assert (result.status, result.pending) == (SyncStatus.UNVERIFIED, 3)
    assert "other entries" in result.detail
    assert one.state.receipts() == []


def test_going_back_is_remembered_when_the_refill_breaks_off(
    server: MemoryServer, one: Terminal
) -> None:
    empty = server.backup()
    one.client.push()
    server.restore(empty)
    one.log.grow(1)

    def breaks_off(request: Request) -> Response:
        if server.requests > asked:
            raise Unreachable("cut")
        return server(request)

    asked = server.requests
    one.transport._answer = breaks_off
    assert one.client.push().status is SyncStatus.OFFLINE
    assert one.client.status().pending == 4
    assert len(one.state.receipts()) == 1


def test_a_receipt_for_less_than_was_sent_confirms_nothing_new(
    server: MemoryServer, one: Terminal
) -> None:
    one.client.push()
    old = one.state.receipts()[0].note
    one.log.grow(2)
    one.transport._answer = lambda _request: Response(200, {}, old)
    result = one.client.push()
    assert (result.status, result.pending) == (SyncStatus.UNVERIFIED, 2)


def test_pull_keeps_the_newest_judgement_and_the_feed(server: MemoryServer, one: Terminal) -> None:
    held = server.logs[one.log.ledger]
    held.judgements = [
        Judgement(1, 1, "accepted", (), "n1"),
        Judgement(2, 2, "accepted", (), "n2"),
        Judgement(1, 3, "accepted_flagged", ("over_member_limit",), "n1", "other/9"),
    ]
    held.feed = [{"number": 1, "kind": "lease"}, {"number": 4, "kind": "command"}]
    result = one.client.pull()
    assert (result.status, result.judgements, result.feed) == (SyncStatus.OK, 3, 2)
    assert [(one.seq, one.verdict) for one in one.state.judgements()] == [
        (1, "accepted_flagged"),
        (2, "accepted"),
    ]
    assert [number for number, _ in one.state.feed()] == [1, 4]
    assert one.state.feed(1) == [(4, b'{"kind":"command","number":4}')]
    again = one.client.pull()
    assert (again.judgements, again.feed) == (0, 0)


def test_a_clock_far_off_still_pulls(server: MemoryServer, one: Terminal) -> None:
    one.clock[0] -= 7_200_000
    assert one.client.pull().status is SyncStatus.OK


def test_pages_of_another_ledger_key_or_place_are_not_taken(
    server: MemoryServer, one: Terminal
) -> None:
    held = server.logs[one.log.ledger]
    held.judgements = [Judgement(1, 1, "accepted"), Judgement(2, 2, "accepted")]
    first = server

    def replayed(request: Request) -> Response:
        return recorded if "judgements" in request.target else first(request)

    recorded = server(
        Request("GET", f"/v1/logs/{one.log.ledger}/judgements?after=0",
                {"Authorization": _signed(one, server, 0)})
    )  # fmt: skip
    one.client.pull()
    one.transport._answer = replayed
    assert one.client.pull().status is SyncStatus.UNVERIFIED
    one.transport._answer = lambda r: Response(200, {}, one.log.notes[3])
    assert one.client.pull().status is SyncStatus.UNVERIFIED
    assert one.state.number("judgements") == 2


def _signed(one: Terminal, server: MemoryServer, after: int) -> str:
    from sync.protocol import authorize, judgements_path

    target = judgements_path(one.log.ledger, after)
    return authorize(one.log.ledger, target, server.now_ms, key(one.log.seed).sign)


def test_a_ledger_by_stick_there_and_back(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    one.transport.connected = False
    one.log.grow(700)
    file = tmp_path / "carried.batch"
    exported = one.client.export(file)
    assert (exported.entries, exported.written, exported.pending) == (703, file, 703)
    assert b'"seq"' not in file.read_bytes()

    other_log = SignedLog(ledger_name(2), "two")
    server.enrol(other_log)
    other = terminal(server, other_log)
    relayed = other.client.import_(file)
    assert (relayed.status, relayed.ledger, relayed.entries) == ("ok", one.log.ledger, 703)
    assert entries(server, one) == one.log.stored
    assert other.state.receipts() == []

    assert relayed.written is not None
    first = relayed.written.read_bytes()
    assert other.client.import_(file).status is SyncStatus.OK
    assert relayed.written.read_bytes() == first
    assert entries(server, one) == one.log.stored

    back = one.client.import_(relayed.written)
    assert (back.status, back.receipts, back.pending) == (SyncStatus.OK, 2, 0)
    assert one.client.import_(relayed.written).receipts == 0
    assert one.client.status().acknowledged == 703
    with pytest.raises(EnvelopeInvalid, match="are for the ledger"):
        other.client.import_(relayed.written)


def test_a_terminal_may_import_its_own_file_when_it_is_back_online(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    one.client.export(tmp_path / "own")
    result = one.client.import_(tmp_path / "own")
    assert (result.status, result.pending) == (SyncStatus.OK, 0)
    assert one.client.export(tmp_path / "none").written is None
    assert not (tmp_path / "none").exists()


def test_a_file_with_a_gap_tells_from_where_to_export_again(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    empty = server.backup()
    one.client.push()
    one.log.grow(2)
    one.client.export(tmp_path / "late")
    server.restore(empty)
    other_log = SignedLog(ledger_name(2), "two")
    server.enrol(other_log)
    result = terminal(server, other_log).client.import_(tmp_path / "late")
    assert (result.status, result.size) == (SyncStatus.NEED_FROM, 0)
    assert result.written is not None
    assert decode_receipts(result.written.read_bytes()).status == "need_from"
    back = one.client.import_(result.written)
    assert (back.status, back.pending) == (SyncStatus.NEED_FROM, 5)
    one.client.export(tmp_path / "again")
    assert terminal(server, other_log).client.import_(tmp_path / "again").status == "ok"
    assert entries(server, one) == one.log.stored


@pytest.mark.parametrize(
    ("response", "status", "word"),
    [
        (Response(503, {}, b""), SyncStatus.OVERLOADED, "overloaded"),
        (Response(200, {}, b"<html>"), SyncStatus.UNVERIFIED, "overloaded"),
        (Response(409, {}, b"x"), SyncStatus.UNVERIFIED, "overloaded"),
        (
            Response(403, {}, encode_problem(Problem(403, "revoked", "gone"))),
            SyncStatus.REVOKED,
            "revoked",
        ),
    ],
)
def test_a_relay_that_breaks_off_keeps_the_receipts_it_has(
    server: MemoryServer,
    one: Terminal,
    tmp_path: Path,
    response: Response,
    status: SyncStatus,
    word: str,
) -> None:
    one.log.grow(700)
    one.client.export(tmp_path / "file")

    def first_part_only(request: Request) -> Response:
        return server(request) if server.requests == 0 else response

    one.transport._answer = first_part_only
    result = one.client.import_(tmp_path / "file")
    assert (result.status, result.receipts, result.entries) == (status, 1, 500)
    assert result.written is not None
    assert decode_receipts(result.written.read_bytes()).status == word
    assert one.client.status().acknowledged == 500
    one.transport._answer = server
    assert one.client.import_(tmp_path / "file").status is SyncStatus.OK
    assert one.client.status().pending == 0


def test_a_file_carries_one_ledger_and_says_which(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    other = SignedLog(ledger_name(2), "two")
    other.grow(1)
    recipient = server.keys().recipient
    mine = seal(Batch(one.log.ledger, 0, tuple(one.log.stored), one.log.notes[3]), recipient)
    theirs = seal(Batch(other.ledger, 0, tuple(other.stored), other.notes[1]), recipient)
    masked = dataclasses.replace(theirs, ledger=one.log.ledger)
    unsigned = dataclasses.replace(mine, checkpoint=b"junk")
    for parts, what in (
        ([mine, theirs], "one ledger"),
        ([masked], "its checkpoint"),
        ([unsigned], "cannot be read"),
    ):
        (tmp_path / "file").write_bytes(encode_parts(parts))
        with pytest.raises(EnvelopeInvalid, match=what):
            one.client.import_(tmp_path / "file")
    assert server.requests == 0


def test_receipts_of_a_newer_server_word_are_still_taken(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    one.client.push()
    note = one.state.receipts()[0].note
    file = ReceiptFile(one.log.ledger, "word_of_tomorrow", 3, (note,))
    (tmp_path / "back").write_bytes(encode_receipts(file))
    fresh = terminal(server, one.log)
    result = fresh.client.import_(tmp_path / "back")
    assert (result.status, result.pending) == (SyncStatus.REFUSED, 0)
    assert "word_of_tomorrow" in result.detail
    fresh.state.close()


def test_an_unreachable_server_leaves_no_receipt_file(
    server: MemoryServer, one: Terminal, tmp_path: Path
) -> None:
    one.client.export(tmp_path / "file")
    one.transport.connected = False
    result = one.client.import_(tmp_path / "file")
    assert (result.status, result.written) == (SyncStatus.OFFLINE, None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_older_revision_never_replaces_a_newer_judgement(one: Terminal) -> None:
    one.state.add_judgements([Judgement(1, 5, "duplicate")], 5, 9)
    one.state.add_judgements([Judgement(1, 3, "accepted"), Judgement(2, 4, "accepted")], 4, 8)
    assert [(j.seq, j.revision, j.verdict) for j in one.state.judgements()] == [
        (1, 5, "duplicate"),
        (2, 4, "accepted"),
    ]
    assert one.state.number("judgements") == 5
    assert one.client.signed_ms() == 9


def test_the_sync_database_belongs_to_one_ledger(tmp_path: Path) -> None:
    SyncState.open(tmp_path / "sync.db", origin="a/redcard/x").close()
    with pytest.raises(StateFault, match="belongs to"):
        SyncState.open(tmp_path / "sync.db", origin="b/redcard/y")
    (tmp_path / "junk.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateFault, match="cannot be used"):
        SyncState.open(tmp_path / "junk.db", origin="a")


def test_a_newer_sync_database_is_left_untouched(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "sync.db"
    SyncState.open(path, origin="a").close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=9")
    database.close()
    with pytest.raises(StateFault, match="newer"):
        SyncState.open(path, origin="a")


def test_the_cursor_survives_a_restart_and_moves_back_only_by_rewind(tmp_path: Path) -> None:
    from sync.state import StoredReceipt

    path = tmp_path / "sync.db"
    small, large = Frontier().extend([b"a" * 32]), Frontier().extend([b"a" * 32] * 3)
    with SyncState.open(path, origin="a") as state:
        state.add_receipt(StoredReceipt(3, b"three", 9), large)
        state.add_receipt(StoredReceipt(1, b"one", 5), small)
    with SyncState.open(path, origin="a") as state:
        assert state.acknowledged() == large
        assert state.number("signed_ms") == 9_000
        receipt = state.receipt_at_least(2)
        assert receipt is not None
        assert receipt.note == b"three"
        state.rewind(small)
        assert state.acknowledged() == small
        assert len(state.receipts()) == 2
