"""What a receipt proves: that the server held exactly this ledger's entries at a signed time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.errors import NoteInvalid
from ledger.log.checkpoint import Cosigned, verify_cosignature
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import Verifier
from sync.batch import Entries
from sync.errors import ReceiptInvalid
from sync.protocol import RECEIPT_BYTES_MAX

#: Entries read between two looks at the frontier.
_STEP: Final = 512


@dataclass(frozen=True, slots=True)
class Proved:
    """A verified receipt.

    Attributes:
        note: the cosigned checkpoint, byte for byte.
        time_s: when the server cosigned it, seconds since the epoch.
        frontier: the ledger's own tree at the size that it covers.
    """

    note: bytes
    time_s: int
    frontier: Frontier


def open_receipt(note: bytes, witness: Verifier, origin: str) -> Cosigned:
    """Verifies the server's cosignature on a receipt of one ledger.

    Raises:
        ReceiptInvalid: not a checkpoint of this ledger cosigned by the server's key.
    """
    if len(note) > RECEIPT_BYTES_MAX:
        raise ReceiptInvalid(f"a receipt has at most {RECEIPT_BYTES_MAX} bytes")
    try:
        cosigned = verify_cosignature(note, witness)
    except NoteInvalid as error:
        raise ReceiptInvalid(
            f"the answer is not a receipt by {witness.name} ({error}); nothing counts as confirmed"
        ) from error
    if cosigned.checkpoint.origin != origin:
        raise ReceiptInvalid(f"the receipt is for {cosigned.checkpoint.origin}, not for {origin}")
    return cosigned


def extend(frontier: Frontier, source: Entries, stop: int) -> Frontier:
    """The source's own tree at ``stop``, from a frontier of it at a smaller size."""
    for start in range(frontier.size, stop, _STEP):
        entries = source.entries(start, min(start + _STEP, stop))
        frontier = frontier.extend(leaf_hash(entry) for entry in entries)
    return frontier


def prove(
    note: bytes,
    witness: Verifier,
    source: Entries,
    known: Frontier,
    ahead: Frontier | None = None,
) -> Proved:
    """Verifies a receipt against the terminal's own entries.

    Args:
        note: what the server answered.
        witness: the server's cosigning key.
        source: the terminal's log.
        known: the log's tree at a size that the receipt is expected to exceed.
        ahead: the log's tree at the size where the receipt is expected, if it is computed already.

    Raises:
        ReceiptInvalid: not the server's, another history, less than is known already, or more
            than this ledger holds (its disk was restored from an older copy).
    """
    cosigned = open_receipt(note, witness, source.origin)
    size = cosigned.checkpoint.size
    if size <= known.size:
        raise ReceiptInvalid(f"the receipt covers {size} entries, {known.size} were known already")
    if size > source.size:
        raise ReceiptInvalid(
            f"the server holds {size} entries of this ledger, this disk only {source.size}"
        )
    frontier = ahead if ahead is not None and ahead.size == size else extend(known, source, size)
    if frontier.root() != cosigned.checkpoint.root:
        raise ReceiptInvalid(f"the receipt at size {size} is for other entries than those here")
    return Proved(note, cosigned.time_s, frontier)
