"""Remote configuration: numbered sets of a few settings, for one terminal or for all.

Setting it back is the next number with an older content, so that a terminal never goes back a
number. A terminal's own settings go before those for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.desk import Desk
from server.errors import ImportRefused, TerminalUnknown
from server.leases import tell
from server.roles import Actor, Right
from server.schema import ledgers, terminals
from server.schema_office import configurations
from sync.admission import LedgerState

#: The name under which a configuration is for all terminals.
EVERY_TERMINAL: Final = ""
#: What can be set from here: smallest and largest value.
SETTINGS: Final[Mapping[str, tuple[int, int]]] = {
    "sync_every_ms": (1_000, 3_600_000),
    "offline_cap": (0, 100_000),
    "snapshot_max_age_ms": (3_600_000, 365 * 86_400_000),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A numbered set of settings."""

    terminal: str
    version: int
    settings: Mapping[str, int] = field(default_factory=dict)
    rolled_back_to: int | None = None
    person: str = ""
    set_ms: int = 0


class Configurations:
    """Sets terminals from afar."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def set(
        self, who: Actor, settings: Mapping[str, int], *, terminal: str = EVERY_TERMINAL
    ) -> Configuration:
        """Sets some settings for a terminal or for all; they learn of it at their next sync.

        What is not named keeps what it had; a terminal's own setting goes before that for all.

        Raises:
            NotAllowed: no right.
            ImportRefused: an unknown setting or a value out of range; nothing was changed.
            TerminalUnknown: no such terminal.
        """
        who.need(Right.FLEET_CHANGE)
        for name, value in settings.items():
            low, high = SETTINGS.get(name, (1, 0))
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                known = ", ".join(f"{one} {span[0]}–{span[1]}" for one, span in SETTINGS.items())
                raise ImportRefused(f"{name}={value!r}: {known}; nothing was changed")
        return await self._set(who, terminal, dict(settings), None)

    async def roll_back(
        self, who: Actor, version: int, *, terminal: str = EVERY_TERMINAL
    ) -> Configuration:
        """Puts the settings of an earlier number in force again, under the next number.

        Raises:
            NotAllowed: no right.
            ImportRefused: there is no such number.
        """
        who.need(Right.FLEET_CHANGE)
        for held in await self.all(who, terminal=terminal):
            if held.version == version:
                return await self._set(who, terminal, dict(held.settings), version)
        raise ImportRefused(f"there is no configuration {version}; nothing was changed")

    async def all(self, who: Actor, *, terminal: str = EVERY_TERMINAL) -> list[Configuration]:
        """All configurations of a terminal, or those for all, the newest first.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.FLEET_VIEW)
        query = (
            select(configurations)
            .where(configurations.c.terminal == terminal)
            .order_by(configurations.c.version.desc())
        )
        async with self._desk.database.reading() as connection:
            return [_configuration(row) for row in await connection.execute(query)]

    async def _set(
        self, who: Actor, terminal: str, settings: dict[str, int], back_to: int | None
    ) -> Configuration:
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            known = select(terminals.c.terminal).where(terminals.c.terminal == terminal)
            if terminal and await connection.scalar(known) is None:
                raise TerminalUnknown(f"no terminal is called {terminal}")
            last = await _newest(connection, terminal)
            if back_to is None and last is not None:
                settings = {**last.settings, **settings}
            # One count over all, so that a terminal sees numbers rise whichever way they come.
            query = select(func.coalesce(func.max(configurations.c.version), 0))
            number = int(await connection.scalar(query) or 0) + 1
            row = {
                "terminal": terminal,
                "version": number,
                "document": json.dumps(settings, sort_keys=True),
                "rolled_back_to": back_to,
                "person": who.person,
                "set_ms": now_ms,
            }
            await connection.execute(insert(configurations), row)
            query_ = select(ledgers.c.ledger, ledgers.c.terminal).where(
                ledgers.c.state == LedgerState.OK.value, ledgers.c.terminal != ""
            )
            if terminal:
                query_ = query_.where(ledgers.c.terminal == terminal)
            for held in (await connection.execute(query_)).all():
                await tell_configuration(connection, held.ledger, held.terminal, now_ms)
            await self._desk.done(
                connection, who, "configuration.set", terminal, version=number, **settings
            )
        return Configuration(terminal, number, settings, back_to, who.person, now_ms)


async def tell_configuration(
    connection: AsyncConnection, ledger: str, terminal: str, now_ms: int
) -> None:
    """Puts the configuration that holds for a terminal into a ledger's feed, if there is one."""
    log = await connection.scalar(select(ledgers.c.log).where(ledgers.c.ledger == ledger))
    assert log is not None, "only an enrolled terminal is told"
    general = await _newest(connection, EVERY_TERMINAL)
    own = await _newest(connection, terminal)
    found = [one for one in (general, own) if one is not None]
    if not found:
        return
    settings: dict[str, int] = {}
    for one in found:
        settings |= one.settings
    version = max(one.version for one in found)
    record = {"kind": "configuration", "version": version, **settings}
    await tell(connection, log, record, now_ms)


async def _newest(connection: AsyncConnection, terminal: str) -> Configuration | None:
    query = (
        select(configurations)
        .where(configurations.c.terminal == terminal)
        .order_by(configurations.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return _configuration(row) if row is not None else None


def _configuration(row: Any) -> Configuration:
    return Configuration(
        row.terminal,
        row.version,
        json.loads(row.document),
        row.rolled_back_to,
        row.person,
        row.set_ms,
    )
