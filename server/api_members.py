"""The route by which the member system sends its lists itself."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request

from server.api import Core, body_of, responses_of
from server.errors import BatchUnreadable, ImportRefused

members_router = APIRouter()
LIST_BYTES_MAX: Final = 1 << 30
NOTE_CHARACTERS_MAX: Final = 4_096
Note = Annotated[str, Header(max_length=NOTE_CHARACTERS_MAX, description="base64")]


@members_router.post(
    "/v1/members",
    summary="Bring a signed list of members and cards",
    response_description="rows read, states changed, faulty rows with their line",
    openapi_extra=body_of("text/csv"),
    responses=responses_of({}, 400, 413, 429, 503),
)
async def post_members(request: Request, core: Core, redcard_note: Note) -> dict[str, Any]:
    """Takes a CSV whose signed note stands in the header ``Redcard-Note``, base64.

    Sending the same list again answers the same; nothing is taken twice.
    """
    try:
        note = base64.b64decode(redcard_note, validate=True)
    except ValueError:
        raise ImportRefused("Redcard-Note: the signed note in base64") from None
    await core.member_feed.check(note)  # before a byte of the list is read
    with core.ingest.place("members"), tempfile.NamedTemporaryFile(dir=core.home.path) as kept:
        total = 0
        async for piece in request.stream():
            total += len(piece)
            if total > LIST_BYTES_MAX:
                raise BatchUnreadable(f"a list has at most {LIST_BYTES_MAX} bytes; nothing taken")
            kept.write(piece)
        kept.flush()
        report = await core.member_feed.take(Path(kept.name), note)
    return asdict(report)
