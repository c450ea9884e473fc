"""``redcard offers``: the shipped catalogue, faults with their line, and the one decision."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

import ledger.rules.dry_run
from redcard.cli import cli
from redcard.console import Session

DATA = files("redcard") / "demo_data"
OFFERS, VENUES = str(DATA / "offers.json"), str(DATA / "venues.json")


def run(*words: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(cli, ["--json", *words], obj=Session(), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value or 0), json.loads(done.stdout)


def test_the_shipped_catalogue_is_sound() -> None:
    code, document = run("offers", "check", OFFERS, "--venues", VENUES)
    assert (code, document["offers"], document["faults"]) == (0, 28, [])


def test_every_fault_is_named_with_its_line_and_field(tmp_path: Path) -> None:
    text = (
        '[\n {"id": "A", "from": "2014-01-01T00:00:00+08:00",\n'
        '  "until": "2013-01-01T00:00:00+08:00"},\n'
        ' {"id": "B", "from": "2014-01-01T00:00:00+08:00", "until": "2015-01-01T00:00:00+08:00",\n'
        '  "limits": [{"count": 1, "per": "fortnight"}]}\n]\n'
    )
    file = tmp_path / "offers.json"
    file.write_text(text)
    code, document = run("offers", "check", str(file))
    assert code == 1
    faults = document["faults"]
    assert isinstance(faults, list)
    assert [(fault["line"], fault["field"]) for fault in faults] == [
        (3, "until"),
        (5, "limits[0].per"),
    ]


def test_who_could_take_the_museum_and_why_not() -> None:
    words = ("offers", "try", OFFERS, "--venues", VENUES, "--offer", "BJ-T-005")
    code, document = run(*words, "--at", "2014-05-30T10:00", "--at", "2014-06-02T10:00")
    trials = document["trials"]
    assert isinstance(trials, list)
    found = {(trial["member"], trial["at"]): trial["code"] for trial in trials}
    assert code == 0
    assert found["plain", "2014-05-30 10:00"] == "A00"
    assert found["plain", "2014-06-02 10:00"] == "O06", "closed on Mondays"
    assert found["suspended", "2014-05-30 10:00"] == "M01"


def test_a_member_as_described_is_asked_for() -> None:
    words = ("offers", "try", OFFERS, "--venues", VENUES, "--offer", "SY-L-017")
    at = ("--at", "2014-05-29T10:00")
    assert run(*words, *at, "--member", "tags=nursing")[0] == 0
    code, document = run(*words, *at, "--member", "district=110113")
    trials = document["trials"]
    assert isinstance(trials, list)
    assert (code, trials[0]["code"]) == (1, "M02")


def test_the_dry_run_has_no_decision_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``decide`` replaced by one that raises, ``offers try`` cannot answer."""

    def no_decision(*_: object) -> None:
        raise ArithmeticError("the one decision was asked")

    monkeypatch.setattr(ledger.rules.dry_run, "decide", no_decision)
    with pytest.raises(ArithmeticError, match="the one decision"):
        run("offers", "try", OFFERS, "--venues", VENUES, "--offer", "BJ-T-005")
