"""A ledger's life of years: keys follow each other, ledgers too, and pruning waits for all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import verify
from ledger.errors import LogFault, LogLocked
from ledger.log import shards
from ledger.log.audit import verify_database, verify_directory
from ledger.log.audit_report import Report
from ledger.log.checkpoint import cosign
from ledger.log.export import export
from ledger.log.note import Ed25519Verifier, split_note, vkey
from ledger.log.reading import LogReader
from ledger.log.shards import keys_of, prune, rotate, succession, why_not_prune
from ledger.log.store import LogStore
from tests.ledger.log.ledgers import (
    BOOT,
    DOMAIN,
    ORIGIN,
    REBOOT,
    SERVER,
    SIGNER,
    create,
    signer,
    tap,
)
from tests.ledger.test_verify import KEYS, SERVER_KEY

NEW = signer(seed="the next key")
THIRD = signer(seed="the third key")
NEW_KEY = vkey(ORIGIN, NEW.public_key)
DAY_MS = 86_400_000
RECEIPT_S = 1_700_000_000


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """Entries 0 to 61 by the old key, 61 is the rotation, two more commits by the new key."""
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store.append([tap(number) for number in range(59)])
    assert rotate(path, old=SIGNER, new=NEW, boot=BOOT) == 62
    with LogStore.open(path, signer=NEW, boot=BOOT) as store:
        store.append([tap(100)])
        store.append([tap(101)])
        assert store.size == 64
    return path


def kinds(report: Report) -> set[tuple[int | None, str]]:
    return {(fault.seq, fault.kind) for fault in report.faults}


@pytest.mark.parametrize("tree", [False, True])
def test_a_rotated_ledger_verifies_from_its_first_key(rotated: Path, tree: bool) -> None:
    assert verify_database(rotated, tree=tree).faults == []
    assert verify_database(rotated, [KEYS[0]], tree=tree).ok
    assert keys_of(rotated) == [KEYS[0], NEW_KEY]
    assert verify.verify_database(rotated, keys_of(rotated)).ok, "the second opinion, told the keys"
    with LogReader.open(rotated) as reader:
        entry = reader.entry(61) or {}
        assert (entry["kind"], entry["vkey"]) == ("keyrot", NEW_KEY)
        export(reader, rotated.parent / "out", [], keys_of(rotated))
    assert verify_directory(rotated.parent / "out").ok


def test_the_old_key_signs_no_more(rotated: Path) -> None:
    with pytest.raises(LogFault, match="does not hold"):
        LogStore.open(rotated, signer=SIGNER, boot=BOOT)
    with LogReader.open(rotated) as reader:
        size, note = reader.checkpoint()
        text, _ = split_note(note)
    from ledger.log.checkpoint import parse

    forged = parse(text).sign([SIGNER])
    sql(rotated, "UPDATE checkpoint SET note = ? WHERE size = ?", forged.decode(), size)
    assert kinds(verify_database(rotated)) == {(None, "signature")}
    receipt = cosign(forged, SERVER, RECEIPT_S)
    assert (None, "cosigned") in kinds(verify_database(rotated, KEYS, [receipt]))


def sql(path: Path, statement: str, *values: str | int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for trigger in ("entry_is_never_updated", "entry_is_never_deleted"):
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    connection.execute(statement, values)
    connection.close()


def test_the_new_key_alone_cannot_bring_itself_in(tmp_path: Path) -> None:
    """Who holds only the new key, or only the old one, makes no rotation."""
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store.append([tap(1)])
        clocks = {"ts_ms": BOOT.ts_ms, "mono_ms": 3_000}
        store.append([{"kind": "keyrot", "vkey": NEW_KEY, **clocks}])
        size, note = store.checkpoint()
    from ledger.log.checkpoint import parse

    head = parse(split_note(note)[0])
    for signers in ([NEW], [SIGNER], [THIRD, NEW], [SIGNER, THIRD]):
        sql(path, "DELETE FROM rotation")
        sql(path, "INSERT INTO rotation VALUES (?, ?)", size, head.sign(signers).decode())
        assert (size - 1, "signature") in kinds(verify_database(path)), signers
        assert keys_of(path) == [KEYS[0]]
    sql(path, "UPDATE rotation SET size = 2, note = ?", head.sign([SIGNER, NEW]).decode())
    assert (1, "signature") in kinds(verify_database(path)), "the entry before it names no key"
    sql(path, "UPDATE rotation SET size = 900")
    assert (899, "signature") in kinds(verify_database(path)), "there is no such entry"


def test_a_damaged_table_of_rotations_is_a_fault(rotated: Path) -> None:
    sql(rotated, "UPDATE rotation SET note = 'no note'")
    assert {(61, "signature"), (None, "signature")} <= kinds(verify_database(rotated))
    sql(rotated, "DROP TABLE rotation")
    sql(rotated, "CREATE TABLE rotation (size, other)")
    assert (None, "file") in kinds(verify_database(rotated))


def test_a_ledger_may_rotate_more_than_once(rotated: Path) -> None:
    assert rotate(rotated, old=NEW, new=THIRD, boot=REBOOT) == 66
    with LogStore.open(rotated, signer=THIRD, boot=REBOOT) as store:
        store.append([tap(200)])
    report = verify_database(rotated, processes=2)
    assert (report.faults, report.size) == ([], 67)
    assert len(keys_of(rotated)) == 3


def test_a_crash_between_the_two_signatures_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    create(path).close()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shards, "_countersign", crash)
        with pytest.raises(KeyboardInterrupt):
            rotate(path, old=SIGNER, new=NEW, boot=BOOT)
    assert verify_database(path).ok
    for _ in range(2):
        assert rotate(path, old=SIGNER, new=NEW, boot=BOOT) == 3
    with LogStore.open(path, signer=NEW, boot=BOOT) as store:
        store.append([tap(1)])
    assert verify_database(path).faults == []


def test_rotation_needs_the_lock_and_another_key(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path), pytest.raises(LogLocked):
        rotate(path, old=SIGNER, new=NEW, boot=BOOT)
    with pytest.raises(LogFault, match="another key"):
        rotate(path, old=SIGNER, new=SIGNER, boot=BOOT)
    with pytest.raises(LogFault, match="same name"):
        rotate(path, old=SIGNER, new=signer("else.example/x"), boot=BOOT)
    with pytest.raises(LogFault, match="does not hold"):
        rotate(path, old=NEW, new=THIRD, boot=BOOT)


@pytest.fixture
def closed(tmp_path: Path) -> dict[str, Any]:
    """All that pruning asks for, 400 days after the last receipt."""
    path, successor = tmp_path / "ledger.db", tmp_path / "next.db"
    with create(path) as store:
        store.append([tap(number) for number in range(300)])
        receipt = cosign(store.checkpoint()[1], SERVER, RECEIPT_S)
        export(store, tmp_path / "archive", [receipt], [SERVER_KEY])
        follows = succession(store)
    name = f"{DOMAIN}/redcard/{'b' * 26}"
    LogStore.create(successor, origin=name, signer=signer(name), genesis=follows, boot=BOOT).close()
    return {
        "path": path,
        "archive": tmp_path / "archive",
        "successor": successor,
        "cosigned": [receipt],
        "cosigners": [Ed25519Verifier.of(SERVER)],
        "vkeys": KEYS,
        "now_ms": RECEIPT_S * 1000 + 400 * DAY_MS,
    }


def test_a_closed_confirmed_archived_ledger_is_pruned(closed: dict[str, Any]) -> None:
    assert why_not_prune(**closed) == []
    prune(**closed)
    path = closed["path"]
    assert not path.exists()
    assert path.with_name("ledger.db.pruned").read_bytes() == closed["cosigned"][0]
    assert verify_directory(closed["archive"], KEYS).ok
    assert verify_database(closed["successor"]).ok


def _change_archive(given: dict[str, Any]) -> None:
    file = given["archive"] / "entries.jsonl"
    file.write_bytes(file.read_bytes().replace(b"M01", b"M02", 1))


def _change_leaf(given: dict[str, Any]) -> None:
    file = given["archive"] / "leaves"
    file.write_bytes(bytes(32) + file.read_bytes()[32:])


def _other_archive(given: dict[str, Any]) -> None:
    given["archive"] = given["archive"].with_name("other")
    with LogReader.open(given["successor"]) as reader:
        export(reader, given["archive"], [], [])
        given["vkeys"] = [reader.vkey]


def _grow(given: dict[str, Any]) -> None:
    with LogStore.open(given["path"], signer=SIGNER, boot=BOOT) as store:
        store.append([tap(900)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda given: given.update(now_ms=given["now_ms"] - 1_000), "not 400 days old"),
        (lambda given: given.update(cosigned=[]), "has not confirmed its last head"),
        (lambda given: given.update(cosigners=[]), "has not confirmed its last head"),
        (lambda given: given.update(successor=given["path"]), "is not closed"),
        (lambda given: given.update(archive=given["path"].parent / "none"), "cannot be read"),
        (_change_archive, "not a whole copy"),
        (_change_leaf, "not a whole copy"),
        (_other_archive, "it holds 2 entries"),
        (lambda given: Path(f"{given['path']}-wal").write_bytes(b"x"), "not closed cleanly"),
        (_grow, "has not confirmed its last head, of 303"),
        (_grow, "does not follow it"),
        (_grow, "not a whole copy"),
    ],
)
def test_any_reason_keeps_the_file(
    closed: dict[str, Any], change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    change(closed)
    before = closed["path"].read_bytes()
    with pytest.raises(LogFault, match=reason):
        prune(**closed)
    assert closed["path"].read_bytes() == before
    assert not closed["path"].with_name("ledger.db.pruned").exists()
    assert any(reason in one for one in why_not_prune(**closed))
