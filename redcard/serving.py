"""Serves a terminal on loopback: the one writer, its readers, pages and API in one process.

Import it where it is used: it brings the whole terminal along.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn

from readers.supervision import CardReader
from redcard.errors import SurroundingsMissing, UsageInvalid
from terminal.clock import Clock
from terminal.composition import open_terminal
from terminal.home import ApiAddress, Home
from terminal.receipts.printer import PrintDesk
from terminal.web.api import api_routes
from terminal.web.app import create_app
from terminal.web.token import kept_token

HOST: Final = "127.0.0.1"
STOP_TIMEOUT_S: Final = 5
#: Where a kiosk listens unless its configuration says otherwise.
KIOSK_PORT: Final = 8_411


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the pages are; the key in an address becomes a cookie when it is opened."""

    port: int
    token: str

    def page(self, path: str) -> str:
        """Address of a page, with the key that opens it."""
        joint = "&" if "?" in path else "?"
        return f"http://{HOST}:{self.port}{path}{joint}key={self.token}"


class AnnouncingServer(uvicorn.Server):
    """An HTTP server that says once that it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        """Calls ``started`` from the event loop after start-up."""
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to answer, then says so."""
        await super().startup(sockets)
        if self.started:
            self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the pages' event streams first, so that an open page does not hold up the stop."""
        end_streams = getattr(self.config.app, "end_streams", None)
        if end_streams is not None:
            end_streams()
        await super().shutdown(sockets)


def serve_terminal(
    home: Home,
    clock: Clock,
    readers: Sequence[CardReader],
    *,
    port: int | None = None,
    token: str = "",
    framed_by: Iterable[str] = (),
    ready: Callable[[Serving], None] = lambda _serving: None,
) -> None:
    """Serves until SIGTERM or SIGINT; returns after the ledger is closed.

    Args:
        home: an enrolled home.
        clock: the machine's clock, or the demo's.
        readers: drivers, not started.
        port: loopback port; ``None`` takes the one of ``terminal.toml``, 0 any free one.
        token: secret that opens the pages; the one of this boot of the machine when empty.
        framed_by: origins that may show the pages in a frame.
        ready: told where the pages are, once they answer.

    Raises:
        LogLocked: another process serves this home.
        SurroundingsMissing: the port is taken.
    """
    printer = print_desk(home)
    listener = _listen_for(home) if port is None else listen(port)
    token = token or kept_token(home.path / "run" / "pages.json", clock.boot_id())
    serving = Serving(listener.getsockname()[1], token)
    with listener:
        service = open_terminal(home, clock, readers)
        try:
            app = create_app(
                service,
                token=serving.token,
                port=serving.port,
                monotonic_ms=monotonic_ms,
                framed_by=framed_by,
                api=api_routes(service),
                printer=printer,
            )
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=STOP_TIMEOUT_S,
                ws="none",
            )
            server = AnnouncingServer(config, lambda: _announce(home, serving, ready))
            service.start()
            if printer is not None:
                service.work.printer_fault = lambda: printer.shown.detail
                printer.start()
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            home.forget_api()
            if printer is not None:
                printer.stop()
            service.close()


def print_desk(home: Home) -> PrintDesk | None:
    """The printer of ``terminal.toml``, not started; ``None`` when it names none."""
    config = home.config.printer
    if config is None:
        return None
    from terminal.receipts.escpos import PAPERS, Glyphs, Model, QrBy
    from terminal.receipts.ports import port_of

    paper = PAPERS[config.paper_mm]
    model = Model(paper=paper, glyphs=Glyphs(config.glyphs), qr=QrBy(config.qr), cuts=config.cuts)
    try:
        port = port_of(config.port, paper, base=home.path, baudrate=config.baudrate)
    except ValueError as error:
        raise UsageInvalid(
            f"the printer {config.port!r} {error}", next_step="correct [printer] in terminal.toml"
        ) from None
    return PrintDesk(port, model, auto=config.auto)


def _listen_for(home: Home) -> socket.socket:
    """The port of ``terminal.toml``; a kiosk has a fixed one, so that its browser finds it."""
    kiosk = any(position.profile == "kiosk" for position in home.config.positions)
    if home.config.port or home.config.demo or not kiosk:
        return listen(home.config.port)
    try:
        return listen(KIOSK_PORT)
    except SurroundingsMissing:
        # A second kiosk on this machine takes any port; its address is printed.
        return listen(0)


def _announce(home: Home, serving: Serving, ready: Callable[[Serving], None]) -> None:
    home.write_api(ApiAddress(serving.port, serving.token, os.getpid()))
    ready(serving)


def listen(port: int) -> socket.socket:
    """Takes a port on loopback.

    Raises:
        SurroundingsMissing: it is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise SurroundingsMissing(
            f"port {port} on {HOST} cannot be used: {error.strerror}",
            next_step="choose another `port` in terminal.toml, or 0 for any",
        ) from error


def monotonic_ms() -> int:
    """A monotonic clock in milliseconds, for how long pages show a result."""
    return time.monotonic_ns() // 1_000_000


def stop_on_signal() -> None:
    """Turns SIGTERM into the same orderly end as Ctrl-C."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
