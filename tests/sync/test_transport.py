from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sync.errors import Malformed, Unreachable
from sync.transport import (
    HttpTransport,
    MemoryTransport,
    Request,
    Response,
    _system_authorities,
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, self.headers["Content-Type"].encode() + b"|" + body)

    def do_GET(self) -> None:
        if self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(1_000):
                    self.wfile.write(b"x" * 10_000)
            except OSError:
                self.close_connection = True
            self.close_connection = True
        else:
            coding = self.headers.get("Accept-Encoding", "")
            self._answer(404, coding.encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("X-Seen", self.path)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with HttpTransport(f"http://127.0.0.1:{server.server_port}/") as made:
        yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_request_arrives_whole_and_its_answer_comes_back(transport: HttpTransport) -> None:
    request = Request("POST", "/v1/x?after=1", {"Content-Type": "a/b"}, b"\x00body\n")
    response = transport.exchange(request)
    assert (response.status, response.body) == (200, b"a/b|\x00body\n")
    assert response.headers["x-seen"] == "/v1/x?after=1"


def test_a_refusal_is_an_answer_and_nothing_is_compressed(transport: HttpTransport) -> None:
    response = transport.exchange(Request("GET", "/none"))
    assert (response.status, response.body) == (404, b"identity")


def test_redirects_are_not_followed(transport: HttpTransport) -> None:
    assert transport.exchange(Request("GET", "/away")).status == 302


@pytest.mark.parametrize(("path", "limit"), [("/short", 1_000), ("/endless", 50_000)])
def test_half_an_answer_or_too_much_is_no_answer(
    transport: HttpTransport, path: str, limit: int
) -> None:
    with pytest.raises(Unreachable):
        transport.exchange(Request("GET", path), bytes_max=limit)


def test_nobody_there_is_unreachable() -> None:
    with (
        HttpTransport("http://127.0.0.1:9") as transport,
        pytest.raises(Unreachable, match="sending again is safe"),
    ):
        transport.exchange(Request("GET", "/"))
    transport.close()


@pytest.mark.parametrize(
    "address", ["http://example.org", "ftp://127.0.0.1", "https://", "nonsense", ""]
)
def test_only_https_or_a_loopback(address: str) -> None:
    with pytest.raises(Malformed, match="https"):
        HttpTransport(address)


def test_the_memory_port_cuts_loses_and_bounds() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(200, {"Retry-After": "3"}, b"12345")

    port = MemoryTransport(answer)
    request = Request("GET", "/")
    assert port.exchange(request).integer("Retry-After") == 3
    port.connected = False
    with pytest.raises(Unreachable, match="cut"):
        port.exchange(request)
    assert len(seen) == 1
    port.connected = True
    port.lose_answers = 1
    with pytest.raises(Unreachable, match="lost"):
        port.exchange(request)
    assert len(seen) == 2
    with pytest.raises(Unreachable, match="longer"):
        port.exchange(request, bytes_max=4)
    assert port.exchange(request).body == b"12345"


def test_the_systems_authorities_are_read_one_by_one_where_they_lie_by_their_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert not _system_authorities(), "an empty folder would trust nobody"
    (tmp_path / "0a1b2c3d.0").touch()
    assert _system_authorities() == str(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    assert not _system_authorities(), "whoever names a file means it"
