"""Representatives as a fold: how many cards and units each has collected for colleagues (代领)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ledger.entry import Entry, Kind

#: Cards for which one representative may collect one offer in one local day, unless it says less.
AGENT_CARDS_MAX: Final = 200
#: Batches whose entries are remembered, for their sign-off sheets.
BATCHES_MAX: Final = 500


class AgentBook:
    """The fold over a terminal's own ledger. ``apply`` each entry once, in order."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], dict[int, int]] = {}
        self._of: dict[int, tuple[str, str]] = {}
        self._batches: OrderedDict[str, list[int]] = OrderedDict()

    def apply(self, entry: Entry) -> None:
        """Takes one entry; those without a representative are passed over, voids excepted."""
        kind, agent, batch = entry.get("kind"), entry.get("agent"), entry.get("batch")
        seq = entry.get("seq")
        if not isinstance(seq, int):
            return
        if kind == Kind.VOID:
            origin = entry.get("orig_seq")
            key = self._of.pop(origin, None) if isinstance(origin, int) else None
            if key is not None and isinstance(origin, int):
                self._taken[key].pop(origin, None)
        elif agent and kind == Kind.REDEEM:
            key = (str(agent), str(entry.get("offer", "")))
            at_ms = entry.get("ts_ms", 0)
            self._taken.setdefault(key, {})[seq] = at_ms if isinstance(at_ms, int) else 0
            self._of[seq] = key
        if isinstance(batch, str) and batch:
            self._batches.setdefault(batch, []).append(seq)
            if len(self._batches) > BATCHES_MAX:
                self._batches.popitem(last=False)

    def cards(self, agent: str, offer: str, since_ms: int) -> int:
        """Cards for which a representative collected an offer since an instant, voids excluded."""
        taken = self._taken.get((agent, offer), {})
        return sum(at_ms >= since_ms for at_ms in taken.values())

    def batch(self, name: str) -> tuple[int, ...]:
        """Sequence numbers of the entries of one batch, in order."""
        return tuple(self._batches.get(name, ()))

    def batches(self) -> list[str]:
        """Names of the batches remembered, newest first."""
        return list(reversed(self._batches))
