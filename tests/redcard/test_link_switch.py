"""The demo's network cable, between real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from redcard.link_switch import LinkSwitch


@pytest.fixture
def echo() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while data := peer.recv(4096):
                    peer.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def ask(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(text)
        return line.recv(100)


def test_a_pulled_cable_cuts_and_a_cable_put_back_works(echo: int) -> None:
    link = LinkSwitch(echo)
    link.start()
    try:
        assert ask(link.port, b"hello") == b"hello"
        standing = socket.create_connection(("127.0.0.1", link.port), timeout=5)
        standing.sendall(b"x")
        assert standing.recv(1) == b"x"
        link.switch(on=False)
        with pytest.raises(ConnectionError):
            while standing.recv(1):
                pass
            raise ConnectionResetError
        standing.close()
        try:
            assert ask(link.port, b"lost") == b""
        except ConnectionError:
            pass
        link.switch(on=True)
        assert ask(link.port, b"again") == b"again"
    finally:
        link.stop()
