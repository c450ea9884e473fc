"""Damaged and tampered files: opening says what is wrong, accepts nothing, and changes nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.entry import Entry
from ledger.errors import LogCorrupt, LogFault, LogFull, LogLocked, LogPoisoned, NotCanonical
from ledger.log import disk, schema
from ledger.log import store as writer
from ledger.log.checkpoint import Checkpoint
from ledger.log.disk import Reserve, WriterLock, translate
from ledger.log.merkle import leaf_hash
from ledger.log.reading import LogReader
from tests.ledger.log.ledgers import ORIGIN, REBOOT, SIGNER, create, nonce, reopen, tap


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "ledger.db"
    with create(place) as store:
        store.append([tap(number) for number in range(300)])
    return place


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    for trigger in ("entry_is_never_updated", "entry_is_never_deleted"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


HEAD = Checkpoint(ORIGIN, 302, bytes(32)).sign([SIGNER]).decode()
ELSEWHERE = Checkpoint("else.example/x", 302, bytes(32)).sign([SIGNER]).decode()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE entry SET entry = replace(entry, 'M01', 'M02') WHERE seq = 300", "entry 300 is"),
        ("UPDATE entry SET entry = replace(entry, 'M01', 'M02') WHERE seq = 5", "entry 5 is"),
        ("UPDATE entry SET leaf = zeroblob(8) WHERE seq = 299", "entry 299 is damaged"),
        ("UPDATE entry SET leaf = zeroblob(0) WHERE seq = 5", "entry 5 is damaged"),
        ("DELETE FROM entry WHERE seq = 7", "entry 7 is missing"),
        ("DELETE FROM entry WHERE seq = 280", "entry 280 is missing"),
        ("DELETE FROM entry WHERE seq = 301", "but 301 are stored"),
        ("DELETE FROM entry", "but 0 are stored"),
        ("UPDATE tile SET hash = zeroblob(32)", "tile 0 is damaged"),
        ("UPDATE tile SET hash = zeroblob(31)", "do not cover"),
        ("DELETE FROM tile", "do not cover"),
        ("UPDATE checkpoint SET note = 'no note' WHERE size = 302", "does not hold"),
        (f"UPDATE checkpoint SET note = '{HEAD}' WHERE size = 302", "do not add up"),
        (f"UPDATE checkpoint SET note = '{ELSEWHERE}' WHERE size = 302", "is of else.example"),
        ("UPDATE checkpoint SET size = 303 WHERE size = 302", "not of"),
        ("DELETE FROM checkpoint", "no signed checkpoint"),
        ("DELETE FROM log", "never finished"),
        ("UPDATE log SET origin = CAST(x'ff' AS TEXT)", "name or key of the ledger is damaged"),
        ("UPDATE log SET origin = 'else.example/x'", "but the key signs for"),
    ],
)
def test_opening_names_the_damage_and_keeps_the_file(
    path: Path, statement: str, message: str
) -> None:
    change(path, statement)
    before = path.read_bytes()
    with pytest.raises(LogFault, match=message):
        reopen(path)
    assert path.read_bytes() == before


def test_a_matching_leaf_does_not_save_a_changed_entry(path: Path) -> None:
    connection = sqlite3.connect(path)
    (data,) = connection.execute("SELECT CAST(entry AS BLOB) FROM entry WHERE seq = 9").fetchone()
    connection.close()
    changed = data.replace(b"M01", b"M02")
    leaf = leaf_hash(changed)[:8].hex()
    change(path, f"UPDATE entry SET entry = '{changed.decode()}', leaf = x'{leaf}' WHERE seq = 9")
    with pytest.raises(LogCorrupt, match="tile 0 is damaged"):
        reopen(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [("{}", "says that it is entry None"), ('{"a": 1}', "canonical"), ("x", "not JSON")],
)
def test_entries_that_are_none_are_named(path: Path, entry: str, message: str) -> None:
    leaf = leaf_hash(entry.encode())[:8].hex()
    change(path, f"UPDATE entry SET entry = '{entry}', leaf = x'{leaf}' WHERE seq = 299")
    with pytest.raises(LogCorrupt, match=message):
        reopen(path)
    with LogReader.open(path) as reader:
        if entry != "{}":
            with pytest.raises(LogCorrupt, match="entry 299 is damaged"):
                reader.entry(299)


def test_a_damaged_column_may_hold_anything(path: Path) -> None:
    """A page that was overwritten can say NULL where the table says NOT NULL."""
    change(
        path,
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE entry (seq INTEGER PRIMARY KEY, entry, leaf,"
        " refers)' WHERE name = 'entry'",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE log (origin, vkey)' WHERE name = 'log'",
        "DELETE FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_log%'",
    )
    change_plain(path, "UPDATE entry SET entry = NULL WHERE seq = 299")
    with pytest.raises(LogCorrupt, match="entry 299 is damaged"):
        reopen(path)
    change_plain(path, "UPDATE log SET vkey = NULL")
    with LogReader.open(path) as reader, pytest.raises(LogCorrupt, match="name or key"):
        reader.vkey  # noqa: B018 - the property reads
    change_plain(path, "UPDATE log SET origin = NULL")
    with pytest.raises(LogCorrupt, match="name or key"):
        reopen(path)


def change_plain(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_a_deleted_write_ahead_log_is_found_by_the_receipt(path: Path) -> None:
    from ledger.errors import LogRolledBack
    from ledger.log.checkpoint import cosign
    from tests.ledger.log.ledgers import SERVER

    store = reopen(path)
    receipt = cosign(store.append([tap(900)]).checkpoint, SERVER, 7)
    # A process that dies leaves the WAL behind; whoever deletes it then deletes entries.
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    store.close()
    with reopen(copy) as short:
        assert short.size == 302
    with pytest.raises(LogRolledBack, match="the server has 303"):
        reopen(copy, cosigned=[receipt])


def test_a_failing_copy_of_the_log_keeps_what_is_durable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object, mode: str) -> None:
        raise sqlite3.OperationalError(f"disk I/O error in {mode}")

    store = reopen(path)
    monkeypatch.setattr(writer, "WAL_PAGES_MAX", 0)
    monkeypatch.setattr(writer.LogStore, "_copy_wal", broken)
    assert store.append([tap(900)]).size == 303
    with pytest.raises(LogPoisoned, match="disk I/O error in PASSIVE"):
        store.append([tap(901)])
    store.close()
    monkeypatch.setattr(writer, "WAL_PAGES_MAX", 1_000)
    other = writer.LogStore.create(
        ":memory:", origin=ORIGIN, signer=SIGNER, genesis={}, boot=REBOOT
    )
    with pytest.raises(LogFault, match="disk I/O error in TRUNCATE"):
        other.close()
    monkeypatch.undo()
    with reopen(path) as store:
        assert store.size == 303
        assert store.by_nonce(nonce(900)) is not None


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(errno.ENOSPC, "full"), LogFull, "disk is full"),
        (OSError(errno.EROFS, "read-only"), LogFault, "read-only"),
        (OSError(errno.EIO, "broken"), LogFault, "known only after closing"),
        (sqlite3.OperationalError("odd"), LogFault, "known only after closing"),
    ],
)
def test_errors_of_the_disk_name_themselves(
    error: OSError | sqlite3.Error, kind: type[LogFault], message: str
) -> None:
    told = translate(error, "ledger.db")
    assert type(told) is kind
    assert message in str(told)


def _raising(error: OSError) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise error

    return fail


def test_the_lock_on_a_full_or_broken_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "ledger.db"
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", _raising(OSError(errno.ENOSPC, "full")))
        WriterLock.take(place).release()
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", _raising(OSError(errno.EIO, "broken")))
        with pytest.raises(LogFault, match="broken"):
            WriterLock.take(place)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", _raising(OSError(errno.ENOLCK, "no locks")))
        with pytest.raises(LogFault, match="no locks"):
            WriterLock.take(place)
    with pytest.raises(LogFault, match="No such file"):
        WriterLock.take(tmp_path / "missing" / "ledger.db")
    lock = WriterLock.take(place)
    with pytest.raises(LogLocked):
        WriterLock.take(place)
    lock.release()


def test_only_what_finishes_something_may_use_the_reserve(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing: Entry = {
        "kind": "close",
        "ts_ms": 1,
        "mono_ms": 9_000,
        "shift": "s",
        "operator": "o",
        "offers": [],
        "counts": [],
        "voids": [],
    }
    reserve = path.with_name("ledger.db.reserve")
    monkeypatch.setattr(disk, "UNASKED_COMMITS_MAX", 0)
    with reopen(path) as store:
        assert reserve.exists()
        monkeypatch.setattr(Reserve, "free_bytes", lambda _: 1_000)
        for refused in ([tap(900)], [closing, tap(900)]):
            with pytest.raises(LogFull, match="close the shift"):
                store.append(refused)
        assert reserve.exists()
        assert store.append([closing]).size == 303
        assert not reserve.exists()
    with reopen(path) as store, pytest.raises(LogFull):
        store.append([tap(900)])
    assert not reserve.exists()


@pytest.mark.parametrize(("commits", "asked"), [(0, 4), (1, 2), (2, 2), (3, 1), (1_000, 1)])
def test_the_disk_is_asked_before_commits_can_have_filled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int, asked: int
) -> None:
    free = [disk.FREE_BYTES_MIN + commits * disk.COMMIT_BYTES_MAX]
    times = []

    def free_bytes(_: Reserve) -> int:
        times.append(1)
        return free[0]

    monkeypatch.setattr(Reserve, "free_bytes", free_bytes)
    reserve = Reserve(tmp_path / "ledger.db")
    assert [reserve.is_low() for _ in range(4)] == [False] * 4
    assert len(times) == asked
    free[0] = disk.FREE_BYTES_MIN - 1
    answers = [reserve.is_low() for _ in range(disk.UNASKED_COMMITS_MAX)]
    first = answers.index(True)
    assert first <= min(commits, disk.UNASKED_COMMITS_MAX)
    assert all(answers[first:]), "once it is low, every commit asks"


def test_a_reader_on_a_disk_that_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = schema._open_reader

    def refuse(uri: str) -> sqlite3.Connection:
        if "immutable" not in uri:
            raise sqlite3.OperationalError("unable to open database file")
        return original(uri)

    monkeypatch.setattr(schema, "_open_reader", refuse)
    with LogReader.open(path) as reader:
        assert reader.size == 302
    path.with_name("ledger.db-wal").write_bytes(b"left over")
    with pytest.raises(LogFault, match="copy the folder"):
        LogReader.open(path)
    path.with_name("ledger.db-wal").unlink()
    monkeypatch.setattr(schema, "_open_reader", _raising(OSError()))
    monkeypatch.setattr(
        schema,
        "_open_reader",
        _raising(sqlite3.OperationalError("gone")),  # type: ignore[arg-type]
    )
    with pytest.raises(LogFault, match="cannot be read: gone"):
        LogReader.open(path)


def test_a_failed_migration_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(database: object) -> None:
        schema._first(database)  # type: ignore[arg-type]
        raise RuntimeError("power of the migration failed")

    path = tmp_path / "ledger.db"
    monkeypatch.setattr(schema, "MIGRATIONS", (half,))
    with pytest.raises(RuntimeError):
        create(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()
    monkeypatch.undo()
    with LogReader.open(make(path)) as reader:
        assert reader.size == 2


def make(path: Path) -> Path:
    create(path).close()
    return path


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    for attempt in (reopen, LogReader.open):
        with pytest.raises(LogFault, match="empty file"):
            attempt(path)


def test_refused_bytes_in_memory_too() -> None:
    with create() as store:
        with pytest.raises(NotCanonical):
            store.append([{**tap(1), "Upper": 1}])
        with pytest.raises(LogCorrupt, match="entry 2 is missing"):
            list(store.entries(2, 3))
