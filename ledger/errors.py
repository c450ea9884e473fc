"""Exceptions of the ledger.

LedgerError
├── EntryInvalid            an entry lacks a field or has one of the wrong type
├── NotCanonical            bytes that are not restricted canonical JSON
├── OfferInvalid            an offer or catalogue file is malformed; carries line and field
├── WordsInvalid            published words are malformed; names the code or notice
├── NoteInvalid             a signed note cannot be parsed or no signature verifies
├── ProofInvalid            an inclusion or consistency proof does not hold
└── LogFault                the log cannot be read or written
    ├── LogLocked           another process holds the log for writing
    ├── LogPoisoned         an earlier I/O error; close, reopen and recover first
    ├── LogCorrupt          stored bytes disagree with the signed root
    ├── LogRolledBack       the disk is older than what the server has cosigned
    ├── LogFull             the disk has no room beyond the reserve
    └── SchemaNewer         the file was written by a newer version
"""

from __future__ import annotations


class LedgerError(Exception):
    """Root of all errors raised by ``ledger``; the message says what to do next."""


class EntryInvalid(LedgerError):
    """An entry lacks a field or has one of the wrong type."""


class NotCanonical(LedgerError):
    """Bytes that are not restricted canonical JSON."""


class OfferInvalid(LedgerError):
    """An offer or catalogue file is malformed.

    Attributes:
        field: dotted path of the field, for example ``limits[0].per``.
        line: line in the file, counted from 1, or ``None`` if unknown.
    """

    def __init__(self, message: str, *, field: str = "", line: int | None = None) -> None:
        """Joins place and message into one sentence."""
        place = ", ".join(
            part for part in (f"line {line}" if line else "", field and f"field {field}") if part
        )
        super().__init__(f"{place}: {message}" if place else message)
        self.field = field
        self.line = line


class WordsInvalid(LedgerError):
    """Published words are malformed; names the code or notice and what belongs there."""


class NoteInvalid(LedgerError):
    """A signed note cannot be parsed or no signature verifies."""


class ProofInvalid(LedgerError):
    """An inclusion or consistency proof does not hold."""


class LogFault(LedgerError):
    """The log cannot be read or written; nothing more was recorded."""


class LogLocked(LogFault):
    """Another process holds the log for writing; the message names it."""


class LogPoisoned(LogFault):
    """An earlier I/O error left the outcome unknown; close, reopen and recover first."""


class LogCorrupt(LogFault):
    """Stored bytes disagree with the signed root."""


class LogRolledBack(LogFault):
    """The disk is older than what the server has cosigned."""


class LogFull(LogFault):
    """The disk has no room beyond the reserve."""


class SchemaNewer(LogFault):
    """The file was written by a newer version of the program."""
