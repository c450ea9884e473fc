"""The courier: it travels by itself, backs off, and never holds up or breaks a tap."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys.keystore import MemoryKeyStore
from readers.virtual.box import InProcessReader
from sync.errors import Unreachable
from sync.transport import Request, Response
from terminal.composition import open_terminal
from terminal.enrolment import enrol
from terminal.home import Home
from terminal.service import TerminalService
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import CONFIG


class Post:
    """A transport that can be watched, blocked and broken."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.blocked: threading.Event | None = None
        self.error: Exception | None = None
        self.pushes = threading.Semaphore(0)
        self.waiting = threading.Event()

    def exchange(self, request: Request, *, bytes_max: int = 2 << 20) -> Response:
        if self.blocked is not None:
            self.waiting.set()
            self.blocked.wait(20)
        if self.error is not None:
            raise self.error
        answer = self.federation.transport.exchange(request, bytes_max=bytes_max)
        if request.target.endswith("/entries") and answer.status == 200:
            self.pushes.release()
        return answer

    def close(self) -> None:
        pass


class Travelling:
    """A terminal whose courier runs in its own thread."""

    def __init__(self, path: Path, founded: Path, every: str, *, demo: bool = True) -> None:
        self.clock = HandClock()
        self.federation = Federation(shutil.copytree(founded, path / "server"), self.clock)
        self.federation.members(1, 2, 3)
        self.post = Post(self.federation)
        keys = MemoryKeyStore()
        config = CONFIG.format(extra=f'sync_every = "{every}"')
        if not demo:
            config = config.replace("demo = true", "")
        home = Home.create(path / "terminal", config)
        enrol(home, self.federation.code(), self.post, self.clock, keys=keys)
        while self.post.pushes.acquire(blocking=False):
            pass
        self.reader = InProcessReader("kiosk reader")
        self.service: TerminalService = open_terminal(
            home, self.clock, [self.reader], keys=keys, transport=self.post
        )

    def until(self, done: Callable[[], bool]) -> None:
        changed = threading.Event()
        end = self.service.subscribe(lambda name: changed.set())
        try:
            while not done():
                assert changed.wait(20)
                changed.clear()
        finally:
            end()

    def close(self) -> None:
        self.service.close()
        self.federation.close()


@pytest.fixture
def travelling(tmp_path: Path, founded: Path) -> Iterator[Travelling]:
    made = Travelling(tmp_path, founded, "1h")
    yield made
    made.close()


def test_it_pulls_at_start_and_pushes_soon_after_a_tap(travelling: Travelling) -> None:
    service = travelling.service
    service.start()
    travelling.until(lambda: service.status().cards == 3)
    assert travelling.post.pushes.acquire(timeout=20)  # genesis and boot
    service.open_shift("counter", "1001")
    assert travelling.post.pushes.acquire(timeout=20)  # though an hour has not passed
    travelling.until(lambda: service.status().link.pending == 0)


def test_a_slow_server_holds_up_no_tap(travelling: Travelling) -> None:
    service = travelling.service
    travelling.post.blocked = threading.Event()
    service.start()
    assert travelling.post.waiting.wait(20)
    assert service.snapshot_view("kiosk").link.busy
    service.open_shift("counter", "1001")  # an append while the exchange hangs
    assert service.outcome_of("n1") is None
    travelling.post.blocked.set()
    travelling.until(lambda: not service.snapshot_view("kiosk").link.busy)


def test_an_unreachable_server_is_offline_and_its_return_is_noticed(
    travelling: Travelling,
) -> None:
    service = travelling.service
    travelling.post.error = Unreachable("no route")
    service.start()
    travelling.until(lambda: "no route" in service.status().link.problem)
    assert not service.status().link.connected
    travelling.post.error = None
    answer = service.sync_now()
    assert answer.status == "ok", answer.problem
    assert service.status().link.connected
    assert service.status().link.problem == ""


def test_a_fault_of_its_own_ends_in_a_status_and_not_in_its_thread(
    travelling: Travelling, caplog: pytest.LogCaptureFixture
) -> None:
    service = travelling.service
    travelling.post.error = ZeroDivisionError("ours")
    service.start()
    travelling.until(lambda: "see the log" in service.status().link.problem)
    assert "a reason of our own" in caplog.text
    travelling.post.error = None
    travelling.until(lambda: service.status().link.connected)  # it tried again by itself


def test_progress_is_told_while_a_backlog_travels(travelling: Travelling) -> None:
    service = travelling.service
    for _ in range(3):
        service.open_shift("counter", "1001")
        service.close_shift("counter")
    seen: list[tuple[int, int]] = []

    def note(name: str) -> None:
        link = service.snapshot_view("counter").link
        if link.busy:
            seen.append((link.done, link.total))

    end = service.subscribe(note)
    answer = service.sync_now()
    end()
    assert (answer.status, answer.pushed, answer.pending) == ("ok", 8, 0)
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)


def test_test_keys_are_refused_outside_the_demo(tmp_path: Path, founded: Path) -> None:
    made = Travelling(tmp_path, founded, "1h", demo=False)
    try:
        assert made.service.sync_now().status == "ok"
        assert any("test keys" in one for one in made.service.status().problems)
        assert made.service.status().offers == 5  # only the cards are off
    finally:
        made.close()


def test_stopping_without_a_server_is_quick(tmp_path: Path, founded: Path) -> None:
    made = Travelling(tmp_path, founded, "1h")
    made.service.parts.courier.client = None
    made.service.start()
    assert made.service.sync_now().status == "offline"
    made.close()
