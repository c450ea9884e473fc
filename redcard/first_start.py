"""A machine's first start: the page that activates it, on the port where its kiosk will be.

No command is needed: the machine's own start-up runs ``redcard kiosk``, and whoever unpacks it
scans the letter's QR. Afterwards the same process goes on as the kiosk, on the same address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from readers.supervision import CardReader
from terminal.answers import ReaderShown, TapAnswer
from terminal.clock import Clock
from terminal.home import Home
from terminal.setup_text import SetupText, read_setup

if TYPE_CHECKING:
    from redcard.serving import Serving
    from sync.transport import Transport
    from terminal.service import TerminalService

PRACTICE_WAIT_MS: Final = 45_000


class FirstStartHost:
    """Does to the machine what the page asks for (``terminal.web.first_start.SetupHost``)."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        readers: Callable[[Home], Sequence[CardReader]],
        transport: Callable[[Home], Transport] | None = None,
    ) -> None:
        """Nothing is done yet.

        Args:
            path: the folder of the home.
            clock: the machine's clock.
            readers: makes the drivers of a home, not started.
            transport: the way to a home's server instead of HTTP.
        """
        self._transport = transport
        self._path = path
        self._clock = clock
        self._readers = readers
        self._service: TerminalService | None = None
        self.finished: Callable[[], None] = lambda: None
        self.done = False

    def activate(self, text: str) -> str:
        """See ``SetupHost``; what an interruption left behind is completed by the same code."""
        from keys.errors import KeyStoreError
        from ledger.errors import LogFault
        from sync.errors import SyncError, Unreachable
        from terminal.errors import ConfigInvalid, EnrolmentRefused, TerminalError

        try:
            self._activate(read_setup(text))
        except ConfigInvalid:
            return "invalid"
        except EnrolmentRefused:
            return "refused"
        except Unreachable:
            return "unreachable"
        except (TerminalError, KeyStoreError, LogFault, SyncError, OSError):
            return "machine"
        return ""

    def _activate(self, setup: SetupText) -> None:
        from terminal.composition import open_terminal
        from terminal.enrolment import enrol

        if setup.server:
            home = Home.create(self._path, setup.configuration())
        else:
            home = Home.open(self._path)
        transport = (self._transport or _http)(home)
        try:
            enrol(home, setup.code, transport, self._clock)
        finally:
            transport.close()
        own = self._transport(home) if self._transport is not None else None
        self._service = open_terminal(home, self._clock, self._readers(home), transport=own)
        self._service.start()
        self._service.sync_now()

    def reader(self) -> ReaderShown:
        """See ``SetupHost``."""
        service = self._service
        if service is None:
            return ReaderShown("", "absent")
        return service.snapshot_view(service.positions()[0]).reader

    def set_pin(self, pin: str) -> bool:
        """See ``SetupHost``."""
        from keys.errors import SecretInvalid
        from terminal.staff import StaffPin

        try:
            StaffPin(self._path / "staff.json").set(pin.strip())
        except SecretInvalid:
            return False
        return True

    def practise(self) -> TapAnswer | None:
        """See ``SetupHost``: a dry run of the real decision, with a real card."""
        from terminal.errors import NoCard

        service = self._service
        if service is None:
            return None
        position = service.positions()[0]
        view = service.snapshot_view(position)
        offer = view.offer or next(iter(view.tiles), None)
        try:
            return service.tap(
                position,
                offer.id if offer is not None else "",
                service.parts.new_nonce(),
                simulate=True,
                wait_ms=PRACTICE_WAIT_MS,
            )
        except NoCard:
            return None

    def finish(self) -> None:
        """See ``SetupHost``; the page's server ends, and the kiosk takes its place."""
        self.close()
        self.done = True
        self.finished()

    def close(self) -> None:
        """Lets go of ledger and readers."""
        service, self._service = self._service, None
        if service is not None:
            service.close()


def _http(home: Home) -> Transport:
    from sync.transport import HttpTransport

    return HttpTransport(home.config.server)


def is_new(path: Path) -> bool:
    """Whether a folder holds no enrolled terminal."""
    return not (path / "enrolment.json").exists()


def serve_first_start(
    host: FirstStartHost,
    path: Path,
    clock: Clock,
    *,
    port: int,
    ready: Callable[[Serving], None],
) -> bool:
    """Serves the first page until the machine is in service, or Ctrl-C; whether it is.

    Args:
        host: what is done to the machine.
        path: the folder of its home, made if missing.
        clock: the machine's clock.
        port: loopback port, the one of the kiosk.
        ready: told where the page is, once it answers.

    Raises:
        SurroundingsMissing: the port is taken.
    """
    import uvicorn

    from redcard.serving import AnnouncingServer, Serving, listen, monotonic_ms
    from terminal.web.app import create_setup_app
    from terminal.web.token import kept_token

    for folder in (path, path / "run"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = listen(port)
    token = kept_token(path / "run" / "pages.json", clock.boot_id())
    serving = Serving(listener.getsockname()[1], token)
    with listener:
        app = create_setup_app(host, token=token, port=serving.port, monotonic_ms=monotonic_ms)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", ws="none"
        )
        server = AnnouncingServer(config, lambda: ready(serving))

        def end() -> None:
            server.should_exit = True

        host.finished = end
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            host.close()
    return host.done
