"""The demo's page: a box of cards, the kiosk and the counter in frames, and the two numbers.

Everything here is for the demo and says so. The page does nothing itself: it calls
:class:`CardBoxActions`, which the demo implements over a virtual reader, a cable that can be
pulled, and a terminal whose power can be cut.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from screens.language import Language, negotiate
from screens.serving import LocalSite
from screens.web import (
    LANGUAGE_COOKIE,
    PagePolicy,
    environment,
    install_problem_pages,
    language_of,
    shared_static,
)
from terminal.web.guard import Guard

#: How long a card lies on the reader after a click, like a hand that holds it there.
TAP_HOLD_SECONDS: Final = 1.2
COUNTS_PERIOD_SECONDS: Final = 0.25
BEAT_SECONDS: Final = 8.0
SLOTS: Final = ("kiosk", "counter")
_PACKAGE: Final = "redcard"


@dataclass(frozen=True, slots=True)
class DemoCard:
    """One card of the box, or a representative's bundle.

    Attributes:
        id: what :meth:`CardBoxActions.insert` takes.
        kind: ``good``, ``bundle``, ``blocked``, ``expired``, ``unknown``, ``forged`` or another
            word; it chooses the picture.
        slots: readers on which it makes sense to lay it.
        count: how many cards the bundle has.
    """

    id: str
    title: str
    title_en: str
    kind: str
    slots: tuple[str, ...] = SLOTS
    count: int = 1


@dataclass(frozen=True, slots=True)
class Counts:
    """What the number pane shows.

    Attributes:
        signed: redemptions and voids in this terminal's ledger.
        confirmed: those under a receipt of the server.
        pending: entries of all kinds without a receipt.
        connected: state of the network switch.
        powered: false while the power is cut.
        now_ms: the demo clock.
        reader: what the cards are laid on, for example ``pcscd`` or ``in-process``.
        doing: one sentence on what is under way, or empty.
    """

    signed: int
    confirmed: int
    pending: int
    connected: bool
    powered: bool
    now_ms: int
    reader: str = ""
    doing: str = ""


@dataclass(frozen=True, slots=True)
class TamperReport:
    """What verify said of a copy of the ledger in which one byte was changed.

    Attributes:
        entry: sequence number of the entry that was changed, as verify named it.
        detail: verify's own sentence.
        original_ok: the untouched ledger verifies.
        size: entries in it.
    """

    entry: int
    detail: str
    original_ok: bool
    size: int


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One offer of the month."""

    title: str
    title_en: str
    level: str
    persons: int
    person_times: int


@dataclass(frozen=True, slots=True)
class MonthReport:
    """The server's report of the month, beside what the terminal recorded."""

    year: int
    month: int
    recorded: int
    confirmed: int
    lost: int
    twice: int
    lines: tuple[ReportLine, ...] = field(default=())


class CardBoxActions(Protocol):
    """What the buttons do. Every method may block and is called in a worker thread."""

    def cards(self) -> Sequence[DemoCard]:
        """The box, in the order of its buttons."""

    def insert(self, card: str, slot: str) -> None:
        """Lays a card on the reader of ``kiosk`` or ``counter``; a card there is taken off."""

    def remove(self, slot: str) -> None:
        """Takes the card off the reader; nothing happens when there is none."""

    def network(self, *, on: bool) -> None:
        """Plugs or pulls the terminal's network."""

    def power_cut(self) -> None:
        """Cuts the terminal's power in the middle of a tap, and gives it back."""

    def tap_five(self) -> None:
        """Five members tap at the kiosk, one after the other."""

    def tamper(self) -> TamperReport:
        """Changes one byte of a copy of the ledger and verifies it."""

    def report(self) -> MonthReport:
        """The month's report."""

    def counts(self) -> Counts:
        """The numbers; cheap, asked several times a second."""


