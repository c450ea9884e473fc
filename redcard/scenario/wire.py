"""The way between a scenario's terminals and its server: the real push loop over a cable of ours.

Nothing travels by itself: a step pushes, the server judges, and a pull brings back what it knows.
The cable can be cut, and an answer can be lost after the server has acted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ledger.log.note import Verifier
from redcard.scenario.machine import Machine
from redcard.scenario.ports import close_leases
from sync.errors import Refused, Unreachable
from sync.protocol import BATCH_MEDIA_TYPE, decode_size, entries_path
from sync.receipts import open_receipt
from sync.transport import ANSWER_BYTES_MAX, Request, Response
from sync.uplink import SyncStatus, Uplink, check_answer, refused_status, standing

__all__ = ["Cable", "SyncAnswer", "SyncStatus", "pull", "push", "resend", "sync"]


class Server(Protocol):
    """The server's end of the cable."""

    @property
    def witness(self) -> Verifier:
        """Key of the receipts."""

    def take(self, request: Request) -> Response:
        """Answers a POST of a batch."""

    def refresh(self, machine: Machine) -> None:
        """Brings a machine's snapshot and judgements up to date."""

    def standing_of(self, ledger: str) -> SyncStatus:
        """How the server sees a ledger."""

    def told(self, ledger: str) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Newest verdicts and flags of a ledger's entries, by nonce."""

    def recalls(self, ledger: str) -> list[str]:
        """Offers whose lease this ledger shall close; asked once."""


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """What a sync, pull or import answers."""

    status: str
    size: int
    verdicts: dict[str, str] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)
    snapshot: str = ""


class Cable:
    """A transport that can be cut and that can lose an answer."""

    def __init__(self, machine: Machine, server: Server) -> None:
        self._machine = machine
        self._server = server

    def exchange(self, request: Request, *, bytes_max: int = ANSWER_BYTES_MAX) -> Response:
        """Brings a request to the server.

        Raises:
            Unreachable: the cable is cut, or the answer was lost.
        """
        if not self._machine.online:
            raise Unreachable("the cable is cut")
        self._machine.last_sent = request.body
        response = self._server.take(request)
        if len(response.body) > bytes_max:
            raise Unreachable("the answer is too long")
        if self._machine.lose_answer:
            self._machine.lose_answer = False
            raise Unreachable("the answer was lost")
        return response

    def close(self) -> None:
        """Nothing is open between two exchanges."""


def push(machine: Machine, server: Server) -> SyncStatus:
    """Sends all that has no receipt, by the loop that terminals use."""
    uplink = Uplink(machine.log, machine.sync, Cable(machine, server), server.witness)
    status = uplink.push().status
    # With nothing to send the loop asks nobody; a sync still has to reach the server.
    lost, machine.lose_answer = machine.lose_answer, False
    return SyncStatus.OFFLINE if lost or not machine.online else status


def sync(machine: Machine, server: Server) -> SyncAnswer:
    """Push, judgement, pull; what a recall made the terminal write is pushed at once."""
    status = push(machine, server)
    if status is not SyncStatus.OFFLINE:
        server.refresh(machine)
        if _close_recalled(machine, server) and status is SyncStatus.OK:
            status = push(machine, server)
            server.refresh(machine)
        standing = server.standing_of(machine.ledger)
        status = standing if status is SyncStatus.OK else status
        machine.refresh_image()
    return answer(machine, status)


def pull(machine: Machine, server: Server) -> SyncAnswer:
    """The downlink alone."""
    if not machine.online:
        return answer(machine, SyncStatus.OFFLINE)
    server.refresh(machine)
    _close_recalled(machine, server)
    machine.refresh_image()
    return answer(machine, server.standing_of(machine.ledger))


def resend(machine: Machine, server: Server) -> SyncAnswer:
    """The last batch once more, byte for byte."""
    if machine.last_sent is None:
        return answer(machine, SyncStatus.OK)
    request = Request(
        "POST",
        entries_path(machine.ledger),
        {"Content-Type": BATCH_MEDIA_TYPE},
        machine.last_sent,
    )
    try:
        response = Cable(machine, server).exchange(request)
    except Unreachable:
        return answer(machine, SyncStatus.OFFLINE)
    status, size = outcome_of(response, server.witness, machine.signer.name)
    found = answer(machine, status)
    if size is None:
        return found
    # What the terminal heard the first time, and of the rest what the server holds.
    verdicts, flags = server.told(machine.ledger)
    return SyncAnswer(found.status, size, verdicts | found.verdicts, flags | found.flags)


def outcome_of(response: Response, witness: Verifier, origin: str) -> tuple[SyncStatus, int | None]:
    """Status and size that an answer to a batch tells."""
    if response.status == 409:
        return SyncStatus.NEED_FROM, decode_size(response.body)
    try:
        check_answer(response)
    except Refused as refusal:
        return refused_status(refusal), None
    return standing(response), open_receipt(response.body, witness, origin).checkpoint.size


def answer(machine: Machine, status: SyncStatus) -> SyncAnswer:
    """What the terminal knows after an exchange."""
    return SyncAnswer(
        status.value,
        machine.acknowledged(),
        dict(machine.verdicts),
        {nonce: list(reasons) for nonce, reasons in machine.flags.items()},
        machine.age(machine.now().now_ms).value,
    )


def _close_recalled(machine: Machine, server: Server) -> bool:
    """Writes the close of each lease that the server wants back."""
    offers = server.recalls(machine.ledger)
    entries = [entry for offer in offers for entry in close_leases(machine, offer)]
    if entries:
        machine.append(entries)
    return bool(entries)
