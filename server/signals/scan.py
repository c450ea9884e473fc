"""Looks at days with every signal, and keeps the cases that they open.

A day is looked at again when something of it arrived late: what is still there is brought up to
date, what is gone (a use was voided since) is resolved. A case that a person has closed stays so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from server.casebook import OPEN, RESOLVED
from server.errors import ImportRefused
from server.folding import read_entry
from server.offers import Published
from server.schema import cases, entries, events, ledgers, settings
from server.signals.signal import Pattern, Signal, Surroundings, Use, signals

SCANNED: Final = "signals_scanned_ms"
#: Held by the one process that looks.
SIGNALS_LOCK: Final = 0x7369676E
#: Days of one call; a longer span is several calls.
DAYS_MAX: Final = 62
_KEY_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look found.

    Attributes:
        days: ``yyyymmdd`` that were looked at.
        uses: redemptions of these days.
        found: patterns per signal.
        opened: new cases.
        resolved: open cases whose pattern is gone.
    """

    days: tuple[int, ...]
    uses: int
    found: dict[str, int]
    opened: int
    resolved: int


async def touched_days(connection: AsyncConnection, now_ms: int) -> tuple[int, ...]:
    """Days of which something was receipted since the last look, oldest first, and notes the look.

    At most ``DAYS_MAX`` of them; the rest comes at the next look.
    """
    held = await connection.scalar(select(settings.c.value).where(settings.c.name == SCANNED))
    since_ms = int(held or 0)
    statement = (
        select(events.c.day, func.max(events.c.before_ms))
        .where(events.c.before_ms > since_ms, events.c.before_ms <= now_ms)
        .where(events.c.kind.in_((Kind.REDEEM.value, Kind.VOID.value)))
        .group_by(events.c.day)
        .order_by(func.max(events.c.before_ms))
    )
    rows = (await connection.execute(statement)).all()
    part = rows[:DAYS_MAX]
    until_ms = part[-1][1] if len(part) < len(rows) else now_ms
    await connection.execute(settings.delete().where(settings.c.name == SCANNED))
    await connection.execute(settings.insert(), {"name": SCANNED, "value": str(until_ms)})
    return tuple(sorted(row.day for row in part))


async def scan(
    connection: AsyncConnection, published: Published, days: Sequence[int], now_ms: int
) -> Scan:
    """Looks at whole days.

    Args:
        connection: inside a transaction that may write.
        published: offers and venues.
        days: ``yyyymmdd`` of the venues, at most ``DAYS_MAX``.
        now_ms: when new cases are opened.

    Raises:
        ImportRefused: too many days at once; nothing was looked at.
    """
    if len(days) > DAYS_MAX:
        raise ImportRefused(f"{len(days)} days at once, at most {DAYS_MAX}; nothing was looked at")
    known = Surroundings(published.versions, published.newest, published.venues)
    found: dict[str, int] = {signal.name: 0 for signal in signals()}
    uses = opened = resolved = 0
    for day in sorted(set(days)):
        mine = await _uses_of(connection, day)
        uses += len(mine)
        for signal in signals():
            patterns = {_key(signal, day, one): one for one in signal.look(mine, known)}
            found[signal.name] += len(patterns)
            changed = await _keep(connection, signal, day, patterns, now_ms)
            opened, resolved = opened + changed[0], resolved + changed[1]
    return Scan(tuple(sorted(set(days))), uses, found, opened, resolved)


async def _uses_of(connection: AsyncConnection, day: int) -> list[Use]:
    statement = (
        select(events, entries.c.body, ledgers.c.ledger)
        .join(entries, (entries.c.log == events.c.log) & (entries.c.seq == events.c.seq))
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(events.c.day == day, events.c.kind == Kind.REDEEM.value)
        .where(events.c.counted.is_(True), events.c.voided.is_(False))
        .order_by(events.c.at_ms, ledgers.c.ledger, events.c.seq)
    )
    return [_use(row) async for row in await connection.stream(statement)]


def _use(row: Any) -> Use:
    body = bytes(row.body)
    # Few have an agent, and only these are worth reading whole.
    decoded = (read_entry(body, row.seq) or {}) if b'"agent"' in body else {}
    return Use(
        position=f"{row.ledger}/{row.seq}",
        nonce=row.nonce,
        at_ms=row.at_ms,
        day=row.day,
        card=row.card,
        member=row.member,
        offer=row.offer,
        offer_version=row.offer_version,
        venue=row.venue,
        code=row.code,
        quantity=row.quantity,
        agent=str(decoded.get("agent", "")),
    )


def _key(signal: Signal, day: int, pattern: Pattern) -> str:
    return f"{_prefix(signal, day)}{pattern.subject}|{pattern.offer}"[:_KEY_MAX]


def _prefix(signal: Signal, day: int) -> str:
    return f"{signal.name}|{day}|"


async def _keep(
    connection: AsyncConnection, signal: Signal, day: int, patterns: dict[str, Pattern], now_ms: int
) -> tuple[int, int]:
    """Brings the cases of one signal and day up to date; how many were opened and resolved."""
    mine = cases.c.key.startswith(_prefix(signal, day), autoescape=True)
    held = {row.key: row for row in await connection.execute(select(cases).where(mine))}
    fresh = [
        {"key": key, "reason": signal.name, "member": "", "offer": one.offer, "state": OPEN}
        | {"opened_ms": now_ms}
        | _contents(one)
        for key, one in patterns.items()
        if key not in held
    ]
    if fresh:
        await connection.execute(insert(cases), fresh)
    resolved = 0
    for key, row in held.items():
        if row.state not in {OPEN, RESOLVED}:
            continue  # a person has closed it
        pattern = patterns.get(key)
        now = {"state": OPEN if pattern else RESOLVED} | (_contents(pattern) if pattern else {})
        if any(getattr(row, name) != value for name, value in now.items()):
            await connection.execute(update(cases).where(cases.c.id == row.id).values(now))
            resolved += pattern is None
    return len(fresh), resolved


def _contents(pattern: Pattern) -> dict[str, Any]:
    return {
        "nonces": json.dumps([use.nonce for use in pattern.uses], ensure_ascii=False),
        "positions": json.dumps([use.position for use in pattern.uses]),
        "first_ms": pattern.uses[0].at_ms,
        "details": json.dumps(dict(pattern.details), ensure_ascii=False, sort_keys=True),
    }
