"""The auditor's file: silent about a good ledger, and it names what was done to a bad one."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger import verify
from ledger.entry import Entry
from ledger.log.canonical import encode
from ledger.log.checkpoint import Checkpoint, cosign
from ledger.log.export import export, split_cosignatures
from ledger.log.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.log.note import vkey
from ledger.log.reading import LogReader
from tests.ledger.log.ledgers import BOOT, ORIGIN, SERVER, SIGNER, create, reopen, signer, tap

PROGRAM = Path(verify.__file__)
SERVER_KEY = vkey(SERVER.name, SERVER.public_key, SERVER.note_type)
KEYS = [vkey(SIGNER.name, SIGNER.public_key), SERVER_KEY]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ledger.db``, closed, and its export ``out``."""
    folder = tmp_path_factory.mktemp("verify")
    receipts = []
    with create(folder / "ledger.db") as store:
        for start in range(0, 600, 100):
            store.append([tap(start + at, shift="s1") for at in range(100)])
            receipts.append(cosign(store.checkpoint()[1], SERVER, 1_700_000_000 + start))
        void = tap(900, shift="s1", orig_seq=5, orig_nonce="n", reason_code="mistake")
        store.append([{**void, "kind": "void"}])
        store.append([closing(601 - 1, 1)])
        export(store, folder / "out", receipts, [SERVER_KEY])
    return folder


def closing(count: int, voids: int) -> Entry:
    return {
        "kind": "close",
        "ts_ms": 1_401_415_300_000,
        "mono_ms": 9_000,
        "shift": "s1",
        "operator": "kiosk",
        "offers": ["BJ-T-005"],
        "counts": [count],
        "voids": [voids],
    }


def kinds(report: verify.Report) -> set[tuple[int | None, str]]:
    return {(fault.seq, fault.kind) for fault in report.faults}


def write(place: Path, entries: Sequence[Entry | bytes], origin: str = ORIGIN) -> Path:
    """An export of any entries, well or badly made, properly signed."""
    place.mkdir()
    stored = [entry if isinstance(entry, bytes) else encode(entry) for entry in entries]
    leaves = [leaf_hash(data) for data in stored]
    head = Checkpoint(origin, len(leaves), EMPTY_FRONTIER.extend(leaves).root())
    (place / "entries.jsonl").write_bytes(b"".join(data + b"\n" for data in stored))
    (place / "leaves").write_bytes(b"".join(leaves))
    (place / "checkpoint").write_bytes(head.sign([SIGNER]))
    (place / "cosignatures").write_bytes(b"")
    (place / "vkeys").write_text("\n".join(["# keys", *KEYS]) + "\n")
    return place


def begin() -> list[Entry]:
    stamps: Entry = {"v": 1, "boot": BOOT.boot, "ts_ms": 1, "mono_ms": 1, "epoch": 0}
    return [
        {**stamps, "seq": 0, "kind": "genesis", "origin": ORIGIN, "vkey": KEYS[0]},
        {**stamps, "seq": 1, "kind": "boot", "version": "1", "cosigned_size": 0},
    ]


def stamped(seq: int, **more: str | int) -> Entry:
    return {**tap(seq), "v": 1, "seq": seq, "boot": BOOT.boot, **more}


