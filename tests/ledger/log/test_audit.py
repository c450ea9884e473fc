"""The product's audit: the same verdict as the auditor's file on every kind of damage, and fast."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import verify
from ledger.entry import Entry
from ledger.errors import LogFault, NotCanonical
from ledger.log import audit
from ledger.log.audit_decode import Shape, decode_all
from ledger.log.audit_report import Report
from ledger.log.canonical import encode
from ledger.log.checkpoint import Checkpoint, cosign
from ledger.log.export import export
from ledger.log.reading import LogReader
from tests.ledger.log.ledgers import BOOT, ORIGIN, REBOOT, SERVER, SIGNER, create, reopen, tap
from tests.ledger.test_verify import KEYS, begin, closing, stamped, write

SIZE = 2_600


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ledger.db`` of more than one chunk, closed, and its export ``out``."""
    folder = tmp_path_factory.mktemp("audit")
    path = folder / "ledger.db"
    receipts = []
    with create(path) as store:
        for start in range(0, 2_000, 400):
            store.append([tap(start + at, shift="s1") for at in range(400)])
            receipts.append(cosign(store.checkpoint()[1], SERVER, 1_700_000_000 + start))
        void = tap(9_000, shift="s1", orig_seq=5, orig_nonce="n", reason_code="mistake")
        store.append([{**void, "kind": "void", "mono_ms": 9_500}])
        store.append([{**closing(2_000, 1), "mono_ms": 9_600}])
    with reopen(path, REBOOT, receipts) as store:
        more = SIZE - store.size
        store.append([tap(9_100 + at) for at in range(500)])
        store.append([tap(9_700 + at) for at in range(more - 500)])
        assert store.size == SIZE
        export(store, folder / "out", receipts, KEYS[1:])
        (folder / "receipts").write_bytes((folder / "out" / "cosignatures").read_bytes())
    return folder


def receipts_of(folder: Path) -> list[bytes]:
    from ledger.log.export import split_cosignatures

    return split_cosignatures((folder / "receipts").read_bytes())


def entries_named(report: Report | verify.Report) -> set[tuple[int | None, str]]:
    return {(fault.seq, fault.kind) for fault in report.faults}


def both_databases(path: Path, cosigned: list[bytes]) -> tuple[Report, verify.Report]:
    return audit.verify_database(path, KEYS, cosigned), verify.verify_database(path, KEYS, cosigned)


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_good_ledger_has_no_fault(ledger: Path, tree: bool, processes: int) -> None:
    theirs = verify.verify_database(ledger / "ledger.db", KEYS, receipts_of(ledger))
    seen: list[int] = []
    ours = audit.verify_database(
        ledger / "ledger.db",
        KEYS,
        receipts_of(ledger),
        tree=tree,
        processes=processes,
        tick=seen.append,
    )
    assert (ours.faults, ours.ok, ours.size) == ([], True, SIZE)
    assert ours.root == theirs.root
    assert seen == [2_048, SIZE]


@pytest.mark.parametrize("tree", [False, True])
def test_a_good_export_has_no_fault(ledger: Path, tree: bool) -> None:
    ours = audit.verify_directory(ledger / "out", KEYS, tree=tree)
    assert (ours.faults, ours.size) == ([], SIZE)
    assert ours.root == verify.verify_directory(ledger / "out", KEYS).root


