"""The PIN of a kiosk's staff corner: today's count and the day's closing, nothing more.

It overrides nothing and voids nothing, so it is the machine's own and no supervisor's. Kept as an
Argon2id verifier; five wrong ones lock the corner for five minutes, counted on disk before the PIN
is compared.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Final

from keys.pin import pin_matches, pin_verifier
from terminal.answers import StaffProof
from terminal.home import write_private

STAFF_FAILURES_MAX: Final = 5
STAFF_LOCKOUT_MS: Final = 5 * 60_000


class StaffPin:
    """Reads and checks the PIN of one machine. Methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        """Keeps it in ``file``, readable by this user alone."""
        self._file = file
        self._lock = threading.Lock()

    def set(self, pin: str) -> None:
        """Sets the PIN, and ends a lockout.

        Raises:
            SecretInvalid: not 4 to 12 digits.
        """
        with self._lock:
            self._write({"verifier": pin_verifier(pin), "failures": 0, "locked_until_ms": 0})

    @property
    def is_set(self) -> bool:
        """Whether this machine has a PIN."""
        with self._lock:
            return bool(self._read()["verifier"])

    def enter(self, pin: str, now_ms: int) -> StaffProof:
        """Checks a PIN typed at the machine."""
        with self._lock:
            kept = self._read()
            if not kept["verifier"]:
                return StaffProof(ok=False, set=False)
            if kept["locked_until_ms"] > now_ms:
                return StaffProof(ok=False, locked_until_ms=kept["locked_until_ms"])
            failures = 1 + (0 if kept["locked_until_ms"] else kept["failures"])
            locked = now_ms + STAFF_LOCKOUT_MS if failures >= STAFF_FAILURES_MAX else 0
            self._write({**kept, "failures": failures, "locked_until_ms": locked})
            if not pin_matches(kept["verifier"], pin):
                return StaffProof(ok=False, locked_until_ms=locked)
            self._write({**kept, "failures": 0, "locked_until_ms": 0})
            return StaffProof(ok=True)

    def _read(self) -> dict[str, Any]:
        blank = {"verifier": "", "failures": 0, "locked_until_ms": 0}
        try:
            kept = json.loads(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            return blank
        if not isinstance(kept, dict) or set(kept) != set(blank):
            return blank
        return kept

    def _write(self, kept: dict[str, Any]) -> None:
        write_private(self._file, json.dumps(kept).encode(), replace=True)
