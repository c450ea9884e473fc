"""What a member or merchant takes away: a tlog-proof, and a short receipt for a QR code.

A `.tlog-proof` (C2SP tlog-proof v1) shows offline that an entry is in a log which the server has
cosigned. It exists only after the server's receipt. At the tap there is a receipt of at most 300
bytes: the terminal's signed word for one entry, which convicts it if the entry is ever missing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import NoteInvalid, ProofInvalid
from ledger.log.checkpoint import Checkpoint, open_checkpoint, parse
from ledger.log.merkle import HASH_BYTES, Nodes, inclusion_proof, leaf_hash, verify_inclusion
from ledger.log.note import Signature, Signer, Verifier, split_note

HEADER: Final = "c2sp.org/tlog-proof@v1"
RECEIPT_HEADER: Final = "redcard-receipt/v1"
RECEIPT_BYTES_MAX: Final = 300
PROOF_HASHES_MAX: Final = 63
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


class ProofSource(Protocol):
    """A log that can be asked for tree hashes and checkpoints."""

    def nodes(self) -> Nodes:
        """Hashes of complete subtrees."""

    def checkpoint(self, at_least: int | None = None) -> tuple[int, bytes]:
        """Size and note of the smallest stored checkpoint that covers a size."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed tlog-proof; nothing in it is verified yet.

    Attributes:
        index: seq of the entry.
        hashes: audit path from the leaf's sibling to the root's child.
        note: the signed checkpoint.
        extra: opaque bytes that no signature covers.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        lines = [HEADER]
        if self.extra:
            lines.append(f"extra {_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(_base64(node) for node in self.hashes)
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note


@dataclass(frozen=True, slots=True)
class TapReceipt:
    """The terminal's signed word for one entry.

    Attributes:
        origin: identity of its log.
        seq: place of the entry.
        leaf: its leaf hash, 32 bytes.
        signature: by the ledger's key over `text`.
    """

    origin: str
    seq: int
    leaf: bytes
    signature: bytes = b""

    def text(self) -> str:
        """The signed text: header, origin, seq and leaf hash, a line each."""
        return f"{RECEIPT_HEADER}\n{self.origin}\n{self.seq}\n{_base64(self.leaf)}\n"

    def note(self, key: Verifier) -> bytes:
        """The receipt as a signed note, for anybody's tools; ``key`` is the one that signed it."""
        line = Signature(self.origin, key.key_id, self.signature).line()
        return f"{self.text()}\n{line}".encode()


def prove(source: ProofSource, seq: int, note: bytes | None = None) -> bytes:
    """Makes a tlog-proof for an entry.

    Args:
        source: the log.
        seq: place of the entry.
        note: the checkpoint to prove against, normally the newest that the server cosigned; without
            it, the smallest stored checkpoint that covers the entry.

    Raises:
        ProofInvalid: the checkpoint does not cover the entry.
        NoteInvalid: ``note`` is not a signed checkpoint.
    """
    if note is None:
        _, note = source.checkpoint(seq + 1)
    head = parse(split_note(note)[0])
    if not 0 <= seq < head.size:
        raise ProofInvalid(f"the checkpoint covers {head.size} entries, not entry {seq}")
    path = inclusion_proof(seq, head.size, source.nodes())
    return TlogProof(seq, tuple(path), note).to_bytes()


def parse_proof(data: bytes) -> TlogProof:
    """Parses a tlog-proof.

    Raises:
        ProofInvalid: the bytes are not one.
    """
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofInvalid("the head of a tlog-proof is ASCII") from None
    if not separator or lines.pop(0) != HEADER:
        raise ProofInvalid(f"a tlog-proof begins with the line {HEADER}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _unbase64(lines.pop(0)[6:])
    if not lines or not lines[0].startswith("index ") or not _NUMBER.match(lines[0][6:]):
        raise ProofInvalid("a tlog-proof names the index of its entry")
    if len(lines) - 1 > PROOF_HASHES_MAX:
        raise ProofInvalid(f"a tlog-proof has at most {PROOF_HASHES_MAX} hashes")
    proof = TlogProof(int(lines[0][6:]), tuple(_unbase64(line) for line in lines[1:]), note, extra)
    if any(len(node) != HASH_BYTES for node in proof.hashes) or proof.to_bytes() != data:
        raise ProofInvalid("a line of the tlog-proof is malformed")
    return proof


def verify_proof(data: bytes, entry: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Verifies that a log of a trusted key contains an entry.

    Args:
        data: the tlog-proof.
        entry: the entry's bytes.
        verifiers: trusted keys, at least one of which must have signed the checkpoint.

    Returns:
        The checkpoint under which the entry was found.

    Raises:
        ProofInvalid: the proof is malformed or does not hold for this entry.
        NoteInvalid: no trusted key has signed its checkpoint.
    """
    proof = parse_proof(data)
    head = open_checkpoint(proof.note, verifiers)
    verify_inclusion(proof.index, head.size, leaf_hash(entry), proof.hashes, head.root)
    return head


def tap_receipt(signer: Signer, seq: int, leaf: bytes) -> str:
    """The text of the QR code at the tap: origin, seq, leaf hash and the signature over them.

    One line of ASCII, ``redcard-receipt/v1 origin seq leaf signature``, both in base64. It is a
    signed note without what anybody can add again: see `TapReceipt.note`.

    Args:
        signer: the ledger's key; its name is the origin.
        seq: place of the entry.
        leaf: leaf hash of its bytes, 32 bytes.

    Raises:
        ProofInvalid: the origin is so long that the text passes 300 bytes.
    """
    receipt = TapReceipt(signer.name, seq, leaf)
    signature = signer.sign(receipt.text().encode())
    line = " ".join([*receipt.text().split("\n")[:4], _base64(signature)])
    if len(line) > RECEIPT_BYTES_MAX:
        raise ProofInvalid(f"a receipt of {len(line)} bytes is longer than {RECEIPT_BYTES_MAX}")
    return line


def parse_tap_receipt(text: str) -> TapReceipt:
    """Parses the text of a receipt's QR code; nothing in it is verified yet.

    Raises:
        ProofInvalid: not a receipt.
    """
    parts = text.split(" ")
    if len(text) > RECEIPT_BYTES_MAX or len(parts) != 5 or parts[0] != RECEIPT_HEADER:
        raise ProofInvalid(f"a receipt is one line that begins with {RECEIPT_HEADER}")
    if not _NUMBER.match(parts[2]):
        raise ProofInvalid("a receipt names the place of its entry")
    receipt = TapReceipt(parts[1], int(parts[2]), _unbase64(parts[3]), _unbase64(parts[4]))
    whole = [*receipt.text().split("\n")[:4], _base64(receipt.signature)]
    if len(receipt.leaf) != HASH_BYTES or " ".join(whole) != text:
        raise ProofInvalid("a part of the receipt is malformed")
    return receipt


def open_tap_receipt(text: str, verifiers: Sequence[Verifier]) -> TapReceipt:
    """Verifies the text of a receipt's QR code.

    Raises:
        ProofInvalid: not a receipt.
        NoteInvalid: no trusted key of the ledger that it names has signed it.
    """
    receipt = parse_tap_receipt(text)
    message = receipt.text().encode()
    own = [key for key in verifiers if key.name == receipt.origin]
    if not own:
        raise NoteInvalid(f"there is no trusted key of {receipt.origin}")
    if not any(key.verify(message, receipt.signature) for key in own):
        raise NoteInvalid(f"{receipt.origin} has not signed this receipt")
    return receipt


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofInvalid(f"{text[:44]!r} is not base64") from None
