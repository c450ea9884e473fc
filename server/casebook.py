"""Keeps cases: opens what is newly flagged, resolves what a later judgement took back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from server.facts import Case, Event
from server.known import among, pieces
from server.schema import cases
from server.schema_office import case_acts
from sync.feed import Reason

OPEN = "open"
DECIDE = "decide"
REOPEN = "reopen"
RESOLVED = "resolved"
#: A person has decided; it stays so until something is added to it.
CLOSED = "closed"
_CONTENTS = ("nonces", "positions", "first_ms")


def key_of(case: Case) -> str:
    """What makes it the same case again, at most 255 characters."""
    if case.reason is Reason.OVER_MEMBER_LIMIT:
        return f"{case.reason}|{case.member}|{case.offer}|{case.period}"
    if case.reason is Reason.OVERSOLD:
        return f"{case.reason}|{case.member}|{case.offer}"
    return f"{case.reason}|{case.positions[0]}"


async def keep_cases(
    connection: AsyncConnection,
    members: set[str],
    found: Sequence[Case],
    judged: Iterable[Event],
    now_ms: int,
) -> None:
    """Writes the cases of some members as they stand now.

    Args:
        connection: inside a transaction that may write.
        members: all of whose cases are in ``found``; whoever has none and had none may be left
            out.
        found: the cases there are.
        judged: the events that were judged; a void that waited for its original had a case of
            nobody's, which goes when it is somebody's.
        now_ms: when new ones are opened.
    """
    wanted = {key_of(case): case for case in found}
    waited = [
        f"{Reason.ORIGINAL_MISSING}|{event.position}" for event in judged if event.kind == Kind.VOID
    ]
    held = await _held(connection, sorted(members), sorted({*wanted, *waited}))
    fresh = [_row(key, case, now_ms) for key, case in wanted.items() if key not in held]
    decided = await decisions(connection, [row["key"] for row in fresh])
    for row in fresh:
        if row["key"] in decided:  # it was decided before everything was folded anew
            row["state"] = CLOSED
    changed = []
    for key, row in held.items():
        case = wanted.get(key)
        state = OPEN if case else RESOLVED
        now = _contents(case) if case else _stored(row)
        if row.state == CLOSED and (case is None or now == _stored(row)):
            continue
        if (state, now) != (row.state, _stored(row)):
            changed.append({"of_id": row.id, "state": state, **now})
    if fresh:
        await connection.execute(insert(cases), fresh)
    if changed:
        await connection.execute(
            update(cases)
            .where(cases.c.id == bindparam("of_id"))
            .values({name: bindparam(name) for name in ("state", *_CONTENTS)}),
            changed,
        )


async def _held(
    connection: AsyncConnection, members: Sequence[str], keys: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for which in among(connection, cases.c.member, members):
        statement = select(cases).where(which)
        found |= {row.key: row for row in await connection.execute(statement)}
    for which in among(connection, cases.c.key, keys):
        statement = select(cases).where(which)
        found |= {row.key: row for row in await connection.execute(statement)}
    return found


def _row(key: str, case: Case, now_ms: int) -> dict[str, Any]:
    return {
        "key": key,
        "reason": case.reason.value,
        "member": case.member,
        "offer": case.offer,
        "state": OPEN,
        "opened_ms": now_ms,
        **_contents(case),
    }


def _contents(case: Case) -> dict[str, Any]:
    """What a later judgement may change of a case."""
    return {
        "nonces": json.dumps(case.nonces, ensure_ascii=False),
        "positions": json.dumps([str(position) for position in case.positions]),
        "first_ms": case.first_ms,
    }


def _stored(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _CONTENTS}


async def decisions(connection: AsyncConnection, keys: Sequence[str]) -> dict[str, str]:
    """What people decided of some cases; those that were opened again since are left out."""
    found: dict[str, str] = {}
    for some in pieces(sorted(keys)):
        statement = (
            select(case_acts.c.key, case_acts.c.act, case_acts.c.value)
            .where(case_acts.c.key.in_(some), case_acts.c.act.in_((DECIDE, REOPEN)))
            .order_by(case_acts.c.id)
        )
        found |= {
            row.key: row.value if row.act == DECIDE else ""
            for row in await connection.execute(statement)
        }
    return {key: value for key, value in found.items() if value}


async def open_cases(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Open cases by first event time, then reason."""
    statement = (
        select(cases)
        .where(cases.c.state == OPEN)
        .order_by(cases.c.first_ms, cases.c.reason, cases.c.key)
    )
    return [
        {
            "id": row.id,
            "reason": row.reason,
            "nonces": json.loads(row.nonces),
            "positions": json.loads(row.positions),
            "member": row.member,
            "offer": row.offer,
            "first_ms": row.first_ms,
            "opened_ms": row.opened_ms,
        }
        | ({"details": json.loads(row.details)} if row.details else {})
        for row in await connection.execute(statement)
    ]
