"""Supervisors of a terminal: kept here, told by its feed, and told again to whatever replaces it.

The server never sees a PIN: who types it makes the verifier (``keys.pin``) and sends that.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from keys.errors import SecretInvalid
from keys.pin import check_verifier
from server.errors import ImportRefused, TerminalUnknown
from server.leases import tell
from server.schema import ledgers, supervisors, terminals
from sync.admission import LedgerState

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_CARD: Final = re.compile(r"(?:[a-z2-7]{26})?\Z")


async def provide(
    connection: AsyncConnection,
    *,
    terminal: str,
    supervisor: str,
    pin: str,
    card: str,
    active: bool,
    now_ms: int,
) -> int:
    """Makes somebody a supervisor at a terminal, changes PIN or card, or withdraws.

    Args:
        connection: inside a transaction that may write.
        terminal: name of the terminal.
        supervisor: 1 to 32 letters, digits, ``-`` and ``_``; it stands in entries.
        pin: Argon2id verifier in the PHC string format, or empty for a card alone.
        card: card hash of the supervisor's own card, or empty.
        active: whether the supervisor is one from now on.
        now_ms: server time.

    Returns:
        How many ledgers of the terminal will hear of it at their next sync.

    Raises:
        TerminalUnknown: no such terminal.
        ImportRefused: a field has the wrong form; nothing was changed.
    """
    _check_form(supervisor, pin, card, active=active)
    known = select(terminals.c.terminal).where(terminals.c.terminal == terminal)
    if await connection.scalar(known) is None:
        raise TerminalUnknown(f"no terminal is called {terminal}")
    row = {
        "terminal": terminal,
        "supervisor": supervisor,
        "pin": pin if active else "",
        "card": card if active else "",
        "active": active,
        "set_ms": now_ms,
    }
    await connection.execute(
        delete(supervisors).where(
            supervisors.c.terminal == terminal, supervisors.c.supervisor == supervisor
        )
    )
    await connection.execute(insert(supervisors), row)
    logs = await connection.scalars(
        select(ledgers.c.log).where(
            ledgers.c.terminal == terminal, ledgers.c.state == LedgerState.OK.value
        )
    )
    found = list(logs)
    for log in found:
        await tell(connection, log, _record(row), now_ms)
    return len(found)


def _check_form(supervisor: str, pin: str, card: str, *, active: bool) -> None:
    if not _ID.match(supervisor):
        raise ImportRefused(f"supervisor {supervisor!r}: 1 to 32 letters, digits, - and _")
    if not _CARD.match(card):
        raise ImportRefused("card: its hash of 26 characters a-z and 2-7")
    if active and not (pin or card):
        raise ImportRefused("a supervisor needs a PIN or a card of their own; nothing was changed")
    try:
        if pin:
            check_verifier(pin)
    except SecretInvalid as error:
        raise ImportRefused(f"{error}; nothing was changed") from None


async def tell_all(connection: AsyncConnection, *, ledger: str, terminal: str, now_ms: int) -> None:
    """Tells a new ledger of its terminal's supervisors."""
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    assert log is not None, "only an enrolled terminal is told"
    rows = await connection.execute(
        select(supervisors)
        .where(supervisors.c.terminal == terminal, supervisors.c.active.is_(True))
        .order_by(supervisors.c.supervisor)
    )
    for row in rows.mappings():
        await tell(connection, log, _record(row), now_ms)


async def supervisors_of(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Who is a supervisor where, without verifier and card hash."""
    statement = select(supervisors).order_by(supervisors.c.terminal, supervisors.c.supervisor)
    return [
        {
            "terminal": row.terminal,
            "supervisor": row.supervisor,
            "active": row.active,
            "pin": bool(row.pin),
            "card": bool(row.card),
            "set_ms": row.set_ms,
        }
        for row in await connection.execute(statement)
    ]


def _record(row: Any) -> dict[str, Any]:
    return {
        "kind": "supervisor",
        "id": row["supervisor"],
        "pin": row["pin"],
        "card": row["card"],
        "active": row["active"],
    }
