"""The signed list of the keys of all terminals' ledgers, for whoever checks a receipt offline."""

from __future__ import annotations

from sqlalchemy import select

from ledger.log.keylist import IN_SERVICE, KeyList, ListedKey
from server.core import ServerCore
from server.home import TERMINALS
from server.schema import ledgers


async def key_list(core: ServerCore) -> bytes:
    """The list as of now, a signed note (``ledger.log.keylist``)."""
    statement = select(
        ledgers.c.ledger,
        ledgers.c.vkeys,
        ledgers.c.state,
        ledgers.c.revoked_reason,
        ledgers.c.revoked_size,
    ).order_by(ledgers.c.ledger)
    async with core.database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    keys = [
        ListedKey(row.ledger, key, row.revoked_reason or IN_SERVICE, row.revoked_size or 0)
        for row in rows
        for key in row.vkeys.splitlines()
    ]
    domain = core.home.configuration.domain
    listed = KeyList(domain, core.now_ms() // 1000, tuple(keys))
    return listed.sign(core.home.signer(TERMINALS))
