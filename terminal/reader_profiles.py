"""Reader profiles in force at a terminal: the federation's in front of those of the product.

They come with the snapshot. A set that this version cannot read is refused whole and the last good
one stays, while offers and card status of the same snapshot come into force: a profile tells how a
reader blinks, and must not hold up who may be served.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware_profiles.errors import ProfileError
from sync.errors import SyncError
from terminal.kept import SnapshotFiles

if TYPE_CHECKING:
    from firmware_profiles.catalogue import Catalogue

TARGET: Final = "firmware_profiles.json"
#: In the terminal's home: the last set that made sense, as it was signed.
KEPT: Final = "reader_profiles.json"


def adopt(home: Path, snapshot: SnapshotFiles) -> str:
    """Keeps the profiles of a verified snapshot, if they make sense; at once for whoever asks next.

    Returns:
        Why they were refused, with what stays in force; empty if all is well.
    """
    kept = home / KEPT
    try:
        data = _brought(snapshot)
        if data is None:
            kept.unlink(missing_ok=True)
        elif not kept.exists() or kept.read_bytes() != data:
            _in_front(data)
            fresh = kept.with_name(f".{KEPT}.new")
            fresh.write_bytes(data)
            fresh.replace(kept)
    except (ProfileError, SyncError, OSError) as error:
        return f"the published reader profiles are refused ({error}); the last good ones stay"
    return ""


def profiles_of(home: Path) -> Catalogue:
    """The profiles by which readers of a terminal are matched; the product's without a home.

    Raises:
        ProfileError: the product's own are damaged.
    """
    from firmware_profiles.catalogue import load

    try:
        data = (home / KEPT).read_bytes()
    except OSError:
        return load()
    try:
        return _in_front(data)
    except ProfileError:
        return load()  # altered on this disk since; the next snapshot brings them again


def _brought(snapshot: SnapshotFiles) -> bytes | None:
    return snapshot.read(TARGET) if TARGET in snapshot.files else None


def _in_front(data: bytes) -> Catalogue:
    from firmware_profiles.catalogue import load
    from firmware_profiles.published import decode, in_front

    return in_front(load(), decode(data))
