"""Stock leases as the terminal's own ledger tells them: granted, spent, given back, closed.

A fold: a ``lease`` entry opens a lease, each ``redeem`` that names it spends units, a ``void`` of
one gives them back to it while it is open, ``lease_close`` ends it. Expiry ends what the terminal
may give out and returns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.entry import Entry, Kind
from ledger.rules.request import LeaseView


@dataclass(frozen=True, slots=True)
class _Lease:
    view: LeaseView
    offer: str
    open: bool = True


class LeaseBook:
    """The fold over one ledger. The caller holds the writer's turn."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}

    def apply(self, entry: Entry) -> None:
        """Folds the next entry of the ledger."""
        kind, name = entry.get("kind"), str(entry.get("lease", ""))
        if kind == Kind.LEASE and name not in self._leases:
            view = LeaseView(
                lease=name,
                epoch=_number(entry, "lease_epoch"),
                units=_number(entry, "units"),
                spent=0,
                expires_ms=_number(entry, "expires_ms"),
            )
            self._leases[name] = _Lease(view, str(entry.get("offer", "")))
            return
        held = self._leases.get(name)
        if held is None:
            return
        if kind == Kind.LEASE_CLOSE:
            self._leases[name] = replace(held, open=False)
        elif kind in {Kind.REDEEM, Kind.VOID} and held.open:
            sign = 1 if kind == Kind.REDEEM else -1
            spent = held.view.spent + sign * max(1, _number(entry, "quantity"))
            self._leases[name] = replace(held, view=replace(held.view, spent=max(0, spent)))

    def view(self, offer: str, now_ms: int) -> LeaseView | None:
        """The open lease that the next tap takes from: usable ones first, then the newest."""
        found = [one.view for one in self._leases.values() if one.open and one.offer == offer]
        if not found:
            return None
        usable = [one for one in found if one.left > 0 and one.expires_ms > now_ms]
        if usable:
            return min(usable, key=lambda one: (one.expires_ms, one.epoch))
        return max(found, key=lambda one: one.epoch)

    def known(self, lease: str) -> bool:
        """Whether this lease is in the ledger already."""
        return lease in self._leases


def _number(entry: Entry, name: str) -> int:
    value = entry.get(name, 0)
    return value if isinstance(value, int) else 0
