"""Exceptions of the terminal.

TerminalError
├── ConfigInvalid           terminal.toml is malformed; carries line and field
├── HomeUnsafe              a file or folder of the home is missing or readable by others
├── JournalFault            state.db cannot be written; the ledger is untouched
├── NotEnrolled             the home has no ledger id yet; ``redcard init`` first
├── EnrolmentRefused        the server refused the activation code
├── SnapshotRefused         a verified target is malformed; the current one stays in force
├── NoCard                  no card came within the waiting time; nothing was recorded
├── PositionUnknown         no position of that name in terminal.toml
├── RequestInvalid          a request lacks a field or has one of the wrong type
├── ShiftState              a shift is already open, or none is
├── CollectionState         a proxy collection is already open, or none is
├── GoodsRefused            a movement of goods contradicts what lies on the shelf
├── PracticeUnavailable     practice mode has no demo cards yet
├── PrinterFault            a slip did not reach the paper; what was recorded stays
├── ServiceUnreachable      the running service does not answer
└── RequestForbidden        the loopback guard refused a request; nothing was done
"""

from __future__ import annotations


class TerminalError(Exception):
    """Root of all errors raised by ``terminal``; the message says what to do next."""


class ConfigInvalid(TerminalError):
    """The configuration is malformed; what was in force stays in force.

    Attributes:
        field: dotted path of the field, for example ``position[0].venue``.
        line: line in the file, counted from 1, or ``None`` if unknown.
    """

    def __init__(
        self, message: str, *, path: str = "", field: str = "", line: int | None = None
    ) -> None:
        """Joins file, line, field and message into one sentence."""
        parts = (path, f"line {line}" if line else "", field and f"field {field}")
        place = ", ".join(part for part in parts if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.field = field
        self.line = line


class HomeUnsafe(TerminalError):
    """A file or folder of the home is missing or open to other users."""


class JournalFault(TerminalError):
    """``state.db`` cannot be read or written; the ledger is untouched."""


class NotEnrolled(TerminalError):
    """The home has no ledger id yet; run ``redcard init`` first."""


class EnrolmentRefused(TerminalError):
    """The server refused the activation code; nothing was created."""


class SnapshotRefused(TerminalError):
    """A verified target is malformed; the current snapshot stays in force."""


class NoCard(TerminalError):
    """No card came within the waiting time; nothing was recorded."""


class PositionUnknown(TerminalError):
    """No position of that name in ``terminal.toml``; the message lists those there are."""


class RequestInvalid(TerminalError):
    """A request lacks a field or has one of the wrong type; nothing was recorded.

    Attributes:
        field: name of the offending field.
        word: stable word for programs, for example ``nonce_required``.
        cause: a narrower word for the pages, where they say more; else empty.
    """

    def __init__(self, message: str, *, field: str, word: str = "invalid", cause: str = "") -> None:
        """Keeps field and word for the problem document."""
        super().__init__(f"field {field}: {message}")
        self.field = field
        self.word = word
        self.cause = cause


class ShiftState(TerminalError):
    """A shift is already open, or none is."""


class CollectionState(TerminalError):
    """A proxy collection is already open, or none is; nothing was recorded.

    Attributes:
        word: stable word for programs.
    """

    def __init__(self, message: str, *, word: str = "collection_state") -> None:
        """Keeps the word for the problem document."""
        super().__init__(message)
        self.word = word


class GoodsRefused(TerminalError):
    """A movement of goods contradicts what lies on the shelf; nothing was recorded.

    Attributes:
        word: stable word for programs, for example ``numbers_overlap``.
    """

    def __init__(self, message: str, *, word: str) -> None:
        """Keeps the word for the problem document."""
        super().__init__(message)
        self.word = word


class PracticeUnavailable(TerminalError):
    """Practice mode has no demo cards yet; the message says how they come."""


class PrinterFault(TerminalError):
    """A slip did not reach the paper; the redemption stands, and the slip can be printed again."""


class ServiceUnreachable(TerminalError):
    """The running service does not answer; a retry may help."""


class RequestForbidden(TerminalError):
    """The loopback guard refused a request; nothing was done.

    Attributes:
        rule: which rule refused it, for example ``origin``.
    """

    def __init__(self, message: str, *, rule: str) -> None:
        """Keeps the rule for the problem document."""
        super().__init__(message)
        self.rule = rule
