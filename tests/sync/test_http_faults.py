"""The real HTTP transport through a proxy that cuts, loses and resets: exactly once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sync.client import Client
from sync.state import SyncState
from sync.transport import HttpTransport, Request
from sync.uplink import SyncStatus
from tests.faults.proxy import FaultProxy
from tests.sync.memory_server import MemoryServer
from tests.sync.signed_log import SignedLog, key, ledger_name

ATTEMPTS_MAX = 200


@contextmanager
def serving(memory: MemoryServer) -> Iterator[tuple[str, int]]:
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) == length:
                self._answer(body)

        def do_GET(self) -> None:
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            with guard:
                response = memory(request)
            try:
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)
            except OSError:
                self.close_connection = True

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("seed", range(4))
def test_every_entry_arrives_exactly_once_through_a_faulty_network(seed: int) -> None:
    memory = MemoryServer()
    logs = [SignedLog(ledger_name(number), f"{seed}/{number}") for number in range(2)]
    for log in logs:
        log.grow(1)
        memory.enrol(log)
    with serving(memory) as upstream, FaultProxy(upstream, seed) as proxy:
        for log in logs:
            _push_all(memory, log, proxy.port)
        lost = sum(proxy.counts[name] for name in ("lose_answer", "cut_answer", "cut_request"))
        assert lost + proxy.counts["reset"] > 0, proxy.counts
    for log in logs:
        held = memory.logs[log.ledger]
        assert held.entries == log.stored
        assert held.evidence == []


def _push_all(memory: MemoryServer, log: SignedLog, port: int) -> None:
    with SyncState.open(":memory:", origin=log.origin) as state:
        for attempt in range(ATTEMPTS_MAX):
            # A connection of its own each time, so that every push draws a fault.
            with HttpTransport(f"http://127.0.0.1:{port}") as transport:
                client = Client(
                    source=log,
                    state=state,
                    transport=transport,
                    keys=memory.keys(),
                    sign=key(log.seed).sign,
                    now_ms=lambda: memory.now_ms,
                )
                status = client.sync().status
            if attempt < 15:
                log.grow(3)
            elif status is SyncStatus.OK and client.status().pending == 0:
                return
            assert status in {SyncStatus.OK, SyncStatus.OFFLINE, SyncStatus.UNVERIFIED}
    raise AssertionError("it never came through")


def test_the_proxy_really_loses_answers_after_the_server_acted() -> None:
    memory = MemoryServer()
    log = SignedLog(ledger_name(1), "lost")
    log.grow(2)
    memory.enrol(log)
    with (
        serving(memory) as upstream,
        FaultProxy(upstream, 1, {"lose_answer": 1}) as proxy,
        HttpTransport(f"http://127.0.0.1:{proxy.port}") as transport,
        SyncState.open(":memory:", origin=log.origin) as state,
    ):
        client = Client(
            source=log,
            state=state,
            transport=transport,
            keys=memory.keys(),
            sign=key(log.seed).sign,
            now_ms=lambda: memory.now_ms,
        )
        assert client.push().status is SyncStatus.OFFLINE
    assert memory.logs[log.ledger].entries == log.stored
