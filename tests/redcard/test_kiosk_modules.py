"""A kiosk has sixty megabytes: what only counters, printers or scanners need stays outside."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

OUTSIDE: Final = (
    "anyio._backends._asyncio",
    "babel",
    "httpx",
    "importlib.metadata",
    "ledger.verify",
    "pydantic",
    "readers.nfc",
    "readers.serial_port",
    "rich",
    "sync.carrying",
    "sync.roster_delta",
    "terminal.collection",
    "terminal.counterwork",
    "terminal.receipts.escpos",
    "terminal.web.counter",
    "terminal.work_answers",
    "tuf",
)


def test_what_the_command_brings_along() -> None:
    program = (
        "import sys\n"
        "import readers.pcsc, redcard.cli, redcard.commands.pages, redcard.demo_clock\n"
        "import redcard.first_start, redcard.serving, terminal.scanners\n"
        f"print(*[name for name in {OUTSIDE!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []
