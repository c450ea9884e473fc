"""Titles of offers in the snapshot of a home, for what is read without a running terminal."""

from __future__ import annotations

from contextlib import suppress

from ledger.errors import OfferInvalid
from sync.errors import SyncError
from sync.snapshot import SnapshotStore
from terminal.home import Home
from terminal.install import catalogue_of


def titles_of(home: Home, *, english: bool = False) -> dict[str, str]:
    """Titles by offer; empty if the home has no usable snapshot: an id says enough."""
    with suppress(OSError, SyncError, OfferInvalid):
        current = SnapshotStore(home.snapshot_path, home.root_path.read_bytes()).current
        if current is not None:
            name = "title_en" if english else "title"
            return {
                offer: str(getattr(found, name, "") or offer)
                for offer, found in catalogue_of(current).offers.items()
            }
    return {}
