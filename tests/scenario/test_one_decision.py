"""There is one ``decide``: whoever decides anything stops when it does.

The function's code itself is replaced, so that it does not matter by which name it was imported.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ledger.codes import TAP_PRECEDENCE
from ledger.rules.catalogue import load_offers
from ledger.rules.decide import decide
from ledger.rules.dry_run import try_offers
from redcard.scenario.runner import run_files
from server.facts import Event, Facts
from server.judge import judge_alone
from tests.ledger.rules.builders import CARD, NOW, redeem
from tests.terminal.conftest import rig, world  # noqa: F401 - fixtures
from tests.terminal.rig import Rig

SCENARIO = Path(__file__).parent.parent / "scenarios" / "case_01_first_tap.yaml"
OFFERS = b"""[{"id": "museum", "from": "2026-05-01T00:00:00+08:00",
               "until": "2026-11-01T00:00:00+08:00"}]"""


class DecideStoppedError(Exception):
    """Raised in place of every decision."""


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(request: object, offer: object, usage: object, state: object, now_ms: object) -> None:
        raise RuntimeError("no decision")

    monkeypatch.setattr(decide, "__code__", stop.__code__)


def event() -> Event:
    entry = {
        **redeem(0, NOW),
        "card": CARD.card,
        "code": "A00",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "offer_version": 1,
        "mode": "online",
    }
    return Event("l" * 26, 0, entry, NOW - 1, NOW + 1)


def test_the_scenario_runner_decides_by_it(stopped: None) -> None:
    with pytest.raises(RuntimeError, match="no decision"):
        run_files([SCENARIO])


def test_the_servers_judge_decides_by_it(stopped: None) -> None:
    with pytest.raises(RuntimeError, match="no decision"):
        judge_alone(event(), Facts())


def test_offers_try_decides_by_it(stopped: None) -> None:
    with pytest.raises(RuntimeError, match="no decision"):
        try_offers(load_offers(OFFERS))


def test_a_tap_at_the_terminal_decides_by_it(rig: Rig, stopped: None) -> None:  # noqa: F811
    before = rig.kinds()
    answer = rig.kiosk(rig.member(1))
    assert answer.outcome == "error"
    assert rig.kinds() == before


def test_all_of_them_work_while_it_does(rig: Rig) -> None:  # noqa: F811
    assert run_files([SCENARIO]).ok
    assert judge_alone(event(), Facts()).verdict
    assert try_offers(load_offers(OFFERS))
    assert rig.kiosk(rig.member(1)).outcome == "approve"


ROOT = Path(__file__).parents[2]
#: Codes that only a rule about an offer, its limits or its stock can give.
RULED = {str(code) for code in TAP_PRECEDENCE} & {
    *(f"L0{n}" for n in range(1, 9)),
    *(f"O0{n}" for n in range(2, 10)),
    *("M02", "M03", "O11"),
}
#: Who names such a code outside the rules, and what for; nobody else has a reason to.
NAMERS = {
    "redcard/demo_once.py": "says which answers the demo's taps must get",
    "server/judge.py": "sorts the codes of decide into reasons",
    "server/holding.py": "hands decide what is left of the stock",
    "server/reservations.py": "says that the stock is promised already",
    "terminal/tapdesk.py": "asks which offer is meant, before any is decided on",
    "terminal/views.py": "leaves ended offers out of a list",
}


def named_codes(path: Path) -> set[str]:
    """Codes of rules that a module names, as ``Code.L01`` or as a text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "Code":
                found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & RULED


def test_nobody_else_gives_the_answer_of_a_rule() -> None:
    namers = {
        path.relative_to(ROOT).as_posix()
        for package in ("redcard", "terminal", "server", "sync", "readers", "screens", "keys")
        for path in (ROOT / package).rglob("*.py")
        if named_codes(path)
    }
    assert namers - NAMERS.keys() == set(), "a second copy of a rule, or one more to list here"


def test_a_second_copy_would_be_found(tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text('def answer(used, count):\n    return "L01" if used >= count else "A00"\n')
    assert named_codes(copy) == {"L01"}
    copy.write_text("def answer(used, count):\n    return Code.L02 if used >= count else None\n")
    assert named_codes(copy) == {"L02"}