class CardBox:
    """The routes of the page."""

    def __init__(
        self, actions: CardBoxActions, frames: Mapping[str, str], office: str = ""
    ) -> None:
        """Shows ``actions``; ``frames`` gives the addresses of the kiosk and counter pages.

        ``office`` is the address that opens the server's pages, empty where there are none.
        """
        self._actions = actions
        self._office = office
        self._frames = dict(frames)
        origins = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in frames.values()}
        self._policy = PagePolicy(frames=sorted(origins)).headers()
        self._holds: dict[str, asyncio.Task[None]] = {}
        self._outcome: tuple[str, TamperReport | MonthReport] | None = None
        self._powered: Counts | None = None
        self._busy = ""
        self._closing = False

    def routes(self) -> list[Route | Mount]:
        """The page, its stream, its one way to act, and static files."""
        return [
            Route("/", self.page),
            Route("/events", self.events),
            Route("/act", self.act, methods=["POST"]),
            Mount("/static/screens", shared_static()),
            Mount("/static/demo", StaticFiles(packages=[(_PACKAGE, "static")])),
        ]

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """Ends streams and holds when the application ends."""
        del app
        yield
        self.end_streams()
        for hold in self._holds.values():
            hold.cancel()
        await asyncio.gather(*self._holds.values(), return_exceptions=True)

    def end_streams(self) -> None:
        """Ends every stream; the page opens a new one by itself."""
        self._closing = True

    async def page(self, request: Request) -> Response:
        """The whole page."""
        language = language_of(request)
        frames = {
            slot: f"{url}{'&' if '?' in url else '?'}{urlencode({'lang': language.value})}"
            for slot, url in self._frames.items()
        }
        context = await self._context()
        template = environment(language, _PACKAGE).get_template("card_box.html")
        html = template.render(
            **context,
            cards=await asyncio.to_thread(self._actions.cards),
            frames=frames,
            office=f"{self._office}&lang={language.value}" if self._office else "",
            events=f"/events?{urlencode({'lang': language.value})}",
        )
        response = HTMLResponse(html, headers=self._policy)
        if "lang" in request.query_params:
            response.set_cookie(LANGUAGE_COOKIE, language.value, samesite="strict", httponly=True)
        return response

    async def events(self, request: Request) -> Response:
        """The stream of numbers and outcomes."""
        language = negotiate(request.query_params.get("lang"))
        return StreamingResponse(
            self._stream(language),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def _stream(self, language: Language) -> AsyncIterator[str]:
        env = environment(language, _PACKAGE)
        last, silent = "", 0.0
        while not self._closing:
            context = await self._context()
            regions = {
                name: env.get_template(f"card_box_{name}.html").render(**context)
                for name in ("numbers", "outcome")
            }
            text = json.dumps({"regions": regions, "busy": self._busy}, ensure_ascii=False)
            if text != last:
                last, silent = text, 0.0
                yield f"data: {text}\n\n"
            elif silent >= BEAT_SECONDS:
                silent = 0.0
                yield "event: beat\ndata: 1\n\n"
            await asyncio.sleep(COUNTS_PERIOD_SECONDS)
            silent += COUNTS_PERIOD_SECONDS

    async def _context(self) -> dict[str, object]:
        counts = await asyncio.to_thread(self._actions.counts)
        if counts.powered:
            self._powered = counts
        elif self._powered is not None:
            # A terminal without power cannot count; what it had signed is still on its disk.
            last = self._powered
            counts = replace(
                counts, signed=last.signed, confirmed=last.confirmed, pending=last.pending
            )
        kind, outcome = self._outcome or ("", None)
        return {"counts": counts, "outcome_kind": kind, "outcome": outcome, "busy": self._busy}

    async def act(self, request: Request) -> Response:
        """One click: ``{"action", "card"?, "slot"?}``; slow ones run one at a time."""
        try:
            document = json.loads(await request.body())
        except ValueError as error:
            raise HTTPException(400) from error
        if not isinstance(document, dict):
            raise HTTPException(400)
        action, card, slot = (str(document.get(name, "")) for name in ("action", "card", "slot"))
        if action == "tap":
            await self._tap(card, slot)
        elif action in {"lay", "lift"} and slot in SLOTS:
            await self._move(action, card, slot)
        elif action == "close":
            self._outcome = None
        elif action in self._works() and not self._busy:
            self._busy = action
            try:
                await self._works()[action]()
            finally:
                self._busy = ""
        elif action not in self._works():
            raise HTTPException(400)
        return Response(status_code=204)

    def _works(self) -> dict[str, Callable[[], Awaitable[None]]]:
        async def network_on() -> None:
            await asyncio.to_thread(self._actions.network, on=True)

        async def network_off() -> None:
            await asyncio.to_thread(self._actions.network, on=False)

        async def power_cut() -> None:
            await asyncio.to_thread(self._actions.power_cut)

        async def tap_five() -> None:
            await asyncio.to_thread(self._actions.tap_five)

        async def tamper() -> None:
            self._outcome = ("tamper", await asyncio.to_thread(self._actions.tamper))

        async def report() -> None:
            self._outcome = ("report", await asyncio.to_thread(self._actions.report))

        return {
            "network-on": network_on,
            "network-off": network_off,
            "power-cut": power_cut,
            "tap-five": tap_five,
            "tamper": tamper,
            "report": report,
        }

    async def _tap(self, card: str, slot: str) -> None:
        cards = await asyncio.to_thread(self._actions.cards)
        if not any(one.id == card and slot in one.slots for one in cards):
            raise HTTPException(400)
        earlier = self._holds.pop(slot, None)
        if earlier is not None:
            earlier.cancel()
        await asyncio.to_thread(self._actions.insert, card, slot)
        self._holds[slot] = asyncio.create_task(self._lift(slot))

    async def _move(self, action: str, card: str, slot: str) -> None:
        """Lays a card down, or takes it off, and leaves it so."""
        earlier = self._holds.pop(slot, None)
        if earlier is not None:
            earlier.cancel()
        if action == "lift":
            await asyncio.to_thread(self._actions.remove, slot)
            return
        try:
            await asyncio.to_thread(self._actions.insert, card, slot)
        except KeyError as error:
            raise HTTPException(400) from error

    async def _lift(self, slot: str) -> None:
        await asyncio.sleep(TAP_HOLD_SECONDS)
        await asyncio.to_thread(self._actions.remove, slot)


def card_box_app(
    actions: CardBoxActions,
    *,
    frames: Mapping[str, str],
    token: str,
    port: int,
    office: str = "",
) -> LocalSite:
    """The demo page as an application for loopback.

    Args:
        actions: what the buttons do.
        frames: addresses of the pages to show, keys ``kiosk`` and ``counter``; with ``?key=`` so
            that the frames open by themselves.
        token: secret of this start; the printed address carries it as ``?key=``.
        port: loopback port on which the application will be served.
        office: address that opens the server's pages, with its own ``?key=``.
    """
    box = CardBox(actions, frames, office)
    app = Starlette(routes=box.routes(), lifespan=box.running)
    install_problem_pages(app)
    return LocalSite(Guard(app, token=token, port=port), box.end_streams)
