"""The web application of the server, and how it is run: FastAPI on uvicorn."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import LedgerError
from server.administration import RUN_FILE
from server.api import router
from server.api_fleet import fleet_router
from server.api_members import members_router
from server.core import ServerCore
from server.errors import (
    BatchUnreadable,
    DatabaseFault,
    Overloaded,
    RequestUnauthentic,
    ServerError,
    TerminalUnknown,
)
from server.home import write_private
from server.ingest import RETRY_AFTER_S
from server.operations import Metrics
from server.pages.mounting import mount_pages
from server.pages.office import Office
from server.published_files import PublishedFiles
from server.signals.watch import watch_forever
from sync.errors import SyncError
from sync.protocol import PROBLEM_MEDIA_TYPE, TIME_HEADER, TUF_PATH, Problem, encode_problem

#: Longest that requests under way may take when the server is told to stop.
STOP_TIMEOUT_S: Final = 20
_log = logging.getLogger("redcard.server.requests")


def create_app(core: ServerCore, *, token: str = "", judging: bool = True) -> FastAPI:
    """Makes the application around an opened core.

    Args:
        core: the server; whoever opened it closes it.
        token: lets the operator's commands in; empty lets nobody in.
        judging: whether this process judges in the background.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = None
        if judging:
            core.start_judging()
            watching = asyncio.create_task(watch_forever(core))
        yield
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await core.stop_judging()

    app = FastAPI(
        title="Redcard server",
        summary="Signed ledgers in, receipts and judgements out",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.core = core
    app.state.token = token
    app.include_router(router)
    app.include_router(fleet_router)
    app.include_router(members_router)
    app.mount(TUF_PATH.rstrip("/"), PublishedFiles(core.publications.shelf), name="tuf")
    _answer_problems(app, mount_pages(app, core))
    app.state.metrics = metrics = Metrics()
    app.add_middleware(ServerTime, now_ms=core.now_ms, metrics=metrics)
    return app


class ServerTime:
    """Puts the server's time on every answer, counts it and writes one line, of no person.

    The line holds method, route, status and duration. Ledger ids and paths of targets are in the
    route's place holders and stay out; query strings and bodies are never looked at.
    """

    def __init__(self, app: ASGIApp, now_ms: Callable[[], int], metrics: Metrics) -> None:
        """Wraps ``app``."""
        self._app = app
        self._now_ms = now_ms
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def timed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                stamp = str(self._now_ms()).encode("ascii")
                message["headers"] = [
                    *message["headers"],
                    (TIME_HEADER.lower().encode("ascii"), stamp),
                ]
            await send(message)

        try:
            await self._app(scope, receive, timed)
        finally:
            route = getattr(scope.get("route"), "path", "")
            took_s = time.monotonic() - began
            self._metrics.answered(scope["method"], route, status, took_s)
            line = {
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(took_s * 1000, 1),
            }
            _log.info(json.dumps(line))


def _answer_problems(app: FastAPI, office: Office) -> None:
    """Every refusal says what to do and shows no trace.

    A program gets a problem document (RFC 9457), a browser a page in its language.
    """

    async def declared(request: Request, error: Exception) -> Response:
        return await office.problem(request, error) if _is_browser(request) else problem_of(error)

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("a request failed", exc_info=error)
        if _is_browser(request):
            return await office.problem(request, error)
        detail = "the server met a fault; what was receipted is kept, send the request again"
        return _problem(Problem(500, "fault", detail))

    async def gone(_request: Request, _error: Exception) -> Response:
        # Nobody hears this; it is no fault of ours and nothing was taken.
        return _problem(Problem(400, "malformed", "the request was cut off; nothing was taken"))

    app.add_exception_handler(ClientDisconnect, gone)
    for kind in (ServerError, SyncError, LedgerError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, declared)
    app.add_exception_handler(Exception, unexpected)


def _is_browser(request: Request) -> bool:
    """Whether a person asked, not a program: a page is wanted, and not from the API."""
    wanted = request.headers.get("accept", "")
    return "text/html" in wanted and not request.url.path.startswith("/v1/")


def problem_of(error: Exception) -> Response:
    """The answer to a declared error."""
    detail = str(error)
    match error:
        case Overloaded():
            status = 429 if error.by_sender else 503
            answer = _problem(Problem(status, "overloaded", detail))
            answer.headers["Retry-After"] = str(error.retry_after_s)
        case DatabaseFault():
            answer = _problem(Problem(503, "overloaded", detail))
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        case TerminalUnknown():
            answer = _problem(Problem(404, "unknown_ledger", detail))
        case RequestUnauthentic():
            status = 401 if error.word == "stale_request" else 403
            answer = _problem(Problem(status, error.word, detail))
        case BatchUnreadable():
            answer = _problem(Problem(413, "malformed", detail))
            answer.headers["Connection"] = "close"  # the rest of the body was not read
        case RequestValidationError():
            answer = _problem(Problem(400, "malformed", _fields(error)))
        case HTTPException():
            answer = _problem(Problem(error.status_code, "refused", str(error.detail)))
        case _:
            answer = _problem(Problem(400, "malformed", detail))
    return answer


def _fields(error: RequestValidationError) -> str:
    named = [
        ".".join(str(part) for part in one["loc"]) + ": " + one["msg"] for one in error.errors()
    ]
    return "; ".join(named)


def _problem(problem: Problem) -> Response:
    return Response(encode_problem(problem), problem.status, media_type=PROBLEM_MEDIA_TYPE)


# Running.


async def serve(
    core: ServerCore,
    *,
    host: str = "",
    port: int | None = None,
    ready: Callable[[str], None] = lambda _url: None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves until told to stop by a signal or an event; requests under way end first.

    Args:
        core: the server; it is closed at the end.
        host: address to listen on; absent, as configured.
        port: port, 0 for any free one; absent, as configured.
        ready: told the address once the server listens.
        stop: ends serving when set, beside SIGINT and SIGTERM.
    """
    import uvicorn

    said_host, _, said_port = core.home.configuration.listen.rpartition(":")
    listening = _listen(host or said_host.strip("[]"), int(said_port) if port is None else port)
    url = _url(listening)
    token = secrets.token_urlsafe(32)
    app = create_app(core, token=token)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    held = _announce(core.home.path / RUN_FILE, {"url": url, "token": token})
    try:
        with _stopped_by_signals():
            await _serving(server, listening, stop, lambda: ready(url))
    finally:
        (core.home.path / RUN_FILE).unlink(missing_ok=True)
        held.close()
        await core.close()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Lets uvicorn end well at a signal; it raises the signal once more when it has ended.

    Without a handler of ours that would kill the process before the core is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _serving(
    server: Any, listening: socket.socket, stop: asyncio.Event | None, ready: Callable[[], None]
) -> None:
    waiting = asyncio.ensure_future(_until_stopped(server, stop, ready))
    try:
        await server.serve(sockets=[listening])
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def _until_stopped(
    server: Any, stop: asyncio.Event | None, ready: Callable[[], None]
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    ready()
    if stop is not None:
        await stop.wait()
        server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise DatabaseFault(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(path: Path, document: dict[str, str]) -> Any:
    """Writes how the operator's commands reach this process, and holds the file while it runs."""
    import fcntl

    path.parent.mkdir(exist_ok=True)
    write_private(path, json.dumps(document).encode("utf-8"))
    held = path.open("rb")
    fcntl.flock(held, fcntl.LOCK_EX)
    return held
