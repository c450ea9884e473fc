"""What every service of the back office is given: home, database, clock, offers, and the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from server.audit import DONE, Record, record
from server.database import Database
from server.home import ServerHome
from server.offers import OfferBook
from server.own_ledger import OwnLedger
from server.roles import Actor


@dataclass(frozen=True, slots=True)
class Desk:
    """Where acts are done and recorded.

    Attributes:
        home: keys and configuration.
        database: where everything is kept.
        now_ms: server time.
        book: published offers and venues.
        own: the server's own ledger.
    """

    home: ServerHome
    database: Database
    now_ms: Callable[[], int]
    book: OfferBook
    own: OwnLedger

    async def noted(
        self,
        connection: AsyncConnection,
        who: Actor,
        act: str,
        subject: str = "",
        *,
        result: str = DONE,
        **detail: str | int,
    ) -> None:
        """Records what was looked at or tried, in the same transaction."""
        role = str(who.role)
        one = Record(self.now_ms(), who.person, role, act, subject, detail, result)
        await record(connection, one)

    async def done(
        self,
        connection: AsyncConnection,
        who: Actor,
        act: str,
        subject: str = "",
        **codes: str | int,
    ) -> None:
        """Records what was changed, here and in the server's own ledger; last in a transaction."""
        one = Record(self.now_ms(), who.person, str(who.role), act, subject, codes)
        await record(connection, one)
        reason = act.replace(".", "_")
        await self.own.record(connection, reason, operator=who.person, subject=subject, **codes)
