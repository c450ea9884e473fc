"""Batches and receipts as files that anyone may carry (``docs/protocol.md``).

A batch file is one or more parts, each a clear header (old size, signed checkpoint, recipient key
id) and the entries encrypted by age to the server: whoever carries or relays it can see how much it
holds and for whom, and nothing else. A receipt file brings back what the server answered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.log.disk import sync_directory
from sync.errors import EnvelopeInvalid
from sync.protocol import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    CHECKPOINT_BYTES_MAX,
    INTEGER_MAX,
    RECEIPT_BYTES_MAX,
    Batch,
)

FILE_BYTES_MAX: Final = 64 << 20
PARTS_MAX: Final = 1_000
#: What age adds at most to a payload of one batch: header and a tag for each 64 KiB.
SEAL_BYTES_MAX: Final = 4_096
PART_BYTES_MAX: Final = BATCH_BYTES_MAX + SEAL_BYTES_MAX + CHECKPOINT_BYTES_MAX + 256
PART_MEDIA_TYPE: Final = "application/vnd.redcard.batch-file"
#: Path that takes one part of a batch file by POST, from whoever carries it.
FILES_PATH: Final = "/v1/files"

_PART: Final = re.compile(
    rb"redcard-batch/v1\nledger ([a-z2-7]{26})\nold (0|[1-9][0-9]{0,15})\ncount ([1-9][0-9]{0,2})\n"
    rb"checkpoint ([1-9][0-9]{0,4})\nrecipient ([0-9a-f]{16})\nsealed ([1-9][0-9]{0,6})\n\n"
)
_RECEIPTS: Final = re.compile(
    rb"redcard-receipt/v1\nledger ([a-z2-7]{26})\nstatus ([a-z_]{1,32})\n"
    rb"size (0|[1-9][0-9]{0,15})\nreceipts (0|[1-9][0-9]{0,3})\n\n"
)
_RECEIPT: Final = re.compile(rb"receipt ([1-9][0-9]{0,4})\n")
_HEAD_BYTES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Part:
    """One batch of a file, its entries still sealed.

    Attributes:
        ledger: ledger id; a claim until the checkpoint's signature is verified.
        old_size: position of the first entry.
        count: number of entries.
        checkpoint: the signed checkpoint at which the batch ends.
        recipient_id: names the age recipient, see ``recipient_id``.
        sealed: the encrypted entries.
    """

    ledger: str
    old_size: int
    count: int
    checkpoint: bytes
    recipient_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """What goes back on the stick.

    Attributes:
        ledger: ledger id.
        status: how the last part ended, a word of ``StatusWord``.
        size: entries that the server holds.
        receipts: cosigned checkpoints, byte for byte.
    """

    ledger: str
    status: str
    size: int
    receipts: tuple[bytes, ...]


def recipient_id(recipient: str) -> str:
    """Names an age recipient in 16 hexadecimal digits: SHA-256, first 8 bytes."""
    return sha256(recipient.encode("utf-8")).digest()[:8].hex()


def seal(batch: Batch, recipient: str) -> Part:
    """Encrypts the entries of a batch to the server.

    Args:
        batch: what to carry.
        recipient: the server's age X25519 recipient, ``age1…``.

    Raises:
        EnvelopeInvalid: the recipient is not one.
    """
    import pyrage

    lines = b"".join(entry + b"\n" for entry in batch.entries)
    try:
        sealed = pyrage.encrypt(lines, [pyrage.x25519.Recipient.from_str(recipient)])
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise EnvelopeInvalid(f"the server's recipient key cannot be used: {error}") from error
    return Part(
        batch.ledger,
        batch.old_size,
        len(batch.entries),
        batch.checkpoint,
        recipient_id(recipient),
        sealed,
    )


def open_part(part: Part, decrypt: Callable[[bytes], bytes]) -> Batch:
    """Decrypts a part; the result goes to the same admission as one that came by HTTP.

    Args:
        part: as read from a file.
        decrypt: age with the identity that ``part.recipient_id`` names; its errors pass through.

    Raises:
        EnvelopeInvalid: the entries are not the number that the header says, or too large.
    """
    lines = decrypt(part.sealed)
    if len(lines) > len(part.sealed) or len(lines) > BATCH_BYTES_MAX:
        raise EnvelopeInvalid("the sealed entries are larger than their envelope")
    entries = lines.split(b"\n")
    if entries[-1] != b"" or len(entries) != part.count + 1:
        raise EnvelopeInvalid(f"the envelope must hold exactly {part.count} entries")
    return Batch(part.ledger, part.old_size, tuple(entries[:-1]), part.checkpoint)


def encode_parts(parts: Iterable[Part]) -> bytes:
    """Returns the bytes of a batch file."""
    pieces: list[bytes] = []
    for part in parts:
        head = (
            f"redcard-batch/v1\nledger {part.ledger}\nold {part.old_size}\ncount {part.count}\n"
            f"checkpoint {len(part.checkpoint)}\nrecipient {part.recipient_id}\n"
            f"sealed {len(part.sealed)}\n\n"
        )
        pieces += [head.encode("ascii"), part.checkpoint, part.sealed]
    data = b"".join(pieces)
    decode_parts(data)
    return data


def decode_parts(data: bytes) -> tuple[Part, ...]:
    """Reads a batch file; ``encode_parts`` of the result is ``data`` again.

    Raises:
        EnvelopeInvalid: not whole, or beyond a limit; nothing was used.
    """
    if len(data) > FILE_BYTES_MAX:
        raise EnvelopeInvalid(f"a batch file has at most {FILE_BYTES_MAX} bytes")
    parts: list[Part] = []
    at = 0
    while at < len(data) or not parts:
        if len(parts) == PARTS_MAX:
            raise EnvelopeInvalid(f"a batch file has at most {PARTS_MAX} parts")
        part, at = _part(data, at)
        parts.append(part)
    return tuple(parts)


def _part(data: bytes, at: int) -> tuple[Part, int]:
    head = _PART.match(data, at, min(len(data), at + _HEAD_BYTES_MAX))
    if head is None:
        raise EnvelopeInvalid(f"at byte {at}: a part begins with the lines of redcard-batch/v1")
    ledger, recipient = head.group(1).decode("ascii"), head.group(5).decode("ascii")
    old_size, count, length, sealed = (int(head.group(index)) for index in (2, 3, 4, 6))
    if count > BATCH_ENTRIES_MAX or old_size > INTEGER_MAX - count:
        raise EnvelopeInvalid(f"at byte {at}: a part has 1 to {BATCH_ENTRIES_MAX} entries")
    if length > CHECKPOINT_BYTES_MAX or sealed > BATCH_BYTES_MAX + SEAL_BYTES_MAX:
        raise EnvelopeInvalid(f"at byte {at}: the part is larger than a batch may be")
    start = head.end()
    middle, end = start + length, start + length + sealed
    if end > len(data):
        raise EnvelopeInvalid("the file ends inside a part: copy it again, nothing was used")
    part = Part(ledger, old_size, count, data[start:middle], recipient, data[middle:end])
    return part, end


def encode_receipts(file: ReceiptFile) -> bytes:
    """Returns the bytes of a receipt file."""
    head = (
        f"redcard-receipt/v1\nledger {file.ledger}\nstatus {file.status}\nsize {file.size}\n"
        f"receipts {len(file.receipts)}\n\n"
    )
    notes = b"".join(b"receipt %d\n%s" % (len(note), note) for note in file.receipts)
    data = head.encode("ascii") + notes
    decode_receipts(data)
    return data


def decode_receipts(data: bytes) -> ReceiptFile:
    """Reads a receipt file; it proves nothing before its receipts are verified.

    Raises:
        EnvelopeInvalid: not whole, or beyond a limit.
    """
    head = _RECEIPTS.match(data, 0, min(len(data), _HEAD_BYTES_MAX))
    if head is None or len(data) > FILE_BYTES_MAX:
        raise EnvelopeInvalid("a receipt file begins with the lines of redcard-receipt/v1")
    count, size = int(head.group(4)), int(head.group(3))
    if count > PARTS_MAX or size > INTEGER_MAX:
        raise EnvelopeInvalid(f"a receipt file has at most {PARTS_MAX} receipts")
    notes: list[bytes] = []
    at = head.end()
    for _ in range(count):
        line = _RECEIPT.match(data, at, min(len(data), at + 32))
        if line is None or int(line.group(1)) > RECEIPT_BYTES_MAX:
            raise EnvelopeInvalid(f"at byte {at}: a receipt begins with its length")
        at = line.end() + int(line.group(1))
        if at > len(data):
            raise EnvelopeInvalid("the file ends inside a receipt: copy it again")
        notes.append(data[line.end() : at])
    if at != len(data):
        raise EnvelopeInvalid(f"at byte {at}: nothing may follow the last receipt")
    return ReceiptFile(
        head.group(1).decode("ascii"), head.group(2).decode("ascii"), size, tuple(notes)
    )


def is_receipt_file(data: bytes) -> bool:
    """Whether the file says that it holds receipts."""
    return data.startswith(b"redcard-receipt/")


def read_file(path: Path) -> bytes:
    """Reads a file from a stick.

    Raises:
        EnvelopeInvalid: larger than any batch file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise EnvelopeInvalid(f"{path}: a batch file has at most {FILE_BYTES_MAX} bytes")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; it is on the medium when this returns.

    Raises:
        OSError: the medium is full or gone; an older file of this name is untouched.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
