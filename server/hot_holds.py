"""Holds on PostgreSQL for offers without a stock, in its own words: four turns for a decision.

The answers are those of ``server.online``; only the cost is another. An offer with a stock takes
the way through ``server.online`` on every database.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from ledger.codes import Code
from ledger.rules.offer import (
    CardStatus,
    CardView,
    Decision,
    MemberStatus,
    MemberView,
    Offer,
    Venue,
)
from ledger.rules.usage import Usage, UsageView, Use
from server.errors import TerminalUnknown
from server.holding import Free, consent, refuses
from server.holds import MEMBER_LOCK
from server.hot_path import HotPath
from server.offers import Published
from server.online import HOLD_MS, Question, request_of, stands, word
from server.stock import CONFIRMED, STOCK_LOCK

#: Of several states of a card or member the one in force at a moment; before the first, the first.
_ASKER: Final = """
SELECT l.log, c.status AS card_status, c.member, m.status, m.district, m.street, m.tags
FROM ledgers l
LEFT JOIN LATERAL (
    SELECT status, member FROM cards WHERE card = $2
    ORDER BY from_ms <= $3 DESC, CASE WHEN from_ms <= $3 THEN -from_ms ELSE from_ms END LIMIT 1
) c ON true
LEFT JOIN LATERAL (
    SELECT * FROM members WHERE member = c.member
    ORDER BY from_ms <= $3 DESC, CASE WHEN from_ms <= $3 THEN -from_ms ELSE from_ms END LIMIT 1
) m ON true
WHERE l.ledger = $1
"""
#: One after the other, as each reads what the one before gave.
_LOCK: Final = """
WITH one AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared($1::bigint)),
     two AS MATERIALIZED (SELECT pg_advisory_xact_lock($2::int, $3::int) FROM one)
SELECT count(*) FROM two
"""
_BEFORE: Final = 0
_USED: Final = """
SELECT 0 AS part, content, state, expires_ms,
       0::bigint AS at_ms, 0 AS quantity, '' AS venue, '' AS offer, log, -1::bigint AS seq
FROM holds WHERE log = $1 AND nonce = $2
UNION ALL
SELECT 1, NULL, NULL, NULL, e.at_ms, e.quantity, e.venue, e.offer, e.log, e.seq
FROM histories h JOIN events e ON e.log = h.log AND e.seq = h.seq
WHERE h.member = $3 AND e.offer = ANY($4::text[]) AND e.counted
UNION ALL
SELECT 2, NULL, NULL, NULL, at_ms, quantity, venue, offer, log, -1::bigint
FROM holds h
WHERE member = $3 AND offer = ANY($4::text[]) AND state = 'held'
  AND NOT (log = $1 AND nonce = $2)
  AND (expires_ms > $5 OR EXISTS (
      SELECT 1 FROM ledgers l LEFT JOIN cursors c ON c.log = l.log
      WHERE l.log = h.log AND l.size > coalesce(c.next_seq, 0)))
"""
_WRITE: Final = """
INSERT INTO holds (log, nonce, content, offer, member, venue, bucket, quantity, state, at_ms,
                   expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, '', $7, 'held', $8, $9)
ON CONFLICT (log, nonce) DO UPDATE
SET content = $3, offer = $4, member = $5, venue = $6, bucket = '', quantity = $7,
    state = 'held', at_ms = $8, expires_ms = $9
"""
_PROLONG: Final = """
UPDATE holds SET expires_ms = $3 WHERE log = $1 AND nonce = $2 AND state = 'held'
"""


async def hold(
    hot: HotPath, published: Published, offer: Offer, question: Question, now_ms: int
) -> Decision:
    """As ``server.online.hold``, for an ``online`` offer of which there is no end.

    Raises:
        TerminalUnknown: no such ledger.
        DatabaseFault: nothing is held as far as is known; ask again.
    """
    async with hot.connected() as connection, connection.transaction():
        asker = await connection.fetchrow(_ASKER, question.ledger, question.card, now_ms)
        if asker is None:
            raise TerminalUnknown(f"no ledger is called {question.ledger}")
        log, member = asker["log"], asker["member"] or ""
        number = _lock_of(member or f"{log} {question.nonce}")
        await connection.execute(_LOCK, STOCK_LOCK, MEMBER_LOCK, number)
        names = [offer.id, *(name for limit in offer.limits for name in limit.offers)]
        rows = await connection.fetch(_USED, log, question.nonce, member, names, now_ms)
        before = next((row for row in rows if row["part"] == _BEFORE), None)
        if before is not None and before["content"] != question.content:
            return word(Code.T07, question)
        if before is not None and stands(before["state"], before["expires_ms"], now_ms):
            if before["state"] != CONFIRMED:
                await connection.execute(_PROLONG, log, question.nonce, now_ms + HOLD_MS)
            return word(Code.A00, question, replay=True)
        decision = consent(
            request_of(question, _card(question, asker)),
            offer,
            _view(offer, member, rows),
            Free(),
            terminal=question.ledger,
            venue=published.venues.get(question.venue) or Venue(question.venue),
            now_ms=now_ms,
        )
        if not refuses(decision):
            await connection.execute(
                _WRITE, log, question.nonce, question.content, question.offer, member,
                question.venue, question.quantity, now_ms, now_ms + HOLD_MS,
            )  # fmt: skip
    return decision


def _lock_of(name: str) -> int:
    """The number under which ``server.holds.lock`` locks the same member."""
    return int.from_bytes(sha256(name.encode("utf-8")).digest()[:4], "big", signed=True)


def _card(question: Question, asker: Any) -> CardView:
    """The card and its member as the server knows them now."""
    if asker["card_status"] is None:
        return CardView(question.card, CardStatus.UNKNOWN)
    member = None
    if asker["status"] is not None:
        member = MemberView(
            asker["member"],
            MemberStatus(asker["status"]),
            asker["district"],
            asker["street"],
            frozenset(asker["tags"].split()),
        )
    status = CardStatus(asker["card_status"])
    return CardView(question.card, status, assurance=question.assurance, member=member)


def _view(offer: Offer, member: str, rows: Sequence[Any]) -> UsageView:
    """What the member used at all ledgers, live holds included."""
    usage = Usage()
    if member:
        for number, row in enumerate(rows):
            if row["part"] != _BEFORE:
                seq = row["seq"] if row["seq"] >= 0 else -1 - number
                use = Use(
                    row["at_ms"], str(row["log"]), seq, row["quantity"], row["venue"],
                    row["offer"], member,
                )  # fmt: skip
                usage.add(use)
    return usage.view(member, offer)
