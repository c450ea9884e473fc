"""How long to wait before asking again: full jitter, bounded, pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DELAY_MS_MIN: Final = 1_000
DELAY_MS_MAX: Final = 900_000
RETRY_AFTER_S_MAX: Final = 86_400
_DOUBLINGS_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter.

    A fleet that lost one server comes back spread over the whole window, not in waves: the delay is
    uniform from 0 to ``min(cap, base x 2^failures)``.

    Attributes:
        base_ms: window after the first failure.
        cap_ms: widest window.
    """

    base_ms: int = DELAY_MS_MIN
    cap_ms: int = DELAY_MS_MAX

    def window_ms(self, failures: int) -> int:
        """Widest delay after this many failures in a row, the first being 1."""
        return min(self.cap_ms, self.base_ms << min(max(failures - 1, 0), _DOUBLINGS_MAX))

    def delay_ms(self, failures: int, fraction: float, *, retry_after_s: int = 0) -> int:
        """Milliseconds to wait.

        Args:
            failures: failures in a row, at least 1.
            fraction: a fresh uniform random number in ``[0, 1)``.
            retry_after_s: what the server asked for; never undercut, and the jitter is added to
                it, so that all who were told the same do not return together.
        """
        asked_ms = 1_000 * min(max(retry_after_s, 0), RETRY_AFTER_S_MAX)
        return asked_ms + int(self.window_ms(failures) * fraction)
