"""Power cuts at every moment: nothing acknowledged is lost, and weaker promises are caught."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crash_states import Outcome, enumerate_states, record
from tests.faults.shim import FAST, build

#: Kept small here; the campaign raises both.
COMMITS = 12
VARIANTS = 4


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="cuts", dir=FAST))
    yield place
    shutil.rmtree(place)


def cut(folder: Path, library: Path, mode: str, variants: int = VARIANTS) -> Outcome:
    return enumerate_states(record(folder, library, mode, COMMITS), folder, variants, seed=1)


def test_nothing_acknowledged_is_lost(folder: Path, library: Path) -> None:
    outcome = cut(folder, library, "FULL")
    assert outcome.states > 500
    assert (outcome.lost, outcome.corrupt) == (0, 0), outcome


def test_what_a_failed_flush_left_is_durable_once_it_was_found(folder: Path, library: Path) -> None:
    record(folder, library, "failed_flush", COMMITS)
    recorded = record(folder, library, "open", 0)
    assert any(operation.kind == "f" for operation in recorded), "no flush failed"
    outcome = enumerate_states(recorded, folder, VARIANTS, seed=2)
    assert (outcome.lost, outcome.corrupt) == (0, 0), outcome


@pytest.mark.parametrize("mode", ["NORMAL", "OFF", "ack_first"])
def test_weaker_promises_are_caught(folder: Path, library: Path, mode: str) -> None:
    outcome = cut(folder, library, mode, variants=2)
    assert outcome.lost + outcome.corrupt > 0, f"{mode} must lose something: {outcome}"
