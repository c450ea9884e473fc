"""``redcard ledger verify`` and ``export --tiles``, as typed: same answers, same exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.log.export import export
from ledger.log.reading import LogReader
from ledger.log.tiles_export import export_tiles
from redcard.cli import main
from tests.ledger.log.ledgers import create, tap


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("command")
    with create(place / "ledger.db") as store:
        store.append([tap(number) for number in range(300)])
    with LogReader.open(place / "ledger.db") as reader:
        export(reader, place / "files", [], [])
        export_tiles(reader, place / "tiles")
    return place


class Verify:
    """Types ``redcard --json ledger verify``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as stop:
            main(["--json", "ledger", "verify", *map(str, words)])
        code = stop.value.code
        assert isinstance(code, int)
        return code, json.loads(self._capsys.readouterr().out)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    return Verify(capsys)


@pytest.mark.parametrize("name", ["ledger.db", "files", "tiles"])
@pytest.mark.parametrize("flags", [(), ("--tree",), ("--processes", "2"), ("--auditor",)])
def test_every_form_of_a_ledger_is_checked(
    folder: Path, verify: Verify, name: str, flags: tuple[str, ...]
) -> None:
    code, told = verify(folder / name, *flags)
    if name == "tiles" and flags == ("--auditor",):
        assert code == 2
        return
    assert (code, told["ok"], told["size"], told["faults"]) == (0, True, 302, [])


def test_a_fault_is_the_answer_no(folder: Path, verify: Verify, tmp_path: Path) -> None:
    with LogReader.open(folder / "ledger.db") as reader:
        export(reader, tmp_path / "bad", [], [])
    file = tmp_path / "bad" / "entries.jsonl"
    file.write_bytes(file.read_bytes().replace(b"M01", b"M02", 1))
    for flags in ((), ("--auditor",)):
        code, told = verify(tmp_path / "bad", *flags)
        assert (code, told["ok"]) == (1, False)
        assert {"seq": 2, "kind": "leaf"}.items() <= told["faults"][0].items()


def test_the_auditor_takes_no_shortcut(folder: Path, verify: Verify) -> None:
    code, _ = verify(folder / "files", "--auditor", "--tree")
    assert code == 2
