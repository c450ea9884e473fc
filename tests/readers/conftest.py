"""One isolated pcscd for every worker process; pcsc-lite remembers its path for good."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from readers.virtual.vpcd import Pcscd
from tests.readers.stack import (
    APDU_TIMEOUT_MS,
    Stack,
    behind_pcscd,
    behind_pn532,
    demand_pcscd,
    in_process,
    socket_reader,
)


@pytest.fixture(scope="session")
def _one_pcscd() -> Iterator[Pcscd]:
    demand_pcscd()
    with Pcscd("Counter") as service:
        os.environ.update(service.environment)
        yield service


@pytest.fixture
def pcscd(_one_pcscd: Pcscd) -> Iterator[Pcscd]:
    yield _one_pcscd
    if not _one_pcscd.running:
        _one_pcscd.restart()


@pytest.fixture
def apdu_timeout_ms() -> int:
    """How long the stack's drivers wait for a card; a test may set another."""
    return APDU_TIMEOUT_MS


@pytest.fixture(
    params=[
        "in_process",
        "socket",
        "nfc",
        pytest.param("pcscd", marks=pytest.mark.pcscd),
    ]
)
def stack(request: pytest.FixtureRequest, apdu_timeout_ms: int) -> Iterator[Stack]:
    """The same suite on four stacks."""
    if request.param == "in_process":
        yield from in_process(apdu_timeout_ms)
    elif request.param == "socket":
        yield from socket_reader(apdu_timeout_ms)
    elif request.param == "nfc":
        yield from behind_pn532(apdu_timeout_ms)
    else:
        yield behind_pcscd(request.getfixturevalue("pcscd"), apdu_timeout_ms)