def test_it_needs_nothing_of_ours() -> None:
    allowed = set(sys.stdlib_module_names) | {"cryptography"}
    for node in ast.walk(ast.parse(PROGRAM.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        assert {name.split(".")[0] for name in names} <= allowed
    assert len(PROGRAM.read_text().splitlines()) <= 400


def test_a_good_ledger_has_no_fault(ledger: Path) -> None:
    from_export = verify.verify_directory(ledger / "out")
    assert from_export.faults == []
    assert from_export.ok
    with LogReader.open(ledger / "ledger.db") as reader:
        size, note = reader.checkpoint()
    assert from_export.size == size == 604
    assert from_export.root in note.decode()
    notes = split_cosignatures((ledger / "out" / "cosignatures").read_bytes())
    assert len(notes) == 6
    assert verify.verify_database(ledger / "ledger.db", KEYS, notes) == from_export


def test_the_command_line(ledger: Path, tmp_path: Path) -> None:
    carried = shutil.copy(PROGRAM, tmp_path / "verify.py")
    trusted = tmp_path / "trusted"
    trusted.write_text("\n".join(KEYS))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", carried, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    good = run(ledger / "out", "--vkeys", trusted)
    assert (good.returncode, good.stdout[:12]) == (0, "604 entries,")
    assert run(ledger / "ledger.db").returncode == 0
    bad = tmp_path / "bad"
    shutil.copytree(ledger / "out", bad)
    data = (bad / "entries.jsonl").read_bytes().split(b"\n")
    data[7] = data[7].replace(b"M01", b"M02")
    data[9] = b""
    (bad / "entries.jsonl").write_bytes(b"\n".join(data))
    told = run(bad)
    assert told.returncode == 1
    assert "entry 7: leaf: " in told.stdout
    assert "entry 9: canonical: " in told.stdout
    document = json.loads(run(bad, "--json").stdout)
    assert set(document) == {"ok", "size", "root", "faults"}
    assert {"seq": 7, "kind": "leaf"}.items() <= document["faults"][0].items()
    assert run(tmp_path / "nothing").returncode == 3
    assert run(carried).returncode == 3
    assert run().returncode == 2


def test_every_changed_byte_of_an_export_is_found(ledger: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    whole = ledger / "out"
    lines = (whole / "entries.jsonl").read_bytes().split(b"\n")
    write(place / "small", [line for line in lines[:4] if line])
    place = place / "small"
    (place / "cosignatures").write_bytes(cosign((place / "checkpoint").read_bytes(), SERVER, 7))
    assert verify.verify_directory(place).ok
    for name in ("entries.jsonl", "leaves", "checkpoint", "cosignatures"):
        original = (place / name).read_bytes()
        for at in range(len(original)):
            changed = bytearray(original)
            changed[at] ^= (0x01, 0x80, 0x04)[at % 3]
            (place / name).write_bytes(changed)
            report = verify.verify_directory(place, KEYS)
            assert not report.ok, f"byte {at} of {name}"
            if name in ("entries.jsonl", "leaves"):
                count = original[:at].count(b"\n") if name == "entries.jsonl" else at // 32
                named = {fault.seq for fault in report.faults}
                assert count in named, f"byte {at} of {name}: {report.faults}"
        (place / name).write_bytes(original)


def test_every_changed_byte_of_the_database_is_found_or_alters_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store.append([tap(number) for number in range(255)])
        before = list(store.entries(0, store.size))
    original = path.read_bytes()
    found = 0
    for at in range(0, len(original), 499):
        changed = bytearray(original)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        try:
            report = verify.verify_database(path, KEYS)
        except (sqlite3.Error, ValueError):
            found += 1
            continue
        if not report.ok:
            found += 1
            continue
        with LogReader.open(path) as reader:
            assert list(reader.entries(0, 257)) == before, f"byte {at} changed what is read"
    assert found > len(original) // 499 // 2


@pytest.mark.parametrize("at", [3, 250, 300, 600])
def test_a_changed_entry_of_the_database_is_named(ledger: Path, tmp_path: Path, at: int) -> None:
    path = tmp_path / "ledger.db"
    shutil.copy(ledger / "ledger.db", path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER entry_is_never_updated")
    change = "UPDATE entry SET entry = replace(entry, 'M01', 'M02') WHERE seq = ?"
    connection.execute(change, (at,))
    connection.commit()
    report = verify.verify_database(path, KEYS)
    assert {(at, "leaf"), (None, "root")} <= kinds(report)
    assert all(fault.seq in (at, None) for fault in report.faults)
    changed = connection.execute("SELECT CAST(entry AS BLOB) FROM entry WHERE seq = ?", (at,))
    leaf = leaf_hash(changed.fetchone()[0])[:8]
    connection.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (leaf, at))
    connection.commit()
    connection.close()
    report = verify.verify_database(path, KEYS)
    assert (None, "root") in kinds(report), "a matching leaf does not save a changed entry"


def _sql(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        connection = sqlite3.connect(path)
        for trigger in ("entry_is_never_updated", "entry_is_never_deleted"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.executescript(statement)
        connection.close()

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_sql("DELETE FROM entry WHERE seq = 7"), (7, "missing")),
        (_sql("DELETE FROM entry WHERE seq > 600"), (None, "root")),
        (_sql("UPDATE tile SET hash = zeroblob(32) WHERE tile = 1"), (None, "tile")),
        (_sql("DELETE FROM tile WHERE tile = 1"), (None, "tile")),
        (_sql("INSERT INTO tile VALUES (9, zeroblob(32))"), (None, "tile")),
        (_sql("UPDATE checkpoint SET note = 'x'"), (None, "signature")),
        (_sql("UPDATE checkpoint SET size = 9 WHERE size < 600"), (None, "signature")),
        (_sql("UPDATE entry SET leaf = zeroblob(8) WHERE seq = 9"), (9, "leaf")),
        (_sql("UPDATE entry SET entry = '{}' WHERE seq = 9"), (9, "canonical")),
        (_sql("UPDATE log SET origin = 'else.example/x'"), (0, "order")),
    ],
)
def test_what_was_done_to_the_database_is_named(
    ledger: Path, tmp_path: Path, change: Callable[[Path], None], expected: tuple[int | None, str]
) -> None:
    path = tmp_path / "ledger.db"
    shutil.copy(ledger / "ledger.db", path)
    change(path)
    assert expected in kinds(verify.verify_database(path, KEYS))


def test_signatures_of_other_keys_do_not_count(ledger: Path) -> None:
    other = signer(seed="another terminal")
    report = verify.verify_directory(ledger / "out", [vkey(other.name, other.public_key)])
    assert kinds(report) == {(None, "signature"), (None, "cosigned")}
    stranger = signer("stranger.example/key", "stranger")
    place_key = vkey(stranger.name, stranger.public_key)
    assert not verify.verify_directory(ledger / "out", [place_key]).ok
    assert not verify.verify_directory(ledger / "out", ["n+00000000+AAAA", "nonsense", *KEYS]).ok
    assert not verify.verify_directory(ledger / "out", [KEYS[0][:-4] + "AAA=", SERVER_KEY]).ok


def test_a_signer_must_bear_the_name_of_the_ledger(tmp_path: Path) -> None:
    place = write(tmp_path / "out", begin(), origin="other.example/redcard/ledger")
    report = verify.verify_directory(place)
    assert {(None, "signature"), (0, "order")} <= kinds(report)


def test_cosigned_heads_expose_a_fork_and_a_rollback(ledger: Path, tmp_path: Path) -> None:
    for number, head in enumerate(
        (
            Checkpoint(ORIGIN, 300, bytes(32)),
            Checkpoint(ORIGIN, 900, bytes(32)),
            Checkpoint("else.example/x", 300, bytes(32)),
        )
    ):
        place = tmp_path / str(number)
        shutil.copytree(ledger / "out", place)
        (place / "cosignatures").write_bytes(cosign(head.sign([SIGNER]), SERVER, 7))
        assert (None, "cosigned") in kinds(verify.verify_directory(place, KEYS))
    (place / "cosignatures").write_bytes(b"half a note")
    assert (None, "cosigned") in kinds(verify.verify_directory(place, KEYS))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([*begin(), stamped(2), stamped(3)], set()),
        ([*begin(), stamped(3)], {(2, "order")}),
        ([*begin(), stamped(2), stamped(2, nonce="x")], {(3, "order")}),
        ([begin()[1]], {(0, "order")}),
        ([begin()[0], begin()[0]], {(0, "order")}),
        ([*begin(), stamped(2, nonce="a"), stamped(3, nonce="a")], {(3, "duplicate_nonce")}),
        ([*begin(), stamped(2, nonce="a"), stamped(3, nonce="a", kind="intent")], set()),
        ([*begin(), stamped(2), stamped(3, mono_ms=5)], {(3, "order")}),
        ([*begin(), stamped(2, boot="f" * 16)], {(2, "order")}),
        ([*begin(), {**begin()[1], "seq": 2}], {(2, "order")}),
        ([*begin(), stamped(2, mono_ms="5")], {(2, "canonical")}),
        ([*begin(), b'{"seq":2,"mono_ms":1,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"mono_ms":1,"seq":2,"ts_ms":1.0}'], {(2, "canonical")}),
        ([*begin(), b'{"a":null,"mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"a":{},"mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"a":[true],"mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"a":9007199254740992,"mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"a":"\\ud800","mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b'{"A":1,"mono_ms":1,"seq":2,"ts_ms":1}'], {(2, "canonical")}),
        ([*begin(), b"[" * 4000], {(2, "canonical")}),
        ([*begin(), b"x" * 4097], {(2, "canonical")}),
        ([*begin(), b"\xff"], {(2, "canonical")}),
        (
            [
                *begin(),
                stamped(2, shift="s"),
                {**closing(1, 0), "shift": "s", "seq": 3, "v": 1, "boot": BOOT.boot},
            ],
            set(),
        ),
        (
            [
                *begin(),
                stamped(2, shift="s"),
                {**closing(2, 0), "shift": "s", "seq": 3, "v": 1, "boot": BOOT.boot},
            ],
            {(3, "totals")},
        ),
        (
            [
                *begin(),
                stamped(2, shift="s", quantity=3),
                {**closing(1, 0), "shift": "s", "seq": 3, "v": 1, "boot": BOOT.boot},
            ],
            {(3, "totals")},
        ),
        ([*begin(), {**closing(1, 0), "seq": 2, "v": 1, "boot": BOOT.boot}], {(2, "totals")}),
        (
            [*begin(), {**closing(0, 0), "seq": 2, "v": 1, "boot": BOOT.boot, "counts": "x"}],
            {(2, "totals")},
        ),
    ],
)
def test_each_fault_has_its_kind_and_entry(
    tmp_path: Path, entries: list[Entry | bytes], expected: set[tuple[int | None, str]]
) -> None:
    report = verify.verify_directory(write(tmp_path / "out", entries))
    assert expected <= kinds(report), report.faults
    if not expected:
        assert report.ok, report.faults


def test_an_export_beside_a_growing_ledger_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store, LogReader.open(path) as reader:
        store.append([tap(number) for number in range(400)])
        number = 400

        def grow(done: int, total: int) -> None:
            nonlocal number
            assert done <= total == 402
            store.append([tap(number)])
            number += 1

        assert export(reader, tmp_path / "out", [], [], progress=grow) == 402
        seen: list[int] = []
        report = verify.verify_database(path, KEYS, tick=seen.append)
        assert (report.ok, seen) == (True, list(range(1, 404)))
    assert verify.verify_directory(tmp_path / "out").ok
    with reopen(path) as store, pytest.raises(Exception, match="not empty"):
        export(store, tmp_path / "out", [], [])
