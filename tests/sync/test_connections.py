"""Kept connections: TLS against one authority, proxies, a trickling answer, an old line."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sync.connections import Connections, Limits, proxy_to
from sync.errors import Unreachable
from sync.transport import HttpTransport, Request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nok"
LIMITS = Limits(connect_s=20, piece_s=20, whole_s=20)


@contextmanager
def listening(serve: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A listener that hands each connection with its number to ``serve``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        number = 0
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire:
                try:
                    serve(wire, number)
                except OSError:
                    pass
            number += 1

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def head(wire: socket.socket) -> bytes:
    """The head of one request."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = wire.recv(4096)
        if not piece:
            raise ConnectionError("the client has gone")
        seen += piece
    return seen


def plain(port: int, limits: Limits = LIMITS) -> Connections:
    return Connections(f"http://127.0.0.1:{port}", limits, ssl.create_default_context)


def test_a_line_is_used_again_until_its_other_end_has_gone() -> None:
    lines: list[int] = []
    gone = threading.Event()

    def serve(wire: socket.socket, number: int) -> None:
        for _ in range(2):
            head(wire)
            lines.append(number)
            wire.sendall(ANSWER)
        wire.shutdown(socket.SHUT_RDWR)
        wire.close()
        gone.set()

    with listening(serve) as port:
        kept = plain(port)
        for _ in range(2):
            status, headers, body = kept.exchange("GET", "/", {}, b"", 10)
            assert (status, headers["x-a"], body) == (200, "1, 2", b"ok")
        assert gone.wait(20)
        assert kept.exchange("GET", "/", {}, b"", 10)[0] == 200
        kept.close()
    assert lines == [0, 0, 1]


def test_an_answer_that_trickles_ends_with_the_whole_time() -> None:
    ended = threading.Event()

    def serve(wire: socket.socket, number: int) -> None:
        del number
        head(wire)
        wire.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.01):
            wire.sendall(b"y")

    with listening(serve) as port:
        kept = plain(port, Limits(connect_s=20, piece_s=20, whole_s=0.1))
        with pytest.raises(TimeoutError):
            kept.exchange("GET", "/", {}, b"", 10)
        ended.set()


def test_a_target_goes_out_without_a_byte_that_could_end_its_line() -> None:
    seen: list[bytes] = []

    def serve(wire: socket.socket, number: int) -> None:
        del number
        seen.append(head(wire))
        wire.sendall(ANSWER)

    with listening(serve) as port:
        kept = plain(port)
        kept.exchange("GET", "/v1/a b\r\nX: 1?q=%2F&r=孔", {}, b"", 10)
        kept.close()
    assert seen[0].startswith(b"GET /v1/a%20b%0D%0AX:%201?q=%2F&r=%E5%AD%94 HTTP/1.1\r\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An authority that signed itself for ``localhost``: certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "ca.pem", folder / "key.pem"


def test_https_is_checked_against_the_authority_and_the_name(authority: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)

    def serve(wire: socket.socket, number: int) -> None:
        del number
        with context.wrap_socket(wire, server_side=True) as hidden:
            head(hidden)
            hidden.sendall(ANSWER.replace(b"X-A: 1", b"Connection: close"))

    ask = Request("GET", "/")
    with listening(serve) as port:
        with HttpTransport(f"https://localhost:{port}", ca_file=str(authority[0])) as known:
            assert known.exchange(ask).body == b"ok"
        with (
            HttpTransport(f"https://127.0.0.1:{port}", ca_file=str(authority[0])) as misnamed,
            pytest.raises(Unreachable, match="CertVerification"),
        ):
            misnamed.exchange(ask)
        with (
            HttpTransport(f"https://localhost:{port}") as stranger,
            pytest.raises(Unreachable, match="CertVerification"),
        ):
            stranger.exchange(ask)


def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def serve(wire: socket.socket, number: int) -> None:
        del number
        seen.append(head(wire))
        wire.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with listening(serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:my%20word@127.0.0.1:{port}")
        with (
            HttpTransport("https://sync.example:8443") as transport,
            pytest.raises(Unreachable, match="403"),
        ):
            transport.exchange(Request("GET", "/"))
    assert seen[0].startswith(b"CONNECT sync.example:8443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6bXkgd29yZA==\r\n" in seen[0]


def test_which_proxy_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_to("sync.example") is None
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    found = proxy_to("sync.example")
    assert found is not None
    assert (found.host, found.port, found.headers) == ("proxy.example", 3128, {})
    monkeypatch.setenv("NO_PROXY", "sync.example")
    assert proxy_to("sync.example") is None
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    with pytest.raises(Unreachable, match="socks5"):
        proxy_to("other.example")
