"""Which key of a ledger may sign at which size, and how one follows another.

A rotation is a `keyrot` entry that names the new key, and the checkpoint that ends at this entry,
signed by both keys. Sizes up to it belong to the old key, from it on to the new one. The table
``rotation`` keeps these checkpoints, because the log itself keeps only one in 500 entries.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ledger.entry import Kind
from ledger.errors import NotCanonical, NoteInvalid
from ledger.log import canonical
from ledger.log.audit_report import Report, Roster, Term
from ledger.log.checkpoint import parse
from ledger.log.note import ED25519, Ed25519Verifier, Verifier, open_note

TABLE: Final = "rotation"


def roster_of(
    connection: sqlite3.Connection, origin: str, keys: list[Ed25519Verifier], report: Report
) -> Roster:
    """The keys and their terms, as the ledger's own rotations state them.

    Args:
        connection: the ledger's database.
        origin: identity of the ledger, the name of its keys.
        keys: keys that are trusted; a key that a trusted one has signed in is trusted after it.
        report: where a rotation that does not hold is reported, as a fault of its entry.
    """
    found, terms = list(keys), dict[bytes, Term]()
    for size, note, entry in _rotations(connection, report):
        own = [key for key in found if key.name == origin and key.note_type == ED25519]
        try:
            old, new = follow(note, entry, size, own)
        except (NoteInvalid, NotCanonical) as error:
            report.add(size - 1, "signature", f"the rotation of the key does not hold: {error}")
            continue
        began = terms[old.key_id].first if old.key_id in terms else 0
        terms[old.key_id] = Term(began, size)
        terms[new.key_id] = Term(size, None)
        if new not in found:
            found.append(new)
    return Roster(tuple(found), terms)


def _rotations(connection: sqlite3.Connection, report: Report) -> list[tuple[int, bytes, bytes]]:
    """Sizes and notes of the rotations, each with the entry before it; none without the table."""
    named = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    try:
        if connection.execute(named, (TABLE,)).fetchone() is None:
            return []
        rows = connection.execute(
            "SELECT size, note, entry FROM rotation LEFT JOIN entry ON seq = size - 1 ORDER BY size"
        ).fetchall()
    except sqlite3.Error as error:
        report.add(None, "file", f"SQLite cannot read the rotations of the key: {error}")
        return []
    return [
        (size, note if type(note) is bytes else b"", entry if type(entry) is bytes else b"")
        for size, note, entry in rows
    ]


def follow(
    note: bytes, entry: bytes, size: int, keys: list[Ed25519Verifier]
) -> tuple[Ed25519Verifier, Ed25519Verifier]:
    """Checks one rotation.

    Args:
        note: the checkpoint signed by both keys.
        entry: the bytes of the entry before it.
        size: the size that the checkpoint must have.
        keys: keys of the ledger that are trusted, oldest first.

    Returns:
        The key that ended and the one that began.

    Raises:
        NoteInvalid, NotCanonical: it is no rotation, or one of the two keys did not sign it.
    """
    fields = canonical.decode(entry)
    if fields.get("kind") != Kind.KEYROT:
        raise NoteInvalid(f"entry {size - 1} names no key")
    new = Ed25519Verifier.from_vkey(str(fields.get("vkey")))
    verifiers: list[Verifier] = [key for key in keys if key != new]
    opened = open_note(note, [*verifiers, new])
    signers = {line.key_id for line in opened.signatures}
    old = [key for key in keys if key != new and key.key_id in signers]
    head = parse(opened.text)
    if head.size != size or head.origin != new.name:
        raise NoteInvalid(f"its checkpoint is of {head.origin} at {head.size}")
    if not old or new.key_id not in signers:
        raise NoteInvalid("its checkpoint is not signed by the old key and the new one")
    return old[-1], new
