"""Checkpoints (C2SP tlog-checkpoint) and cosignatures on them (C2SP tlog-cosignature, v1).

A checkpoint is the signed statement "the log of this origin has this size and this root". A
cosignature adds "and at this time I held all of it": the server's receipt.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import NoteInvalid
from ledger.log.merkle import HASH_BYTES
from ledger.log.note import (
    COSIGNATURE,
    Signature,
    Signer,
    Verifier,
    check_name,
    check_text,
    cosigned_message,
    open_note,
    sign_note,
    split_note,
)

SIZE_MAX: Final = 2**63 - 1
_SIZE: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log.

    Attributes:
        origin: identity of the log, ``<federation domain>/redcard/<ledger id>``.
        size: number of entries.
        root: Merkle root over their bytes, 32 bytes.
        extensions: further lines; never written by this program, but signed if present.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note's text."""
        root = base64.b64encode(self.root).decode("ascii")
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions))

    def sign(self, signers: Sequence[Signer]) -> bytes:
        """The checkpoint as a signed note."""
        return sign_note(self.text(), signers)


class HeadSigner:
    """Signs the heads of one log: what `Checkpoint.sign` does, with the work for all done once."""

    def __init__(self, origin: str, signer: Signer) -> None:
        """Prepares for a key.

        Raises:
            NoteInvalid: the origin cannot stand in a note, or the key is a cosigner's.
        """
        text = Checkpoint(origin, 0, bytes(HASH_BYTES)).text()
        check_text(text)
        parse(text)
        check_name(signer.name)
        if signer.note_type == COSIGNATURE:
            raise NoteInvalid("a cosigner's key signs no heads of its own")
        self._sign = signer.sign
        self._origin = f"{origin}\n".encode()
        self._key_id = signer.key_id
        self._line = f"\n— {signer.name} ".encode()

    def sign(self, size: int, root: bytes) -> bytes:
        """The signed checkpoint over ``size`` entries, a whole note."""
        text = b"%s%d\n%s" % (self._origin, size, binascii.b2a_base64(root))
        return text + self._line + binascii.b2a_base64(self._key_id + self._sign(text))


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A cosignature that was verified: the checkpoint and when it was cosigned.

    Attributes:
        checkpoint: what was cosigned.
        name: key name of the cosigner.
        time_s: seconds since the Unix epoch.
    """

    checkpoint: Checkpoint
    name: str
    time_s: int


def parse(text: str) -> Checkpoint:
    """Parses the text of a checkpoint.

    Raises:
        NoteInvalid: not the three lines of tlog-checkpoint in their only form.
    """
    if not text.endswith("\n"):
        raise NoteInvalid("a checkpoint ends with a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteInvalid("a checkpoint has three lines: origin, size, root; none is empty")
    origin, size, root = lines[:3]
    if not _SIZE.match(size) or int(size) > SIZE_MAX:
        raise NoteInvalid(f"the size {size[:30]!r} of a checkpoint is not a plain decimal")
    try:
        digest = base64.b64decode(root.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NoteInvalid("the root of a checkpoint is not base64") from None
    checkpoint = Checkpoint(origin, int(size), digest, tuple(lines[3:]))
    if len(digest) != HASH_BYTES or checkpoint.text() != text:
        raise NoteInvalid("the root of a checkpoint is not the base64 of 32 bytes")
    return checkpoint


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Opens a signed checkpoint against trusted keys; raises NoteInvalid if none has signed it."""
    return parse(open_note(note, verifiers).text)


def cosign(checkpoint_note: bytes, signer: Signer, time_s: int) -> bytes:
    """Adds a cosignature to a signed checkpoint.

    Args:
        checkpoint_note: the note as the log signed it; its signatures are kept, not verified here.
        signer: a key of type `COSIGNATURE`.
        time_s: seconds since the Unix epoch.

    Returns:
        The same note with one more line.

    Raises:
        NoteInvalid: not a signed checkpoint, wrong type of key, or a time that does not fit.
    """
    if signer.note_type != COSIGNATURE:
        raise NoteInvalid(f"{signer.name} is not a cosigner's key")
    if not 0 <= time_s <= SIZE_MAX:
        raise NoteInvalid(f"{time_s} is not a time in seconds since the epoch")
    text, _ = split_note(checkpoint_note)
    parse(text)
    raw = signer.sign(cosigned_message(time_s, text.encode()))
    line = Signature(signer.name, signer.key_id, time_s.to_bytes(8, "big") + raw)
    return checkpoint_note + line.line().encode()


def verify_cosignature(note: bytes, verifier: Verifier) -> Cosigned:
    """Verifies one cosigner's line on a checkpoint.

    Returns:
        The checkpoint and the time that the cosigner states.

    Raises:
        NoteInvalid: not a checkpoint, or not cosigned by this key, or the signature does not hold.
    """
    opened = open_note(note, [verifier])
    for line in opened.signatures:
        if (line.name, line.key_id) == (verifier.name, verifier.key_id):
            time_s = int.from_bytes(line.signature[:8], "big")
            return Cosigned(parse(opened.text), line.name, time_s)
    raise AssertionError("open_note verified a line that is not there")
