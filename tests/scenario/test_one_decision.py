"""There is one ``decide``: whoever decides anything stops when it does.

The function's code itself is replaced, so that it does not matter by which name it was imported.
"""

from __future__ import annotations

from pathlib import Path

import pytest

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
