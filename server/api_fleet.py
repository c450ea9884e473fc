"""Routes by which terminals tell of themselves: health, and problems that people report there."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from server.api import Core, Ledger, body_of, read_body, responses_of
from server.questions import origin_of_asker
from sync.health import (
    HEALTH_MEDIA_TYPE,
    REPORT_BYTES_MAX,
    decode_health,
    decode_problem,
)

fleet_router = APIRouter()
_REFUSALS: Final = (400, 401, 403, 404, 413, 429, 503)


async def _report(ledger: str, request: Request, core: Core) -> bytes:
    """Reads a report that the ledger's own terminal signed."""
    body = await read_body(request, REPORT_BYTES_MAX)
    target = request.scope["raw_path"].decode("latin-1")
    header = request.headers.get("authorization", "")
    await origin_of_asker(core, ledger, header=header, target=target, body=body)
    return body


@fleet_router.post(
    "/v1/logs/{ledger}/health",
    summary="A terminal's state: queue, snapshot, clock, readers, version",
    openapi_extra=body_of(HEALTH_MEDIA_TYPE),
    responses=responses_of({}, *_REFUSALS),
)
async def post_health(ledger: Ledger, request: Request, core: Core) -> Response:
    """Keeps the newest report; nothing is decided by it."""
    with core.ingest.place(f"health {ledger}"):
        report = decode_health(await _report(ledger, request, core))
        await core.fleet_desk.take_health(ledger, report)
    return Response(status_code=200)


@fleet_router.post(
    "/v1/logs/{ledger}/problems",
    summary="A problem that somebody reports at a terminal",
    openapi_extra=body_of(HEALTH_MEDIA_TYPE),
    responses=responses_of({}, *_REFUSALS),
)
async def post_problem(ledger: Ledger, request: Request, core: Core) -> Response:
    """Opens a case for the federation's desk; sending it again opens no second one."""
    with core.ingest.place(f"problems {ledger}"):
        report = decode_problem(await _report(ledger, request, core))
        await core.fleet_desk.take_problem(ledger, report)
    return Response(status_code=200)
