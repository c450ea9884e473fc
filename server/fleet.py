"""The terminals as the server sees them: standing, size, last seen, what is still to be judged."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.schema import cursors, ledgers, terminals


async def fleet(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Every ledger with its terminal, by the terminal's name and age."""
    statement = (
        select(
            ledgers.c.ledger,
            ledgers.c.terminal,
            terminals.c.name,
            terminals.c.venues,
            terminals.c.profile,
            terminals.c.version,
            ledgers.c.state,
            ledgers.c.size,
            ledgers.c.created_ms,
            ledgers.c.received_ms,
            ledgers.c.revoked_reason,
            (ledgers.c.size - func.coalesce(cursors.c.next_seq, 0)).label("to_judge"),
        )
        .join(terminals, terminals.c.terminal == ledgers.c.terminal)
        .join(cursors, cursors.c.log == ledgers.c.log, isouter=True)
        .order_by(ledgers.c.terminal, ledgers.c.created_ms)
    )
    return [dict(row) for row in (await connection.execute(statement)).mappings()]
