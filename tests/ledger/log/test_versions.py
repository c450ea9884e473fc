"""Files of the version before: read as they are, brought forward when written, never half."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ledger import verify
from ledger.errors import LogFault, SchemaNewer
from ledger.log import schema
from ledger.log.audit import verify_database
from ledger.log.export import export
from ledger.log.proof import prove
from ledger.log.reading import LogReader
from ledger.log.shards import keys_of, rotate
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import BOOT, ORIGIN, SIGNER, create, reopen, signer, tap

NEW = signer(ORIGIN, "second")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger as the first version left it."""
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as first:
        first.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        first.setattr(schema, "VERSION", 1)
        with create(path) as store:
            store.append([tap(number) for number in range(300)])
    assert version_of(path) == 1
    return path


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_the_version_before_is_read_as_it_is(old: Path, tmp_path: Path) -> None:
    before = old.read_bytes()
    with LogReader.open(old) as reader:
        assert reader.size == 302
        assert reader.by_nonce(str(tap(7)["nonce"])) is not None
        assert reader.checkpoint_for_batch(0) is not None
        assert prove(reader, 3)
        assert export(reader, tmp_path / "out", [], []) == 302
    assert verify_database(old).ok
    assert verify.verify_database(old).ok
    assert len(keys_of(old)) == 1
    assert old.read_bytes() == before


def test_writing_brings_it_forward_and_keeps_every_byte_of_its_entries(old: Path) -> None:
    with LogReader.open(old) as reader:
        entries, head = list(reader.entries(0, 302)), reader.checkpoint()
    with reopen(old) as store:
        assert list(store.entries(0, 302)) == entries
        assert store.checkpoint() == head
        store.append([tap(900)])
    assert version_of(old) == schema.VERSION
    assert rotate(old, old=SIGNER, new=NEW, boot=BOOT) == 304


@pytest.mark.parametrize("at", [0, 1])
def test_a_migration_that_fails_leaves_the_file_untouched(
    old: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    def broken(database: object) -> None:
        schema._second(database)  # type: ignore[arg-type]
        raise sqlite3.OperationalError("disk I/O error")

    def gone(database: object) -> None:
        database.conn.execute("ROLLBACK")  # type: ignore[attr-defined]
        raise sqlite3.OperationalError("disk I/O error")

    before = old.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (schema._first, (broken, gone)[at]))
        with pytest.raises(LogFault, match="disk I/O error"):
            reopen(old)
    assert old.read_bytes() == before
    assert version_of(old) == 1
    with reopen(old) as store:
        assert store.size == 302


def test_a_newer_version_is_refused_and_untouched(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = old.read_bytes()
    for use in (lambda: LogReader.open(old), lambda: reopen(old)):
        with pytest.raises(SchemaNewer, match="update the program"):
            use()
    assert old.read_bytes() == before


def test_a_ledger_whose_key_was_replaced_under_the_first_version_keeps_its_table(
    old: Path,
) -> None:
    connection = sqlite3.connect(old)
    connection.execute(
        "CREATE TABLE rotation (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT"
    )
    connection.execute("INSERT INTO rotation VALUES (1, 'kept')")
    connection.commit()
    connection.close()
    LogStore.open(old, signer=SIGNER, boot=BOOT).close()
    connection = sqlite3.connect(old)
    assert connection.execute("SELECT note FROM rotation").fetchall() == [("kept",)]
    connection.close()
