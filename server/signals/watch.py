"""What a running server does once an hour: it counts, and looks with every signal.

Only what something has come in for since the last time is counted and looked at.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from server.back_office import BackOffice

PAUSE_S: Final = 3600.0
_log = logging.getLogger("redcard.server.signals")


async def watch_forever(office: BackOffice, pause_s: float = PAUSE_S) -> None:
    """Looks until it is cancelled.

    Args:
        office: whose days are looked at.
        pause_s: seconds between two looks.
    """
    while True:
        try:
            await office.scan_signals()
            await office.count_statistics()
        except (SQLAlchemyError, OSError):
            # Each writes all or nothing, and the next time begins where this one did.
            _log.exception("counting or looking for signals failed and is tried again")
        await asyncio.sleep(pause_s)
