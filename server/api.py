"""Routes of the server's API (``docs/api.md``).

The hot path takes a raw body and never builds a model of it. Everything a terminal may ask is
either signed by its key, or the same for all terminals.
"""

from __future__ import annotations

import hmac
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from ledger.log.note import Ed25519Verifier
from server import administration
from server.carrying import take_file, take_part
from server.core import ServerCore
from server.errors import (
    BatchUnreadable,
    DatabaseFault,
    EnrolmentRefused,
    ImportRefused,
    RequestUnauthentic,
)
from server.ingest import Answer, refuse
from server.key_list import key_list
from server.operations import METRICS_MEDIA_TYPE
from server.questions import answer_hold, answer_lease, origin_of_asker
from server.telephone import answer_booking
from sync.asking import QUESTION_BYTES_MAX, QUESTION_MEDIA_TYPE
from sync.enrolment import ENROL_BYTES_MAX, decode_request, encode_enrolled
from sync.envelope import (
    FILE_BYTES_MAX,
    FILES_PATH,
    PART_BYTES_MAX,
    PART_MEDIA_TYPE,
    decode_parts,
    encode_receipts,
)
from sync.errors import EnvelopeInvalid, Malformed
from sync.protocol import (
    BATCH_BYTES_MAX,
    BATCH_MEDIA_TYPE,
    ENROL_PATH,
    INTEGER_MAX,
    NOTE_MEDIA_TYPE,
    TERMINALS_PATH,
    TUF_PATH,
    Problem,
    StatusWord,
    check_authorization,
    encode_problem,
)

router = APIRouter()
ACT_BYTES_MAX: Final = 256 << 20
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_TEXT: Final[dict[str, Any]] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_JSON: Final[dict[str, Any]] = {"content": {"application/json": {"schema": {"type": "object"}}}}
_PROBLEM: Final[dict[str, Any]] = {
    "content": {"application/problem+json": {"schema": {"type": "object"}}}
}


def responses_of(
    good: dict[str, Any], *statuses: int, size: bool = False
) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the OpenAPI document."""
    found: dict[int | str, dict[str, Any]] = {200: good} if good else {}
    if size:
        found[409] = {"description": "send from this size", **_TEXT}
    for status in statuses:
        found[status] = {"description": "a problem (RFC 9457)", **_PROBLEM}
    return found


def body_of(media_type: str) -> dict[str, Any]:
    """A body of one media type, for the OpenAPI document; plain bytes are taken as well.

    What the bytes must be is in ``docs/protocol.md``; a prober that knows nothing of it can send
    any.
    """
    content = {media_type: _BINARY, "application/octet-stream": _BINARY}
    return {"requestBody": {"required": True, "content": content}}


def core_of(request: Request) -> ServerCore:
    """The core that ``create_app`` was given."""
    core = request.app.state.core
    assert isinstance(core, ServerCore)
    return core


Core = Annotated[ServerCore, Depends(core_of)]
Ledger = Annotated[str, Path(pattern="^[a-z2-7]{26}$", description="ledger id")]
After = Annotated[int, Query(ge=0, le=INTEGER_MAX, description="records after this number")]


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Reads a body of at most ``bytes_max`` bytes and no more.

    Raises:
        BatchUnreadable: it is longer; the rest was not read.
    """
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said) > bytes_max:
        raise BatchUnreadable(f"the body has more than {bytes_max} bytes; nothing was taken")
    pieces: list[bytes] = []
    total = 0
    async for piece in request.stream():
        total += len(piece)
        if total > bytes_max:
            raise BatchUnreadable(f"the body has more than {bytes_max} bytes; nothing was taken")
        pieces.append(piece)
    return b"".join(pieces)


def _answer(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers, media_type=answer.media_type)


@router.post(
    "/v1/logs/{ledger}/entries",
    summary="Bring a batch of signed entries",
    response_description="the receipt: the checkpoint, cosigned when the batch was durable",
    openapi_extra=body_of(BATCH_MEDIA_TYPE),
    responses=responses_of(_TEXT, 400, 403, 404, 413, 422, 429, 503, size=True),
    response_class=Response,
)
async def post_entries(ledger: Ledger, request: Request, core: Core) -> Response:
    """Admits a batch; the answer comes when it is durable. Sending it again is always safe."""
    with core.ingest.place(ledger):
        body = await read_body(request, BATCH_BYTES_MAX)
        return _answer(await core.ingest.take(ledger, body))


@router.post(
    FILES_PATH,
    summary="Bring one part of a batch file, by whoever carries it",
    openapi_extra=body_of(PART_MEDIA_TYPE),
    responses=responses_of(_TEXT, 400, 403, 404, 413, 422, 429, 503, size=True),
    response_class=Response,
)
async def post_part(request: Request, core: Core) -> Response:
    """Opens a sealed part and admits it as if it had come over the network."""
    with core.ingest.place("files"):
        try:
            parts = decode_parts(await read_body(request, PART_BYTES_MAX))
        except EnvelopeInvalid as error:
            return _answer(refuse(StatusWord.MALFORMED, f"{error}; nothing was taken"))
        if len(parts) != 1:
            return _answer(refuse(StatusWord.MALFORMED, "send one part at a time"))
        return _answer(await take_part(core, parts[0]))


@router.post(
    "/v1/import",
    summary="Bring a whole batch file",
    response_description="the receipt file that goes back on the stick",
    openapi_extra=body_of("application/octet-stream"),
    responses=responses_of({"content": {"application/octet-stream": _BINARY}}, 400, 413, 429, 503),
    response_class=Response,
)
async def post_file(request: Request, core: Core) -> Response:
    """Admits every part of a batch file; what failed is said in the receipt file."""
    with core.ingest.place("files"):
        try:
            receipts = await take_file(core, await read_body(request, FILE_BYTES_MAX))
        except EnvelopeInvalid as error:
            return _answer(refuse(StatusWord.MALFORMED, f"{error}; nothing was taken"))
        return Response(encode_receipts(receipts), media_type="application/octet-stream")


async def authentic(ledger: Ledger, request: Request, core: Core) -> None:
    """Lets only the ledger's own terminal through.

    Raises:
        TerminalUnknown: no such ledger.
        RequestUnauthentic: not signed by it, or long ago.
    """
    _, vkeys = await core.origin_of(ledger)
    verifiers = [Ed25519Verifier.from_vkey(key) for key in vkeys]
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    problem = check_authorization(
        request.headers.get("authorization", ""),
        ledger=ledger,
        target=target,
        now_ms=core.now_ms(),
        verify=lambda message, signature: any(v.verify(message, signature) for v in verifiers),
    )
    if problem is not None:
        raise RequestUnauthentic(problem.detail, word=problem.status_word)


@router.get(
    "/v1/logs/{ledger}/judgements",
    summary="A terminal's judgements",
    response_description="a note signed by the server's judgement key",
    dependencies=[Depends(authentic)],
    responses=responses_of(_TEXT, 400, 401, 403, 404, 503),
    response_class=Response,
)
async def get_judgements(ledger: Ledger, core: Core, after: After = 0) -> Response:
    """Judgements after a revision, at most one page; what was sent before is judged first."""
    note = await core.judgements(ledger, after)
    return Response(note, headers=await core.standing(ledger), media_type=NOTE_MEDIA_TYPE)


@router.get(
    "/v1/logs/{ledger}/feed",
    summary="A terminal's own feed: leases and recalls",
    response_description="a note signed by the server's feed key",
    dependencies=[Depends(authentic)],
    responses=responses_of(_TEXT, 400, 401, 403, 404, 503),
    response_class=Response,
)
async def get_feed(ledger: Ledger, core: Core, after: After = 0) -> Response:
    """Feed items after a number, at most one page."""
    note = await core.feed(ledger, after)
    return Response(note, headers=await core.standing(ledger), media_type=NOTE_MEDIA_TYPE)


async def _question(ledger: str, request: Request, core: ServerCore) -> tuple[str, bytes]:
    """Reads a question; returns the origin of the ledger that signed it, and the body."""
    body = await read_body(request, QUESTION_BYTES_MAX)
    target = request.scope["raw_path"].decode("latin-1")
    header = request.headers.get("authorization", "")
    origin = await origin_of_asker(core, ledger, header=header, target=target, body=body)
    return origin, body


@router.post(
    "/v1/logs/{ledger}/holds",
    summary="Ask for a hold of an offer that is decided here",
    response_description="held or refused: a note signed by the server's feed key",
    openapi_extra=body_of(QUESTION_MEDIA_TYPE),
    responses=responses_of(_TEXT, 400, 401, 403, 404, 413, 429, 503),
    response_class=Response,
)
async def post_hold(ledger: Ledger, request: Request, core: Core) -> Response:
    """Decides by the rules with all that the server knows; asking again is always safe."""
    with core.ingest.place(f"holds {ledger}"):
        origin, body = await _question(ledger, request, core)
        note = await answer_hold(core, ledger, origin, body)
    return Response(note, media_type=NOTE_MEDIA_TYPE)


