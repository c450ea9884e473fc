"""The terminal's only clock: wall time, time since the machine's boot, and the signed floor.

A terminal trusts its wall clock no further than what the server has signed: ``now`` is the later
of the wall clock and the floor, and a wall clock far below the floor is a fault (T03).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

#: A wall clock further below the floor than this is T03 (DESIGN section 4, Time).
CLOCK_BEHIND_MAX_MS: Final = 120_000

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Source of time of one machine."""

    def wall_ms(self) -> int:
        """The wall clock, UTC milliseconds since the Unix epoch; it may be wrong and may jump."""

    def boot_ms(self) -> int:
        """Milliseconds since this machine's boot, sleep included; it never goes back."""

    def boot_id(self) -> str:
        """16 lower-case hexadecimal digits that name this boot of the machine."""


class SystemClock:
    """The machine's own clocks: CLOCK_REALTIME, CLOCK_BOOTTIME and the kernel's boot id."""

    def __init__(self) -> None:
        self._boot_id = boot_id_of(_BOOT_ID.read_text(encoding="ascii"))

    def wall_ms(self) -> int:
        """CLOCK_REALTIME in milliseconds."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000

    def boot_ms(self) -> int:
        """CLOCK_BOOTTIME in milliseconds; unlike CLOCK_MONOTONIC it counts sleep."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def boot_id(self) -> str:
        """The kernel's random boot id, reduced to 16 hexadecimal digits."""
        return self._boot_id


@dataclass(frozen=True, slots=True)
class ShiftedClock:
    """A clock that is moved by fixed offsets: the demo's date, at real speed.

    Attributes:
        base: the clock that really runs.
        offset_ms: added to its wall time.
        paused_ms: taken off its boot time: how long the demo did not run in this boot.
    """

    base: Clock
    offset_ms: int
    paused_ms: int = 0

    def wall_ms(self) -> int:
        """The base's wall clock plus the offset."""
        return self.base.wall_ms() + self.offset_ms

    def boot_ms(self) -> int:
        """The base's boot time, less what was slept through."""
        return self.base.boot_ms() - self.paused_ms

    def boot_id(self) -> str:
        """The base's boot id."""
        return self.base.boot_id()


@dataclass(frozen=True, slots=True)
class TimeFloor:
    """The earliest moment it can be: a time the server signed, and when we learnt of it.

    Attributes:
        signed_ms: highest time known to have passed, 0 when the server has signed none.
        boot_id: the boot during which it was noted.
        boot_ms: boot time at which it was noted.
    """

    signed_ms: int
    boot_id: str
    boot_ms: int

    def at(self, clock: Clock) -> int:
        """The floor now, in UTC milliseconds.

        Within the same boot the time since it was noted counts too; after a reboot it is unknown
        how long the machine was off, so that only the noted time holds.
        """
        if self.boot_id != clock.boot_id():
            return self.signed_ms
        return self.signed_ms + max(0, clock.boot_ms() - self.boot_ms) if self.signed_ms else 0

    def raised(self, signed_ms: int, clock: Clock) -> TimeFloor:
        """The floor after the server signed a time; it never goes down."""
        return TimeFloor(max(self.at(clock), signed_ms), clock.boot_id(), clock.boot_ms())


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the terminal's time.

    Attributes:
        now_ms: the later of wall clock and floor; what rules and entries use.
        boot_ms: milliseconds since boot.
        behind_ms: by how much the wall clock lies below the floor, 0 if it does not.
    """

    now_ms: int
    boot_ms: int
    behind_ms: int

    @property
    def clock_ok(self) -> bool:
        """Whether the wall clock agrees with what the server has signed; if not, T03."""
        return self.behind_ms <= CLOCK_BEHIND_MAX_MS


def moment(clock: Clock, floor: TimeFloor) -> Moment:
    """Reads the clock once, against the floor."""
    wall_ms, floor_ms = clock.wall_ms(), floor.at(clock)
    return Moment(max(wall_ms, floor_ms), clock.boot_ms(), max(0, floor_ms - wall_ms))


def boot_id_of(text: str) -> str:
    """Reduces the kernel's boot id (a UUID) to the 16 hexadecimal digits that entries carry."""
    return hashlib.sha256(text.strip().encode("ascii")).hexdigest()[:16]
