"""The ledgers that the server holds, for whoever audits them from its shell.

The server's own ledger is a ledger like every other: it is exported as plain files and verified
with the tools that verify a terminal's. A terminal's is exported as far as it was receipted, for
instance after the terminal was lost.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from ledger.log.note import vkey
from server.home import WITNESS
from server.own_ledger import SETTING, StoredLedger, newest_of, read_ledger, write_ledger
from server.schema import ledgers
from server.setting_rows import setting

if TYPE_CHECKING:
    from server.core import ServerCore
    from server.office_acts import Arguments, OfficeAct


async def _own_ledgers(core: ServerCore, _arguments: Arguments) -> Any:
    """Every ledger that the back office has written to, the newest first."""
    query = select(ledgers).where(ledgers.c.terminal == "").order_by(ledgers.c.created_ms.desc())
    async with core.database.reading() as connection:
        current = await setting(connection, SETTING)
        rows = (await connection.execute(query)).all()
    return {
        "ledgers": [
            {
                "ledger": row.ledger,
                "origin": row.origin,
                "current": row.ledger == current,
                "size": row.size,
                "root": base64.b64encode(row.root).decode("ascii"),
                "vkey": _own_key(core, row.origin),
                "last_ms": row.received_ms,
            }
            for row in rows
        ],
        "witness": core.home.vkeys()[WITNESS],
    }


async def _ledger_export(core: ServerCore, arguments: Arguments) -> Any:
    """Writes a folder on this machine: whoever may ask sits at it."""
    stored = await _stored(core, arguments)
    folder = Path(arguments["path"])
    keys = list(core.home.vkeys().values())
    size = await asyncio.to_thread(write_ledger, stored, folder, keys)
    return {
        "directory": str(folder),
        "origin": stored.origin,
        "size": size,
        # By the home's key and not by what stands in the table, for its own ledgers.
        "vkeys": [_own_key(core, stored.origin) if stored.own else stored.vkey, *keys],
    }


async def _ledger_show(core: ServerCore, arguments: Arguments) -> Any:
    async with core.database.reading() as connection:
        found = await newest_of(connection, arguments.get("ledger", ""), int(arguments["limit"]))
    return {"entries": [json.loads(body) for body in found]}


async def _stored(core: ServerCore, arguments: Arguments) -> StoredLedger:
    async with core.database.reading() as connection:
        return await read_ledger(connection, arguments.get("ledger", ""))


def _own_key(core: ServerCore, origin: str) -> str:
    return vkey(origin, core.home.own_signer(origin).public_key)


LEDGER_ACTS: Final[Mapping[str, OfficeAct]] = {
    "own_ledgers": _own_ledgers,
    "ledger_export": _ledger_export,
    "ledger_show": _ledger_show,
}
