"""From what a caller wants to record to the rows of the ledger: stamped, checked, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from ledger.entry import VERSION, Entry, Kind, check
from ledger.errors import EntryInvalid
from ledger.log import canonical, schema
from ledger.log.merkle import leaf_hash
from ledger.log.reading import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, nonce_key
from ledger.log.recovery import Head

#: Two threads may read the clock in one order and append in the other; by no more than this.
MONO_RACE_MS: Final = 10_000

#: seq, entry, first bytes of its leaf hash, seq of the entry it voids.
Row: TypeAlias = tuple[int, str, bytes, int | None]


@dataclass(frozen=True, slots=True)
class Stamped:
    """Entries ready to be written.

    Attributes:
        rows: one for each entry.
        leaves: their leaf hashes, 32 bytes each.
        nonces: key and seq of those that have a nonce.
        mono_ms: boot-time clock of the last.
        total_bytes: bytes of all, a newline each.
    """

    rows: list[Row]
    leaves: list[bytes]
    nonces: list[tuple[int, int]]
    mono_ms: int
    total_bytes: int


def stamp(entries: Sequence[Entry], head: Head, boot: str) -> Stamped:
    """Stamps ``v``, ``seq`` and ``boot`` on entries and encodes them.

    Args:
        entries: 1 to 500 entries of at most 1,000,000 bytes together.
        head: where the log stands.
        boot: the boot that these entries belong to.

    Raises:
        EntryInvalid: too many or too few, or one lacks a field or runs back in boot time.
        NotCanonical: a value has no canonical form.
    """
    if not 0 < len(entries) <= BATCH_ENTRIES_MAX:
        raise EntryInvalid(f"a commit holds 1 to {BATCH_ENTRIES_MAX} entries: split it")
    rows: list[Row] = []
    leaves: list[bytes] = []
    nonces: list[tuple[int, int]] = []
    mono = head.mono_ms if head.boot == boot else 0
    total = 0
    for seq, entry in enumerate(entries, head.size):
        stamped = {**entry, "v": VERSION, "seq": seq, "boot": boot}
        kind = check(stamped)
        given = cast("int", stamped["mono_ms"])
        if given < mono:
            if mono - given > MONO_RACE_MS:
                raise EntryInvalid(f"mono_ms runs back from {mono} to {given} in one boot")
            stamped["mono_ms"] = given = mono
        mono = given
        data = canonical.encode(stamped)
        leaf = leaf_hash(data)
        nonce = stamped.get("nonce")
        rows.append(
            (
                seq,
                data.decode(),
                leaf[: schema.LEAF_PREFIX_BYTES],
                cast("int", stamped["orig_seq"]) if kind is Kind.VOID else None,
            )
        )
        if isinstance(nonce, str):
            nonces.append((nonce_key(nonce), seq))
        leaves.append(leaf)
        total += len(data) + 1
    if total > BATCH_BYTES_MAX:
        raise EntryInvalid(f"a commit holds at most {BATCH_BYTES_MAX} bytes: split it")
    return Stamped(rows, leaves, nonces, mono, total)
