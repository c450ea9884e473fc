"""What the server thinks of this terminal's entries, for the lists that pages show."""

from __future__ import annotations

from collections.abc import Mapping

from sync.state import SyncState


class Verdicts:
    """The server's newest judgements, read again only when there are newer ones."""

    def __init__(self, state: SyncState) -> None:
        self._state = state
        self._read: tuple[int, dict[int, str]] = (-1, {})

    def by_seq(self) -> Mapping[int, str]:
        """Verdict by position in the ledger."""
        revision = self._state.number("judgements")
        if self._read[0] != revision:
            self._read = (revision, {one.seq: one.verdict for one in self._state.judgements()})
        return self._read[1]
