"""The terminal's local pages: the guard, the API and the live pages in one application.

``GET /kiosk`` and ``GET /counter`` are whole pages as they hold now; ``GET /events`` then streams
every change as whole regions; ``POST /act`` takes keys and touches. Bound to loopback by whoever
runs it, and behind :class:`terminal.web.guard.Guard` always.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from screens.language import Language, negotiate
from screens.sending import EventStream, StaticFolder
from screens.serving import LocalSite
from screens.web import LANGUAGE_COOKIE, environment, install_problem_pages, language_of
from screens.web import shared_static as shared
from terminal.surface import TerminalSurface
from terminal.web.guard import Guard
from terminal.web.stage import Stage

if TYPE_CHECKING:
    from terminal.receipts.printer import PrintDesk
    from terminal.web.first_start import FirstStart, SetupHost

#: How long a browser waits before it opens a broken stream again.
RETRY_MS: Final = 1_000
ACTION_CHARACTERS_MAX: Final = 128
#: A form in a panel, for example the goods counted at the end of a shift.
VALUE_CHARACTERS_MAX: Final = 8_000


class Pages:
    """The stages of all positions, and the routes that show them."""

    def __init__(
        self,
        surface: TerminalSurface | _NoTerminal,
        monotonic_ms: Callable[[], int],
        printer: PrintDesk | None = None,
    ) -> None:
        """Shows ``surface``; ``monotonic_ms`` times how long results stay."""
        self._printer = printer
        #: Makes the stage of a position; the first start of a machine has a stage of its own.
        self.make_stage: Callable[[str], Stage | FirstStart] = self._make_stage
        self._surface = surface
        self._monotonic_ms = monotonic_ms
        self._stages: dict[str, Stage | FirstStart] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        #: Names this start of the service; a page of another start reloads itself.
        self.boot = secrets.token_hex(8)

    def _make_stage(self, position: str) -> Stage:
        assert not isinstance(self._surface, _NoTerminal)
        return Stage(self._surface, position, self._monotonic_ms, self._printer)

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/", self.front),
            Route("/kiosk", self.page, name="kiosk"),
            Route("/counter", self.page, name="counter"),
            Route("/setup", self.page, name="setup"),
            Route("/events", self.events),
            Route("/act", self.act, methods=["POST"]),
            Mount("/static/screens", shared()),
            Mount("/static/terminal", StaticFolder("terminal.web")),
        ]

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """Follows the service while the application runs."""
        del app
        loop = asyncio.get_running_loop()
        for position in self._surface.positions():
            self._stages[position] = await asyncio.to_thread(self.make_stage, position)

        def changed(position: str) -> None:
            # A change after the loop closed has nobody left to tell.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._refresh, position)

        def paper_changed() -> None:
            for position in self._stages:
                changed(position)

        if self._printer is not None:
            self._printer.changed = paper_changed
        unsubscribe = self._surface.subscribe(changed)
        try:
            yield
        finally:
            unsubscribe()
            self.end_streams()
            if self._tasks:
                await asyncio.wait(set(self._tasks))

    def end_streams(self) -> None:
        """Ends every stream; a page opens a new one by itself."""
        self._closing = True
        for stage in self._stages.values():
            stage.wake()

    def _refresh(self, position: str) -> None:
        stage = self._stages.get(position)
        if stage is not None and not self._closing:
            task = asyncio.get_running_loop().create_task(stage.refresh())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _stage(self, position: str, page: str = "") -> Stage | FirstStart:
        """The stage of a position; without a name the first that this page draws."""
        for name, stage in self._stages.items():
            if position in ("", name) and page in ("", stage.page):
                return stage
        raise HTTPException(404)

    async def front(self, request: Request) -> Response:
        """Goes to the page of the first position."""
        del request
        stage = self._stage("")
        return RedirectResponse(f"/{stage.page}?{urlencode({'position': stage.position})}", 303)

    async def page(self, request: Request) -> Response:
        """A whole page as it holds now; it works before any script has run."""
        name = request.url.path.strip("/")
        stage = self._stage(request.query_params.get("position", ""), name)
        language = language_of(request)
        drawn = stage.draw(language)
        query = urlencode({"position": stage.position, "lang": language.value})
        template = environment(drawn.language, "terminal.web").get_template(f"{name}.html")
        html = template.render(
            page=name,
            scene=drawn.scene,
            boot=self.boot,
            body=drawn.body,
            events=f"/events?{query}",
            scene_position=stage.position,
        )
        response = HTMLResponse(html)
        if "lang" in request.query_params:
            response.set_cookie(LANGUAGE_COOKIE, language.value, samesite="strict", httponly=True)
        return response

    async def events(self, request: Request) -> Response:
        """The stream of one page (HTML Living Standard, server-sent events)."""
        stage = self._stage(request.query_params.get("position", ""))
        language = negotiate(request.query_params.get("lang"))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        stream = self._stream(stage, language)
        return EventStream(stream, headers)

    async def _stream(
        self, stage: Stage | FirstStart, language: Language
    ) -> AsyncGenerator[str, None]:
        changed = stage.watch()
        last = ""
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while not self._closing:
                changed.clear()
                drawn = stage.draw(language)
                text = json.dumps(drawn.message(self.boot), ensure_ascii=False)
                if text != last:
                    last = text
                    yield f"data: {text}\n\n"
                try:
                    # wait_for of Python 3.11 may lose a cancellation that comes with a change.
                    async with asyncio.timeout(self._patience(drawn.redraw_ms, stage.beat_s)):
                        await changed.wait()
                except TimeoutError:
                    if drawn.redraw_ms is None:
                        yield "event: beat\ndata: 1\n\n"
                        # The clock on the page goes on although nothing happened.
                        await stage.refresh()
        finally:
            stage.unwatch(changed)

    def _patience(self, redraw_ms: int | None, beat_s: float) -> float:
        if redraw_ms is None:
            return beat_s
        return max(0.0, (redraw_ms - self._monotonic_ms()) / 1000) + 0.001

    async def act(self, request: Request) -> Response:
        """A key or a touch: ``{"position", "action", "value"}``."""
        try:
            document = json.loads(await request.body())
        except ValueError as error:
            raise HTTPException(400) from error
        fields = ("position", "action", "value")
        if not isinstance(document, dict) or not all(
            isinstance(document.get(name), str)
            and len(document[name])
            <= (VALUE_CHARACTERS_MAX if name == "value" else ACTION_CHARACTERS_MAX)
            for name in fields
        ):
            raise HTTPException(400)
        stage = self._stage(document["position"])
        await stage.press(document["action"], document["value"])
        return Response(status_code=204)


class _NoTerminal:
    """The surface of a machine that is not activated yet: one position, the setup page."""

    def positions(self) -> tuple[str, ...]:
        """The setup page alone."""
        from terminal.web.first_start import POSITION

        return (POSITION,)

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Nothing changes but by its own page."""
        del callback
        return lambda: None