DAMAGES = [
    "UPDATE entry SET entry = replace(entry, 'M01', 'M02') WHERE seq = 2",
    "UPDATE entry SET entry = replace(entry, 'M01', 'M02') WHERE seq IN (300, 2200, 2599)",
    "UPDATE entry SET entry = replace(entry, '\"v\":1', '\"v\": 1') WHERE seq = 2047",
    "UPDATE entry SET entry = '{}' WHERE seq = 2048",
    "UPDATE entry SET entry = 'nonsense' WHERE seq = 700",
    "UPDATE entry SET entry = x'00ff' WHERE seq = 700",
    "UPDATE entry SET leaf = zeroblob(8) WHERE seq = 9",
    "UPDATE entry SET leaf = zeroblob(0) WHERE seq = 2100",
    "DELETE FROM entry WHERE seq = 7",
    "DELETE FROM entry WHERE seq BETWEEN 2040 AND 2060",
    "DELETE FROM entry WHERE seq > 2590",
    "DELETE FROM entry WHERE seq > 2047",
    "DELETE FROM entry WHERE seq = 0",
    "DELETE FROM entry",
    "INSERT INTO entry SELECT 2600, entry, leaf, refers FROM entry WHERE seq = 3",
    "INSERT INTO entry SELECT 1 << 60, entry, leaf, refers FROM entry WHERE seq = 3",
    "INSERT INTO entry SELECT -1, entry, leaf, refers FROM entry WHERE seq = 3",
    "UPDATE tile SET hash = zeroblob(32) WHERE tile = 1",
    "UPDATE tile SET hash = zeroblob(3) WHERE tile = 9",
    "DELETE FROM tile WHERE tile = 1",
    "INSERT INTO tile VALUES (99, zeroblob(32))",
    "UPDATE checkpoint SET note = 'x'",
    "UPDATE checkpoint SET note = replace(note, char(10), char(10) || char(10)) WHERE size = 402",
    "UPDATE checkpoint SET size = 9 WHERE size = (SELECT min(size) FROM checkpoint)",
    "UPDATE checkpoint SET size = 99999 WHERE size = 2600",
    "DELETE FROM checkpoint WHERE size = 2600",
    "UPDATE log SET origin = 'else.example/x'",
    "UPDATE entry SET entry = replace(entry, '\"seq\":5,', '\"seq\":6,') WHERE seq = 5",
]


