"""Admission of a batch: pure, one function for HTTP, files and scenarios.

Order: the checkpoint's signature first, so that nobody without the terminal's
key can harm a ledger; then sizes; then the root from the server's own frontier. Nothing here looks
into an entry: bytes under a verified root are always stored. Evidence is what anybody on the way
can cause, by altering entries of a batch they carry, so a server keeps a bounded number per ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, TypeAlias

from ledger.errors import NoteInvalid
from ledger.log.checkpoint import Checkpoint
from ledger.log.checkpoint import parse as parse_checkpoint
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import Verifier, open_note
from sync.protocol import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Batch, StatusWord

#: Leaf hashes that the server holds, from a position (inclusive) to one (exclusive).
Held: TypeAlias = Callable[[int, int], Sequence[bytes]]
#: Root that the server signed a receipt for at exactly this size, or ``None``.
ReceiptedRoot: TypeAlias = Callable[[int], bytes | None]

_HELD_STEP: Final = 4096


@unique
class LedgerState(StrEnum):
    """Standing of a ledger at the server."""

    OK = "ok"
    QUARANTINED = "quarantined"
    REVOKED_RETIRED = "revoked_retired"
    REVOKED_LOST = "revoked_lost"
    REVOKED_COMPROMISED = "revoked_compromised"


@dataclass(frozen=True, slots=True)
class LogState:
    """What the server knows of one ledger, read in the transaction that will store the batch.

    Attributes:
        ledger: ledger id.
        origin: origin line that its checkpoints must carry.
        vkeys: verifier keys of the terminal, as the ledger's record holds them.
        size: entries held.
        root: root of the tree over them; the empty tree's root at size 0.
        frontier: what is needed to extend it.
        state: standing.
    """

    ledger: str
    origin: str
    vkeys: tuple[str, ...]
    size: int
    root: bytes
    frontier: Frontier
    state: LedgerState = LedgerState.OK


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves a fault, kept byte for byte and never interpreted again.

    Attributes:
        reason: ``fork``, ``inconsistent`` or ``revoked``.
        size: size of the ledger that the foreign checkpoint claims.
        checkpoint: the signed checkpoint that came.
        entries: the entries that came with it.
        our_size: size at which our own root differs; our receipt there is the counterpart.
        our_root: the root that we hold at ``our_size``.
    """

    reason: str
    size: int
    checkpoint: bytes
    entries: tuple[bytes, ...]
    our_size: int
    our_root: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """New entries to store together with the new head, in one compare-and-swap on ``old_size``.

    Attributes:
        old_size: size at which the stored head must still stand.
        entries: the part of the batch that is new.
        leaf_hashes: leaf hash of each of ``entries``.
        size: new size.
        root: new root.
        frontier: new frontier.
        checkpoint: the terminal's signed checkpoint, to be cosigned as the receipt.
        after_revocation: the ledger was retired or lost before these entries came.
    """

    old_size: int
    entries: tuple[bytes, ...]
    leaf_hashes: tuple[bytes, ...]
    size: int
    root: bytes
    frontier: Frontier
    checkpoint: bytes
    after_revocation: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """All of it is held already; the answer is the stored receipt.

    Attributes:
        size: the answer is the receipt stored at the smallest size that is not below this one.
    """

    size: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The server holds less than the batch begins with; the terminal sends from ``size``."""

    size: int


@dataclass(frozen=True, slots=True)
class Fork:
    """The terminal's key signed two different histories: quarantine the ledger, keep both."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Inconsistent:
    """A signed checkpoint came with entries that do not hash to its root; kept as evidence."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Malformed:
    """The batch contradicts itself or a limit; nothing is stored."""

    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not stored for what the sender or the ledger is.

    Attributes:
        word: ``unsigned``, ``quarantined`` or ``revoked``.
        detail: for the person at the terminal.
        reason: finer reason, such as ``compromised``.
        evidence: to be kept although it is refused, if any.
    """

    word: StatusWord
    detail: str
    reason: str = ""
    evidence: Evidence | None = None


Admission: TypeAlias = Admitted | Replay | Gap | Fork | Inconsistent | Malformed | Refused


def admit(
    log: LogState,
    batch: Batch,
    held: Held,
    verifiers: Sequence[Verifier],
    receipted_root: ReceiptedRoot = lambda _size: None,
) -> Admission:
    """Decides what becomes of a batch.

    Args:
        log: the ledger as stored.
        batch: what came.
        held: leaf hashes that the server holds of this ledger.
        verifiers: the ledger's verifier keys, oldest first; a signature by one of them is enough
            for what is held already, new entries need one by the newest.
        receipted_root: root of a stored receipt, which spares hashing the ledger from its
            beginning when an old batch is sent again.

    Returns:
        What to do. The caller stores, quarantines, keeps evidence and answers.
    """
    head = _signed_head(log, batch, verifiers)
    if not isinstance(head, Checkpoint):
        return head
    if not 1 <= len(batch.entries) <= BATCH_ENTRIES_MAX:
        return Malformed(f"a batch has 1 to {BATCH_ENTRIES_MAX} entries")
    if sum(map(len, batch.entries)) > BATCH_BYTES_MAX:
        return Malformed(f"a batch has at most {BATCH_BYTES_MAX} bytes")
    if head.size != batch.end:
        return Malformed(
            f"the checkpoint is at size {head.size}, but the batch ends at {batch.end}"
        )
    leaves = tuple(leaf_hash(entry) for entry in batch.entries)
    if head.size <= log.size:
        return _held_range(log, batch, head, leaves, held, receipted_root)
    # A key that was replaced signs what stands before the rotation, and nothing after it.
    newest = _signed_head(log, batch, verifiers[-1:])
    if not isinstance(newest, Checkpoint):
        return newest
    return _new_range(log, batch, head, leaves, held)


