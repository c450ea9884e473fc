"""Supervisors: proved by their PIN with a lockout, or by their own card.

A PIN has few digits, so what protects it is the lockout: five wrong ones close it for 15 minutes,
counted on disk before the PIN is compared, so that pulling the plug buys no further guess. The
stored verifier is Argon2id; whoever copies the disk can still search all PINs, which is why a PIN
alone never moves money: every override is in the signed ledger with the supervisor's id.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Final

from keys.errors import SecretInvalid
from keys.pin import check_verifier, pin_matches, pin_verifier
from terminal.errors import JournalFault, RequestInvalid
from terminal.journal import Journal, SupervisorRow

PIN_FAILURES_MAX: Final = 5
LOCKOUT_MS: Final = 15 * 60_000
#: How long a supervisor's own card opens the next act at its position.
GRANT_MS: Final = 60_000
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_CARD: Final = re.compile(r"(?:[a-z2-7]{26})?\Z")
#: Checked for an id that nobody has, so that the answer takes as long.
_NOBODY: Final = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


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
        try:
            verifier = pin_verifier(pin)
        except SecretInvalid:
            raise RequestInvalid("4 to 12 digits", field="pin") from None
        self._check(supervisor, card)
        self._store(supervisor, verifier, card)

    def provide(self, supervisor: str, verifier: str, card: str, *, active: bool) -> None:
        """Takes a supervisor as the server provides it; the same again changes nothing.

        So a repeated order ends no lockout; another PIN does.

        Args:
            supervisor: as ``add``.
            verifier: of the PIN (``keys.pin``), or empty for one who has only a card.
            card: card hash of the supervisor's own card, or empty.
            active: whether it is one; otherwise it is forgotten.

        Raises:
            RequestInvalid: a field has the wrong form; nothing was changed.
            JournalFault: it could not be stored.
        """
        self._check(supervisor, card)
        if not active:
            self._journal.remove_supervisor(supervisor)
            with self._lock:
                self._grants = {
                    position: grant
                    for position, grant in self._grants.items()
                    if grant[0] != supervisor
                }
            return
        try:
            if verifier or not card:
                check_verifier(verifier)
        except SecretInvalid as error:
            raise RequestInvalid(str(error), field="pin") from None
        held = next((row for row in self._journal.supervisors() if row.id == supervisor), None)
        if held is None or (held.pin.decode("utf-8", "replace"), held.card) != (verifier, card):
            self._store(supervisor, verifier, card)

    def _check(self, supervisor: str, card: str) -> None:
        if not _ID.match(supervisor):
            raise RequestInvalid("1 to 32 letters, digits, - and _", field="supervisor")
        if not _CARD.match(card):
            raise RequestInvalid("26 characters a-z and 2-7, or nothing", field="card")

    def _store(self, supervisor: str, verifier: str, card: str) -> None:
        row = SupervisorRow(supervisor, card, b"", verifier.encode("utf-8"), 0, 0)
        self._journal.store_supervisor(row)

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
                pin_matches(_NOBODY, pin)
                return Proof(ok=False)
            if row.locked_until_ms > now_ms:
                return Proof(ok=False, id=row.id, locked_until_ms=row.locked_until_ms)
            # A lockout that has ended leaves a fresh set of guesses.
            failures = (0 if row.locked_until_ms else row.failures) + 1
            locked = now_ms + LOCKOUT_MS if failures >= PIN_FAILURES_MAX else 0
            self._journal.store_supervisor(replace(row, failures=failures, locked_until_ms=locked))
            if not pin_matches(row.pin.decode("utf-8", "replace"), pin):
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
