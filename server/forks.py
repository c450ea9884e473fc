"""Ledgers with two histories, and batches that contradict themselves, as cases for the desk."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.schema import evidence, ledgers

KIND = "fork"


@dataclass(frozen=True, slots=True)
class ForkMatter:
    """Kept evidence in the shape of a row of ``matters``."""

    key: str
    reason: str
    terminal: str
    facts: str
    first_ms: int
    kind: str = KIND
    member: str = ""
    offer: str = ""
    venue: str = ""

    @property
    def opened_ms(self) -> int:
        """When it was seen."""
        return self.first_ms


async def forks(connection: AsyncConnection, key: str = "", reason: str = "") -> list[ForkMatter]:
    """Evidence kept of terminals, by time; of one key or reason if that is named."""
    query = (
        select(evidence, ledgers.c.ledger, ledgers.c.terminal)
        .join(ledgers, ledgers.c.log == evidence.c.log)
        .order_by(evidence.c.seen_ms, evidence.c.id)
    )
    found = [
        ForkMatter(
            key=f"{KIND}|{row.ledger}|{row.id}",
            reason=row.reason,
            terminal=row.terminal,
            facts=json.dumps({"ledger": row.ledger, "size": row.size, "our_size": row.our_size}),
            first_ms=row.seen_ms,
        )
        for row in await connection.execute(query)
    ]
    return [
        one for one in found if (not key or one.key == key) and (not reason or one.reason == reason)
    ]
