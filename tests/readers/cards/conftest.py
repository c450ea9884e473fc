from __future__ import annotations

from pathlib import Path

import pytest

from readers.virtual.authority import TestCa
from readers.virtual.piv_authority import TestPivAuthority
from tests.readers.cards.openssl import Openssl, program


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """Keys of the test world, made once a run."""
    return TestCa.in_folder(tmp_path_factory.mktemp("test-ca"))


@pytest.fixture(scope="session")
def piv_world(tmp_path_factory: pytest.TempPathFactory) -> TestPivAuthority:
    """Keys and authorities of the PIV test world, made once a run."""
    return TestPivAuthority.in_folder(tmp_path_factory.mktemp("test-piv"))


@pytest.fixture
def tool(tmp_path: Path) -> Openssl:
    """The openssl command, with a folder for its keys."""
    return Openssl(program(), tmp_path)
