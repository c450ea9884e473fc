"""The roster file of the snapshot as a decision sees it: card hash in, status and member out."""

from __future__ import annotations

from pathlib import Path

from terminal.errors import SnapshotRefused
from terminal.state import Directory


def open_roster(path: Path) -> Directory:
    """Opens the roster of a verified snapshot; it is mapped, not read.

    Raises:
        SnapshotRefused: it is not a roster of a version we know.
    """
    raise SnapshotRefused(f"{path} is of no roster version that this program knows")
