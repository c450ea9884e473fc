"""What a running terminal is made of; ``terminal.composition`` fills it from a home."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from readers.connection import CardConnection
from readers.supervision import CardReader
from sync.booking import BookingAnswer, BookingQuestion
from terminal.corrections import Corrections
from terminal.courier import Courier
from terminal.flow import TapFlow
from terminal.journal import Journal
from terminal.presenting import Presented
from terminal.reservations import ReservationDesk
from terminal.shift import Shifts
from terminal.staff import StaffPin
from terminal.state import TerminalFacts
from terminal.stock import StockDesk
from terminal.supervisors import Supervisors
from terminal.writer import LedgerWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One of each, wired.

    Attributes:
        ledger: ledger id.
        origin: its origin.
        name: what people call the terminal.
        demo: pages show the demo's date; test keys are accepted.
        present: authenticates a powered card.
        new_nonce: a fresh ULID.
        verdicts: the server's newest judgement of each entry that it has judged.
        problems: what hinders the terminal beside ledger and link, a sentence each.
        closing: what to close after the ledger.
        book: asks the server for a booking by telephone, ``None`` without a server.
        reservations: tokens of bookings, none in the practice room.
        practice: it is the practice room; pages show that and nothing travels.
        staff: the PIN of the staff corner.
    """

    ledger: str
    origin: str
    name: str
    demo: bool
    writer: LedgerWriter
    facts: TerminalFacts
    journal: Journal
    flow: TapFlow
    corrections: Corrections
    shifts: Shifts
    stock: StockDesk
    supervisors: Supervisors
    courier: Courier
    readers: Sequence[CardReader]
    present: Callable[[CardConnection], Presented]
    new_nonce: Callable[[], str]
    verdicts: Callable[[], Mapping[int, str]]
    problems: Callable[[], Sequence[str]]
    staff: StaffPin
    closing: Sequence[Callable[[], None]] = ()
    practice: bool = False
    reservations: ReservationDesk | None = None
    book: Callable[[BookingQuestion], BookingAnswer | None] | None = None
