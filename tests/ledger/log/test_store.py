"""The writer: what is returned is there, what is refused leaves no trace, one at a time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import (
    EntryInvalid,
    LogCorrupt,
    LogFault,
    LogLocked,
    LogPoisoned,
    LogRolledBack,
    NotCanonical,
    SchemaNewer,
)
from ledger.log import canonical, commit, schema
from ledger.log.checkpoint import cosign, open_checkpoint
from ledger.log.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.log.note import Ed25519Verifier, KeySigner
from ledger.log.reading import LogReader, nonce_key
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import (
    BOOT,
    ORIGIN,
    REBOOT,
    SERVER,
    SIGNER,
    START_MS,
    create,
    nonce,
    reopen,
    signer,
    tap,
)

VERIFIERS = [Ed25519Verifier.of(SIGNER)]


def root_of(entries: list[bytes]) -> bytes:
    return EMPTY_FRONTIER.extend(map(leaf_hash, entries)).root()


def test_a_new_log_begins_with_genesis_and_boot(tmp_path: Path) -> None:
    with create(tmp_path / "ledger.db") as store:
        first, second = (canonical.decode(data) for data in store.entries(0, 2))
        assert (first["kind"], first["origin"], first["seq"]) == ("genesis", ORIGIN, 0)
        assert first["vkey"] == store.vkey
        assert (second["kind"], second["boot"], second["cosigned_size"]) == ("boot", BOOT.boot, 0)
        assert (store.size, store.origin, store.boot) == (2, ORIGIN, BOOT.boot)
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_a_commit_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store, LogReader.open(path) as reader:
        single = store.append([tap(1)])
        group = store.append([tap(number) for number in range(2, 10)])
        assert (single.first_seq, single.size, group.first_seq, group.size) == (2, 3, 3, 11)
        for commit in (single, group):
            head = open_checkpoint(commit.checkpoint, VERIFIERS)
            stored = list(reader.entries(0, commit.size))
            assert (head.origin, head.size, head.root) == (ORIGIN, commit.size, commit.root)
            assert root_of(stored) == commit.root == reader.root_at(commit.size)
        assert store.root == group.root
        assert reader.size == 11
        assert reader.entry(3) == {**tap(2), "v": 1, "seq": 3, "boot": BOOT.boot}
        assert reader.entry(11) is None


def test_what_was_appended_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        for number in range(5):
            root = store.append([tap(number)]).root
        before = list(store.entries(0, store.size))
    with reopen(path) as store:
        assert (store.size, store.root) == (7, root)
        assert list(store.entries(0, 7)) == before
        assert store.append([tap(9)]).first_seq == 7


def test_one_boot_entry_for_each_start_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    create(path).close()
    for boot, size in ((BOOT, 2), (BOOT, 2), (REBOOT, 3), (REBOOT, 3)):
        with reopen(path, boot) as store:
            assert store.size == size
            assert store.boot == boot.boot
    with reopen(path, replace(BOOT, boot="0" * 16, facts={"counter": 7})) as store:
        entry = store.entry(3)
        assert entry is not None
        assert (entry["kind"], entry["counter"], entry["mono_ms"]) == ("boot", 7, 1_000)


def test_nonces_answer_with_the_first_tap() -> None:
    with create() as store:
        store.append([tap(1), {**tap(1), "kind": "intent"}])
        store.append([tap(2, nonce="short"), tap(3, nonce="other")])
        store.append(
            [
                {
                    "kind": "clock",
                    "ts_ms": 1,
                    "mono_ms": 9_000,
                    "offset_ms": 5,
                    "reason_code": "below_floor",
                }
            ]
        )
        void = {
            **tap(4),
            "kind": "void",
            "mono_ms": 9_000,
            "orig_seq": 2,
            "orig_nonce": nonce(1),
            "reason_code": "mistake",
        }
        store.append([void])
        assert store.by_nonce("missing") is None
        for text, seq in ((nonce(1), 2), ("short", 4), ("other", 5), (nonce(4), 7)):
            found = store.by_nonce(text)
            assert found is not None
            assert (found[0], found[1]["nonce"]) == (seq, text)
        assert store.voids_of(2) == [7]
        assert store.voids_of(3) == []


def test_nonces_that_share_a_key_are_told_apart() -> None:
    known: dict[int, str] = {}
    for number in range(10_000):
        text = f"{nonce(1)[:10]}{number:016d}"
        other = known.setdefault(nonce_key(text), text)
        if other != text:
            break
    else:
        raise AssertionError("no two nonces share a key")
    with create() as store:
        store.append([tap(1, nonce=other)])
        assert store.by_nonce(text) is None
        store.append([tap(2, nonce=text)])
        store.append([tap(number) for number in range(3, 300)])
        for one, seq in ((other, 2), (text, 3)):
            found = store.by_nonce(one)
            assert found is not None
            assert found[0] == seq


def test_nonces_are_found_in_the_index_and_before_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        for start in range(0, 600, 50):
            store.append([tap(start + at) for at in range(50)])
        with LogReader.open(path) as reader:
            for source in (store, reader):
                for number in (0, 253, 254, 255, 509, 510, 598, 599):
                    found = source.by_nonce(nonce(number))
                    assert found is not None
                    assert found[0] == number + 2
                assert source.by_nonce(nonce(600)) is None
    with reopen(path) as store:
        found = store.by_nonce(nonce(599))
        assert found is not None
        store.append([tap(700 + at) for at in range(200)])
    with reopen(path) as store:
        for number, seq in ((599, 601), (700, 602), (899, 801)):
            found = store.by_nonce(nonce(number))
            assert found is not None
            assert found[0] == seq
    connection = sqlite3.connect(path)
    (indexed,) = connection.execute("SELECT count(*) FROM nonce").fetchone()
    assert indexed == 768 - 2
    connection.close()


def test_nonce_keys_keep_the_order_of_time_and_fit_a_column() -> None:
    keys = [nonce_key(nonce(number)) for number in range(0, 5_000, 10)]
    assert keys == sorted(keys)
    for text in ("", "x", "7" + "Z" * 25, "8" + "Z" * 25, nonce(1).lower(), "0" * 26):
        assert -(2**63) <= nonce_key(text) < 2**63
    assert nonce_key("01G0V24EAGNCP1XYN0V39BR06Q") == 54072955837615261
    assert nonce_key("short") == int.from_bytes(sha256(b"short").digest()[:8], "big", signed=True)
    same = {nonce_key(f"{number:026d}") for number in range(1_000)}
    assert len(same) > 900, "nonces of one millisecond must not share one key"


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([], EntryInvalid),
        ([tap(1)] * 501, EntryInvalid),
        ([{"kind": "redeem"}], EntryInvalid),
        ([{**tap(1), "kind": "other"}], EntryInvalid),
        ([tap(1), {**tap(2), "quantity": True}], EntryInvalid),
        ([{**tap(1), "mono_ms": "1"}], EntryInvalid),
        ([{**tap(1), "note": 1.5}], NotCanonical),
        ([tap(1), {**tap(2), "note": "x" * 4096}], NotCanonical),
        ([tap(number, note="x" * 3_000) for number in range(400)], EntryInvalid),
        ([{**tap(1), "mono_ms": 50_000}, {**tap(2), "mono_ms": 1}], EntryInvalid),
    ],
)
def test_refused_entries_leave_no_trace(entries: list[dict[str, object]], error: type) -> None:
    with create() as store:
        with pytest.raises(error):
            store.append(entries)  # type: ignore[arg-type]
        assert store.size == 2
        assert store.append([tap(1)]).first_seq == 2


def test_threads_that_race_for_the_clock_stay_in_order() -> None:
    with create() as store:
        store.append([tap(1, mono_ms=9_000)])
        store.append([tap(2, mono_ms=8_990)])
        entry = store.entry(3)
        assert entry is not None
        assert entry["mono_ms"] == 9_000


def test_many_threads_share_a_store(tmp_path: Path) -> None:
    with create(tmp_path / "ledger.db") as store:

        def work(first: int) -> None:
            for number in range(first, first + 20):
                store.append([tap(number, mono_ms=5_000)])

        threads = [threading.Thread(target=work, args=(at * 100,)) for at in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.size == 82
        assert root_of(list(store.entries(0, 82))) == store.root


def test_batches_of_500_always_end_at_a_stored_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    number = 0
    with create(path) as store, LogReader.open(path) as reader:
        for step in [1] * 520 + [500, 499, 500, 1, 250, 251, 2] + [1] * 30:
            store.append([tap(number + at, mono_ms=100_000) for at in range(step)])
            number += step
        kept = 0
        for start in range(store.size):
            found = reader.checkpoint_for_batch(start, 500)
            assert found is not None
            size, note = found
            assert start < size <= start + 500
            assert open_checkpoint(note, VERIFIERS).root == store.root_at(size)
            kept = max(kept, size)
        assert kept == store.size
        assert reader.checkpoint_for_batch(store.size, 500) is None
        assert reader.checkpoint(0)[0] <= 501
        with pytest.raises(LogFault, match="covers"):
            reader.checkpoint(store.size + 1)
        (count,) = sqlite3.connect(path).execute("SELECT count(*) FROM checkpoint").fetchone()
        assert count <= 12, "checkpoints in between are thinned"


def test_big_entries_keep_checkpoints_closer() -> None:
    with create() as store:
        for number in range(0, 900, 3):
            store.append([tap(number + at, note="x" * 3_000, mono_ms=9_000) for at in range(3)])
        at = 0
        while at < store.size:
            found = store.checkpoint_for_batch(at)
            assert found is not None
            assert sum(len(data) + 1 for data in store.entries(at, found[0])) <= 1_000_000
            at = found[0]


def test_a_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path):
        with pytest.raises(LogLocked, match=f"process {os.getpid()} "):
            reopen(path)
        code = (
            "from pathlib import Path\n"
            "from tests.ledger.log.ledgers import reopen\n"
            "from ledger.errors import LogLocked\n"
            "try: reopen(Path(__import__('sys').argv[1]))\n"
            "except LogLocked as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
        )
        assert f"process {os.getpid()} " in done.stdout
        assert "nothing was recorded" in done.stdout
    reopen(path).close()


def test_another_program_that_holds_the_database_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store._connection.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogLocked, match="other program"):
            store.append([tap(1)])
        other.close()
        with pytest.raises(LogPoisoned):
            store.append([tap(1)])


def test_a_key_that_does_not_sign_changes_nothing(tmp_path: Path) -> None:
    removed = [True]

    def broken(message: bytes) -> bytes:
        if removed[0]:
            raise RuntimeError("token removed")
        return SIGNER.sign(message)

    path = tmp_path / "ledger.db"
    create(path).close()
    bad = KeySigner(ORIGIN, broken, SIGNER.public_key)
    with LogStore.open(path, signer=bad, boot=BOOT) as store:
        with pytest.raises(LogFault, match="token removed"):
            store.append([tap(1)])
        removed[0] = False
        assert store.append([tap(1)]).first_seq == 2


def test_an_interruption_leaves_the_outcome_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path / "ledger.db")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commit, "write_head", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.append([tap(1), tap(2)])
    monkeypatch.undo()
    with pytest.raises(LogPoisoned, match="interrupted"):
        store.append([tap(1)])
    store.close()
    with reopen(tmp_path / "ledger.db") as store:
        assert store.size == 2


def test_after_close_nothing_is_recorded(tmp_path: Path) -> None:
    store = create(tmp_path / "ledger.db")
    store.close()
    store.close()
    with pytest.raises(LogFault, match="closed"):
        store.append([tap(1)])
    assert not (tmp_path / "ledger.db-wal").exists()


def test_a_ledger_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    create(path).close()
    before = path.read_bytes()
    with pytest.raises(LogFault, match="already"):
        create(path)
    assert path.read_bytes() == before
    with pytest.raises(LogFault, match="no ledger here"):
        reopen(tmp_path / "missing.db")
    with pytest.raises(LogFault, match="no ledger here"):
        LogReader.open(tmp_path / "missing.db")


def test_an_unfinished_ledger_can_be_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = schema.connect_writer(path)
    schema.migrate(connection, str(path))
    connection.close()
    with pytest.raises(LogFault, match="never finished"):
        reopen(path)
    with create(path) as store:
        assert store.size == 2


def test_keys_and_logs_must_belong_together(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    other = signer(f"{ORIGIN[:-1]}a", "other")
    with pytest.raises(LogFault, match="not for"):
        LogStore.create(path, origin=ORIGIN, signer=other, genesis={}, boot=BOOT)
    create(path).close()
    with pytest.raises(LogFault, match="but the key signs for"):
        LogStore.open(path, signer=other, boot=BOOT)
    with pytest.raises(LogCorrupt, match="newest checkpoint"):
        LogStore.open(path, signer=signer(seed="stolen name"), boot=BOOT)


def test_other_files_are_refused_and_untouched(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text.db", tmp_path / "other.db", tmp_path / "newer.db"
    text.write_bytes(b"not SQLite at all, but long enough to have a header" * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE something (x)")
    connection.close()
    create(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    for path, error in ((text, LogCorrupt), (other, LogFault), (newer, SchemaNewer)):
        before = path.read_bytes()
        for attempt in (reopen, create):
            with pytest.raises(error):
                attempt(path)
        with pytest.raises(LogFault):
            LogReader.open(path)
        assert path.read_bytes() == before


def test_receipts_expose_a_restored_disk(tmp_path: Path) -> None:
    path, old = tmp_path / "ledger.db", tmp_path / "old.db"
    with create(path) as store:
        store.append([tap(1)])
    old.write_bytes(path.read_bytes())
    with reopen(path) as store:
        commit = store.append([tap(2)])
    receipt = cosign(commit.checkpoint, SERVER, 1)
    server = [Ed25519Verifier.of(SERVER)]
    with LogStore.open(path, signer=SIGNER, boot=REBOOT, cosigned=[receipt], cosigners=server) as s:
        boot = s.entry(4)
        assert boot is not None
        assert boot["cosigned_size"] == 4
    with pytest.raises(LogRolledBack, match="the server has 4"):
        reopen(old, cosigned=[receipt])
    with reopen(old) as store:
        store.append([tap(3)])
        store.append([tap(4)])
    with pytest.raises(LogRolledBack, match="differ from what the server holds"):
        reopen(old, cosigned=[receipt])
    with pytest.raises(LogFault, match="receipt of the server is damaged"):
        LogStore.open(
            path,
            signer=SIGNER,
            boot=BOOT,
            cosigned=[receipt],
            cosigners=VERIFIERS[:0] or [Ed25519Verifier.of(signer("w.example/w", "w"))],
        )
    foreign = receipt.replace(b"abcdefghijklmnopqrstuvwxyz", b"bbcdefghijklmnopqrstuvwxyz")
    with pytest.raises(LogFault, match="another ledger"):
        reopen(path, cosigned=[foreign])


def test_entries_can_neither_be_changed_nor_deleted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    create(path).close()
    connection = sqlite3.connect(path)
    for statement in ("UPDATE entry SET entry = '{}'", "DELETE FROM entry"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_an_auditor_reads_the_table_with_any_tool(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store.append([tap(5)])
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT seq, kind, code, offer, time_utc FROM readable").fetchall()[-1]
    assert row == (2, "redeem", "A00", "BJ-T-005", "2014-05-30T02:00:00Z")
    connection.close()
    assert START_MS // 1000 == 1_401_415_200


def test_reading_beside_the_writer_and_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        with LogReader.open(path) as reader:
            for number in range(600):
                store.append([tap(number)])
            assert reader.size == 602
            assert len(list(reader.entries(0, 602))) == 602
            with pytest.raises(LogCorrupt, match="entry 602 is missing"):
                list(reader.entries(600, 603))
            with pytest.raises(LogFault, match="no entry 700"):
                reader.nodes()(0, 700)
            assert reader.nodes()(8, 0) == EMPTY_FRONTIER.extend(reader.leaves(0, 256)).root()
        with pytest.raises(LogFault, match="cannot be read"):
            reader.size  # noqa: B018 - the property reads the closed file
    with LogReader.open(path) as reader:
        assert reader.size == 602
