"""Corners of the signed log that no other test turns: each may happen, and each has one answer."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger import verify
from ledger.errors import LogFault, NotCanonical, NoteInvalid, ProofInvalid
from ledger.log import audit, audit_crew, audit_decode, audit_worker, canonical, leaves, shards
from ledger.log.audit_chunk import Chunk, Job, check_chunk, unpack_chunk
from ledger.log.audit_course import Course, Stretch
from ledger.log.audit_decode import decode, decode_all
from ledger.log.audit_report import Report
from ledger.log.audit_walk import Walk
from ledger.log.disk import rewrite
from ledger.log.export import export
from ledger.log.merkle import verify_consistency
from ledger.log.note import COSIGNATURE, Ed25519Verifier, open_note
from ledger.log.reading import LogReader
from ledger.log.rotation import follow
from ledger.log.schema import connect_reader
from ledger.log.store import LogStore
from ledger.log.tiles_export import export_tiles, verify_folder
from tests.ledger.log.ledgers import BOOT, ORIGIN, SERVER, SIGNER, create, reopen, signer, tap


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with create(tmp_path / "ledger.db") as store:
        for start in (0, 300):
            store.append([tap(start + number) for number in range(300)])
    return tmp_path / "ledger.db"


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def everything(path: Path, size: int, *, tree: bool = False) -> Job:
    return Job(str(path), size, (100, size), tree=tree)


@pytest.mark.parametrize("tree", [False, True])
def test_the_work_of_another_process_is_the_work_of_this_one(path: Path, tree: bool) -> None:
    job = everything(path, 602, tree=tree)
    tickets, untold = audit_crew._tickets(1)
    assert untold == 1
    ours, theirs = os.pipe()
    task = [str(path), path.absolute().as_uri(), "602", "tree" if tree else "full", *sys.path]
    audit_worker.main([str(tickets), str(theirs), *task], "100 602")
    os.close(theirs)
    answer = audit_crew._receive(ours)
    assert answer is not None
    assert audit_crew._receive(ours) is None
    os.close(ours)
    os.close(tickets)
    with closing(connect_reader(path)) as connection:
        chunk = check_chunk(connection, job, 0)
    assert chunk.whole
    if tree:
        assert leaves.unpack(answer) == (0, (chunk.tiles, chunk.edges))
    else:
        assert unpack_chunk(answer) == (0, chunk)


@pytest.mark.parametrize("tree", [False, True])
def test_another_process_does_what_nobody_takes(tmp_path: Path, tree: bool) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        for start in range(0, 5_000, 500):
            store.append([tap(start + at) for at in range(500)])
    job = Job(str(path), 5_002, (502, 5_002), tree=tree)
    with audit_crew.crew(job, 2) as others, closing(connect_reader(path)) as connection:
        found: dict[int, Chunk] = {}
        while not others.alone:
            found.update(others.found(wait=True))
        assert list(others.found(wait=True)) == []
        assert found == {at: check_chunk(connection, job, at) for at in range(job.chunks)}
    assert all(chunk.whole for chunk in found.values())


def test_a_pipe_that_is_too_small_leaves_tickets_to_the_asker(path: Path) -> None:
    chunks = 70_000
    with audit_crew.crew(Job(str(path), chunks * leaves.CHUNK_ENTRIES, (), tree=True), 1) as crew:
        assert crew._untold < chunks
        assert [crew.take() for _ in range(chunks + 1)] == list(range(chunks + 1))
        assert crew.alone


class Answers:
    """Other processes that have taken all, and answer so; then they are gone."""

    def __init__(self, *done: Chunk) -> None:
        self.done = list(done)
        self.alone = False

    def take(self) -> int:
        return 1_000

    def found(self, *, wait: bool) -> Iterator[tuple[int, Chunk]]:
        assert wait or self.alone
        if self.done:
            chunk = self.done.pop()
            yield chunk.start // leaves.CHUNK_ENTRIES, chunk
        self.alone = not self.done


def test_answers_of_other_processes_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        for start in range(0, 5_000, 500):
            store.append([tap(start + at) for at in range(500)])
    job = everything(path, 5_002)
    with closing(connect_reader(path)) as connection:
        done = [check_chunk(connection, job, number) for number in range(job.chunks)]
        every = audit._Database(connection, job, Walk(Report(), [], ORIGIN, bool), {}, Report())
        for answered in (done, done[1:], done[:1], []):
            chunks = list(every._chunks(Answers(*answered)))  # type: ignore[arg-type]
            assert chunks == done


@pytest.mark.parametrize(
    "last_act",
    ["", "os.write(int(sys.argv[2]), bytes([0, 0, 0, 9, 1]))"],
)
def test_a_process_that_dies_leaves_its_chunks_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_act: str
) -> None:
    with create(tmp_path / "two.db") as store:
        for start in range(0, 3_000, 500):
            store.append([tap(start + at) for at in range(500)])
    (tmp_path / "dies.py").write_text(f"import os, sys\nos.read(int(sys.argv[1]), 4)\n{last_act}\n")
    monkeypatch.setattr(audit_worker, "__file__", str(tmp_path / "dies.py"))
    for tree in (False, True):
        with audit_crew.crew(everything(tmp_path / "two.db", 3_002, tree=tree), 2) as others:
            while not others.alone:
                assert list(others.found(wait=True)) == []
        report = audit.verify_database(tmp_path / "two.db", tree=tree, processes=2)
        assert (report.ok, report.size) == (True, 3_002)


def test_what_sqlite_says_of_its_own_file_is_a_fault(path: Path) -> None:
    sql(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema"
        " WHERE name = 'tile') WHERE name = 'checkpoint'",
    )
    sql(path, "PRAGMA user_version")
    report = Report()
    job = Job(str(path), 602, (602,), tree=False)
    with closing(connect_reader(path)) as connection:
        every = audit._Database(connection, job, Walk(report, [], ORIGIN, bool), {}, report)
        with audit_crew.crew(job, 1) as crew:
            every.walk(crew)
    assert "file" in {fault.kind for fault in report.faults}


def test_an_entry_that_is_too_long_is_not_canonical() -> None:
    with pytest.raises(NotCanonical, match="too long"):
        decode_all([b"x" * 5_000])


def test_what_was_not_found_whole_comes_back_as_such() -> None:
    assert leaves.unpack(leaves.pack(7, None)) == (7, None)
    assert leaves.unpack(leaves.pack(7, (b"", {}))) == (7, (b"", {}))


def test_a_key_that_no_entry_has_is_an_empty_column() -> None:
    data, shape = canonical.encode({"seq": 1, "ts_ms": 1, "mono_ms": 1}), audit_decode.Shape()
    assert decode_all([data, data], shape).column("nonce") == [None, None]


@pytest.mark.parametrize("tree", [False, True])
def test_an_entry_that_is_no_text_is_not_whole(tmp_path: Path, tree: bool) -> None:
    path = tmp_path / "ledger.db"
    sql(
        path,
        "CREATE TABLE entry (seq INTEGER PRIMARY KEY, entry, leaf)",
        "CREATE TABLE tile (tile INTEGER PRIMARY KEY, hash)",
        "INSERT INTO entry VALUES (0, 7, zeroblob(8))",
    )
    with closing(connect_reader(path)) as connection:
        assert not check_chunk(connection, Job(str(path), 1, (), tree=tree), 0).whole


def test_a_few_entries_make_a_few_tiles(tmp_path: Path) -> None:
    with create() as store:
        store.append([tap(number) for number in range(3)])
        export_tiles(store, tmp_path / "tiles")
    assert verify_folder(tmp_path / "tiles").ok
    names = sorted(str(one.relative_to(tmp_path / "tiles")) for one in tmp_path.rglob("*.p/*"))
    assert names == ["tile/0/000.p/5", "tile/entries/000.p/5"]


def test_keys_that_are_given_need_not_be_learnt(path: Path) -> None:
    new = signer(ORIGIN, "second")
    shards.rotate(path, old=SIGNER, new=new, boot=BOOT)
    keys = [Ed25519Verifier.of(one).vkey for one in (SIGNER, new)]
    assert audit.verify_database(path, keys).ok
    entry = canonical.encode({"kind": "keyrot", "vkey": keys[1]})
    with LogReader.open(path) as reader:
        _, note = reader.checkpoint()
    with pytest.raises(NoteInvalid, match="its checkpoint is of"):
        follow(note, entry, 5, [Ed25519Verifier.of(SIGNER)])


def test_a_file_that_stops_being_readable_is_a_fault(path: Path) -> None:
    sql(path, "DROP TABLE tile", "CREATE TABLE tile (tile, other)")
    with pytest.raises(LogFault, match="cannot be read as a ledger"):
        audit.verify_database(path)
    report = Report()
    walk = Walk(report, [], ORIGIN, bool)
    job = Job(str(path), 602, (), tree=False)
    sql(path, "DROP TABLE entry")
    with closing(connect_reader(path)) as connection:
        assert not check_chunk(connection, job, 0).whole
        with audit_crew.crew(job, 1) as crew:
            audit._Database(connection, job, walk, {}, report).walk(crew)
    assert [fault.kind for fault in report.faults] == ["file"]


def test_no_more_keys_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = canonical.encode({"seq": 1, "ts_ms": 1, "mono_ms": 1, "kept_not": 1})
    shape = audit_decode.Shape()
    monkeypatch.setattr(audit_decode, "KEYS_MAX", 0)
    for _ in range(2):
        found = decode_all([data], shape)
        assert isinstance(found, audit_decode.Separate)
        assert found.column("kept_not") == [1]
    monkeypatch.setattr(canonical, "_KNOWN_KEYS_MAX", 0)
    assert canonical.encode({"kept_neither": 1})
    assert "kept_neither" not in canonical._known_keys
    with pytest.raises(NotCanonical, match="seq, ts_ms and mono_ms"):
        decode(canonical.encode({"seq": 1, "ts_ms": True, "mono_ms": 1}))


def test_a_stretch_without_turns_moves_no_clock() -> None:
    report = Report()
    course = Course(report, ORIGIN)
    course.stretch(Stretch())
    course._close(3, {"shift": 7})
    assert report.ok


def test_nothing_to_write_over_itself(tmp_path: Path) -> None:
    rewrite(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_exports_on_a_disk_that_refuses(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with LogReader.open(path) as reader:
        with pytest.raises(LogFault):
            export(reader, tmp_path / "file" / "out", [], [])
        with pytest.raises(LogFault):
            export_tiles(reader, tmp_path / "file" / "out")


def test_exports_say_how_far_they_are(path: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with LogReader.open(path) as reader:
        export_tiles(reader, tmp_path / "tiles", (), lambda *far: told.append(far))
        assert told[-1] == (602, 602)
        told.clear()
        export(reader, tmp_path / "files", [], [], lambda *far: told.append(far))
    assert told[-1] == (602, 602)


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    with pytest.raises(ProofInvalid, match="two different roots"):
        verify_consistency(4, 4, [], bytes(32), bytes([1]) * 32)
    verify_consistency(4, 4, [], bytes(32), bytes(32))
    with pytest.raises(ProofInvalid, match="is empty"):
        verify_consistency(3, 4, [], bytes(32), bytes(32))


def test_a_ledger_that_was_never_finished_has_no_key(path: Path) -> None:
    with LogReader.open(path) as reader:
        sql(path, "DELETE FROM log")
        with pytest.raises(LogFault, match="never finished"):
            _ = reader.vkey
    with pytest.raises(LogFault, match="never finished"):
        LogReader.open(path)


def test_tiles_that_are_not_stored_are_computed(path: Path) -> None:
    with LogReader.open(path) as reader:
        root = reader.root_at(512)
        sql(path, "DELETE FROM tile")
        assert reader.root_at(512) == root
        with pytest.raises(LogFault, match="there is no entry"):
            reader.nodes()(0, 900)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    place.write_bytes(b"no database at all" * 100)
    for use in (lambda: shards.keys_of(place), lambda: LogReader.open(place)):
        with pytest.raises(LogFault):
            use()


def test_a_line_that_was_taken_out_is_missing(path: Path, tmp_path: Path) -> None:
    with LogReader.open(path) as reader:
        export(reader, tmp_path / "out", [], [])
    lines = (tmp_path / "out" / "entries.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / "entries.jsonl").write_bytes(b"".join(lines[:9] + lines[10:]))
    for check in (audit.verify_directory, verify.verify_directory):
        assert (9, "missing") in {(one.seq, one.kind) for one in check(tmp_path / "out").faults}


def test_a_ledger_without_its_name_is_none(path: Path) -> None:
    sql(path, "ALTER TABLE log RENAME COLUMN origin TO other")
    with pytest.raises(LogFault, match="cannot be read as a ledger"):
        LogReader.open(path)


def test_keys_of_a_ledger_whose_table_is_broken(path: Path) -> None:
    sql(path, "ALTER TABLE log RENAME COLUMN vkey TO other")
    with pytest.raises(LogFault):
        shards.keys_of(path)


def test_a_ledger_that_grew_is_not_countersigned(path: Path) -> None:
    with LogReader.open(path) as reader:
        size, note = reader.checkpoint()
    sql(path, "DELETE FROM checkpoint")
    new = signer(ORIGIN, "second")
    with pytest.raises(LogFault, match="grew while"):
        shards._countersign(path, size, note, new)
    sql(path, "ALTER TABLE checkpoint RENAME COLUMN note TO other")
    with pytest.raises(LogFault):
        shards._countersign(path, size, note, new)


def test_a_rotation_to_the_same_key_is_none(path: Path) -> None:
    entry = canonical.encode({"kind": "keyrot", "vkey": Ed25519Verifier.of(SIGNER).vkey})
    with LogReader.open(path) as reader:
        _, note = reader.checkpoint()
    with pytest.raises(Exception, match="not signed by the old key and the new one"):
        follow(note, entry, 602, [Ed25519Verifier.of(SIGNER)])


def test_a_stone_that_cannot_be_set_keeps_the_file(path: Path) -> None:
    (path.parent / "ledger.db.pruned").mkdir()
    with pytest.raises(LogFault):
        shards._bury(path, b"note")
    assert path.exists()


def test_receipts_are_read_by_the_key_that_signed_them() -> None:
    other = signer(SERVER.name, "other witness", COSIGNATURE)
    assert shards._receipt(b"no note", [Ed25519Verifier.of(other)]) is None
    assert shards._receipt(b"no note", []) is None


def test_a_log_in_memory_needs_no_disk() -> None:
    with create() as store:
        store.append([tap(1)])
        assert open_note(store.checkpoint()[1], [Ed25519Verifier.of(SIGNER)]).verified == (ORIGIN,)
    with pytest.raises(LogFault, match="in memory"):
        LogStore.open(":memory:", signer=SIGNER, boot=BOOT)


def test_a_disk_that_fails_while_opening_gives_the_lock_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ledger.log.store.recover", broken)
        with pytest.raises(LogFault, match="Input/output"):
            reopen(path)
    reopen(path).close()


def test_the_auditors_command_line_in_this_process(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LogReader.open(path) as reader:
        export(reader, tmp_path / "out", [], [])
    keys = tmp_path / "keys"
    keys.write_text(f"# of the federation\n{Ed25519Verifier.of(SIGNER).vkey}\n")
    bad = shutil.copytree(tmp_path / "out", tmp_path / "bad")
    (bad / "leaves").write_bytes(b"")
    for words, code in (
        ([str(tmp_path / "out")], 0),
        ([str(path), "--vkeys", str(keys), "--json"], 0),
        ([str(bad)], 1),
        ([str(tmp_path / "none")], 3),
    ):
        monkeypatch.setattr("sys.argv", ["verify.py", *words])
        assert verify.main() == code, words
    told = capsys.readouterr()
    assert "ledger's own word" in told.out
    assert "cannot be read as a ledger" in told.err
    report = verify.Report()
    wrong = Ed25519Verifier.of(SIGNER).vkey.replace("+", "+00000000+", 1).split("+")
    assert verify.parse_keys(["a+00000000+AQ==", "+".join([*wrong[:2], *wrong[3:]])], report) == []
    assert [fault.kind for fault in report.faults] == ["signature", "signature"]
