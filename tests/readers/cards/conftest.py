from __future__ import annotations

import pytest

from readers.virtual.authority import TestCa


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """Keys of the test world, made once a run."""
    return TestCa.in_folder(tmp_path_factory.mktemp("test-ca"))
