"""Ledgers by stick at the server: the same admission, and the receipts that go back."""

from __future__ import annotations

from keys.errors import KeyStoreError
from server.core import ServerCore
from server.ingest import Answer, refuse
from sync.envelope import Part, ReceiptFile, decode_parts, open_part, recipient_id
from sync.errors import EnvelopeInvalid
from sync.protocol import StatusWord, decode_problem, decode_size


async def take_part(core: ServerCore, part: Part) -> Answer:
    """Admits one part of a batch file, as if it had come over the network.

    Raises:
        DatabaseFault: nothing was acknowledged.
        Overloaded: nothing was taken.
    """
    if part.recipient_id != recipient_id(core.home.recipient):
        return refuse(
            StatusWord.MALFORMED,
            "the file is encrypted to another server; nothing was taken, carry it there",
        )
    try:
        batch = open_part(part, core.home.decrypt)
    except (EnvelopeInvalid, KeyStoreError) as error:
        return refuse(StatusWord.MALFORMED, f"{error}; nothing was taken, export it again")
    return await core.ingest.take_batch(batch, carrier="file")


async def take_file(core: ServerCore, data: bytes) -> ReceiptFile:
    """Admits a batch file part by part; importing it twice gives the same receipts.

    Raises:
        EnvelopeInvalid: not whole, or of more than one ledger; nothing was taken.
        DatabaseFault: the part under way was not acknowledged; import the file again.
    """
    parts = decode_parts(data)
    ledger = parts[0].ledger
    if any(part.ledger != ledger for part in parts):
        raise EnvelopeInvalid("a file carries one ledger")
    notes: list[bytes] = []
    status, size = StatusWord.OK.value, 0
    for part in parts:
        answer = await take_part(core, part)
        if answer.status == 200:
            notes.append(answer.body)
            size = part.old_size + part.count
            continue
        if answer.status == 409:
            status, size = StatusWord.NEED_FROM.value, decode_size(answer.body)
        else:
            status = decode_problem(answer.body, status=answer.status).status_word
        break
    return ReceiptFile(ledger, status, size, tuple(notes))
