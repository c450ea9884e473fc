"""The loopback JSON API: what the command line and other local programs ask a running terminal.

Bodies and answers are JSON; problems are RFC 9457. A tap that was decided, also a decline, is 200:
the outcome stands in the document. Always behind :class:`terminal.web.guard.Guard`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import LogFault
from screens.web import PROBLEM_JSON
from terminal.answers import plain
from terminal.errors import (
    CollectionState,
    GoodsRefused,
    NoCard,
    PositionUnknown,
    PracticeUnavailable,
    RequestInvalid,
    ShiftState,
    TerminalError,
)
from terminal.surface import TerminalSurface

T = TypeVar("T")

RECENT_MAX: Final = 200
REQUESTS_AT_ONCE_MAX: Final = 32

#: HTTP status and stable word of each error that a caller can do something about.
PROBLEMS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (RequestInvalid, 400, "invalid"),
    (PositionUnknown, 404, "position_unknown"),
    (NoCard, 408, "no_card"),
    (ShiftState, 409, "shift_state"),
    (CollectionState, 409, "collection_state"),
    (GoodsRefused, 409, "goods_refused"),
    (PracticeUnavailable, 409, "practice_unavailable"),
    (LogFault, 503, "ledger_fault"),
    (TerminalError, 503, "terminal_fault"),
)

_TAP_FIELDS: Final[Mapping[str, type]] = {
    "position": str,
    "offer": str,
    "nonce": str,
    "quantity": int,
    "companions": int,
    "evidence": dict,
    "supervisor": str,
    "supervisor_pin": str,
    "reason": str,
    "simulate": bool,
    "reservation": str,
    "hold": str,
    "wait_ms": int,
}
_VOID_FIELDS: Final[Mapping[str, type]] = {
    "position": str,
    "nonce": str,
    "reason": str,
    "void_nonce": str,
    "supervisor": str,
    "supervisor_pin": str,
}


class Api:
    """The routes over one terminal.

    Work runs in threads of its own, since a tap may wait minutes for its card: no request waits for
    another, and the event loop can end without them.
    """

    def __init__(self, surface: TerminalSurface) -> None:
        self._surface = surface
        self._threads = ThreadPoolExecutor(REQUESTS_AT_ONCE_MAX, "api")

    def routes(self) -> list[Route]:
        """All routes, to be mounted beside the pages."""
        return [
            Route("/api/health", self.health),
            Route("/api/status", self.status),
            Route("/api/positions", self.positions),
            Route("/api/view", self.view),
            Route("/api/choices", self.choices),
            Route("/api/totals", self.totals),
            Route("/api/recent", self.recent),
            Route("/api/outcome", self.outcome),
            Route("/api/unshown", self.unshown),
            Route("/api/tap", self.tap, methods=["POST"]),
            Route("/api/void", self.void, methods=["POST"]),
            Route("/api/acknowledge", self.acknowledge, methods=["POST"]),
            Route("/api/dismiss", self.dismiss, methods=["POST"]),
            Route("/api/sync", self.sync, methods=["POST"]),
            Route("/api/shift/open", self.open_shift, methods=["POST"]),
            Route("/api/shift/close", self.close_shift, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """Whether taps can be recorded; 503 when the ledger cannot be written."""
        del request
        status = await self._in_thread(self._surface.status)
        document = {"ok": not status.fault, "fault": status.fault, "ledger": status.ledger}
        return JSONResponse(document, 503 if status.fault else 200)

    async def status(self, request: Request) -> Response:
        """``TerminalSurface.status``."""
        del request
        return await self.answer(self._surface.status)

    async def positions(self, request: Request) -> Response:
        """Names of the positions."""
        del request
        return await self.answer(lambda: {"positions": self._surface.positions()})

    async def view(self, request: Request) -> Response:
        """The whole state of one position."""
        position = self._position(request)
        return await self.answer(lambda: self._surface.snapshot_view(position))

    async def choices(self, request: Request) -> Response:
        """Dry runs for the card at hand."""
        position = self._position(request)
        return await self.answer(lambda: {"choices": self._surface.choices(position)})

    async def totals(self, request: Request) -> Response:
        """Counts of the shift or day."""
        position = self._position(request)
        return await self.answer(lambda: self._surface.totals(position))

    async def recent(self, request: Request) -> Response:
        """The newest acts, at most ``?limit=``."""
        position = self._position(request)
        text = request.query_params.get("limit", "20")
        limit = min(int(text), RECENT_MAX) if text.isascii() and text.isdigit() else 20
        return await self.answer(lambda: {"recent": self._surface.recent(position, limit)})

    async def outcome(self, request: Request) -> Response:
        """What was recorded under ``?nonce=``; null when nothing was."""
        nonce = request.query_params.get("nonce", "")
        return await self.answer(lambda: {"answer": self._surface.outcome_of(nonce)})

    async def unshown(self, request: Request) -> Response:
        """The tap that an interruption hid, or null."""
        position = self._position(request)
        return await self.answer(lambda: {"unshown": self._surface.last_unshown(position)})

    async def tap(self, request: Request) -> Response:
        """One redemption; ``nonce`` is required (case 6)."""

        def work(body: Mapping[str, Any]) -> object:
            fields = _fields(body, _TAP_FIELDS)
            position = fields.pop("position", None) or self._surface.positions()[0]
            offer, nonce = fields.pop("offer", ""), fields.pop("nonce", "")
            return self._surface.tap(position, offer, nonce, **fields)

        return await self.act(request, work)

    async def void(self, request: Request) -> Response:
        """Takes a redemption back."""

        def work(body: Mapping[str, Any]) -> object:
            fields = _fields(body, _VOID_FIELDS)
            position = fields.pop("position", None) or self._surface.positions()[0]
            nonce, reason = fields.pop("nonce", ""), fields.pop("reason", "")
            return self._surface.void(position, nonce, reason=reason, **fields)

        return await self.act(request, work)

    async def acknowledge(self, request: Request) -> Response:
        """The answer to a nonce was shown."""

        def work(body: Mapping[str, Any]) -> object:
            fields = _fields(body, {"position": str, "nonce": str})
            self._surface.acknowledge(fields.get("position", ""), fields.get("nonce", ""))
            return {}

        return await self.act(request, work)

    async def dismiss(self, request: Request) -> Response:
        """Ends the card session and any shown answer."""

        def work(body: Mapping[str, Any]) -> object:
            self._surface.dismiss(_fields(body, {"position": str}).get("position", ""))
            return {}

        return await self.act(request, work)

    async def sync(self, request: Request) -> Response:
        """One push and pull; an unreachable server is a status."""

        def work(body: Mapping[str, Any]) -> object:
            _fields(body, {})
            return self._surface.sync_now()

        return await self.act(request, work)

    async def open_shift(self, request: Request) -> Response:
        """Opens a shift."""

        def work(body: Mapping[str, Any]) -> object:
            fields = _fields(body, {"position": str, "operator": str})
            return self._surface.open_shift(fields.get("position", ""), fields.get("operator", ""))

        return await self.act(request, work)

    async def close_shift(self, request: Request) -> Response:
        """Closes the shift with its totals."""

        def work(body: Mapping[str, Any]) -> object:
            return self._surface.close_shift(_fields(body, {"position": str}).get("position", ""))

        return await self.act(request, work)

    async def act(self, request: Request, work: Callable[[Mapping[str, Any]], object]) -> Response:
        """Reads the body, works in a thread and answers."""
        try:
            body = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            return problem(RequestInvalid("the body is not JSON", field="body"))
        if not isinstance(body, dict):
            return problem(RequestInvalid("the body is one JSON object", field="body"))
        return await self.answer(lambda: work(body))

    async def answer(self, work: Callable[[], object]) -> Response:
        """Works in a thread and answers with a plain document, or with a problem."""
        try:
            return JSONResponse(plain(await self._in_thread(work)))
        except (TerminalError, LogFault) as error:
            return problem(error)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _position(self, request: Request) -> str:
        return request.query_params.get("position") or self._surface.positions()[0]


def api_routes(surface: TerminalSurface) -> list[Route]:
    """The routes of the API over a terminal."""
    from terminal.web.sheets import Sheets
    from terminal.web.work_api import WorkApi

    def work() -> Any:
        return surface.work

    api, positions = Api(surface), surface.positions()
    more = [*WorkApi(api, work, positions).routes(), *Sheets(work, positions).routes()]
    # The counter's own shift paths do what the plain ones do, and count goods besides.
    return [*more, *api.routes()]


def _fields(body: Mapping[str, Any], known: Mapping[str, type]) -> dict[str, Any]:
    """The body's fields, each of its exact type; ``true`` is no number.

    Raises:
        RequestInvalid: an unknown field, or one of the wrong type.
    """
    for name, value in body.items():
        if name not in known:
            raise RequestInvalid(
                f"is not known; known are {', '.join(sorted(known)) or 'none'}", field=name[:64]
            )
        if type(value) is not known[name]:
            raise RequestInvalid(f"must be of type {known[name].__name__}", field=name)
    return dict(body)


def problem(error: Exception) -> Response:
    """The problem document of an error: what happened, whether anything was used, what to do."""
    status, word = next(
        (status, word) for kind, status, word in PROBLEMS if isinstance(error, kind)
    )
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": status,
        "detail": str(error),
        "status_word": getattr(error, "word", word),
    }
    if isinstance(error, RequestInvalid):
        document["field"] = error.field
        document["detail"] = f"{error}. Nothing was recorded"
    return JSONResponse(document, status, media_type=PROBLEM_JSON)
