"""Go's checksum-database code judges our exports: it accepts them, and no change of them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.log.checkpoint import cosign
from ledger.log.export import export
from ledger.log.merkle import consistency_proof, inclusion_proof, root_of
from ledger.log.note import vkey
from tests.ledger.log.ledgers import SERVER, create, signer, tap

pytestmark = pytest.mark.go

GOPATH = Path("/usr/share/gocode")
SOURCE = Path(__file__).parent / "judge" / "main.go"
MISSING = shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod").is_dir()
needs_go = pytest.mark.skipif(
    MISSING,
    reason="golang-go and golang-golang-x-mod-dev are not installed (script/bootstrap test)",
)
Judge = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    program = tmp_path_factory.mktemp("go") / "judge"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOCACHE": str(tmp_path_factory.mktemp("gocache")),
    }
    subprocess.run(["go", "build", "-o", program, SOURCE], env=environment, check=True)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    place = folder / "ledger"
    with create(folder / "ledger.db") as store:
        receipts = []
        for start in (0, 117, 300, 617):
            store.append([tap(start + at) for at in range(83)])
            receipts.append(cosign(store.checkpoint()[1], SERVER, 1_700_000_000 + start))
        for number in range(20):
            store.append([tap(1_000 + number, remark="中文-ω-\x7f\u2028\n")])
        export(store, place, receipts, [vkey(SERVER.name, SERVER.public_key, SERVER.note_type)])
        nodes = store.nodes()

        def text(node: bytes) -> str:
            return base64.b64encode(node).decode()

        size = store.size
        inclusion = [
            {
                "Index": index,
                "Size": size,
                "Leaf": text(nodes(0, index)),
                "Root": text(store.root),
                "Proof": [text(node) for node in inclusion_proof(index, size, nodes)],
            }
            for index in range(0, size, 13)
        ]
        consistency = [
            {
                "Old": old,
                "New": size,
                "OldRoot": text(root_of(old, nodes)),
                "NewRoot": text(store.root),
                "Proof": [text(node) for node in consistency_proof(old, size, nodes)],
            }
            for old in range(1, size + 1, 29)
        ]
        proofs = {"Inclusion": inclusion, "Consistency": consistency}
        (folder / "proofs.json").write_text(json.dumps(proofs))
    return place


@needs_go
def test_go_accepts_an_export_and_our_proofs(judge: Judge, exported: Path) -> None:
    done = judge(exported, exported.parent / "proofs.json")
    assert (done.returncode, done.stdout) == (0, "holds\n"), done.stderr


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _drop_last_entry(place: Path) -> None:
    for name, cut in (("entries.jsonl", None), ("leaves", 32)):
        data = (place / name).read_bytes()
        end = len(data) - cut if cut else data.rstrip(b"\n").rfind(b"\n") + 1
        (place / name).write_bytes(data[:end])


def _sign_by_another(place: Path) -> None:
    other = signer(seed="another terminal")
    (place / "vkeys").write_text(vkey(other.name, other.public_key) + "\n")


@needs_go
@pytest.mark.parametrize(
    "change",
    [
        lambda place: _flip(place / "entries.jsonl", 500),
        lambda place: _flip(place / "entries.jsonl", -2),
        lambda place: _flip(place / "leaves", 40),
        lambda place: _flip(place / "checkpoint", 60),
        lambda place: _flip(place / "checkpoint", -10),
        lambda place: _flip(place / "cosignatures", -10),
        lambda place: _flip(place / "cosignatures", 80),
        _drop_last_entry,
        _sign_by_another,
    ],
)
def test_go_refuses_what_was_changed(
    judge: Judge, exported: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    place = tmp_path / "ledger"
    shutil.copytree(exported, place)
    assert judge(place).returncode == 0
    change(place)
    done = judge(place)
    assert done.returncode == 1
    assert done.stderr.startswith("refused:")


@needs_go
def test_go_refuses_proofs_that_do_not_hold(judge: Judge, exported: Path, tmp_path: Path) -> None:
    proofs = json.loads((exported.parent / "proofs.json").read_text())
    for kind, name in (("Inclusion", "Index"), ("Consistency", "Old")):
        wrong = json.loads(json.dumps(proofs))
        wrong[kind][3][name] += 1
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        assert judge(exported, tmp_path / "wrong.json").returncode == 1