@router.post(
    "/v1/logs/{ledger}/leases",
    summary="Ask for more units of a leased stock",
    response_description="granted or empty: a note signed by the server's feed key",
    openapi_extra=body_of(QUESTION_MEDIA_TYPE),
    responses=responses_of(_TEXT, 400, 401, 403, 404, 413, 429, 503),
    response_class=Response,
)
async def post_lease(ledger: Ledger, request: Request, core: Core) -> Response:
    """Grants a few units while there are some; the lease itself comes by the feed."""
    with core.ingest.place(f"leases {ledger}"):
        origin, body = await _question(ledger, request, core)
        note = await answer_lease(core, ledger, origin, body)
    return Response(note, media_type=NOTE_MEDIA_TYPE)


@router.post(
    "/v1/logs/{ledger}/bookings",
    summary="Book a session for a caller",
    response_description="booked or why not: a note signed by the server's feed key",
    openapi_extra=body_of(QUESTION_MEDIA_TYPE),
    responses=responses_of(_TEXT, 400, 401, 403, 404, 413, 429, 503),
    response_class=Response,
)
async def post_booking(ledger: Ledger, request: Request, core: Core) -> Response:
    """Books at the terminal's own venue; the token comes by the feed."""
    with core.ingest.place(f"bookings {ledger}"):
        origin, body = await _question(ledger, request, core)
        note = await answer_booking(core, ledger, origin, body)
    return Response(note, media_type=NOTE_MEDIA_TYPE)


@router.post(
    ENROL_PATH,
    summary="Enrol a terminal by its one-time code",
    openapi_extra=body_of("application/json"),
    responses=responses_of(_JSON, 400, 403, 413, 503),
    response_class=Response,
)
async def post_enrol(request: Request, core: Core) -> Response:
    """Gives a ledger of its own to the key that the request proves."""
    body = await read_body(request, ENROL_BYTES_MAX)
    try:
        answer = await core.enrol(decode_request(body))
    except Malformed as error:
        return _answer(refuse(StatusWord.MALFORMED, f"{error}; nothing was enrolled"))
    except EnrolmentRefused as error:
        return _answer(refuse(StatusWord.ACTIVATION, f"{error}; nothing was enrolled"))
    return Response(encode_enrolled(answer), media_type="application/json")


@router.get(
    TERMINALS_PATH,
    summary="The signed list of all terminals' keys, by which anyone checks a receipt",
    responses=responses_of(_TEXT),
    response_class=Response,
)
async def get_terminals(core: Core) -> Response:
    """Signs the list as of now."""
    return Response(await key_list(core), media_type="text/plain")


@router.get(
    f"{TUF_PATH}metadata/timestamp.json",
    summary="The newest timestamp of what all terminals share",
    responses=responses_of(_JSON),
    response_class=Response,
)
async def get_timestamp(core: Core) -> Response:
    """Signs a new timestamp if the last one is old."""
    data = await core.publications.timestamp()
    return Response(data, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/healthz", summary="Whether the process answers")
async def get_health() -> dict[str, str]:
    """Answers without looking at anything."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the server can take work", responses=responses_of({}, 503))
async def get_ready(core: Core) -> dict[str, str]:
    """Answers when the database does."""
    await core.ready()
    return {"status": "ok"}


@router.get(
    "/metrics",
    summary="Figures for Prometheus, of no person",
    responses=responses_of(_TEXT, 503),
    response_class=Response,
)
async def get_metrics(request: Request, core: Core) -> Response:
    """Counts of answers of this process, and how much waits in the database."""
    try:
        data = await request.app.state.metrics.render(core)
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseFault("the database does not answer") from error
    return Response(data, media_type=METRICS_MEDIA_TYPE)


@router.post("/v1/admin/{act}", include_in_schema=False)
async def post_act(act: str, request: Request, core: Core) -> Response:
    """Carries out one act of the operator, who holds the token of this start."""
    token = request.app.state.token
    held = request.headers.get("authorization", "")
    if not token or not hmac.compare_digest(held.encode(), f"Bearer {token}".encode()):
        problem = Problem(403, "refused", "this is for the operator on this machine alone")
        return Response(encode_problem(problem), 403, media_type="application/problem+json")
    try:
        arguments = json.loads(await read_body(request, ACT_BYTES_MAX) or b"{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ImportRefused("arguments are one JSON object; nothing was done")
    document = await administration.carry_out(core, act, arguments)
    return Response(
        json.dumps(document, ensure_ascii=False).encode("utf-8"), media_type="application/json"
    )
