"""Papers that leave a ledger: the list of keys, receipts and their check, a day, a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import Entry
from ledger.errors import LogFault, NoteInvalid
from ledger.log.checkpoint import cosign
from ledger.log.day import day_of
from ledger.log.keylist import KeyList, ListedKey, open_key_list
from ledger.log.merkle import leaf_hash
from ledger.log.note import Ed25519Verifier, sign_note
from ledger.log.proof import prove, tap_receipt
from ledger.log.receipt_check import PROOF, TAP, check_paper
from ledger.log.store import LogStore
from ledger.log.table import COLUMNS, write_csv
from tests.ledger.log.ledgers import DOMAIN, ORIGIN, SERVER, SIGNER, START_MS, create, signer, tap

LISTER = signer(f"{DOMAIN}/terminals", "lister")
LEDGER = ORIGIN.rpartition("/")[2]
OWN = ListedKey(LEDGER, Ed25519Verifier.of(SIGNER).vkey)
OTHER_ORIGIN = f"{DOMAIN}/redcard/{'b' * 26}"
OTHER = ListedKey("b" * 26, Ed25519Verifier.of(signer(OTHER_ORIGIN, "other")).vkey, "lost", 12)
LIST = KeyList(DOMAIN, 1_401_415_200, (OWN, OTHER))
TRUSTED = [Ed25519Verifier.of(LISTER), Ed25519Verifier.of(SERVER)]


@pytest.fixture(scope="module")
def store() -> Iterator[LogStore]:
    with create() as log:
        log.append([tap(number) for number in range(20)])
        yield log


def entry_of(store: LogStore, seq: int) -> bytes:
    return next(iter(store.entries(seq, seq + 1)))


def test_a_list_comes_back_and_knows_its_ledgers() -> None:
    found = open_key_list(LIST.sign(LISTER), TRUSTED)
    assert found == LIST
    assert found.of(ORIGIN) == (OWN,)
    assert found.of("elsewhere") == ()


@given(st.binary(max_size=60))
def test_any_key_comes_back_or_is_refused(material: bytes) -> None:
    import base64

    key = base64.b64encode(material).decode()
    text = f"redcard-terminals/v1\n{DOMAIN}\n1\n{LEDGER} {key} ok\n"
    try:
        found = open_key_list(sign_note(text, [LISTER]), TRUSTED)
    except NoteInvalid:
        return
    assert found.text() == text


@pytest.mark.parametrize(
    "change",
    [
        ("redcard-terminals/v1", "redcard-terminals/v2"),
        (DOMAIN, "another.example"),
        ("1401415200", "01"),
        ("1401415200", "-1"),
        (f"{LEDGER} ", "UPPER "),
        (" ok", " OK"),
        (" ok", " ok 3"),
        (" lost 12", " lost 012"),
        (" lost 12", " lost 12 x"),
        (" lost 12", " lost"),
        (" lost", "  lost"),
        (OWN.vkey.split("+", 2)[2], "!!!"),
        (OWN.vkey.split("+", 2)[2], ""),
        (OWN.vkey.split("+", 2)[2], "BBBB"),
    ],
)
def test_lists_that_are_none(change: tuple[str, str]) -> None:
    text = LIST.text().replace(*change)
    assert text != LIST.text()
    with pytest.raises(NoteInvalid):
        open_key_list(sign_note(text, [LISTER]), TRUSTED)


def test_a_list_of_another_domain_or_signer_is_not_believed() -> None:
    with pytest.raises(NoteInvalid, match="no trusted key"):
        open_key_list(LIST.sign(signer(LISTER.name, "thief")), TRUSTED)
    foreign = signer("elsewhere.example/terminals", "foreign")
    with pytest.raises(NoteInvalid, match="another domain"):
        open_key_list(LIST.sign(foreign), [Ed25519Verifier.of(foreign)])
    with pytest.raises(NoteInvalid):
        open_key_list(sign_note("short\n", [LISTER]), TRUSTED)


def test_a_receipt_holds_by_the_list_or_by_a_key(store: LogStore) -> None:
    entry = entry_of(store, 5)
    text = tap_receipt(SIGNER, 5, leaf_hash(entry)).encode()
    for keys in (LIST, [OWN.vkey]):
        found = check_paper(text + b"\n", keys, TRUSTED, entry)
        assert (found.ok, found.kind, found.seq, found.entry) == (True, TAP, 5, True)
        assert (found.origin, found.leaf) == (ORIGIN, leaf_hash(entry).hex())
        assert check_paper(text, keys).ok
        assert not check_paper(text, keys).entry
        wrong = check_paper(text, keys, TRUSTED, entry_of(store, 6))
        assert (wrong.ok, wrong.entry) == (False, False)
        assert "not the one" in wrong.reason


@pytest.mark.parametrize(
    ("state", "size", "ok"),
    [("ok", 0, True), ("lost", 3, True), ("compromised", 6, True), ("compromised", 5, False)],
)
def test_a_stolen_key_proves_nothing_beyond_what_the_server_held(
    store: LogStore, state: str, size: int, ok: bool
) -> None:
    text = tap_receipt(SIGNER, 5, leaf_hash(entry_of(store, 5))).encode()
    found = check_paper(text, replace(LIST, keys=(replace(OWN, state=state, size=size),)))
    assert (found.ok, found.state) == (ok, state)
    assert ("stolen" in found.reason) is not ok


def test_receipts_that_do_not_hold(store: LogStore) -> None:
    text = tap_receipt(SIGNER, 5, leaf_hash(entry_of(store, 5)))
    for bad in (text.replace(" 5 ", " 6 "), "x", "", "\u4e2d", text.replace(ORIGIN, OTHER_ORIGIN)):
        assert not check_paper(bad.encode(), LIST).ok
    unknown = check_paper(text.encode(), replace(LIST, keys=(OTHER,)))
    assert "not in the list" in unknown.reason


def test_a_proof_holds_with_its_entry_and_the_servers_word(store: LogStore) -> None:
    entry = entry_of(store, 7)
    note = cosign(store.checkpoint()[1], SERVER, 1_401_415_300)
    proof = prove(store, 7, note)
    found = check_paper(proof, LIST, TRUSTED, entry)
    assert (found.ok, found.kind, found.seq, found.confirmed) == (True, PROOF, 7, True)
    assert (found.time_s, found.origin) == (1_401_415_300, ORIGIN)
    cases = [
        (check_paper(proof, LIST, TRUSTED), "give the entry"),
        (check_paper(proof, LIST, TRUSTED, entry_of(store, 8)), "not the one"),
        (check_paper(proof, LIST, TRUSTED[:1], entry), "no trusted key of the server"),
        (check_paper(proof, LIST, (), entry), "no trusted key of the server"),
        (check_paper(prove(store, 7), LIST, TRUSTED, entry), "no trusted key of the server"),
        (check_paper(proof.replace(b"index 7", b"index 6"), LIST, TRUSTED, entry), "not the one"),
        (check_paper(proof[:-3], LIST, TRUSTED, entry), ""),
        (check_paper(proof, replace(LIST, keys=(OTHER,)), TRUSTED, entry), "not in the list"),
    ]
    for wrong, why in cases:
        assert not wrong.ok
        assert why in wrong.reason
    witness_alone = check_paper(proof, [Ed25519Verifier.of(SERVER).vkey], TRUSTED, entry)
    assert "has not signed" in witness_alone.reason


@given(st.binary(max_size=400))
def test_any_paper_is_judged_without_an_error(data: bytes) -> None:
    for paper in (data, b"redcard-receipt/v1 " + data, b"c2sp.org/tlog-proof@v1\n" + data):
        assert not check_paper(paper, LIST, TRUSTED, b"{}").ok


def test_a_day_is_added_up_from_its_entries() -> None:
    clocks = {"ts_ms": START_MS, "mono_ms": 1}
    entries: list[Entry] = [
        {"kind": "boot", **clocks},
        {"kind": "open", "shift": "s1", "operator": "li", **clocks},
        tap(1, quantity=3, companions=2),
        tap(2, code="A02"),
        {**tap(3), "kind": "reentry"},
        {**tap(1), "kind": "void", "quantity": 2},
        {**tap(5), "kind": "decline", "code": "L01"},
        {**tap(6), "kind": "decline", "code": "L01"},
        {**tap(7), "kind": "manual", "offer": "paper", "quantity": True},
        {**tap(8), "offer": "paper", "quantity": "odd"},
        {"kind": "close", "shift": "s1", "operator": "wang", "ts_ms": START_MS + 9, "mono_ms": 2},
    ]
    made = day_of("2014-05-30", enumerate(entries, 40))
    assert (made.first_seq, made.size, made.overridden) == (40, 51, 1)
    one = made.offers["BJ-T-005"]
    assert (one.taps, one.units, one.companions, one.voids, one.reentries) == (2, 4, 2, 2, 1)
    assert one.net == 2
    assert (made.offers["paper"].manual, made.offers["paper"].units) == (1, 1)
    assert made.declines == {"L01": 2}
    assert made.shifts == {"s1": ["wang", START_MS, START_MS + 9]}
    empty = day_of("2014-05-31", [])
    assert (empty.first_seq, empty.size, empty.offers) == (-1, 0, {})


def test_a_table_for_spreadsheets_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with create(path) as store:
        store.append([tap(1, operator="=1+1"), tap(2, operator="\u738b", quantity=2)])
    file = io.StringIO()

    def wanted(row: dict[str, Any]) -> bool:
        return bool(row["kind"] == "redeem")

    assert write_csv(path, file, wanted, lambda ts_ms: f"at {ts_ms}") == 2
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert list(rows[0]) == [*COLUMNS[:2], "time", *COLUMNS[2:]]
    assert [row["operator"] for row in rows] == ["'=1+1", "\u738b"]
    assert [row["quantity"] for row in rows] == ["1", "2"]
    assert rows[0]["time"] == f"at {START_MS + 1}"
    assert rows[0]["supervisor"] == ""
    assert json.loads(entry_text(path))["nonce"] == rows[0]["nonce"]
    with pytest.raises(LogFault):
        write_csv(tmp_path / "missing.db", file, wanted, str)


def entry_text(path: Path) -> bytes:
    from ledger.log.reading import LogReader

    with LogReader.open(path) as reader:
        return next(iter(reader.entries(2, 3)))
