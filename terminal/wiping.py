"""A revoked terminal forgets what it must not keep: the card key and the roster, never the ledger.

The wipe is noted on disk before anything is erased, so that a power cut in between is finished at
the next start, and so that a terminal that was wiped answers T01 for ever and fetches nothing anew.
Files are unlinked: on flash their blocks may live on until the drive reuses them, which is why the
threat model asks for an encrypted disk.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from typing import Final

from keys.errors import KeyUnknown
from keys.keystore import KeyStore
from sync.client import Snapshot
from sync.snapshot import SnapshotStore
from sync.transport import Transport
from terminal.home import Home
from terminal.install import Installer
from terminal.journal import WIPED, Journal
from terminal.state import Installed, TerminalFacts

_LOG: Final = logging.getLogger("redcard.wiping")
#: Name of the federation's key in the store, under which cards are hashed.
CARD_KEY: Final = "card"


class WipeableStore(SnapshotStore):
    """The downlink of a terminal; once forgotten it brings nothing any more."""

    forgotten = False

    def forget(self) -> None:
        """Brings nothing from now on."""
        self.forgotten = True
        self.current = None

    def reread(self) -> bool:
        """As ``SnapshotStore.reread``; finds nothing when forgotten."""
        return not self.forgotten and super().reread()

    def refresh(self, transport: Transport) -> Snapshot:
        """As ``SnapshotStore.refresh``; asks for nothing when forgotten."""
        if self.forgotten:
            return Snapshot(version=0, changed=False, signed_ms=0)
        return super().refresh(transport)


class Wipe:
    """Wipes one home. Called in the courier's thread and at start."""

    def __init__(
        self,
        *,
        home: Home,
        keys: KeyStore,
        journal: Journal,
        facts: TerminalFacts,
        installer: Installer,
        store: WipeableStore | None,
    ) -> None:
        self._home = home
        self._keys = keys
        self._journal = journal
        self._facts = facts
        self._installer = installer
        self._store = store

    @property
    def begun(self) -> bool:
        """Whether the server has ordered it, now or ever."""
        return bool(self._journal.fact(WIPED))

    def order(self) -> None:
        """Notes the order, durable, and carries it out; again is harmless.

        Raises:
            JournalFault: the order could not be noted; nothing was erased, it comes again.
            KeyStoreError, OSError: something could not be erased; it is tried at every start.
        """
        self._journal.store_fact(WIPED, "1")
        self.carry_out()

    def carry_out(self) -> None:
        """Erases what is still there.

        Raises:
            KeyStoreError, OSError: something could not be erased.
        """
        self._facts.update_link(revoked=True)
        with suppress(KeyUnknown):
            self._keys.erase(CARD_KEY)
        if self._store is not None:
            self._store.forget()
        self._facts.install(Installed())
        self._installer.schemes = ()
        self._installer.problem = "this terminal is revoked and wiped; send its ledger by sync"
        folders = (self._home.snapshot_path, *self._home.path.glob("kept*"))
        for folder in folders:
            if folder.exists():
                shutil.rmtree(folder)
        self._home.snapshot_path.mkdir(mode=0o700)
        _LOG.warning("card key and roster are wiped; the ledger is kept")
