"""What people did: one record of every act, written in the transaction of the act itself.

A record names who, in which role, what, on what, with which result, and when; never a member's
name, number or phone. Acts that change something are entries of the server's own ledger as well,
so that neither the database's owner nor we can take one back unseen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.schema_office import acts

RECORDS_MAX: Final = 500
DONE: Final = "done"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Record:
    """One act.

    Attributes:
        at_ms: when.
        person: who; ``console`` for the server's own shell.
        role: in which role.
        act: what, as a dotted name such as ``offer.publish``.
        subject: on what: an identifier, never personal data.
        detail: codes and numbers.
        result: ``done`` or ``refused``.
    """

    at_ms: int
    person: str
    role: str
    act: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    result: str = DONE


async def record(connection: AsyncConnection, one: Record) -> None:
    """Keeps a record, inside the transaction of what it tells about."""
    row = {
        "at_ms": one.at_ms,
        "person": one.person,
        "role": one.role,
        "act": one.act,
        "subject": one.subject,
        "detail": json.dumps(dict(one.detail), ensure_ascii=False, sort_keys=True),
        "result": one.result,
    }
    await connection.execute(insert(acts), row)


async def records(
    connection: AsyncConnection,
    *,
    person: str = "",
    act: str = "",
    subject: str = "",
    before_ms: int | None = None,
    limit: int = RECORDS_MAX,
) -> Sequence[Record]:
    """The newest records first.

    Args:
        connection: a reading transaction.
        person: only of this person.
        act: only acts whose name begins so.
        subject: only on this.
        before_ms: only earlier ones.
        limit: at most so many.
    """
    statement = select(acts).order_by(acts.c.at_ms.desc(), acts.c.id.desc())
    if person:
        statement = statement.where(acts.c.person == person)
    if act:
        statement = statement.where(acts.c.act.startswith(act, autoescape=True))
    if subject:
        statement = statement.where(acts.c.subject == subject)
    if before_ms is not None:
        statement = statement.where(acts.c.at_ms < before_ms)
    return [
        Record(
            at_ms=row.at_ms,
            person=row.person,
            role=row.role,
            act=row.act,
            subject=row.subject,
            detail=json.loads(row.detail),
            result=row.result,
        )
        for row in await connection.execute(statement.limit(min(limit, RECORDS_MAX)))
    ]
