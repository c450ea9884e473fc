"""The case desk: who looks at a case, what they decided, and why.

Cases come from three sides. The judge and the signals open theirs (``server.casebook``,
``server.signals``); what terminals and people report, and forks of ledgers, are *matters* and stand
in a table of their own. All are listed, assigned, noted and decided here in one way. A decision is
kept apart from the case, so that folding everything anew does not lose it; a case to which
something is added after its decision is open again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.case_reading import (
    ASSIGN,
    CasePage,
    CaseView,
    Concern,
    Wanted,
    page_of,
    read_cases,
)
from server.casebook import CLOSED, DECIDE, OPEN, REOPEN
from server.desk import Desk
from server.errors import ImportRefused
from server.offers import Published
from server.roles import Actor, Right
from server.schema import cases
from server.schema_office import case_acts, matters

#: What a case may end with: nothing wrong, counts but is not paid, goes on elsewhere.
DECISIONS: Final = ("accept", "reject", "refer")
MATTERS: Final = ("problem", "fork", "dispute", "goods")
LISTED_MAX: Final = 1000
REMARK_LETTERS_MAX: Final = 200
_PERSON: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}\Z")


class CaseDesk:
    """Lists and decides cases."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def page(
        self,
        who: Actor,
        *,
        state: str = OPEN,
        reason: str = "",
        assigned: str = "",
        start: int = 0,
        limit: int = LISTED_MAX,
    ) -> CasePage:
        """Cases, the newest first, with their numbers; a district sees those of its venues.

        Args:
            who: who looks.
            state: ``open``, ``closed``, ``resolved``, or empty for all.
            reason: only of this reason.
            assigned: only those of this person.
            start: so many newer ones are left out.
            limit: at most so many, 1 to 1,000.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.CASES_VIEW)
        async with self._desk.database.reading() as connection:
            concern = _concern(who, await self._desk.book.read(connection))
            return await page_of(
                connection,
                Wanted(state, reason, assigned, self._desk.now_ms()),
                concern,
                start=max(0, start),
                limit=min(max(0, limit), LISTED_MAX),
            )

    async def all(
        self, who: Actor, *, state: str = OPEN, reason: str = "", assigned: str = ""
    ) -> list[CaseView]:
        """The newest 1,000 cases; see ``page``.

        Raises:
            NotAllowed: no right.
        """
        return list((await self.page(who, state=state, reason=reason, assigned=assigned)).cases)

    async def one(self, who: Actor, key: str) -> CaseView:
        """One case with all that was done with it.

        Raises:
            NotAllowed: no right here.
            ImportRefused: there is no such case.
        """
        who.need(Right.CASES_VIEW)
        async with self._desk.database.reading() as connection:
            return await self._one(connection, who, key)

    async def assign(self, who: Actor, key: str, person: str) -> None:
        """Gives a case to somebody to look at.

        Raises:
            NotAllowed: no right here.
            ImportRefused: there is no such case, or not a person's name.
        """
        if not _PERSON.match(person):
            raise ImportRefused("person: a sign-in name")
        await self._act(who, key, ASSIGN, person, "")

    async def note(self, who: Actor, key: str, remark: str) -> None:
        """Adds a remark, in which no member is to be named.

        Raises:
            NotAllowed: no right here.
            ImportRefused: there is no such case, or the remark is empty or too long.
        """
        if not remark.strip():
            raise ImportRefused("the remark is empty")
        await self._act(who, key, "note", "", remark)

    async def decide(self, who: Actor, key: str, decision: str, remark: str = "") -> None:
        """Closes a case.

        Raises:
            NotAllowed: no right here.
            ImportRefused: there is no such open case, or an unknown decision.
        """
        if decision not in DECISIONS:
            raise ImportRefused(f"decision: one of {', '.join(DECISIONS)}")
        await self._act(who, key, DECIDE, decision, remark)

    async def reopen(self, who: Actor, key: str, remark: str = "") -> None:
        """Opens a closed case again.

        Raises:
            NotAllowed: no right here.
            ImportRefused: there is no such closed case.
        """
        await self._act(who, key, REOPEN, "", remark)

    async def _act(self, who: Actor, key: str, act: str, value: str, remark: str) -> None:
        who.need(Right.CASES_DECIDE)
        if len(remark) > REMARK_LETTERS_MAX:
            raise ImportRefused(f"a remark has at most {REMARK_LETTERS_MAX} characters")
        async with self._desk.database.writing() as connection:
            held = await self._one(connection, who, key)
            if act == DECIDE and held.state == CLOSED:
                raise ImportRefused("it is closed already; open it again first")
            if act == REOPEN and held.state != CLOSED:
                raise ImportRefused("it is not closed; nothing was changed")
            row = {
                "key": key,
                "act": act,
                "value": value,
                "remark": remark,
                "person": who.person,
                "at_ms": self._desk.now_ms(),
            }
            await connection.execute(insert(case_acts), row)
            if act in {DECIDE, REOPEN}:
                state = CLOSED if act == DECIDE else OPEN
                await connection.execute(
                    update(cases).where(cases.c.key == key).values(state=state)
                )
            await self._desk.done(connection, who, f"case.{act}", key[:64], value=value)

    async def _one(self, connection: AsyncConnection, who: Actor, key: str) -> CaseView:
        concern = _concern(who, await self._desk.book.read(connection))
        found = await read_cases(connection, [key])
        if not found or (concern and not concern(found[0].venue)):
            raise ImportRefused("there is no such case here")
        return found[0]


async def open_matter(
    connection: AsyncConnection,
    *,
    key: str,
    kind: str,
    reason: str,
    now_ms: int,
    venue: str = "",
    terminal: str = "",
    facts: Mapping[str, str | int] | None = None,
) -> bool:
    """Opens a matter unless there is one of this key; returns whether it is new."""
    if await connection.scalar(select(matters.c.id).where(matters.c.key == key)) is not None:
        return False
    row = {
        "key": key,
        "kind": kind,
        "reason": reason,
        "member": "",
        "offer": "",
        "venue": venue,
        "terminal": terminal,
        "facts": json.dumps(dict(facts or {}), ensure_ascii=False, sort_keys=True),
        "first_ms": now_ms,
        "opened_ms": now_ms,
    }
    await connection.execute(insert(matters), row)
    return True


def _concern(who: Actor, published: Published) -> Concern | None:
    """Which venues' cases are the business of somebody with a district or street of their own."""
    if not who.district:
        return None

    def concern(place: str) -> bool:
        venue = published.venues.get(place)
        return venue is not None and who.may(
            Right.CASES_VIEW, district=venue.district, street=venue.street
        )

    return concern
