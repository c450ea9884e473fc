"""Contexts against a service that never answers: nobody waits for ever, nothing piles up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from readers.errors import ServiceMissing
from readers.pcsc_context import HANGING_MAX, Contexts
from tests.readers.stack import PATIENCE_S


class StuckService:
    """As much of smartcard.scard as a context needs; it answers once it is let go."""

    SCARD_SCOPE_USER = 0

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0
        self.released: list[int] = []
        self.all_released = threading.Event()

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:  # noqa: N802
        self.asked += 1
        number = self.asked
        self.go.wait(PATIENCE_S)
        return scope, number

    def SCardReleaseContext(self, context: int) -> int:  # noqa: N802
        self.released.append(context)
        if len(self.released) == HANGING_MAX + 1:  # those that came too late, and the last
            self.all_released.set()
        return 0


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckService]:
    monkeypatch.setattr("readers.pcsc_context.SERVICE_TIMEOUT_MS", 20)
    monkeypatch.setattr("readers.pcsc_link.CONNECTING_S", 0)
    stuck = StuckService()
    yield stuck
    stuck.go.set()


def test_no_more_than_a_few_calls_hang_at_a_time(service: StuckService) -> None:
    contexts = Contexts(service, "test")
    for _ in range(HANGING_MAX + 3):
        with pytest.raises(ServiceMissing, match="restart pcscd"):
            contexts.open()
    end = time.monotonic() + PATIENCE_S
    while service.asked < HANGING_MAX and time.monotonic() < end:
        time.sleep(0.005)  # threads that had no turn yet
    assert service.asked == HANGING_MAX


def test_a_service_that_answers_again_is_asked_again(
    service: StuckService, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = Contexts(service, "test")
    for _ in range(HANGING_MAX):
        with pytest.raises(ServiceMissing):
            contexts.open()
    monkeypatch.setattr("readers.pcsc_context.SERVICE_TIMEOUT_MS", PATIENCE_S * 1000)
    service.go.set()
    end = threading.Event()
    while True:  # until the calls that hung have returned
        try:
            context = contexts.open()
        except ServiceMissing:
            end.wait(0.005)
        else:
            break
    assert context.value == HANGING_MAX + 1
    context.close()
    context.cancel()  # closed: asks nobody
    assert service.all_released.wait(PATIENCE_S)
    assert context.value is None
