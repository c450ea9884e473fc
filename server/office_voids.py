"""Voids by the back office: a redemption taken back after its terminal no longer can.

The same decision as at the counter (``ledger.rules.voids``), with the office in the supervisor's
place: time and shift do not bar it, a settled statement does. The void is an entry of the server's
own ledger that names the other ledger's; it is folded and judged like any.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.codes import Code
from ledger.entry import Entry, Kind
from ledger.rules.voids import Found, Original, VoidRequest, VoidState, decide_void
from server.audit import REFUSED
from server.desk import Desk
from server.errors import ImportRefused
from server.roles import Actor, Right
from server.schema import events, ledgers
from server.settlement import is_settled

#: Why the office takes something back.
REASONS: Final = ("mistake", "not_given", "wrong_offer", "fraud", "other")


@dataclass(frozen=True, slots=True)
class OfficeVoid:
    """What came of it.

    Attributes:
        code: A00, or V03, V04, V05.
        nonce: of the void, empty if none was written.
    """

    code: Code
    nonce: str = ""


class OfficeVoids:
    """Takes redemptions back."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def void(self, who: Actor, position: str, reason: str) -> OfficeVoid:
        """Voids one redemption.

        Args:
            who: who does it.
            position: ``<ledger>/<seq>``.
            reason: one of ``REASONS``.

        Raises:
            NotAllowed: no right where it happened.
            ImportRefused: not a position, or an unknown reason; nothing was written.
        """
        who.need(Right.CASES_DECIDE)
        ledger, _, number = position.partition("/")
        if reason not in REASONS or not number.isascii() or not number.isdigit():
            raise ImportRefused(f"name <ledger>/<seq> and a reason: {', '.join(REASONS)}")
        nonce = secrets.token_hex(13)
        async with self._desk.database.writing() as connection:
            row = await _event(connection, ledger, int(number[:15]))
            if row is not None:
                published = await self._desk.book.read(connection)
                venue = published.venues.get(row.venue)
                place = (venue.district, venue.street) if venue else ("", "")
                who.need(Right.CASES_DECIDE, district=place[0] or "-", street=place[1])
            settled = row is not None and await is_settled(connection, row.log, row.seq)
            request = VoidRequest(
                nonce=nonce,
                original=row.nonce if row else "",
                reason=reason,
                supervisor=who.person,
            )
            state = VoidState(connected=True, supervisor_ok=True)
            code = decide_void(request, _original(row, settled=settled), state).code
            if code is not Code.A00 or row is None:
                await self._desk.noted(
                    connection, who, "redemption.void", position, result=REFUSED, code=code.value
                )
                return OfficeVoid(code)
            entry: Entry = {
                "kind": Kind.VOID.value,
                "nonce": nonce,
                "card": row.card,
                "offer": row.offer,
                "venue": row.venue,
                "operator": who.person,
                "code": code.value,
                "orig_ledger": ledger,
                "orig_seq": row.seq,
                "orig_nonce": row.nonce,
                "reason_code": reason,
            }
            await self._desk.noted(connection, who, "redemption.void", position, reason=reason)
            await self._desk.own.append(connection, [entry])
        return OfficeVoid(code, nonce)


def _original(row: Any, *, settled: bool) -> Original:
    if row is None:
        return Original()
    return Original(
        found=Found.HERE,
        seq=row.seq,
        offer=row.offer,
        voided_ms=row.at_ms if row.voided else None,
        settled=settled,
    )


async def _event(connection: AsyncConnection, ledger: str, seq: int) -> Any:
    query = (
        select(events)
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(
            ledgers.c.ledger == ledger,
            events.c.seq == seq,
            events.c.kind.in_((Kind.REDEEM.value, Kind.REENTRY.value)),
        )
    )
    return (await connection.execute(query)).one_or_none()
