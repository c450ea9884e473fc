"""A station's day from the command line, on a home of its own and without a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keys.keystore import KeyKind
from keys.passphrase import PassphraseKeyStore
from ledger.log import canonical
from ledger.log.reading import LogReader
from redcard.cli import cli
from redcard.console import explain
from terminal.home import Home
from tests.terminal.clocks import HandClock
from tests.terminal.rig import CARD_KEY, CONFIG, make_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("station") / "home"
    made = Home.create(path, CONFIG.format(extra=""))
    keys = PassphraseKeyStore(made.keys_path, made.passphrase())
    keys.import_secret("ledger", KeyKind.ED25519, b"L" * 32)
    keys.import_secret("card", KeyKind.HMAC, CARD_KEY)
    make_home(path, keys, HandClock())
    return path


def run(home: Path, *words: str, typed: str = "") -> tuple[int, Any]:
    """Exit code and document of a command, as ``main`` would end it."""
    result = CliRunner().invoke(
        cli, [*words, "--home", str(home), "--json"], input=typed, standalone_mode=False
    )
    if result.exception is not None:
        told = explain(result.exception)
        assert told is not None, result.exception
        return told[2], told[0]
    code = result.return_value if isinstance(result.return_value, int) else 0
    return code, json.loads(result.stdout)


def entries(home: Path) -> list[dict[str, Any]]:
    with LogReader.open(home / "ledger.db") as reader:
        return [dict(canonical.decode(data)) for data in reader.entries(0, reader.size)]


def test_what_needs_an_offer_says_that_there_is_none(home: Path) -> None:
    size = len(entries(home))
    for words in (
        ("goods", "receive", "pack", "5"),
        ("holds", "place", "pack", "5"),
    ):
        code, said = run(home, *words, "--position", "counter")
        assert (code, "no offer is called pack" in said) == (2, True)
    assert run(home, "goods", "receive", "pack", "3", "--expected", "5")[0] == 2
    assert run(home, "search", "dwtb") == (1, {"found": []})
    assert len(entries(home)) <= size + 1  # a boot entry of this machine


def test_a_shift_from_opening_to_closing(home: Path) -> None:
    code, opened = run(home, "shift", "open", "--operator", "wang", "--position", "counter")
    assert (code, opened["operator"]) == (0, "wang")
    assert {lamp["name"] for lamp in opened["selftest"]} == {
        "reader", "printer", "clock", "ledger",
    }  # fmt: skip
    code, said = run(home, "shift", "open", "--operator", "li", "--position", "counter")
    assert (code, "take it over" in said) == (1, True)
    code, taken = run(
        home, "shift", "open", "--operator", "li", "--position", "counter", "--take-over"
    )
    assert (code, taken["taken_over"]) == (0, "wang")
    code, closed = run(home, "shift", "close", "--position", "counter")
    assert (code, closed["operator"], closed["redeemed"], closed["goods"]) == (0, "li", 0, [])
    assert run(home, "shift", "close", "--counted", "pack", "--position", "counter")[0] == 2
    assert run(home, "shift", "close", "--position", "counter")[0] == 1


def test_papers_bookings_and_practice_from_the_command_line(home: Path) -> None:
    assert run(home, "manual", "sheet") == (0, {"sheet": "T-1-P00001"})
    assert run(home, "manual", "list") == (0, {"lines": []})
    assert run(home, "bookings", "--day", "2014-06-02") == (0, {"bookings": []})
    assert run(home, "bookings", "--day", "soon")[0] == 2
    code, said = run(
        home, "manual", "add", "T-1-P00001", "1", "--offer", "film", "--day", "2014-05-29",
        "--reason", "power_cut", "--supervisor", "chief", typed="4711\n",
    )  # fmt: skip
    assert (code, "a supervisor enters late lines" in said) == (2, True)
    code, said = run(home, "practice", "start")
    assert (code, "nothing was changed" in said) == (3, True)
    bad = home / "bad.json"
    bad.write_text('{"test": false}')
    assert run(home, "practice", "setup", str(bad))[0] == 1
    bad.write_text('{"test": true}')
    assert run(home, "practice", "setup", str(bad))[0] == 0
