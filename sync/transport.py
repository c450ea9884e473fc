"""How requests reach the server: the port, HTTPS, and an in-memory port for tests and scenarios.

A transport knows no protocol. It brings one bounded request to the server and one bounded answer
back, or raises ``Unreachable``; then whether the server acted is unknown, and every request of
this protocol may be sent again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.parse import unquote, urlsplit

from sync.connections import Connections, Limits
from sync.errors import Malformed, Unreachable
from sync.protocol import TUF_PATH, integer

if TYPE_CHECKING:
    import ssl

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0
#: Longest a whole exchange may take, whatever trickles in: an endless answer is no answer.
EXCHANGE_TIMEOUT_S: Final = 120.0
ANSWER_BYTES_MAX: Final = 2 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: ``GET`` or ``POST``.
        target: path with query, beginning with a slash.
        headers: names in any case.
        body: whole body.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        body: whole body, within the limit asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def integer(self, name: str) -> int | None:
        """A header's value as an integer, ``None`` if absent or anything else."""
        try:
            return integer(self.headers.get(name.lower(), ""), name)
        except Malformed:
            return None


class Transport(Protocol):
    """The way to one server."""

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """Sends a request and waits for the answer.

        Args:
            request: what to send.
            bytes_max: longest body to accept; a longer one counts as no answer.

        Raises:
            Unreachable: no whole answer; whether the server acted is unknown.
        """

    def close(self) -> None:
        """Gives connections back; closing twice is harmless."""


class MemoryTransport:
    """Hands requests to a function in this process; the network can be cut or lose an answer.

    Attributes:
        connected: while false every exchange fails before the server sees it.
        lose_answers: the answers of so many of the next exchanges are lost after the server acted.
    """

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        """Takes the server's side."""
        self._answer = answer
        self.connected = True
        self.lose_answers = 0

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """As ``Transport.exchange``."""
        if not self.connected:
            raise Unreachable("the network is cut; nothing was sent")
        response = self._answer(request)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise Unreachable("the answer was lost; sending again is safe")
        return _bounded(response, bytes_max)

    def close(self) -> None:
        """Nothing to give back."""


class FolderTransport:
    """The downlink from a directory, such as a stick that another terminal or the server filled.

    Args:
        folder: what would stand under ``/v1/tuf/`` at the server.
    """

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet."""
        self._folder = folder

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """Answers a GET under ``/v1/tuf/``; as ``Transport.exchange``."""
        parts = unquote(request.target.removeprefix(TUF_PATH)).split("/")
        if not request.target.startswith(TUF_PATH) or any(
            part in {"", ".", ".."} for part in parts
        ):
            return Response(404, {}, b"")
        start, stop = _span(request.headers.get("Range", ""))
        try:
            with self._folder.joinpath(*parts).open("rb") as file:
                file.seek(start)
                body = file.read(bytes_max + 1 if stop is None else stop + 1 - start)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return Response(404, {}, b"")
        except OSError as error:
            raise Unreachable(f"{self._folder} cannot be read: {error}") from error
        return _bounded(Response(200 if stop is None else 206, {}, body), bytes_max)

    def close(self) -> None:
        """Nothing to give back."""


def _span(header: str) -> tuple[int, int | None]:
    found = re.fullmatch(r"bytes=([0-9]{1,15})-([0-9]{1,15})", header)
    return (int(found.group(1)), int(found.group(2))) if found else (0, None)


class HttpTransport:
    """HTTPS (HTTP on a loopback) with time and size limits; follows no redirects.

    Args:
        base_url: scheme, host and port of the server, such as ``https://sync.example``.
        ca_file: PEM file of the authorities to trust instead of the system's.
        timeout_s: longest wait for a connection, for each piece of an answer and for the whole of
            it, instead of the usual ones.
    """

    def __init__(
        self, base_url: str, *, ca_file: str | None = None, timeout_s: float | None = None
    ) -> None:
        """Checks the address; connects with the first exchange."""
        if not _is_allowed(base_url):
            raise Malformed(
                f"{base_url!r} is not an https address; plain http is for loopback only"
            )
        self._base_url = base_url.rstrip("/")
        limits = Limits(
            timeout_s or CONNECT_TIMEOUT_S,
            timeout_s or READ_TIMEOUT_S,
            timeout_s or EXCHANGE_TIMEOUT_S,
        )
        self._lines = Connections(self._base_url, limits, partial(_trusted, ca_file))

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """As ``Transport.exchange``."""
        headers = {"Accept-Encoding": "identity", **request.headers}
        asked = (request.method, request.target, headers, request.body)
        try:
            return Response(*self._lines.exchange(*asked, bytes_max))
        except (OSError, HTTPException, UnicodeError) as error:
            kind = type(error).__name__
            raise Unreachable(
                f"no answer from {self._base_url} ({kind}: {error}); sending again is safe"
            ) from error

    def close(self) -> None:
        """Closes kept connections."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _is_allowed(base_url: str) -> bool:
    """Whether it is an https address, or http on a loopback, with a port that is a number."""
    try:
        parts = urlsplit(base_url)
        local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        schemes = {"http", "https"} if local else {"https"}
        return bool(parts.hostname) and parts.port != 0 and parts.scheme in schemes
    except ValueError:
        return False


def _trusted(ca_file: str | None) -> ssl.SSLContext:
    """What an https server is checked against: a file of one's own, else the system's."""
    import ssl

    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    return ssl.create_default_context(capath=_system_authorities() or None)


def _system_authorities() -> str:
    """The system's folder of authorities by the hashes of their names; empty when it has none.

    OpenSSL reads from it the one authority that it needs; the bundle of all takes a megabyte.
    """
    import os
    import ssl

    folder = ssl.get_default_verify_paths().capath
    if folder is None or "SSL_CERT_FILE" in os.environ:
        return ""
    return folder if any(Path(folder).glob("[0-9a-f]*.0")) else ""


def _bounded(response: Response, bytes_max: int) -> Response:
    if len(response.body) > bytes_max:
        raise Unreachable(f"the answer is longer than {bytes_max} bytes; it was not used")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status, headers, response.body)
