"""The counter's daily work over the loopback API: one route for each path of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal import work_paths
from terminal.web.api import Api

if TYPE_CHECKING:
    from terminal.counterwork import CounterWork


class WorkApi:
    """Routes over :class:`terminal.counterwork.CounterWork`, served by the API's threads."""

    def __init__(
        self, api: Api, work: Callable[[], CounterWork], positions: tuple[str, ...]
    ) -> None:
        self._api = api
        self._work = work
        self._positions = positions

    def routes(self) -> list[Route]:
        """All of them."""
        asks = [Route(f"/api/{path}", self._ask, name=path) for path in work_paths.QUESTIONS]
        acts = [
            Route(f"/api/{path}", self._act, methods=["POST"], name=path)
            for path in work_paths.ACTS
        ]
        return [*asks, *acts]

    async def _ask(self, request: Request) -> Response:
        path = request.url.path.removeprefix("/api/")
        query = dict(request.query_params)
        return await self._api.answer(
            lambda: work_paths.ask(self._work(), self._positions, path, query)
        )

    async def _act(self, request: Request) -> Response:
        path = request.url.path.removeprefix("/api/")

        def work(body: Mapping[str, Any]) -> object:
            return work_paths.act(self._work(), self._positions, path, body)

        return await self._api.act(request, work)
