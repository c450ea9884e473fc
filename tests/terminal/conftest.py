from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from readers.virtual.authority import TestCa
from tests.terminal.rig import Rig


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """Keys of the test world, made once a run."""
    return TestCa.in_folder(tmp_path_factory.mktemp("terminal-ca"))


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    made = Rig(tmp_path / "terminal", world)
    yield made
    made.close()
