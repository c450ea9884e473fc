"""What the server orders of this terminal beside its ledger: supervisors, settings, the wipe.

The last order carried out is noted in ``state.db``. Each is harmless when carried out twice, for a
power cut may come between an order and its note.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from ledger.entry import Value
from ledger.log import canonical
from sync.state import SyncState
from terminal.errors import RequestInvalid
from terminal.journal import Journal
from terminal.remote_settings import RemoteSettings
from terminal.replay import text
from terminal.supervisors import Supervisors
from terminal.wiping import Wipe

_LOG: Final = logging.getLogger("redcard.orders")
WIPE: Final = "wipe"
SUPERVISOR: Final = "supervisor"
CONFIGURATION: Final = "configuration"
#: Kinds of feed items that are carried out here; the others concern the ledger.
ORDERS: Final = frozenset({WIPE, SUPERVISOR, CONFIGURATION})
_DONE: Final = "orders"


class Orders:
    """Carries out stored feed items in their order."""

    def __init__(
        self,
        state: SyncState,
        journal: Journal,
        supervisors: Supervisors,
        wipe: Wipe,
        settings: RemoteSettings,
    ) -> None:
        self._settings = settings
        self._state = state
        self._journal = journal
        self._supervisors = supervisors
        self._wipe = wipe

    def run(self) -> None:
        """Carries out what is new.

        Raises:
            JournalFault: it could not be noted; it is tried again after the next pull.
            KeyStoreError, OSError: a wipe is not complete; it is tried at the next start.
        """
        done = int(self._journal.fact(_DONE) or 0)
        last = done
        for number, data in self._state.feed(done):
            self._carry_out(canonical.decode(data), number)
            last = number
        if last > done:
            self._journal.store_fact(_DONE, str(last))

    def _carry_out(self, record: Mapping[str, Value], number: int) -> None:
        kind = text(record, "kind")
        if kind == WIPE:
            self._wipe.order()
        elif kind == CONFIGURATION:
            self._settings.order(record)
        elif kind == SUPERVISOR:
            try:
                self._supervisors.provide(
                    text(record, "id"),
                    text(record, "pin"),
                    text(record, "card"),
                    active=record.get("active") is True,
                )
            except RequestInvalid as error:
                _LOG.warning("feed item %d provides no usable supervisor: %s", number, error)
