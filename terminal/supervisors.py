"""Supervisors: proved by their PIN with a lockout, or by their own card.

A PIN has few digits, so what protects it is the lockout: five wrong ones close it for 15 minutes,
counted on disk before the PIN is compared, so that pulling the plug buys no further guess. The
stored verifier is scrypt; whoever copies the disk can still search all PINs, which is why a PIN
alone never moves money: every override is in the signed ledger with the supervisor's id.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Final

from terminal.errors import JournalFault, RequestInvalid
from terminal.journal import Journal, SupervisorRow

PIN_FAILURES_MAX: Final = 5
LOCKOUT_MS: Final = 15 * 60_000
#: How long a supervisor's own card opens the next act at its position.
GRANT_MS: Final = 60_000
_PIN: Final = re.compile(r"[0-9]{4,12}\Z")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether somebody is a proven supervisor, and if not, why.

    Attributes:
        ok: proven now.
        id: the supervisor named, as it stands in entries.
        locked_until_ms: when the lockout ends, 0 if there is none.
    """

    ok: bool
    id: str = ""
    locked_until_ms: int = 0


class Supervisors:
    """Proves supervisors against ``state.db``. Methods may be called from any thread."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._grants: dict[str, tuple[str, int]] = {}

    def add(self, supervisor: str, pin: str, card: str = "") -> None:
        """Adds a supervisor, or gives one a new PIN and ends a lockout.

        Args:
            supervisor: 1 to 32 letters, digits, ``-`` and ``_``.
            pin: 4 to 12 digits.
            card: card hash of the supervisor's own card, or empty.

        Raises:
            RequestInvalid: id or PIN has the wrong form.
        """
        if not _ID.match(supervisor):
            raise RequestInvalid("1 to 32 letters, digits, - and _", field="supervisor")
        if not _PIN.match(pin):
            raise RequestInvalid("4 to 12 digits", field="pin")
        salt = secrets.token_bytes(_SALT_BYTES)
        self._journal.store_supervisor(
            SupervisorRow(supervisor, card, salt, _verifier(pin, salt), 0, 0)
        )

    def prove(self, supervisor: str, pin: str, position: str, now_ms: int) -> Proof:
        """Proves a supervisor by PIN, or without one by a card just tapped at this position.

        An unknown id takes as long as a wrong PIN. When the guess cannot be counted on disk, it
        proves nothing.
        """
        if not supervisor:
            return Proof(ok=False)
        if not pin:
            return self._by_grant(supervisor, position, now_ms)
        try:
            return self._by_pin(supervisor, pin, now_ms)
        except JournalFault:
            return Proof(ok=False, id=supervisor)

    def _by_pin(self, supervisor: str, pin: str, now_ms: int) -> Proof:
        with self._lock:
            row = next((row for row in self._journal.supervisors() if row.id == supervisor), None)
            if row is None:
                _verifier(pin, bytes(_SALT_BYTES))
                return Proof(ok=False)
            if row.locked_until_ms > now_ms:
                return Proof(ok=False, id=row.id, locked_until_ms=row.locked_until_ms)
            # A lockout that has ended leaves a fresh set of guesses.
            failures = (0 if row.locked_until_ms else row.failures) + 1
            locked = now_ms + LOCKOUT_MS if failures >= PIN_FAILURES_MAX else 0
            self._journal.store_supervisor(replace(row, failures=failures, locked_until_ms=locked))
            if not compare_digest(_verifier(pin, row.salt), row.pin):
                return Proof(ok=False, id=row.id, locked_until_ms=locked)
            self._journal.store_supervisor(replace(row, failures=0, locked_until_ms=0))
            return Proof(ok=True, id=row.id)

    def card_tapped(self, card: str, position: str, now_ms: int) -> str:
        """Notes that an authenticated card was tapped; the supervisor's id if it is one's own."""
        if not card:
            return ""
        try:
            rows = self._journal.supervisors()
        except JournalFault:
            return ""
        for row in rows:
            if row.card and compare_digest(row.card, card):
                with self._lock:
                    self._grants[position] = (row.id, now_ms + GRANT_MS)
                return row.id
        return ""

    def _by_grant(self, supervisor: str, position: str, now_ms: int) -> Proof:
        with self._lock:
            granted, until_ms = self._grants.get(position, ("", 0))
            if granted != supervisor or until_ms <= now_ms:
                return Proof(ok=False, id=supervisor)
            del self._grants[position]
            return Proof(ok=True, id=supervisor)


def _verifier(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode("ascii", "replace"), salt=salt, n=2**14, r=8, p=1, dklen=32)
