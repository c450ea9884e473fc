"""Settings that the federation gives a terminal from afar: a numbered set, kept and put in force.

A set is taken whole or not at all: an unknown setting or a value out of range leaves the former one
in force, and the next report says why. An older number never replaces a newer one; the server sets
back by sending an older content under a new number. What is not named is as ``terminal.toml`` says.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ledger.entry import Value
from terminal.configuration import TerminalConfig
from terminal.journal import Journal

_LOG: Final = logging.getLogger("redcard.settings")
#: What the journal keeps: the set in force, and why a newer one is not.
IN_FORCE: Final = "configuration"
FAULT: Final = "configuration_fault"
#: What may be set, with the smallest and largest value.
BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "sync_every_ms": (1_000, 3_600_000),
    "offline_cap": (0, 100_000),
    "snapshot_max_age_ms": (3_600_000, 365 * 86_400_000),
}
_NOT_SETTINGS: Final = frozenset({"kind", "number", "version"})


@dataclass(frozen=True, slots=True)
class Standing:
    """Which set is in force.

    Attributes:
        version: its number, 0 for none.
        fault: why a newer one is not, or empty.
    """

    version: int = 0
    fault: str = ""


class RemoteSettings:
    """Keeps the set in force and tells who uses it."""

    def __init__(self, journal: Journal, config: TerminalConfig) -> None:
        """Begins with what is kept."""
        self._journal = journal
        self._local = config
        self._users: list[Callable[[TerminalConfig], None]] = []

    @property
    def standing(self) -> Standing:
        """Which set is in force."""
        held = self._held()
        return Standing(held.pop("version", 0), self._journal.fact(FAULT))

    @property
    def effective(self) -> TerminalConfig:
        """The terminal's configuration with the set in force laid over it."""
        held = self._held()
        held.pop("version", None)
        changes: dict[str, int] = held
        return replace(self._local, **changes)  # type: ignore[arg-type]

    def use(self, user: Callable[[TerminalConfig], None]) -> None:
        """Tells a user now and at every change."""
        self._users.append(user)
        user(self.effective)

    def order(self, record: Mapping[str, Value]) -> None:
        """Puts an ordered set in force, or notes why not.

        Raises:
            JournalFault: it could not be kept; it is tried again after the next pull.
        """
        version = record.get("version")
        if not isinstance(version, int) or version <= self._held().get("version", 0):
            return
        settings: dict[str, int] = {}
        for name, value in record.items():
            if name in _NOT_SETTINGS:
                continue
            low, high = BOUNDS.get(name, (1, 0))
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                _LOG.warning("configuration %d is not taken: %s", version, name)
                self._journal.store_fact(FAULT, f"{version}: {name}"[:128])
                return
            settings[name] = value
        self._journal.store_fact(IN_FORCE, json.dumps({**settings, "version": version}))
        self._journal.store_fact(FAULT, "")
        for user in self._users:
            user(self.effective)

    def _held(self) -> dict[str, int]:
        kept = self._journal.fact(IN_FORCE)
        return dict(json.loads(kept)) if kept else {}
