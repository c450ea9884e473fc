from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from readers.virtual.authority import TestCa
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import Rig


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """Keys of the test world, made once a run."""
    return TestCa.in_folder(tmp_path_factory.mktemp("terminal-ca"))


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, world: TestCa) -> Path:
    """A server's folder with everything published, to be copied."""
    path = tmp_path_factory.mktemp("federation") / "server"
    Federation.found(path, world, HandClock())
    return path


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    made = Rig(tmp_path / "terminal", world)
    yield made
    made.close()