def _signed_head(
    log: LogState, batch: Batch, verifiers: Sequence[Verifier]
) -> Checkpoint | Malformed | Refused:
    unsigned = Refused(
        StatusWord.UNSIGNED, "the checkpoint is not signed by this ledger's key; nothing was taken"
    )
    try:
        opened = open_note(batch.checkpoint, verifiers)
    except NoteInvalid:
        return unsigned
    if not opened.verified:
        return unsigned
    try:
        head = parse_checkpoint(opened.text)
    except NoteInvalid as error:
        return Malformed(f"the signed note is not a checkpoint: {error}")
    if head.origin != log.origin or batch.ledger != log.ledger:
        return Malformed(f"the checkpoint is of {head.origin}, not of {log.origin}")
    return head


def _held_range(
    log: LogState,
    batch: Batch,
    head: Checkpoint,
    leaves: tuple[bytes, ...],
    held: Held,
    receipted_root: ReceiptedRoot,
) -> Admission:
    """All positions are held: the same history is a replay, another one is a fork.

    Two checkpoints of one size and different roots, both signed by the terminal's key, prove the
    fork alone; what entries came with it does not matter.
    """
    root = log.root if head.size == log.size else receipted_root(head.size)
    if root is None:
        root = _frontier(held, head.size).root()
    if root != head.root:
        return _fork(log, batch, head, head.size, root)
    if tuple(held(batch.old_size, head.size)) != leaves:
        return Inconsistent(_evidence("inconsistent", batch, head, head.size, root))
    return Replay(head.size)


def _new_range(
    log: LogState, batch: Batch, head: Checkpoint, leaves: tuple[bytes, ...], held: Held
) -> Admission:
    """At least one position is new: gap, overlap or exact continuation."""
    barred = _barred(log, batch, head)
    if barred is not None:
        return barred
    if batch.old_size > log.size:
        return Gap(log.size)
    overlap = log.size - batch.old_size
    if tuple(held(batch.old_size, log.size)) != leaves[:overlap]:
        # Only entries that hash to the signed root prove a second history; others may have been
        # altered on the way, and that must not quarantine an honest terminal.
        foreign = _frontier(held, batch.old_size).extend(leaves)
        if foreign.root() == head.root:
            return _fork(log, batch, head, log.size, log.root)
        return Inconsistent(_evidence("inconsistent", batch, head, log.size, log.root))
    frontier = log.frontier.extend(leaves[overlap:])
    if frontier.root() != head.root:
        return Inconsistent(_evidence("inconsistent", batch, head, log.size, log.root))
    return Admitted(
        old_size=log.size,
        entries=batch.entries[overlap:],
        leaf_hashes=leaves[overlap:],
        size=head.size,
        root=head.root,
        frontier=frontier,
        checkpoint=batch.checkpoint,
        after_revocation=log.state in {LedgerState.REVOKED_RETIRED, LedgerState.REVOKED_LOST},
    )


def _barred(log: LogState, batch: Batch, head: Checkpoint) -> Refused | None:
    if log.state is LedgerState.QUARANTINED:
        return Refused(StatusWord.QUARANTINED, _QUARANTINED_TEXT)
    if log.state is LedgerState.REVOKED_COMPROMISED:
        return Refused(
            StatusWord.REVOKED,
            "this ledger's key is no longer trusted; the entries were kept as evidence only. "
            "Call the operator",
            reason="compromised",
            evidence=_evidence("revoked", batch, head, log.size, log.root),
        )
    return None


_QUARANTINED_TEXT: Final = (
    "two histories were signed with this ledger's key, so it is quarantined; nothing was taken "
    "and nothing may be deleted. Stop redeeming and call the operator"
)


def _fork(
    log: LogState, batch: Batch, head: Checkpoint, our_size: int, our_root: bytes
) -> Fork | Refused:
    barred = _barred(log, batch, head)
    return barred or Fork(_evidence("fork", batch, head, our_size, our_root))


def _evidence(
    reason: str, batch: Batch, head: Checkpoint, our_size: int, our_root: bytes
) -> Evidence:
    return Evidence(reason, head.size, batch.checkpoint, batch.entries, our_size, our_root)


def _frontier(held: Held, size: int) -> Frontier:
    frontier = Frontier()
    for start in range(0, size, _HELD_STEP):
        frontier = frontier.extend(held(start, min(start + _HELD_STEP, size)))
    return frontier
