"""Every campaign runs, passes, and catches the faults of its controls."""

from __future__ import annotations

import json

import pytest

from tests.campaign import CAMPAIGNS, listing, main
from tests.campaigns import mutants, mutation
from tests.campaigns.report import Report


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_with_the_least_rounds(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([name, "--small", "--json"])
    (found,) = json.loads(capsys.readouterr().out).values()
    assert code == 0, found
    assert found["figures"]
    assert found["controls"]
    assert all(found["controls"].values())


def test_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == listing()
    assert all(name in listing() for name in CAMPAIGNS)
    assert main(["no-such-thing"]) == 2
    assert main(["fuzz", "--only", "no-such-parser"]) == 2


def test_a_failure_or_a_control_that_is_not_caught_is_no_success() -> None:
    assert Report(controls={"fault": True}).ok
    assert not Report().ok, "a campaign without a control proves nothing"
    assert not Report(controls={"fault": True, "other": False}).ok
    assert not Report(controls={"fault": True}, failures=["lost"]).ok


def test_every_module_of_the_ledger_is_tried_with_mutants() -> None:
    for package in ("ledger", "ledger.rules", "ledger.log"):
        folder = mutants.ROOT / package.replace(".", "/")
        tried = {name.rpartition(".") for name in mutants.TARGETS}
        left = {path.stem for path in folder.glob("*.py")} - {
            name for of, _, name in tried if of == package
        }
        assert left <= mutants.WITHOUT_RULES


def test_a_fault_is_found_where_it_stands() -> None:
    source = "LIMIT = 3\n\nclass One:\n    def two(self, x=1):\n        return [x < LIMIT, 5]\n"
    places = {one.before: (one.function, one.lines) for one in mutation.mutants(source)}
    assert places["3"] == ("", (1, 1))
    assert places["1"] == ("", (4, 5))
    assert places["5"] == ("One.two", (5, 5))
    assert places["x < LIMIT"] == ("One.two", (5, 5))


def test_the_page_names_every_campaign() -> None:
    page = (mutants.ROOT / "docs" / "testing.md").read_text("utf-8")
    assert [name for name in CAMPAIGNS if f"`{name}`" not in page] == []
