"""What an audit finds: faults, the keys it trusts, and the signed heads it holds entries to."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.errors import NoteInvalid
from ledger.log.checkpoint import parse
from ledger.log.note import COSIGNATURE, ED25519, Ed25519Verifier, split_note


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        seq: the entry that it belongs to, None if to no single one.
        kind: one of the kinds that ``docs/ledger.md`` lists.
        detail: what differs from what.
    """

    seq: int | None
    kind: str
    detail: str


@dataclass(slots=True)
class Report:
    """The outcome of an audit.

    Attributes:
        ok: whether there is no fault.
        size: entries that were read.
        root: their Merkle root in base64.
        faults: all faults.
    """

    ok: bool = True
    size: int = 0
    root: str = ""
    faults: list[Fault] = field(default_factory=list)

    def add(self, seq: int | None, kind: str, detail: str) -> None:
        """Notes a fault."""
        self.ok = False
        self.faults.append(Fault(seq, kind, detail))

    def close(self, size: int, root: bytes) -> None:
        """States what was read."""
        self.size, self.root = size, base64.b64encode(root).decode("ascii")


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head; ``kind`` is the fault that it is reported under."""

    origin: str
    size: int
    root: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Term:
    """Sizes ``first`` to ``last`` (None: until now) at which a ledger's key may sign."""

    first: int
    last: int | None

    def covers(self, size: int) -> bool:
        """Whether a head of this size falls into the term."""
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True, slots=True)
class Roster:
    """Keys that are trusted, and the terms of those that a rotation began or ended.

    Attributes:
        keys: verifiers of the ledger (type 0x01) and of the server (type 0x04).
        terms: by key id; a ledger's key that is not named may sign at any size.
    """

    keys: tuple[Ed25519Verifier, ...]
    terms: dict[bytes, Term] = field(default_factory=dict)

    def may_sign(self, key: Ed25519Verifier, size: int) -> bool:
        """Whether this key was the ledger's when it had so many entries."""
        term = self.terms.get(key.key_id)
        return term is None or term.covers(size)


def parse_keys(lines: Iterable[str], report: Report) -> list[Ed25519Verifier]:
    """Verifier keys, one a line; empty lines and comments are skipped, bad ones reported."""
    keys = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(Ed25519Verifier.from_vkey(line))
        except (NoteInvalid, ValueError) as error:
            report.add(None, "signature", f"verifier key {line.strip()[:40]}…: {error}")
    return keys


def open_head(note: bytes, roster: Roster, kind: str, report: Report) -> Head | None:
    """Opens a note, reporting whatever does not hold; None if it is no checkpoint at all."""
    try:
        text, lines = split_note(note)
        head = parse(text)
    except NoteInvalid as error:
        report.add(None, kind, f"a stored head is unreadable: {error}")
        return None
    # The ledger signs by a key of its own name; what the server confirms, it cosigns.
    signed = {"ledger": False, "server": kind == "signature"}
    what, message = f"head of {head.size}", text.encode()
    for line in lines:
        for key in roster.keys:
            if (key.name, key.key_id) != (line.name, line.key_id):
                continue
            own = key.note_type == ED25519 and key.name == head.origin
            signed["server"] |= key.note_type == COSIGNATURE
            signed["ledger"] |= own and roster.may_sign(key, head.size)
            if not key.verify(message, line.signature):
                report.add(None, kind, f"{what}: the signature by {line.name} does not hold")
    if not all(signed.values()):
        report.add(None, kind, f"{what}: the given keys did not sign it")
    return Head(head.origin, head.size, head.root, kind)


def sizes_of(notes: Iterable[bytes]) -> set[int]:
    """Sizes that notes claim; those that claim none are left to `open_head`."""
    sizes = set()
    for note in notes:
        lines = note.split(b"\n", 2)
        if len(lines) == 3 and lines[1].isdigit() and len(lines[1]) < 20:
            sizes.add(int(lines[1]))
    return sizes


def open_heads(notes: Sequence[tuple[bytes, str]], roster: Roster, report: Report) -> list[Head]:
    """Opens notes with their kinds; the heads in ascending order of size."""
    found = [open_head(note, roster, kind, report) for note, kind in notes]
    return sorted((head for head in found if head is not None), key=lambda head: head.size)