@pytest.mark.parametrize("statement", DAMAGES)
def test_both_auditors_give_one_verdict(ledger: Path, tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ledger.db"
    shutil.copy(ledger / "ledger.db", path)
    connection = sqlite3.connect(path, isolation_level=None)
    # A STRICT table takes no bytes for text; a damaged page does not ask.
    for trigger in ("entry_is_never_updated", "entry_is_never_deleted"):
        connection.execute(f"DROP TRIGGER {trigger}")
    try:
        connection.execute(statement)
    except sqlite3.IntegrityError:
        connection.execute("DELETE FROM entry WHERE seq = 700")
    connection.close()
    ours, theirs = both_databases(path, receipts_of(ledger))
    assert not theirs.ok
    assert entries_named(ours) == entries_named(theirs)
    assert (ours.size, ours.root) == (theirs.size, theirs.root)
    two = audit.verify_database(path, KEYS, receipts_of(ledger), processes=2)
    assert sorted(map(str, two.faults)) == sorted(map(str, ours.faults))
    tree = audit.verify_database(path, KEYS, receipts_of(ledger), tree=True)
    damaged_leaf = "SET leaf" in statement
    assert tree.ok is damaged_leaf, "a tree alone sees everything but the index beside it"
    assert tree.root == ours.root


def _at(number: int, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        lines = (place / "entries.jsonl").read_bytes().split(b"\n")
        lines[number] = change(lines[number])
        (place / "entries.jsonl").write_bytes(b"\n".join(lines))

    return damage


def _file(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        (place / name).write_bytes(change((place / name).read_bytes()))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _at(3, lambda line: line.replace(b"M01", b"M02")),
        _at(2_300, lambda line: line.replace(b"M01", b"M02")),
        _at(5, lambda line: b""),
        _at(5, lambda line: line + b"\n" + line),
        _at(5, lambda line: line[:40] + b"\n" + line[40:]),
        _at(5, lambda line: line * 40),
        _at(SIZE, lambda line: b"{}"),
        _file("entries.jsonl", lambda data: data[:-1]),
        _file("entries.jsonl", lambda data: data[: len(data) // 2]),
        _file("entries.jsonl", lambda data: b""),
        _file("leaves", lambda data: data[:-1]),
        _file("leaves", lambda data: data + b"x"),
        _file("leaves", lambda data: data[:320] + bytes(32) + data[352:]),
        _file("checkpoint", lambda data: data[:-1]),
        _file("checkpoint", lambda data: data.replace(b"2600", b"2599")),
        _file("cosignatures", lambda data: data[:-30]),
        _file("cosignatures", lambda data: b"half a note"),
        _file("vkeys", lambda data: b"nonsense\n" + data),
    ],
)
def test_both_auditors_agree_on_a_damaged_export(
    ledger: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    place = tmp_path / "out"
    shutil.copytree(ledger / "out", place)
    damage(place)
    ours, theirs = audit.verify_directory(place), verify.verify_directory(place)
    assert not theirs.ok
    assert entries_named(ours) == entries_named(theirs)
    assert (ours.size, ours.root) == (theirs.size, theirs.root)
    assert not audit.verify_directory(place, tree=True).ok


HARMED: list[list[Entry | bytes]] = [
    [*begin(), stamped(3)],
    [*begin(), stamped(2), stamped(2, nonce="x")],
    [begin()[1]],
    [begin()[0], begin()[0]],
    [*begin(), stamped(2, nonce="a"), stamped(3, nonce="a")],
    [*begin(), stamped(2, boot="ff" * 8)],
    [*begin(), stamped(2, mono_ms=5_000), stamped(3, mono_ms=4_999)],
    [*begin(), {**begin()[1], "seq": 2}],
    [*begin(), stamped(2, shift="s"), {**closing(2, 0), "shift": "s", **stamped(3, kind="close")}],
    [*begin(), {**closing(1, 0), "seq": 2, "v": 1, "boot": BOOT.boot}],
    [*begin(), {**closing(0, 0), "seq": 2, "v": 1, "boot": BOOT.boot, "counts": "x"}],
    [*begin(), stamped(2, ts_ms="soon")],
    [*begin(), stamped(2, mono_ms=True)],
    [*begin(), b'{"mono_ms":1,"seq":2,"ts_ms":1.0}'],
    [*begin(), b'{"mono_ms":1,"seq":2,"ts_ms":9007199254740992}'],
    [*begin(), b'{"A":1,"mono_ms":1,"seq":2,"ts_ms":1}'],
    [*begin(), b'{"mono_ms":1,"seq":2,"seq":2,"ts_ms":1}'],
    [*begin(), b'{"mono_ms":1,"seq":2,"ts_ms":1,"x":null}'],
    [*begin(), b'{"mono_ms":1,"seq":true,"ts_ms":1}'],
    [*begin(), b"\xff"],
]


@pytest.mark.parametrize("entries", HARMED)
def test_both_auditors_agree_on_what_was_signed_badly(
    tmp_path: Path, entries: list[Entry | bytes]
) -> None:
    place = write(tmp_path / "out", entries)
    ours, theirs = audit.verify_directory(place), verify.verify_directory(place)
    assert not theirs.ok
    assert entries_named(ours) == entries_named(theirs)


def test_a_kind_that_is_an_array_is_no_kind(tmp_path: Path) -> None:
    entry: Entry = {**stamped(2), "kind": ["redeem"], "boot": ["x"], "nonce": ["y"]}
    report = audit.verify_directory(write(tmp_path / "out", [*begin(), entry]))
    assert entries_named(report) == {(2, "order")}


WHOLE = encode(
    {**stamped(2, shift="s", reason_code="é\\"), "offers": ["a"], "counts": [1], "voids": []}
)


def verdicts(entries: Sequence[bytes]) -> list[object]:
    """What the auditor's file reads in each entry, None where it reads nothing."""
    found: list[object] = []
    for data in entries:
        try:
            found.append(verify.decode(data))
        except (ValueError, RecursionError):
            found.append(None)
    return found


def decoded(entries: Sequence[bytes], shape: Shape) -> list[object] | None:
    try:
        columns = decode_all(entries, shape)
    except NotCanonical:
        return None
    return [columns.entry(at) for at in range(len(entries))]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_fast_decoding_is_no_looser_than_the_auditor(at: int, byte: int, insert: bool) -> None:
    at %= len(WHOLE)
    changed = WHOLE[:at] + bytes([byte]) + WHOLE[at + (not insert) :]
    expected = verdicts([WHOLE, changed])
    shape = Shape()
    assert decoded([WHOLE], shape) == expected[:1]
    for _ in range(2):
        assert decoded([WHOLE, changed], shape) == (None if None in expected else expected)


_SCALARS = st.one_of(st.text(max_size=5), st.booleans(), st.integers(-(2**54), 2**54))
_VALUES: st.SearchStrategy[object] = st.one_of(
    _SCALARS,
    st.lists(st.text(max_size=3), max_size=3),
    st.lists(st.integers(-9, 9), max_size=3),
    st.lists(_SCALARS, max_size=3),
    st.sampled_from([None, 1.0, 1e21, {}]),
)
_ENTRIES = st.dictionaries(st.sampled_from(["a", "b", "kind", "seq", "A", "1x", "nonce"]), _VALUES)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(_ENTRIES, st.booleans(), st.sampled_from(["", " ", "\n"])), min_size=1, max_size=5
    )
)
def test_entries_are_decoded_together_as_one_by_one(
    drawn: list[tuple[dict[str, object], bool, str]],
) -> None:
    """Whatever they say, in canonical form or nearly: nothing passes that would not pass alone."""
    entries = [
        json.dumps(
            {"seq": 1, "ts_ms": 1, "mono_ms": 1, **entry},
            ensure_ascii=False,
            sort_keys=in_order,
            separators=(",", ":"),
        ).encode()
        + space.encode()
        for entry, in_order, space in drawn
    ]
    expected, shape = verdicts(entries), Shape()
    for _ in range(2):
        assert decoded(entries, shape) == (None if None in expected else expected)
        for one, data in zip(expected, entries, strict=True):
            assert decoded([data], shape) == (None if one is None else [one])


def test_two_entries_are_not_one_that_was_cut_in_two() -> None:
    whole = encode(stamped(2, reason_code="x"))
    at = whole.index(b"x")
    shape = Shape()
    assert decoded([whole], shape) is not None
    for cut in (b"\n", b"\\n", b",", b"},{"):
        entries = [whole[:at] + cut + whole[at:], whole]
        assert decoded(entries, shape) == (None if cut == b"\n" else verdicts(entries))
    assert decoded([whole[:at], whole[at:]], shape) is None


def test_heads_that_end_anywhere_are_compared(ledger: Path) -> None:
    """Receipts at sizes that are no tile's, no chunk's and no stored head's."""
    with LogReader.open(ledger / "ledger.db") as reader:
        sizes = [1, 255, 256, 257, 2_047, 2_048, 2_049, 2_559, 2_599, SIZE]
        heads = [Checkpoint(ORIGIN, size, reader.root_at(size)) for size in sizes]
    good = [cosign(head.sign([SIGNER]), SERVER, 7) for head in heads]
    random.Random(1).shuffle(good)
    assert audit.verify_database(ledger / "ledger.db", KEYS, good).faults == []
    for head in heads:
        bad = cosign(Checkpoint(ORIGIN, head.size, bytes(32)).sign([SIGNER]), SERVER, 7)
        ours, theirs = both_databases(ledger / "ledger.db", [*good, bad])
        assert entries_named(ours) == entries_named(theirs) == {(None, "cosigned")}
        assert [fault.detail for fault in ours.faults] == [fault.detail for fault in theirs.faults]


def test_a_head_that_the_server_did_not_sign_is_no_receipt(ledger: Path) -> None:
    with LogReader.open(ledger / "ledger.db") as reader:
        alone = reader.checkpoint()[1]
    ours, theirs = both_databases(ledger / "ledger.db", [alone])
    assert entries_named(ours) == entries_named(theirs) == {(None, "cosigned")}


def test_the_tree_knows_the_place_of_an_entry(tmp_path: Path) -> None:
    place = write(tmp_path / "out", [*begin(), stamped(3)])
    assert entries_named(audit.verify_directory(place, tree=True)) == {(2, "order")}


@pytest.mark.parametrize("seq", [700, 768, 2_048])
def test_what_contradicts_an_entry_of_an_earlier_tile(tmp_path: Path, seq: int) -> None:
    """In the middle of a tile, at the start of one, and at the start of another chunk."""
    entries: list[Entry | bytes] = [*begin()]
    entries += [stamped(at, mono_ms=9_000 + at) for at in range(2, 2_400)]
    entries[seq] = stamped(seq, mono_ms=9_000 + seq - 2)
    entries[seq + 1] = stamped(seq + 1, mono_ms=9_001 + seq, nonce=str(stamped(400)["nonce"]))
    place = write(tmp_path / "out", entries)
    ours, theirs = audit.verify_directory(place), verify.verify_directory(place)
    expected = {(seq, "order"), (seq + 1, "duplicate_nonce")}
    assert entries_named(ours) == entries_named(theirs) == expected
    assert sorted(map(str, ours.faults)) == sorted(map(str, theirs.faults))


@pytest.mark.parametrize("count", [2_100, 2_099])
def test_a_shift_adds_up_across_chunks_and_after_another(tmp_path: Path, count: int) -> None:
    entries: list[Entry | bytes] = [*begin(), stamped(2, shift="a")]

    def close(shift: str, redeemed: int) -> None:
        stamps: Entry = {"seq": len(entries), "v": 1, "boot": BOOT.boot, "shift": shift}
        entries.append({**closing(redeemed, 0), **stamps})

    close("a", 1)
    entries += [stamped(len(entries) + at, shift="b", mono_ms=9_500) for at in range(2_100)]
    entries.append(stamped(len(entries), shift="a", mono_ms=9_500))
    closed = len(entries)
    stamps: Entry = {"mono_ms": 9_500, "v": 1, "boot": BOOT.boot}
    entries.append({**closing(count, 0), **stamps, "seq": closed, "shift": "b"})
    entries.append({**closing(1, 0), **stamps, "seq": closed + 1, "shift": "a"})
    place = write(tmp_path / "out", entries)
    ours, theirs = audit.verify_directory(place), verify.verify_directory(place)
    expected = set() if count == 2_100 else {(closed, "totals")}
    assert entries_named(ours) == entries_named(theirs) == expected


def test_what_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(LogFault, match="no ledger here"):
        audit.verify_database(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("nothing")
    with pytest.raises(LogFault):
        audit.verify_database(tmp_path / "text.db")
    with pytest.raises(OSError):
        audit.verify_directory(tmp_path)


def counted(value: int, name: str = "tpm") -> Entry:
    return {
        "kind": "open",
        "shift": f"s{value}",
        "operator": "o",
        "counter": value,
        "counter_name": name,
    }


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([counted(5), counted(6), tap(1, card_counter=7), tap(2), counted(7)], []),
        ([counted(5), counted(7)], [(3, "counter")]),
        ([counted(5), counted(7), counted(8)], [(3, "counter")]),
        ([counted(5), counted(5)], [(3, "counter")]),
        ([counted(5), counted(6, "other"), counted(7, "other")], [(3, "counter")]),
        ([counted(0), counted(1), {**tap(3), "counter": -1}], [(4, "counter")]),
    ],
)
def test_a_value_of_the_hardware_counter_is_missing(
    tmp_path: Path, entries: list[Entry], expected: list[tuple[int, str]], together: bool
) -> None:
    assert marks(tmp_path, entries, together) == expected


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 3, 9], []),
        ([3, 2], [(3, "card_counter")]),
        ([3, 2, 3, 4], [(3, "card_counter")]),
        ([5, 4, 3], [(3, "card_counter"), (4, "card_counter")]),
        ([0, -1], [(3, "card_counter")]),
    ],
)
def test_a_cards_counter_runs_back(
    tmp_path: Path, values: list[int], expected: list[tuple[int, str]], together: bool
) -> None:
    card = "a" * 26
    entries = [tap(at, card=card, card_counter=value) for at, value in enumerate(values)]
    assert marks(tmp_path, entries, together) == expected


def marks(tmp_path: Path, entries: Sequence[Entry], together: bool) -> list[tuple[int | None, str]]:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        stamped = [{**one, "ts_ms": 1, "mono_ms": 9_000} for one in entries]
        for group in [stamped] if together else [[one] for one in stamped]:
            store.append(group)
    found = [(fault.seq, fault.kind) for fault in audit.verify_database(path).faults]
    assert found == [(fault.seq, fault.kind) for fault in verify.verify_database(path).faults]
    return found
