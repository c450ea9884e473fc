"""Every code of the table is the answer to some step of some scenario."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ledger.codes import Code
from redcard.scenario import runner, steps
from redcard.scenario.document import StepSpec
from redcard.scenario.world import World

FOLDER = Path(__file__).parent.parent / "scenarios"


def test_no_code_is_never_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[str] = set()
    perform = steps.perform

    def noted(world: World, step: StepSpec) -> Mapping[str, object]:
        answer = perform(world, step)
        reached.add(str(answer.get("code")))
        return answer

    monkeypatch.setattr(runner, "perform", noted)
    files = [path for path in sorted(FOLDER.glob("*.yaml")) if "rush" not in path.stem]
    assert runner.run_files(files).ok
    assert [code for code in Code if code.value not in reached] == []
