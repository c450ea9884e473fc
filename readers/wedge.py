"""Keyboard wedges: scanners and stripe readers that type what they read. Pure.

A wedge is told from a person by its pace: it types a whole line within a fraction of a second and
ends it with Enter. What a person types never becomes a scan, and what a wedge types should not
land in the field that has the focus: ``held`` says from which key on it may be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readers.lines import LINE_BYTES_MAX

#: The fastest typists reach 15 keys a second; wedges send one in 1 to 20 ms.
GAP_MS_MAX: Final = 50
#: Shorter bursts are a person's: rolled keys, a paste of a few digits.
CHARACTERS_MIN: Final = 8
_ENDS: Final = frozenset({"Enter", "\r", "\n"})
#: Keys that a wedge sends along with characters and that carry nothing themselves.
_SILENT: Final = frozenset({"Shift", "CapsLock"})


@dataclass(frozen=True, slots=True)
class Scan:
    """A line that a wedge typed.

    Attributes:
        line: the text, without its end.
        duration_ms: from its first key to its end.
    """

    line: str
    duration_ms: int


class WedgeParser:
    """Follows the keys of one keyboard.

    Args:
        gap_ms_max: a longer pause between two keys ends a burst.
        characters_min: a burst of fewer characters is no scan.
    """

    def __init__(self, gap_ms_max: int = GAP_MS_MAX, characters_min: int = CHARACTERS_MIN) -> None:
        """Begins with nothing typed."""
        self._gap_ms_max = gap_ms_max
        self._characters_min = characters_min
        self._burst: list[str] = []
        self._began_ms = 0
        self._last_ms = 0
        self._overlong = False

    @property
    def held(self) -> bool:
        """Whether what is being typed is already too fast and too long for a person."""
        return len(self._burst) >= self._characters_min or self._overlong

    def key(self, key: str, at_ms: int) -> Scan | None:
        """One key, in order.

        Args:
            key: as ``KeyboardEvent.key`` names it: one character, or a name such as ``Enter``.
            at_ms: when it was pressed, by a clock that never steps back, in milliseconds.

        Returns:
            A scan if this key ends one.
        """
        if key in _SILENT:
            return None
        if self._burst and not 0 <= at_ms - self._last_ms <= self._gap_ms_max:
            self.reset()
        if key in _ENDS:
            return self._end(at_ms)
        if len(key) != 1 or not key.isprintable():
            self.reset()
            return None
        if not self._burst:
            self._began_ms = at_ms
        self._last_ms = at_ms
        if self._overlong or len(self._burst) >= LINE_BYTES_MAX:
            self._overlong = True
            del self._burst[1:]
        else:
            self._burst.append(key)
        return None

    def reset(self) -> None:
        """Forgets what was typed, for instance when the page loses the focus."""
        self._burst.clear()
        self._overlong = False

    def _end(self, at_ms: int) -> Scan | None:
        scan = None
        if len(self._burst) >= self._characters_min and not self._overlong:
            scan = Scan("".join(self._burst), at_ms - self._began_ms)
        self.reset()
        return scan
