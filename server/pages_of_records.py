"""Pages of the numbered records that one terminal pulls: its judgements, and its feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.log import canonical
from server.errors import TerminalUnknown
from server.schema import feed, judgements, ledgers
from sync.feed import Judgement, Page, Record, judgement_record
from sync.protocol import RECORDS_PER_PAGE_MAX


async def judgements_page(
    connection: AsyncConnection, ledger: str, after: int, now_ms: int
) -> Page:
    """Judgements of a ledger with a revision above ``after``, at most a page of them.

    Raises:
        TerminalUnknown: no such ledger.
    """
    found = await _ledger(connection, ledger)
    statement = (
        select(judgements)
        .where(judgements.c.log == found.log, judgements.c.revision > after)
        .order_by(judgements.c.revision)
        .limit(RECORDS_PER_PAGE_MAX)
    )
    rows = (await connection.execute(statement)).all()
    records = [
        judgement_record(
            Judgement(
                row.seq,
                row.revision,
                row.verdict,
                tuple(row.reasons.split()),
                row.nonce,
                row.counterpart,
            )
        )
        for row in rows
    ]
    last = rows[-1].revision if rows else after
    return _page("judgements", found.origin, after, last, found.revision, now_ms, records)


async def feed_page(connection: AsyncConnection, ledger: str, after: int, now_ms: int) -> Page:
    """Feed items of a ledger with a number above ``after``, at most a page of them.

    Raises:
        TerminalUnknown: no such ledger.
    """
    found = await _ledger(connection, ledger)
    statement = (
        select(feed)
        .where(feed.c.log == found.log, feed.c.number > after)
        .order_by(feed.c.number)
        .limit(RECORDS_PER_PAGE_MAX)
    )
    rows = (await connection.execute(statement)).all()
    records = [canonical.decode(bytes(row.record)) for row in rows]
    last = rows[-1].number if rows else after
    return _page("feed", found.origin, after, last, found.feed_number, now_ms, records)


async def _ledger(connection: AsyncConnection, ledger: str) -> Any:
    row = (
        await connection.execute(select(ledgers).where(ledgers.c.ledger == ledger))
    ).one_or_none()
    if row is None:
        raise TerminalUnknown("no ledger of this name is enrolled here")
    return row


def _page(
    kind: str,
    origin: str,
    after: int,
    upto: int,
    last: int,
    now_ms: int,
    records: Sequence[Record],
) -> Page:
    # A terminal that knows more than a server restored from a backup is told what there is.
    reach = max(after, last)
    upto = reach if len(records) < RECORDS_PER_PAGE_MAX else upto
    return Page(kind, origin, after, upto, reach, now_ms, tuple(records))
