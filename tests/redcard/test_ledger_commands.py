"""``redcard ledger``, as typed: what is shown, closed, proved, checked, rotated and erased."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.keystore import KeyKind
from keys.passphrase import Argon2Cost, PassphraseKeyStore
from ledger.entry import Entry
from ledger.log.checkpoint import cosign
from ledger.log.keylist import KeyList, ListedKey
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import Ed25519Verifier
from ledger.log.proof import tap_receipt
from ledger.log.reading import LogReader
from ledger.log.sealed import SealedDetails
from ledger.log.shards import succession
from ledger.log.store import LogStore
from redcard.cli import main
from sync.state import StoredReceipt, SyncState
from terminal.home import Enrolment, Home
from terminal.machine import ledger_signer
from tests.ledger.log.ledgers import BOOT, REBOOT, SERVER, START_MS, signer, tap
from tests.terminal.rig import CONFIG, DOMAIN

LEDGER = "abcdefghijklmnopqrstuvwxyz"
LISTER = signer(f"{DOMAIN}/terminals", "lister")
DAY_MS = 86_400_000
Typed = Callable[..., tuple[int, Any]]


def shift(kind: str, **more: Any) -> Entry:
    clocks = {"ts_ms": START_MS + 900, "mono_ms": 9_000}
    return {"kind": kind, "shift": "s1", "operator": "li", **clocks, **more}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.create(tmp_path / "terminal", CONFIG.format(extra=""))
    keys = PassphraseKeyStore(
        made.keys_path,
        made.passphrase(),
        cost=Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1),
    )
    keys.generate("ledger", KeyKind.ED25519)
    vkeys = {
        "witness": Ed25519Verifier.of(SERVER).vkey,
        "judgements": Ed25519Verifier.of(signer(f"{DOMAIN}/judgements", "j")).vkey,
        "feed": Ed25519Verifier.of(signer(f"{DOMAIN}/feed", "f")).vkey,
        "terminals": Ed25519Verifier.of(LISTER).vkey,
    }
    enrolment = Enrolment(ledger=LEDGER, domain=DOMAIN, epoch=1, vkeys=vkeys)
    made.write_enrolment(enrolment)
    own = ledger_signer(keys, enrolment.origin)
    detail = SealedDetails(made.ledger_path).keep(b"encrypted")
    with LogStore.create(
        made.ledger_path, origin=enrolment.origin, signer=own, genesis={"epoch": 1}, boot=BOOT
    ) as store:
        store.append([tap(1), tap(2, offer="film", quantity=2), tap(3, code="A02")])
        store.append([{**tap(4), "kind": "decline", "code": "L01"}])
        note = cosign(store.checkpoint()[1], SERVER, START_MS // 1000 + 9)
        leaves = list(store.leaves(0, store.size))
        store.append([shift("open")])
        store.append([tap(5, ts_ms=START_MS + DAY_MS, mono_ms=9_500, sealed=detail)])
    with SyncState.open(made.sync_path, origin=enrolment.origin) as state:
        frontier = Frontier().extend(leaves)
        receipt = StoredReceipt(frontier.size, note, START_MS // 1000 + 9)
        state.add_receipt(receipt, frontier)
    return made


@pytest.fixture
def typed(home: Home, capsys: pytest.CaptureFixture[str]) -> Typed:
    def run(*words: str | Path, text: bool = False) -> tuple[int, Any]:
        flags = ["--lang", "en"] if text else ["--json"]
        with pytest.raises(SystemExit) as stop:
            main([*flags, "--home", str(home.path), "ledger", *map(str, words)])
        out = capsys.readouterr().out
        assert isinstance(stop.value.code, int)
        return stop.value.code, out if text else json.loads(out)

    return run


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        ((), [0, 1, 2, 3, 4, 5, 6, 7]),
        (("--day", "2014-05-30"), [0, 1, 2, 3, 4, 5, 6]),
        (("--day", "2014-05-31"), [7]),
        (("--offer", "film"), [3]),
        (("--code", "A02"), [4]),
        (("--code", "A00", "--limit", "2"), [3, 7]),
        (("--member", str(tap(2)["member"])), [3]),
        (("--kind", "decline"), [5]),
        (("--kind", "redeem", "--day", "2014-05-30", "--offer", "BJ-T-005"), [2, 4]),
        (("--offer", "none"), []),
    ],
)
def test_show_filters(typed: Typed, words: tuple[str, ...], seqs: list[int]) -> None:
    code, document = typed("show", *words)
    assert (code, [entry["seq"] for entry in document["entries"]]) == (0, seqs)


@pytest.mark.parametrize("day", ["2014-5-30", "yesterday", "2014-02-30"])
def test_what_is_no_day_is_wrong_usage(typed: Typed, day: str) -> None:
    for words in (("show", "--day", day), ("day", day)):
        assert typed(*words)[0] == 2


def test_a_day_is_closed_on_paper(typed: Typed, home: Home) -> None:
    code, document = typed("day", "2014-05-30")
    assert code == 0
    assert (document["first_seq"], document["size"], document["confirmed"]) == (0, 7, False)
    assert {offer: one["net"] for offer, one in document["offers"].items()} == {
        "BJ-T-005": 2,
        "film": 2,
    }
    assert (document["declines"], document["overridden"]) == ({"L01": 1}, 1)
    with LogReader.open(home.ledger_path) as reader:
        import base64

        assert document["root"] == base64.b64encode(reader.root_at(7)).decode()
    assert typed("day")[1]["day"] == "2014-05-31"
    _, sheet = typed("day", "2014-05-30", text=True)
    assert "Closing of 2014-05-30" in sheet
    assert "sync before signing" in sheet
    assert "clerk: ____" in sheet
    assert typed("day", "2001-01-01")[1]["offers"] == {}


def test_a_table_is_written(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    code, document = typed("csv", file, "--kind", "redeem")
    assert (code, document["rows"]) == (0, 4)
    with file.open(encoding="utf-8-sig", newline="") as made:
        assert [row["offer"] for row in csv.DictReader(made)][1] == "film"


def test_a_proof_and_its_check(typed: Typed, home: Home, tmp_path: Path) -> None:
    paper, entry = tmp_path / "3.tlog-proof", tmp_path / "entry"
    code, document = typed("prove", "3", "-o", paper)
    assert (code, document["confirmed"]) == (0, True)
    entry.write_text(document["entry"] + "\n")
    code, found = typed("check-receipt", paper)
    assert (code, found["ok"], found["confirmed"], found["seq"]) == (0, True, True, 3)
    _, said = typed("check-receipt", paper, "--entry", entry, text=True)
    assert "confirmed by the server on 2014-05-30 10:00:09" in said
    entry.write_text(document["entry"].replace("film", "none"))
    code, found = typed("check-receipt", paper, "--entry", entry)
    assert (code, found["ok"]) == (1, False)
    assert typed("prove", "900")[0] == 1
    assert typed("prove", "7")[1]["confirmed"] is False


def test_a_receipt_is_checked_anywhere_with_two_files(
    typed: Typed, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = PassphraseKeyStore(home.keys_path, home.passphrase())
    own = ledger_signer(keys, home.enrolment().origin)
    with LogReader.open(home.ledger_path) as reader:
        entry = next(iter(reader.entries(4, 5)))
    paper = tmp_path / "receipt"
    paper.write_text(tap_receipt(own, 4, leaf_hash(entry)) + "\n")
    code, found = typed("check-receipt", paper)
    assert (code, found["kind"], found["entry"]) == (0, "tap", True)

    listed = KeyList(DOMAIN, 9, (ListedKey(LEDGER, Ed25519Verifier.of(own).vkey),))
    keyfile, vkeys = tmp_path / "terminals", tmp_path / "vkeys"
    keyfile.write_bytes(listed.sign(LISTER))
    vkeys.write_text(f"# from the federation's site\n{Ed25519Verifier.of(LISTER).vkey}\n")
    code, found = typed("check-receipt", paper, "--keys", keyfile)
    assert (code, found["ok"], found["state"]) == (0, True, "ok")
    assert typed("check-receipt", paper, "--keys", keyfile, text=True)[0] == 0
    code, found = typed("check-receipt", paper, "--keys", keyfile, "--vkeys", vkeys)
    assert (code, found["ok"], found["entry"]) == (0, True, False), "no home was needed"
    paper.write_text("hello")
    code, said = typed("check-receipt", paper, text=True)
    assert code == 1
    assert "does not hold" in said


def test_a_key_is_replaced_and_the_home_opens_with_the_new_one(typed: Typed, home: Home) -> None:
    code, made = typed("rotate-key")
    assert (code, made["key"]) == (0, "ledger.2")
    keys = PassphraseKeyStore(home.keys_path, home.passphrase())
    own = ledger_signer(keys, home.enrolment().origin, home.ledger_path)
    assert Ed25519Verifier.of(own).vkey == made["vkey"]
    with LogStore.open(home.ledger_path, signer=own, boot=REBOOT) as store:
        store.append([tap(9, mono_ms=90_000)])
    assert typed("verify")[1]["faults"] == []
    assert typed("status")[0] == 0


def test_a_detail_is_erased_and_the_tree_still_verifies(typed: Typed) -> None:
    (one,) = typed("sealed")[1]["sealed"]
    assert (one["seq"], one["state"]) == (7, "present")
    assert typed("erase", one["sealed"])[0] == 2
    assert typed("erase", one["sealed"], "--yes")[1]["erased"] is True
    assert typed("erase", one["sealed"], "--yes")[1]["erased"] is False
    assert typed("sealed")[1]["sealed"][0]["state"] == "erased"
    assert typed("verify")[1]["ok"] is True


def test_a_file_is_pruned_only_when_nothing_speaks_against_it(
    typed: Typed, home: Home, tmp_path: Path
) -> None:
    own = signer(f"{DOMAIN}/redcard/{'b' * 26}", "before")
    old = tmp_path / "old.db"
    with LogStore.create(old, origin=own.name, signer=own, genesis={}, boot=BOOT) as store:
        store.append([tap(1)])
        follows = succession(store)
        note = cosign(store.checkpoint()[1], SERVER, START_MS // 1000 - 500 * 86_400)
    from ledger.log.export import export

    with LogReader.open(old) as reader:
        export(reader, tmp_path / "archive", [note], [])
    code, told = typed("prune", old, "--archive", tmp_path / "archive", "--yes")
    assert (code, told["removed"]) == (1, False)
    assert any("does not follow" in one for one in told["reasons"])
    home.ledger_path.unlink()
    keys = PassphraseKeyStore(home.keys_path, home.passphrase())
    new = ledger_signer(keys, home.enrolment().origin)
    LogStore.create(
        home.ledger_path, origin=new.name, signer=new, genesis=follows, boot=BOOT
    ).close()
    assert typed("prune", old, "--archive", tmp_path / "archive") == (
        0,
        {"removed": False, "reasons": []},
    )
    assert old.exists()
    assert typed("prune", old, "--archive", tmp_path / "archive", "--yes")[1]["removed"] is True
    assert not old.exists()
    assert (tmp_path / "old.db.pruned").read_bytes() == note


def test_a_folder_that_is_no_ledger_is_something_missing(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert typed("verify", tmp_path / "empty")[0] == 3
    (tmp_path / "file").write_text("no database")
    assert typed("verify", tmp_path / "file")[0] == 4


def test_only_confirmed_entries_are_left_out_of_tiles(typed: Typed, tmp_path: Path) -> None:
    for words in (("--minimum-index", "3"), ("--tiles", "--minimum-index", "7")):
        assert typed("export", tmp_path / "out", *words)[0] == 2
    assert typed("export", tmp_path / "out", "--tiles", "--minimum-index", "6")[0] == 0
    assert typed("verify", tmp_path / "out")[1]["faults"] == []
