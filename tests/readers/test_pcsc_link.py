"""Exchanges in the caller's own thread: one that hangs is cut off, others are not."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from readers import pcsc_link
from readers.pcsc_link import Link, linked
from tests.readers.stack import PATIENCE_S


@pytest.fixture
def service() -> Iterator[Path]:
    """A socket that listens under the service's name and never says a word."""
    with TemporaryDirectory(prefix="link") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / pcsc_link.SOCKET_NAME
        listener.bind(str(path))
        listener.listen()
        yield path


def _connect(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


def _link(path: Path) -> tuple[socket.socket, Link]:
    library, link = linked("test", lambda: _connect(path))
    assert link is not None
    return library, link


def test_a_call_that_hangs_ends_in_time_and_leaves_no_thread(service: Path) -> None:
    library, link = _link(service)
    with library, pytest.raises(TimeoutError, match="no answer in 60 ms"):
        link.call(library.recv, 1, limit_ms=60)
    with pytest.raises(TimeoutError):
        link.call(int, limit_ms=60)  # the connection is gone for good
    link.close()
    assert _gone("test limit")


def test_calls_in_time_return_what_they_return_and_raise_what_they_raise(service: Path) -> None:
    library, link = _link(service)
    with library:
        assert link.call(pow, 2, 5, limit_ms=1_000) == 32
        with pytest.raises(ZeroDivisionError):
            link.call(divmod, 1, 0, limit_ms=1_000)
        link.rest()
        assert threading.active_count() > 1
        # a limit that is over while nothing runs cuts nothing
        assert link.call(os.getpid, limit_ms=1) == os.getpid()
        link.rest()
        library.setblocking(False)
        with pytest.raises(BlockingIOError):
            link.call(library.recv, 1, limit_ms=1_000)
    link.close()
    assert _gone("test limit")


def test_only_the_services_own_socket_is_taken(service: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        made, link = linked("test", lambda: socket.create_connection(other.getsockname()))
        made.close()
        assert link is None
    assert linked("test", lambda: 7) == (7, None)
    pair, link = linked("test", lambda: (_connect(service), _connect(service)))
    assert link is None, "which of the two it is cannot be told"
    for one in pair:
        one.close()


def test_where_sockets_cannot_be_told_and_while_another_connects(
    service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(pcsc_link, "_DESCRIPTORS", Path("/nowhere"))
        library, link = linked("test", lambda: _connect(service))
        library.close()
        assert link is None
    monkeypatch.setattr(pcsc_link, "CONNECTING_S", 0.01)
    with pcsc_link._connecting:
        library, link = linked("test", lambda: _connect(service))
        library.close()
    assert link is None


def _gone(name: str) -> bool:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(PATIENCE_S)
            return not thread.is_alive()
    return True
