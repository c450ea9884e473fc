"""Keyboard wedges at the counter's page: what a scanner types there becomes a card, as identified.

The page sends the keys that came too fast for a person, with the times at which they came. The
parser judges them again here, one for each position; a line that passes takes the way of any other
scanner's line. What was typed goes nowhere else and is not kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from readers.connection import CardConnection
from readers.lines import LINE_BYTES_MAX, LineCard
from readers.wedge import WedgeParser
from terminal.errors import RequestInvalid

#: A line with its shift keys and its end, and as much again.
KEYS_MAX: Final = 4 * LINE_BYTES_MAX
KEY_CHARACTERS_MAX: Final = 32


class WedgeDesk:
    """The wedges of all positions.

    Attributes:
        present: serves a line at a position as if a scanner had sent it; returns when it is
            served. Set by whoever has the reception.
    """

    def __init__(self) -> None:
        """Begins with nobody who serves."""
        self.present: Callable[[str, CardConnection], None] = _nobody_serves
        self._locks: dict[str, threading.Lock] = {}

    def typed(self, position: str, keys: Sequence[str], times: Sequence[int]) -> bool:
        """One burst of keys.

        Args:
            position: whose page has the focus.
            keys: as ``KeyboardEvent.key`` names them, in order, the end included.
            times: milliseconds at which each came, by a clock that never steps back.

        Returns:
            Whether a wedge typed them and the line was served; what a person types is nothing.

        Raises:
            RequestInvalid: too many keys, or times that do not belong to them.
        """
        if len(keys) > KEYS_MAX or any(len(key) > KEY_CHARACTERS_MAX for key in keys):
            raise RequestInvalid(f"at most {KEYS_MAX} keys", field="keys")
        if len(times) != len(keys):
            raise RequestInvalid("one for each key", field="times")
        parser = WedgeParser()
        scans = [parser.key(key, at_ms) for key, at_ms in zip(keys, times, strict=True)]
        served = False
        for scan in scans:
            if scan is not None and scan.line.isascii():
                self._serve(position, scan.line)
                served = True
        return served

    def _serve(self, position: str, line: str) -> None:
        with self._locks.setdefault(position, threading.Lock()):  # one after the other
            card = LineCard(line.encode("ascii"))
            try:
                self.present(position, card)
            finally:
                card.close()


def _nobody_serves(position: str, line: CardConnection) -> None:
    """Before the reception is there."""
    del position, line
