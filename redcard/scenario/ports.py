"""What a connected terminal may ask while a card lies on the reader, and how leases are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.codes import Code
from ledger.entry import Entry, Kind
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import LeaseView, Offer, OnlineAnswer, RedemptionRequest, Refill
from ledger.rules.voids import Original
from redcard.scenario.machine import Machine
from terminal.clock import Moment


@dataclass(frozen=True, slots=True)
class Hold:
    """The server's word on an ``online`` offer."""

    answer: OnlineAnswer
    code: Code | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the server granted of a leased stock, or why not."""

    refill: Refill
    lease: LeaseView | None = None


class LeaseHolder(Protocol):
    """Whoever holds leases: a machine, or a stall of a rush."""

    leases: LeaseBook

    @property
    def ledger(self) -> str:
        """Ledger id."""

    def now(self) -> Moment:
        """Its own time."""

    def append(self, entries: Sequence[Entry]) -> int:
        """Writes entries in one durable commit; returns the seq of the first."""


class ServerAtTheTap(Protocol):
    """What a connected terminal may ask while a card lies on the reader."""

    def refill(self, machine: Machine, offer: Offer, quantity: int) -> Grant:
        """More units of a lease."""

    def hold(self, machine: Machine, request: RedemptionRequest, offer: Offer) -> Hold:
        """A hold for an ``online`` offer under the request's nonce."""

    def confirm(self, machine: Machine, nonce: str) -> None:
        """The entry of a hold is durable."""

    def release(self, machine: Machine, nonce: str) -> None:
        """The redemption under a hold was voided."""

    def where(self, nonce: str, ledger: str) -> Original:
        """Where a redemption is that this terminal does not hold, and whether it is settled."""


def close_leases(machine: LeaseHolder, offer: str, *, but: str = "") -> list[Entry]:
    """The terminal's signed word on what it spent of each of its leases."""
    now = machine.now()
    return [
        {
            "kind": Kind.LEASE_CLOSE.value,
            "ts_ms": now.now_ms,
            "mono_ms": now.boot_ms,
            "lease": held.lease,
            "offer": offer,
            "lease_epoch": held.epoch,
            "spent": held.spent,
        }
        for held in machine.leases.opens(offer)
        if held.lease != but
    ]


def take_lease(machine: LeaseHolder, offer: str, lease: LeaseView) -> None:
    """Writes a granted lease, and the close of any other that it takes the place of."""
    now = machine.now()
    granted: Entry = {
        "kind": Kind.LEASE.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "lease": lease.lease,
        "offer": offer,
        "units": lease.units,
        "lease_epoch": lease.epoch,
        "expires_ms": lease.expires_ms,
    }
    machine.append([*close_leases(machine, offer, but=lease.lease), granted])
