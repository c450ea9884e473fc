"""What a press at the counter may ask of the service; whoever holds the desk carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from terminal.answers import RecentTap, Totals
from terminal.receipts.printer import NO_PRINTER, PrinterShown
from terminal.web.panels import PrintJob, SheetJob, WorkJob


@dataclass(frozen=True, slots=True)
class TapJob:
    """Redeem an offer with the card at hand; the same nonce again after a refer."""

    offer: str
    nonce: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    quantity: int = 1
    supervisor: str = ""
    supervisor_pin: str = field(default="", repr=False)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VoidJob:
    """Reverse the redemption with this nonce."""

    nonce: str
    reason: str
    void_nonce: str


@dataclass(frozen=True, slots=True)
class DismissJob:
    """End the card session and any answer."""


@dataclass(frozen=True, slots=True)
class AcknowledgeJob:
    """The page has shown the answer with this nonce."""

    nonce: str


@dataclass(frozen=True, slots=True)
class SyncJob:
    """Push and pull now."""


Job: TypeAlias = (
    TapJob | VoidJob | DismissJob | AcknowledgeJob | SyncJob | WorkJob | PrintJob | SheetJob
)


@dataclass(frozen=True, slots=True)
class Books:
    """Counts and recent acts of the position, fetched beside its view."""

    totals: Totals
    recent: tuple[RecentTap, ...] = ()
    printer: PrinterShown = NO_PRINTER
