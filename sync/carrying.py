"""Ledgers by stick: export, relay of files that this terminal cannot read, receipts back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.errors import NoteInvalid
from ledger.log.checkpoint import parse as parse_checkpoint
from ledger.log.merkle import Frontier
from ledger.log.note import Verifier, split_note
from sync.batch import Entries, ledger_of, next_batch
from sync.envelope import (
    FILE_BYTES_MAX,
    FILES_PATH,
    PART_BYTES_MAX,
    PART_MEDIA_TYPE,
    PARTS_MAX,
    Part,
    ReceiptFile,
    decode_parts,
    decode_receipts,
    encode_parts,
    encode_receipts,
    seal,
    write_file,
)
from sync.errors import EnvelopeInvalid, Malformed, Overloaded, ReceiptInvalid, Refused, Unreachable
from sync.protocol import RECEIPT_BYTES_MAX, StatusWord, decode_size
from sync.receipts import extend, open_receipt, prove
from sync.state import StoredReceipt, SyncState
from sync.transport import Request, Transport
from sync.uplink import SyncStatus, check_answer, refused_status


@dataclass(frozen=True, slots=True)
class CarryResult:
    """What an export or import did.

    Attributes:
        status: how it ended; ``need_from`` asks for an export from ``size``.
        ledger: whose entries they are.
        size: entries that the server is known to hold.
        pending: entries of this terminal's own ledger without a receipt.
        entries: entries written or relayed.
        receipts: receipts verified.
        written: the file written, ``None`` if none.
        detail: what happened and what to do, empty if all went well.
    """

    status: SyncStatus
    ledger: str
    size: int
    pending: int
    entries: int = 0
    receipts: int = 0
    written: Path | None = None
    detail: str = ""


def export_batches(source: Entries, start: int, recipient: str, path: Path) -> CarryResult:
    """Writes all entries from ``start``, encrypted to the server, as one file.

    What does not fit into one file stays for the next, after the receipts are back.

    Raises:
        LedgerError: the log cannot be read.
        OSError: the medium is full or gone.
    """
    ledger = ledger_of(source.origin)
    parts: list[Part] = []
    at, used = start, 0
    while len(parts) < PARTS_MAX and used + PART_BYTES_MAX <= FILE_BYTES_MAX:
        batch = next_batch(source, at)
        if batch is None:
            break
        part = seal(batch, recipient)
        parts.append(part)
        at = batch.end
        used += len(part.sealed) + len(part.checkpoint) + 256
    pending = max(0, source.size - start)
    if not parts:
        return CarryResult(SyncStatus.OK, ledger, start, pending, detail="nothing to carry")
    write_file(path, encode_parts(parts))
    return CarryResult(SyncStatus.OK, ledger, start, pending, entries=at - start, written=path)


def import_receipts(
    source: Entries, state: SyncState, witness: Verifier, data: bytes
) -> CarryResult:
    """Takes the receipts that came back; every one is verified against this ledger's entries.

    Raises:
        EnvelopeInvalid: the file is not whole, or is for another ledger.
        ReceiptInvalid: a receipt does not prove what it should; those before it were kept.
    """
    file = decode_receipts(data)
    ledger = ledger_of(source.origin)
    if file.ledger != ledger:
        raise EnvelopeInvalid(f"these receipts are for the ledger {file.ledger}, not {ledger}")
    known, taken = state.acknowledged(), 0
    for note in file.receipts:
        cosigned = open_receipt(note, witness, source.origin)
        if cosigned.checkpoint.size <= known.size:
            continue
        proved = prove(note, witness, source, known)
        known = proved.frontier
        state.add_receipt(StoredReceipt(known.size, note, proved.time_s), known)
        taken += 1
    status = _status(file.status)
    if status is SyncStatus.NEED_FROM and file.size < known.size:
        known = extend(Frontier(), source, file.size)
        state.rewind(known)
    detail = "" if status is SyncStatus.OK else f"the server answered {file.status}"
    pending = max(0, source.size - known.size)
    return CarryResult(status, ledger, known.size, pending, receipts=taken, detail=detail)


def relay(transport: Transport, witness: Verifier, path: Path, data: bytes) -> CarryResult:
    """Brings a file to the server that this terminal cannot read, and writes the receipt file.

    The receipt file lies beside the batch file, named ``<name>.receipt``. Relaying twice is a
    replay: the server answers with the same receipts.

    Raises:
        EnvelopeInvalid: the file is not whole, or mixes ledgers.
        OSError: the receipt file cannot be written.
    """
    parts = decode_parts(data)
    ledger, origin = parts[0].ledger, _origin(parts[0])
    if any(part.ledger != ledger or _origin(part) != origin for part in parts):
        raise EnvelopeInvalid("a file carries one ledger")
    notes: list[bytes] = []
    status, size, sent, detail = SyncStatus.OK, 0, 0, ""
    for part in parts:
        try:
            answer = _relay_part(transport, part)
            if isinstance(answer, int):
                status, size = SyncStatus.NEED_FROM, answer
                detail = f"the server holds {size} entries: export again from there"
                break
            size = open_receipt(answer, witness, origin).checkpoint.size
        except Overloaded as error:
            status, detail = SyncStatus.OVERLOADED, str(error)
            break
        except Unreachable as error:
            status, detail = SyncStatus.OFFLINE, str(error)
            break
        except Refused as refusal:
            status, detail = refused_status(refusal), refusal.problem.detail
            break
        except ReceiptInvalid as error:
            status, detail = SyncStatus.UNVERIFIED, str(error)
            break
        notes.append(answer)
        sent += part.count
    result = CarryResult(status, ledger, size, 0, sent, len(notes), None, detail)
    if status in {SyncStatus.OFFLINE, SyncStatus.OVERLOADED, SyncStatus.UNVERIFIED} and not notes:
        return result
    back = path.with_name(path.name + ".receipt")
    word = status.value if status is not SyncStatus.UNVERIFIED else StatusWord.OVERLOADED.value
    write_file(back, encode_receipts(ReceiptFile(ledger, word, size, tuple(notes))))
    return CarryResult(status, ledger, size, 0, sent, len(notes), back, detail)


def _relay_part(transport: Transport, part: Part) -> bytes | int:
    headers = {"Content-Type": PART_MEDIA_TYPE}
    request = Request("POST", FILES_PATH, headers, encode_parts([part]))
    response = transport.exchange(request, bytes_max=RECEIPT_BYTES_MAX)
    if response.status == 409:
        try:
            return decode_size(response.body)
        except Malformed as error:
            raise ReceiptInvalid(f"a 409 without a size: {error}") from error
    check_answer(response)
    return response.body


def _origin(part: Part) -> str:
    try:
        origin = parse_checkpoint(split_note(part.checkpoint)[0]).origin
    except NoteInvalid as error:
        raise EnvelopeInvalid(f"a part's checkpoint cannot be read: {error}") from error
    if ledger_of(origin) != part.ledger:
        raise EnvelopeInvalid(f"a part names the ledger {part.ledger}, its checkpoint {origin}")
    return origin


def _status(word: str) -> SyncStatus:
    try:
        return SyncStatus(word)
    except ValueError:
        return SyncStatus.REFUSED
