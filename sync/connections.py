"""Connections to one server by HTTP/1.1 (RFC 9112), kept for a moment, with the standard library.

A kiosk has sixty megabytes, and a general HTTP client takes five of them. Nothing here follows a
redirect, stores a cookie or decodes a body; an exchange ends in time whatever trickles in.
"""

from __future__ import annotations

import io
import os
import select
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from sync.errors import Unreachable

if TYPE_CHECKING:
    import ssl

#: How long an idle connection is used again: less than any box on the way forgets it.
KEPT_S: Final = 5.0
_PIECE_BYTES: Final = 64 << 10
#: What a target may hold as it stands; anything else goes out as ``%XX``.
_TARGET_CHARACTERS: Final = "/?&=%:@+,;!$'()*~-._[]"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each step may take, in seconds.

    Attributes:
        connect_s: for a connection, its encryption included.
        piece_s: for the next piece of an answer.
        whole_s: for the whole exchange once connected.
    """

    connect_s: float
    piece_s: float
    whole_s: float


class _Paced(io.RawIOBase):
    """An answer's bytes; none of them arrives after the deadline."""

    def __init__(self, wire: socket.socket, piece_s: float, until_s: float) -> None:
        self._wire, self._piece_s, self._until_s = wire, piece_s, until_s
        self._raw = wire.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        self._wire.settimeout(min(left_s, self._piece_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    def __init__(
        self, sock: socket.socket, *args: Any, piece_s: float, until_s: float, **kwargs: Any
    ) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Paced(sock, piece_s, until_s))


class Connections:
    """Kept connections to one server; safe from several threads.

    Args:
        base_url: scheme, host, port and the beginning of every target.
        limits: how long things may take.
        trust: makes the authorities that an https server is checked against.
    """

    def __init__(self, base_url: str, limits: Limits, trust: Callable[[], ssl.SSLContext]) -> None:
        """Connects with the first exchange."""
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "", parts.port
        self._secure, self._prefix = parts.scheme == "https", parts.path.rstrip("/")
        self._limits = limits
        self._make_trust = trust
        self._trust: ssl.SSLContext | None = None
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._lock = Lock()

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, bytes_max: int
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends one request; returns status, headers with names in lower case, and whole body.

        Raises:
            Unreachable: the answer is longer than ``bytes_max``, or ends early.
            OSError, HTTPException: no whole answer.
        """
        line = self._take()
        try:
            if line.sock is None:
                line.connect()
            line.sock.settimeout(self._limits.whole_s)
            until_s = time.monotonic() + self._limits.whole_s
            line.response_class = partial(  # type: ignore[assignment]
                _PacedResponse, piece_s=self._limits.piece_s, until_s=until_s
            )
            path = quote(self._prefix + target, safe=_TARGET_CHARACTERS)
            line.request(method, path, body or None, dict(headers))
            with line.getresponse() as answer:
                told = _headers(answer)
                whole = _body(answer, bytes_max)
                kept = not answer.will_close
        except BaseException:
            line.close()
            raise
        self._give_back(line, kept=kept)
        return answer.status, told, whole

    def close(self) -> None:
        """Closes what is kept; the next exchange connects anew."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, line in idle:
            line.close()

    def _take(self) -> HTTPConnection:
        """A kept connection that is still good, or a new one."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                since_s, line = self._idle.pop()
            # What may be read from an idle connection is its end.
            if time.monotonic() - since_s < KEPT_S and not _readable(line.sock):
                return line
            line.close()
        return self._new()

    def _give_back(self, line: HTTPConnection, *, kept: bool) -> None:
        if not kept:
            line.close()
            return
        with self._lock:
            self._idle.append((time.monotonic(), line))

    def _new(self) -> HTTPConnection:
        timeout = self._limits.connect_s
        if not self._secure:
            return HTTPConnection(self._host, self._port, timeout=timeout)
        if self._trust is None:
            self._trust = self._make_trust()
        through = proxy_to(self._host)
        if through is None:
            return HTTPSConnection(self._host, self._port, timeout=timeout, context=self._trust)
        line = HTTPSConnection(through.host, through.port, timeout=timeout, context=self._trust)
        line.set_tunnel(self._host, self._port or 443, dict(through.headers))
        return line


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that connections go through, and what it wants to be told."""

    host: str
    port: int
    headers: Mapping[str, str]


def proxy_to(host: str) -> Proxy | None:
    """The proxy of the environment (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) for a host.

    Raises:
        Unreachable: the environment names a proxy that is not reached by plain http.
    """
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Missing in the stubs alone.
    from urllib.request import (  # type: ignore[attr-defined]
        getproxies_environment,
        proxy_bypass_environment,
    )

    known = getproxies_environment()
    named = known.get("https") or known.get("all") or ""
    if not named or proxy_bypass_environment(host, known):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    if parts.scheme != "http" or not parts.hostname:
        raise Unreachable(
            f"the proxy of this machine is of the kind {parts.scheme!r}; set HTTPS_PROXY to an"
            " http:// address. Nothing was sent"
        )
    headers = {}
    if parts.username:
        words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + b64encode(words.encode()).decode("ascii")
    return Proxy(parts.hostname, parts.port or 80, headers)


def _readable(wire: socket.socket) -> bool:
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    return bool(poll.poll(0))


def _headers(answer: HTTPResponse) -> dict[str, str]:
    told: dict[str, str] = {}
    for name, value in answer.getheaders():
        before = told.get(name.lower())
        told[name.lower()] = value if before is None else f"{before}, {value}"
    return told


def _body(answer: HTTPResponse, bytes_max: int) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while piece := answer.read(min(_PIECE_BYTES, bytes_max + 1 - total)):
        pieces.append(piece)
        total += len(piece)
        if total > bytes_max:
            raise Unreachable(f"the answer is longer than {bytes_max} bytes; it was not used")
    if answer.length:
        raise HTTPException(f"the answer ended {answer.length} bytes too early")
    return b"".join(pieces)
