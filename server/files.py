"""Files of the server's home, its publication and its sticks: whole or not at all, and durable."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.log.disk import sync_directory


def replace_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Puts a file in place whole or not at all; it is on the medium when this returns.

    Args:
        path: where; until it is whole it has a name that begins with a dot.
        data: its whole content.
        mode: who may do what with it, less what the process's mask forbids.

    Raises:
        OSError: the medium is full or gone; an older file of this name is untouched.
    """
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync_directory(path.parent)
