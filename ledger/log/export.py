"""A ledger as a folder of plain files that anybody's tools can verify (``docs/ledger.md``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import LogFault
from ledger.log.checkpoint import parse
from ledger.log.disk import translate
from ledger.log.merkle import leaf_hash
from ledger.log.note import split_note
from ledger.log.reading import READ_ENTRIES_MAX

ENTRIES: Final = "entries.jsonl"
LEAVES: Final = "leaves"
CHECKPOINT: Final = "checkpoint"
COSIGNATURES: Final = "cosignatures"
VKEYS: Final = "vkeys"
README: Final = "README"

_README: Final = """\
Ledger {origin}
{size} entries, exported for anyone to verify without our software.

entries.jsonl  one entry a line: exactly the bytes that were hashed, without the newline
leaves         the leaf hash of each entry, 32 bytes each: SHA-256(0x00, entry)
checkpoint     the signed head (C2SP tlog-checkpoint): origin, size, Merkle root of RFC 6962
cosignatures   heads that the central server confirmed (C2SP cosignature/v1), whole notes,
               an empty line between them
vkeys          the keys (C2SP signed-note verifier keys). Take them from the federation's
               published list, not from this folder, when it matters.

Quick look, with coreutils alone: the first entry's leaf hash, twice
    (printf '\\0'; head -n1 entries.jsonl | tr -d '\\n') | sha256sum
    head -c32 leaves | od -An -tx1

With the auditor's file (Python, and the package `cryptography`)
    python3 verify.py .

With Go's own checksum-database code (golang.org/x/mod/sumdb)
    note.Open(checkpoint, note.VerifierList(note.NewVerifier(vkey))) checks the signature;
    tlog.StoredHashes over the lines of entries.jsonl, then tlog.TreeHash, gives the root.

With OpenSSL: the text of `checkpoint` up to and including the newline after the third line is the
message; the last 64 bytes of the base64 on the signature line are the Ed25519 signature; the last
32 bytes of the base64 in the verifier key are the public key.
"""


class Exported(Protocol):
    """What a log must tell to be written as files: a terminal's file, or a server's table."""

    @property
    def origin(self) -> str:
        """Identity of the log."""

    @property
    def vkey(self) -> str:
        """Verifier key of the log's own key."""

    def checkpoint(self) -> tuple[int, bytes]:
        """Size and note of the newest head."""

    def entries(self, start: int, stop: int) -> Iterable[bytes]:
        """Stored bytes of the entries ``[start, stop)``."""


def export(
    log: Exported,
    directory: str | Path,
    cosigned: Sequence[bytes],
    vkeys: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Writes a ledger as plain files.

    Args:
        log: the ledger; it may grow meanwhile, the export ends at its newest checkpoint.
        directory: a new or empty folder.
        cosigned: receipts of the server, whole notes; those beyond the export are left out.
        vkeys: verifier keys of the server and of earlier keys of this ledger; its own is added.
        progress: called with entries done and entries in all.

    Returns:
        Number of entries written.

    Raises:
        LogFault: the folder is not empty, cannot be written, or the ledger cannot be read.
        NoteInvalid: one of ``cosigned`` is not a signed checkpoint.
    """
    place = Path(directory)
    size, note = log.checkpoint()
    receipts = [receipt for receipt in cosigned if parse(split_note(receipt)[0]).size <= size]
    own = log.vkey
    keys = [
        f"# the key of this ledger, as its first entry states it\n{own}\n",
        *(f"{key}\n" for key in vkeys if key != own),
    ]
    try:
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise LogFault(f"{place}: the folder is not empty; name a new one")
        _write_entries(log, place, size, progress)
        _write(place / CHECKPOINT, [note])
        _write(place / COSIGNATURES, [b"\n".join(receipts)])
        _write(place / VKEYS, (key.encode() for key in keys))
        _write(place / README, [_README.format(origin=log.origin, size=size).encode()])
    except OSError as error:
        raise translate(error, place) from error
    return size


def split_cosignatures(data: bytes) -> list[bytes]:
    """The notes of a ``cosignatures`` file."""
    blocks = data.split(b"\n\n")
    texts, lines = blocks[0::2], blocks[1::2]
    return [
        text + b"\n\n" + line.rstrip(b"\n") + b"\n"
        for text, line in zip(texts, lines, strict=False)
    ]


def _write_entries(
    log: Exported, place: Path, size: int, progress: Callable[[int, int], None] | None
) -> None:
    with (place / ENTRIES).open("xb") as entries, (place / LEAVES).open("xb") as leaves:
        for start in range(0, size, READ_ENTRIES_MAX):
            stop = min(start + READ_ENTRIES_MAX, size)
            stored = list(log.entries(start, stop))
            entries.write(b"".join(data + b"\n" for data in stored))
            leaves.write(b"".join(map(leaf_hash, stored)))
            if progress is not None:
                progress(stop, size)
        for file in (entries, leaves):
            file.flush()
            os.fsync(file.fileno())


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
