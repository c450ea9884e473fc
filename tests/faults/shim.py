"""The library that records and breaks what a process does to its disk (``disk.c``)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "disk.c"
#: Flushes are counted and failed, not waited for, so a disk in memory is as good and much faster.
FAST = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


def build(folder: Path) -> Path:
    """Compiles the library; skips (in CI: fails) without a C compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (script/bootstrap test)")
    library = folder / "disk.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCE), "-ldl"], check=True)
    return library


def environment(library: Path, folder: Path, log: Path | None = None) -> dict[str, str]:
    """Environment of a process whose files below ``folder`` are watched."""
    added = {"LD_PRELOAD": str(library), "RECORD_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    if log is not None:
        added["RECORD_LOG"] = str(log)
    return {**os.environ, **added}
