"""The receipt QR at the tap: proof in the member's hand that this entry was signed here.

Origin, position, leaf hash and the terminal's signature over them, at most 300 bytes. Whoever holds
it can later show that the ledger lost or changed the entry; the full inclusion proof follows the
server's receipt.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

RECEIPT_BYTES_MAX: Final = 300
_HEAD: Final = "redcard-receipt/v1"


class ReceiptSigner:
    """Signs receipts of one ledger."""

    def __init__(self, origin: str, sign: Callable[[bytes], bytes]) -> None:
        """Takes the ledger's origin, and Ed25519 with the terminal's receipt key."""
        self._origin = origin
        self._sign = sign

    def text(self, seq: int, leaf: bytes) -> str:
        """The text of the QR code.

        Args:
            seq: position of the entry.
            leaf: its RFC 6962 leaf hash, 32 bytes.
        """
        signature = base64.b64encode(self._sign(signed_message(self._origin, seq, leaf)))
        hashed = base64.b64encode(leaf).decode("ascii")
        return f"{_HEAD} {self._origin} {seq} {hashed} {signature.decode('ascii')}"


def signed_message(origin: str, seq: int, leaf: bytes) -> bytes:
    """What a receipt's signature is over: head, origin, position and leaf hash, a line each."""
    hashed = base64.b64encode(leaf).decode("ascii")
    return f"{_HEAD}\n{origin}\n{seq}\n{hashed}\n".encode()


def read_receipt(text: str) -> tuple[str, int, bytes, bytes] | None:
    """Origin, position, leaf hash and signature of a receipt; ``None`` if it is none."""
    parts = text.split(" ")
    if len(text) > RECEIPT_BYTES_MAX or len(parts) != 5 or parts[0] != _HEAD:
        return None
    try:
        leaf = base64.b64decode(parts[3], validate=True)
        signature = base64.b64decode(parts[4], validate=True)
    except ValueError:
        return None
    if not parts[2].isascii() or not parts[2].isdigit() or len(leaf) != 32 or len(signature) != 64:
        return None
    return parts[1], int(parts[2]), leaf, signature
