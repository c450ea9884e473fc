"""Exceptions of the central server.

ServerError
├── DatabaseFault           the database cannot be opened, read or written
│   ├── MigrationFailed     a migration failed; the file is as it was before
│   └── SchemaNewer         the database was written by a newer version
├── Overloaded              too much work is waiting; carries when to try again
├── BatchUnreadable         bytes that are no batch, or more than a batch may hold
├── EnrolmentRefused        activation code unknown, used or expired, or no proof of possession
├── TerminalUnknown         no terminal or ledger of this name
├── RequestUnauthentic      a terminal's signed request does not verify or is too old
├── ImportRefused           a file was refused whole; carries the line
│   └── BookingRefused      a booking that cannot be; carries the cause
├── PublicationRefused      offers or keys that may not be published
├── NotAllowed              a person has not the right to do or see this
├── PersonUnknown           no person of this sign-in name
├── BackupInvalid           a backup that cannot be written, or is none or damaged
└── HomeInvalid             the server's folder or configuration is incomplete
"""

from __future__ import annotations


class ServerError(Exception):
    """Root of all errors raised by ``server``; the message says what to do next."""


class DatabaseFault(ServerError):
    """The database cannot be opened, read or written; nothing was acknowledged."""


class MigrationFailed(DatabaseFault):
    """A migration failed; the database is as it was before, the copy's path is in the message."""


class SchemaNewer(DatabaseFault):
    """The database was written by a newer version of the program."""


class Overloaded(ServerError):
    """Too much work is waiting.

    Attributes:
        retry_after_s: whole seconds after which another attempt is welcome.
        by_sender: whether it is this sender that asks for too much, not everybody together.
    """

    def __init__(self, message: str, *, retry_after_s: int, by_sender: bool = False) -> None:
        """Keeps the waiting time for the ``Retry-After`` header."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.by_sender = by_sender


class BatchUnreadable(ServerError):
    """Bytes that are no batch, or more than a batch may hold; nothing was stored."""


class EnrolmentRefused(ServerError):
    """Activation code unknown, used or expired, or no proof of possession; nothing was enrolled."""


class TerminalUnknown(ServerError):
    """No terminal or ledger of this name."""


class RequestUnauthentic(ServerError):
    """A terminal's signed request does not verify or is too old.

    Attributes:
        word: status word of the answer.
    """

    def __init__(self, message: str, *, word: str) -> None:
        """Keeps the word that tells the terminal what to do."""
        super().__init__(message)
        self.word = word


class ImportRefused(ServerError):
    """A file was refused whole; what was in force stays in force.

    Attributes:
        line: line in the file, counted from 1, or ``None`` if the file as a whole is at fault.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        """Puts the line in front of the message."""
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class BookingRefused(ImportRefused):
    """A booking that cannot be; nothing was booked.

    Attributes:
        cause: one word for the terminal that asked, of ``sync.booking.CAUSES``.
    """

    def __init__(self, message: str, *, cause: str) -> None:
        """Keeps the cause."""
        super().__init__(message)
        self.cause = cause


class PublicationRefused(ServerError):
    """Offers or keys that may not be published; the former publication stays in force."""


class NotAllowed(ServerError):
    """A person has not the right to do or see this; nothing was done."""


class PersonUnknown(ServerError):
    """No person of this sign-in name."""


class BackupInvalid(ServerError):
    """A backup that cannot be written, or is none or damaged; nothing was restored."""


class HomeInvalid(ServerError):
    """The server's folder or configuration is incomplete; the message names the file and remedy."""
