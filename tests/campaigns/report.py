"""What a campaign is, how long it may run, and what it found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Rounds of a campaign that is bounded by time alone.
UNBOUNDED: Final = 1 << 62
#: Seconds between two lines of progress.
PROGRESS_S: Final = 5.0


class Budget:
    """How much a campaign may do, and where it says how far it is.

    Args:
        rounds: in the campaign's own unit.
        minutes: stops earlier when they are over; the round under way is finished.
        only: the part of the campaign to run, where it has parts; empty runs all.
        say: takes one line of progress.
        small: plays the smallest shapes, so that a default test can run every campaign.
    """

    def __init__(
        self,
        rounds: int,
        minutes: float | None = None,
        only: tuple[str, ...] = (),
        say: Callable[[str], None] = lambda line: None,
        *,
        small: bool = False,
    ) -> None:
        self.rounds = rounds
        self.small = small
        self.only = only
        self._say = say
        self._minutes = minutes
        self._deadline = None if minutes is None else time.monotonic() + minutes * 60
        self._next = time.monotonic() + PROGRESS_S

    def more(self, done: int) -> bool:
        """Whether another round may start after so many."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_S
            self._say(f"{done:,} of {self.rounds:,}" if self.rounds < UNBOUNDED else f"{done:,}")
        return done < self.rounds and not self.over()

    @property
    def minutes(self) -> float | None:
        """How long it may run, ``None`` for as long as its rounds take."""
        return self._minutes

    def over(self) -> bool:
        """Whether the minutes are over."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def say(self, line: str) -> None:
        """One line of progress."""
        self._say(line)

    def share(self, parts: int) -> Budget:
        """The same rounds for one of several parts, and its part of the minutes."""
        minutes = None if self._minutes is None else self._minutes / parts
        return Budget(self.rounds, minutes, self.only, self._say, small=self.small)


@dataclass
class Report:
    """What a campaign found.

    Attributes:
        figures: what was counted, by name, in the order it is printed.
        failures: what must not be; empty is success.
        controls: for each fault put in on purpose, whether it was caught.
        notes: what a reader should see without it being a failure.
    """

    figures: dict[str, str | int | float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    controls: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def need(self, holds: bool, otherwise: str) -> None:
        """Records a failure unless it holds."""
        if not holds:
            self.failures.append(otherwise)

    @property
    def ok(self) -> bool:
        """Nothing failed, and every control was caught."""
        return not self.failures and bool(self.controls) and all(self.controls.values())

    def lines(self) -> list[str]:
        """For people."""
        shown = [
            f"  {name}: {value:,}" if isinstance(value, int) else f"  {name}: {value}"
            for name, value in self.figures.items()
        ]
        shown += [f"  {note}" for note in self.notes]
        for name, caught in self.controls.items():
            shown.append(f"  control, {name}: {'caught' if caught else 'NOT CAUGHT'}")
        shown += [f"  FAILED: {failure}" for failure in self.failures]
        return shown


@dataclass(frozen=True)
class Campaign:
    """A campaign by name.

    Attributes:
        line: what it does.
        unit: what a round is.
        rounds: how many a full run has.
        least: how many the default tests run, so that the campaign itself is tested.
        run: does it.
        parts: names that may be asked for apart; empty if it has none.
    """

    name: str
    line: str
    unit: str
    rounds: int
    least: int
    run: Callable[[Budget], Report]
    parts: Callable[[], tuple[str, ...]] = tuple


def to_stderr(name: str) -> Callable[[str], None]:
    """Progress for people, apart from the summary."""

    def say(line: str) -> None:
        sys.stderr.write(f"{name}: {line}\n")
        sys.stderr.flush()

    return say
