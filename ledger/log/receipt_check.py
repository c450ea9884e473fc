"""Checks what a member or merchant holds in hand: a receipt's code, or a proof; offline.

What is needed: the paper, the signed list of terminal keys, and the server's public keys. With the
entry itself its contents are shown to be the recorded ones; without, only its place is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, NoteInvalid, ProofInvalid
from ledger.log import proof
from ledger.log.checkpoint import parse, verify_cosignature
from ledger.log.keylist import IN_SERVICE, KeyList
from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.note import COSIGNATURE, Ed25519Verifier, open_note, split_note

#: State of a ledger whose key somebody else may hold; the others were only taken out of service.
COMPROMISED: Final = "compromised"
TAP: Final = "tap"
PROOF: Final = "proof"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found; every statement is proved by a signature, or is a reason why not.

    Attributes:
        ok: whether the paper holds, and the entry given with it is the recorded one.
        kind: `TAP`, `PROOF`, or empty if it is neither.
        origin: the ledger it is of.
        seq: place of the entry.
        leaf: the entry's leaf hash in hexadecimal; empty if a proof came without its entry.
        entry: whether an entry was given and is the recorded one.
        confirmed: whether the server has confirmed it.
        time_s: when the server did, seconds since the Unix epoch; 0 if not.
        state: state of the ledger in the list.
        reason: why it does not hold, empty if it does.
    """

    ok: bool
    kind: str = ""
    origin: str = ""
    seq: int | None = None
    leaf: str = ""
    entry: bool = False
    confirmed: bool = False
    time_s: int = 0
    state: str = ""
    reason: str = ""


def check_paper(
    data: bytes,
    keys: KeyList | Sequence[str],
    server: Sequence[Ed25519Verifier] = (),
    entry: bytes | None = None,
) -> Checked:
    """Checks a receipt's code or a tlog-proof.

    Args:
        data: what the code says, or the proof's bytes.
        keys: the opened list of terminal keys, or verifier keys that are trusted without one.
        server: the server's cosigning keys, for proofs.
        entry: the entry's bytes, if at hand.

    Returns:
        The findings; what is wrong is a reason, never an exception.
    """
    kind = PROOF if data.startswith(proof.HEADER.encode()) else TAP
    try:
        if kind == PROOF:
            return _proof(data, keys, server, entry)
        return _tap(data, keys, entry)
    except LedgerError as error:
        return Checked(ok=False, kind=kind, reason=str(error))


def _tap(data: bytes, keys: KeyList | Sequence[str], entry: bytes | None) -> Checked:
    text = data.decode("ascii", "replace").strip()
    verifiers, state, size = _keys_of(keys, proof.parse_tap_receipt(text).origin)
    receipt = proof.open_tap_receipt(text, verifiers)
    wrong = entry is not None and leaf_hash(entry) != receipt.leaf
    reason = "the entry is not the one that the receipt was given for" if wrong else ""
    if state == COMPROMISED and receipt.seq >= size:
        reason = reason or (
            f"the terminal's key was stolen when the server held {size} entries of it;"
            " what it signed beyond them proves nothing"
        )
    return Checked(
        ok=not reason,
        kind=TAP,
        origin=receipt.origin,
        seq=receipt.seq,
        leaf=receipt.leaf.hex(),
        entry=entry is not None and not wrong,
        state=state,
        reason=reason,
    )


def _proof(
    data: bytes,
    keys: KeyList | Sequence[str],
    server: Sequence[Ed25519Verifier],
    entry: bytes | None,
) -> Checked:
    found = proof.parse_proof(data)
    head = parse(split_note(found.note)[0])
    verifiers, state, _ = _keys_of(keys, head.origin)
    if head.origin not in open_note(found.note, verifiers).verified:
        raise NoteInvalid(f"{head.origin} has not signed the head of this proof")
    time_s = 0
    for key in server:
        if key.note_type == COSIGNATURE:
            try:
                time_s = verify_cosignature(found.note, key).time_s
            except NoteInvalid:
                continue
    reason, leaf = "", b""
    if entry is None:
        reason = "a proof says nothing without its entry: give the entry's bytes"
    else:
        leaf = leaf_hash(entry)
        try:
            verify_inclusion(found.index, head.size, leaf, found.hashes, head.root)
        except ProofInvalid:
            reason = "the entry is not the one that the proof was made for"
    if not time_s and not reason:
        reason = "no trusted key of the server has confirmed its head"
    return Checked(
        ok=not reason,
        kind=PROOF,
        origin=head.origin,
        seq=found.index,
        leaf=leaf.hex(),
        entry=entry is not None and not reason,
        confirmed=time_s > 0,
        time_s=time_s,
        state=state,
        reason=reason,
    )


def _keys_of(keys: KeyList | Sequence[str], origin: str) -> tuple[list[Ed25519Verifier], str, int]:
    """Keys that a ledger may sign with, its state, and the size at which it was revoked."""
    if isinstance(keys, KeyList):
        listed = keys.of(origin)
        if not listed:
            raise NoteInvalid(f"{origin or 'the ledger'} is not in the list of terminal keys")
        return (
            [Ed25519Verifier.from_vkey(key.vkey) for key in listed],
            listed[0].state,
            listed[0].size,
        )
    return [Ed25519Verifier.from_vkey(key) for key in keys], IN_SERVICE, 0
