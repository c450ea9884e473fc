"""What the server sends to this terminal alone: stock leases granted and recalled.

The ledger is the cursor: each entry written for a feed item carries its number, so that a crash
between the two can neither lose an item nor take it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from ledger.entry import Entry, Kind, Value
from ledger.errors import LogFault
from ledger.log import canonical
from ledger.rules.request import LeaseView
from sync.state import SyncState
from terminal.clock import Moment
from terminal.orders import ORDERS
from terminal.replay import number, text
from terminal.reservations import KINDS, ReservationDesk
from terminal.state import TerminalTime
from terminal.writer import LedgerWriter

_LOG: Final = logging.getLogger("redcard.feed")


class FeedWork:
    """Carries out stored feed items in their order."""

    def __init__(
        self,
        state: SyncState,
        writer: LedgerWriter,
        time: TerminalTime,
        reservations: ReservationDesk,
    ) -> None:
        self._state = state
        self._reservations = reservations
        self._writer = writer
        self._time = time

    def run(self) -> None:
        """Writes what is new.

        Raises:
            LogFault: the ledger does not take it; it is tried again after the next pull.
        """
        self._reservations.refresh()
        with self._writer.turn:
            if not self._writer.ready:
                raise LogFault(self._writer.fault)
            for item, data in self._state.feed(self._writer.feed_number):
                record = canonical.decode(data)
                entries = self._entries(record, item)
                if entries:
                    self._writer.append_all(entries)

    def _entries(self, record: Mapping[str, Value], item: int) -> list[Entry]:
        now, kind = self._time.now(), text(record, "kind")
        offer, lease = text(record, "offer"), text(record, "lease")
        if kind == "lease":
            return [_grant(record, item, now)]
        if kind == "recall":
            opens = self._writer.leases.opens(offer)
            return [_close(held, offer, item, now) for held in opens if held.lease == lease]
        if kind not in ORDERS | KINDS:
            _LOG.info("feed item %d of kind %s is not for this version", item, kind)
        return []


def _grant(record: Mapping[str, Value], item: int, now: Moment) -> Entry:
    return {
        "kind": Kind.LEASE.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "lease": text(record, "lease"),
        "offer": text(record, "offer"),
        "units": number(record, "units"),
        "lease_epoch": number(record, "lease_epoch"),
        "expires_ms": number(record, "expires_ms"),
        "feed": item,
    }


def _close(held: LeaseView, offer: str, item: int, now: Moment) -> Entry:
    return {
        "kind": Kind.LEASE_CLOSE.value,
        "ts_ms": now.now_ms,
        "mono_ms": now.boot_ms,
        "lease": held.lease,
        "offer": offer,
        "lease_epoch": held.epoch,
        "spent": held.spent,
        "feed": item,
    }