def create_setup_app(
    host: SetupHost, *, token: str, port: int, monotonic_ms: Callable[[], int]
) -> LocalSite:
    """The page of a machine's first start, behind the same guard.

    Args:
        host: what is done to the machine.
        token: secret of this start.
        port: loopback port on which it will be served.
        monotonic_ms: a monotonic clock, milliseconds.
    """
    from terminal.web.first_start import FirstStart

    pages = Pages(_NoTerminal(), monotonic_ms)
    pages.make_stage = lambda _position: FirstStart(host)
    app = Starlette(routes=pages.routes(), lifespan=pages.running)
    install_problem_pages(app)
    return LocalSite(Guard(app, token=token, port=port), pages.end_streams)


def create_app(
    surface: TerminalSurface,
    *,
    token: str,
    port: int,
    monotonic_ms: Callable[[], int],
    framed_by: Iterable[str] = (),
    api: Sequence[BaseRoute] = (),
    printer: PrintDesk | None = None,
) -> LocalSite:
    """Joins guard, API and pages.

    Args:
        surface: the running terminal.
        token: secret of this start, as in ``run/api.json``.
        port: loopback port on which the application will be served.
        monotonic_ms: a monotonic clock, milliseconds.
        framed_by: origins that may show the pages in a frame; only the demo names one.
        api: routes of the JSON API.
        printer: the receipt printer, started; without one the browser prints.
    """
    pages = Pages(surface, monotonic_ms, printer)
    app = Starlette(routes=[*api, *pages.routes()], lifespan=pages.running)
    install_problem_pages(app)
    return LocalSite(Guard(app, token=token, port=port, framed_by=framed_by), pages.end_streams)
