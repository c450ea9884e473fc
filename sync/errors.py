"""Exceptions of sync.

SyncError
├── Malformed               bytes from outside that break the wire format; nothing was taken
│   ├── EnvelopeInvalid     a file from a stick is not whole, too large, or not for this recipient
│   └── RosterInvalid       a roster or roster delta is not whole or not the one expected
├── Unreachable             no answer in time; nothing is known of the request, try again later
│   └── Overloaded          the server asks for patience
├── Refused                 the server said no; carries its problem document
├── ReceiptInvalid          a receipt does not prove that the server holds this ledger's entries
├── BatchTooLarge           two stored checkpoints are too far apart for any batch
├── StateFault              the sync database cannot be read or written; the ledger is untouched
└── TrustError              downlink metadata or a target is refused; the current ones stay
    ├── MetadataInvalid     not well-formed, or not signed by enough of the right keys
    ├── MetadataRolledBack  a version is lower than one already trusted
    ├── MetadataMismatch    length, hash or version differs from what its parent says
    └── TargetInvalid       a target's bytes are not those that the signed metadata names
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync.protocol import Problem


class SyncError(Exception):
    """Root of all errors raised by ``sync``; the message says what to do next."""


class Malformed(SyncError):
    """Bytes from outside break the wire format; nothing was taken."""


class EnvelopeInvalid(Malformed):
    """A file from a stick is not whole, too large, or not for this recipient."""


class RosterInvalid(Malformed):
    """A roster or roster delta is not whole or not the one expected."""


class Unreachable(SyncError):
    """No answer in time; whether the server acted is unknown, and asking again is safe."""


class Overloaded(Unreachable):
    """The server answered that it is busy or broken; the same request may be sent again later.

    Attributes:
        retry_after_s: seconds that it asked us to wait, 0 if it said nothing.
    """

    def __init__(self, message: str, *, retry_after_s: int = 0) -> None:
        """Keeps the server's wish beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(SyncError):
    """The server said no; nothing was deleted here.

    Attributes:
        problem: the server's problem document.
    """

    def __init__(self, problem: Problem) -> None:
        """Says what the server said."""
        super().__init__(f"{problem.status} {problem.status_word}: {problem.detail}")
        self.problem = problem


class ReceiptInvalid(SyncError):
    """A receipt does not prove that the server holds this ledger's entries."""


class BatchTooLarge(SyncError):
    """Two stored checkpoints are too far apart for any batch."""


class StateFault(SyncError):
    """The sync database cannot be read or written; the ledger is untouched."""


class TrustError(SyncError):
    """Downlink metadata or a target is refused; the current ones stay in force."""


class MetadataInvalid(TrustError):
    """Metadata is not well-formed, or not signed by enough of the right keys."""


class MetadataRolledBack(TrustError):
    """A version is lower than one already trusted."""


class MetadataMismatch(TrustError):
    """Length, hash or version differs from what the parent metadata says."""


class TargetInvalid(TrustError):
    """A target's bytes are not those that the signed metadata names."""
