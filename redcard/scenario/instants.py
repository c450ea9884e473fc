"""What comes first within one instant of virtual time.

A step without ``at`` or ``after`` takes no time, so a tap, a change at the server and a second tap
may bear the same millisecond. The first was made under the old state and the second under the
new one: the judge is told so, while entries and answers keep their time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server.facts import Event


@dataclass(slots=True)
class LateEvent(Event):
    """An event after changes in its own instant; only the state that it meets differs.

    Attributes:
        changes: how many changes came before it in the instant.
    """

    changes: int = 0

    def __post_init__(self) -> None:
        """A millisecond on for each change, which are kept that far apart."""
        # A dataclass with slots is a new class, which ``super()`` without arguments misses.
        Event.__post_init__(self)
        self.at_ms += self.changes


@dataclass
class Instants:
    """The changes of the present instant, and the entries that came after any.

    Attributes:
        after: by ledger and position, how many changes of its instant an entry came after.
    """

    after: dict[tuple[str, int], int] = field(default_factory=dict)
    _now_ms: int = 0
    _changes: int = 0
    _written: bool = False

    def wrote(self, ledger: str, seq: int, now_ms: int) -> None:
        """A terminal wrote an entry."""
        self._moved(now_ms)
        self._written = True
        self.after.pop((ledger, seq), None)
        if self._changes:
            self.after[ledger, seq] = self._changes

    def change(self, now_ms: int) -> int:
        """The moment from which a change holds: after all that was written before it."""
        self._moved(now_ms)
        self._changes += self._written
        self._written = False
        return now_ms + self._changes

    def event(self, event: Event) -> Event:
        """The event as the judge shall see it."""
        changes = self.after.get(event.position, 0)
        if not changes:
            return event
        return LateEvent(
            event.ledger, event.seq, event.entry, event.after_ms, event.before_ms, changes
        )

    def _moved(self, now_ms: int) -> None:
        if now_ms != self._now_ms:
            self._now_ms, self._changes, self._written = now_ms, 0, False
