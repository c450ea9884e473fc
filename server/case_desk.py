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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.casebook import CLOSED, DECIDE, OPEN, REOPEN, decisions
from server.desk import Desk
from server.errors import ImportRefused
from server.forks import forks
from server.known import pieces
from server.offers import Published
from server.roles import Actor, Right
from server.schema import cases, events, ledgers
from server.schema_office import case_acts, matters
from server.signals.signal import explain

#: What a case may end with: nothing wrong, counts but is not paid, goes on elsewhere.
DECISIONS: Final = ("accept", "reject", "refer")
MATTERS: Final = ("problem", "fork", "dispute")
LISTED_MAX: Final = 1000
REMARK_LETTERS_MAX: Final = 200
_PERSON: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class CaseAct:
    """What somebody did with a case."""

    at_ms: int
    person: str
    act: str
    value: str
    remark: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as the desk sees it.

    Attributes:
        key: what it is called; stays the same when everything is folded anew.
        kind: ``judged``, ``signal``, or a matter's kind.
        reason: why it was opened.
        state: ``open``, ``closed`` by a person, or ``resolved`` by itself.
        member: reference, empty if it is about none.
        offer: offer id, or empty.
        venue: venue id of its first entry, or empty.
        terminal: terminal, or empty.
        nonces: of the taps.
        positions: ``<ledger>/<seq>`` of the entries.
        first_ms: when the first of it happened.
        opened_ms: when it was opened.
        assigned: who looks at it, or empty.
        decision: how it ended, or empty.
        explained: what was seen, in Chinese and English, or ``None``.
        details: what the explanation says.
        acts: what was done with it, the oldest first.
    """

    key: str
    kind: str
    reason: str
    state: str
    member: str
    offer: str
    venue: str
    terminal: str
    nonces: tuple[str, ...]
    positions: tuple[str, ...]
    first_ms: int
    opened_ms: int
    assigned: str = ""
    decision: str = ""
    explained: tuple[str, str] | None = None
    details: Mapping[str, str | int] = field(default_factory=dict)
    acts: tuple[CaseAct, ...] = ()


class CaseDesk:
    """Lists and decides cases."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def all(
        self, who: Actor, *, state: str = OPEN, reason: str = "", assigned: str = ""
    ) -> list[CaseView]:
        """Cases by first event time; a district sees those of its venues.

        Args:
            who: who looks.
            state: ``open``, ``closed``, ``resolved``, or empty for all.
            reason: only of this reason.
            assigned: only those of this person.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.CASES_VIEW)
        async with self._desk.database.reading() as connection:
            published = await self._desk.book.read(connection)
            found = await _read(connection, state=state, reason=reason)
        return [
            one
            for one in found
            if _concerns(who, one, published) and (not assigned or one.assigned == assigned)
        ]

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
        await self._act(who, key, "assign", person, "")

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
        published = await self._desk.book.read(connection)
        found = await _read(connection, key=key)
        if not found or not _concerns(who, found[0], published):
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


async def _read(
    connection: AsyncConnection, *, state: str = "", reason: str = "", key: str = ""
) -> list[CaseView]:
    judged = select(cases).order_by(cases.c.first_ms, cases.c.key).limit(LISTED_MAX)
    told = select(matters).order_by(matters.c.first_ms, matters.c.key).limit(LISTED_MAX)
    for column, value in (("key", key), ("reason", reason)):
        if value:
            judged = judged.where(cases.c[column] == value)
            told = told.where(matters.c[column] == value)
    if state:
        judged = judged.where(cases.c.state == state)
    rows = (await connection.execute(judged)).all()
    others: list[Any] = list((await connection.execute(told)).all())
    others += await forks(connection, key, reason)
    acts = await _acts_of(connection, [row.key for row in (*rows, *others)])
    ended = await decisions(connection, [row.key for row in others])
    places = await _venues_of(connection, rows)
    found = [_judged(row, places.get(row.key, ""), acts.get(row.key, ())) for row in rows]
    found += [
        one
        for row in others
        if (one := _matter(row, acts.get(row.key, ()), closed=row.key in ended))
        and (not state or one.state == state)
    ]
    return sorted(found, key=lambda one: (one.first_ms, one.reason, one.key))


def _judged(row: Any, venue: str, acts: Sequence[CaseAct]) -> CaseView:
    details = json.loads(row.details) if row.details else {}
    explained = explain(row.reason, details) if details else None
    return CaseView(
        key=row.key,
        kind="signal" if details else "judged",
        reason=row.reason,
        state=row.state,
        member=row.member,
        offer=row.offer,
        venue=venue,
        terminal="",
        nonces=tuple(json.loads(row.nonces)),
        positions=tuple(json.loads(row.positions)),
        first_ms=row.first_ms,
        opened_ms=row.opened_ms,
        assigned=_last(acts, "assign"),
        decision=_last(acts, DECIDE) if row.state == CLOSED else "",
        explained=explained,
        details=details,
        acts=tuple(acts),
    )


def _matter(row: Any, acts: Sequence[CaseAct], *, closed: bool) -> CaseView:
    return CaseView(
        key=row.key,
        kind=row.kind,
        reason=row.reason,
        state=CLOSED if closed else OPEN,
        member=row.member,
        offer=row.offer,
        venue=row.venue,
        terminal=row.terminal,
        nonces=(),
        positions=(),
        first_ms=row.first_ms,
        opened_ms=row.opened_ms,
        assigned=_last(acts, "assign"),
        decision=_last(acts, DECIDE) if closed else "",
        details=json.loads(row.facts),
        acts=tuple(acts),
    )


def _last(acts: Sequence[CaseAct], act: str) -> str:
    return next((one.value for one in reversed(acts) if one.act == act), "")


async def _acts_of(
    connection: AsyncConnection, keys: Iterable[str]
) -> dict[str, tuple[CaseAct, ...]]:
    found: dict[str, tuple[CaseAct, ...]] = {}
    for some in pieces(sorted(set(keys))):
        statement = select(case_acts).where(case_acts.c.key.in_(some)).order_by(case_acts.c.id)
        for row in await connection.execute(statement):
            one = CaseAct(row.at_ms, row.person, row.act, row.value, row.remark)
            found[row.key] = (*found.get(row.key, ()), one)
    return found


async def _venues_of(connection: AsyncConnection, rows: Sequence[Any]) -> dict[str, str]:
    """Where the first entry of each case happened."""
    first = {row.key: positions[0] for row in rows if (positions := json.loads(row.positions))}
    names = sorted({position.partition("/")[0] for position in first.values()})
    logs: dict[str, int] = {}
    for some in pieces(names):
        statement = select(ledgers.c.ledger, ledgers.c.log).where(ledgers.c.ledger.in_(some))
        logs |= {row.ledger: row.log for row in await connection.execute(statement)}
    wanted: dict[int, set[int]] = {}
    for position in first.values():
        ledger, _, seq = position.partition("/")
        if ledger in logs:
            wanted.setdefault(logs[ledger], set()).add(int(seq))
    venues: dict[tuple[int, int], str] = {}
    for log, numbers in wanted.items():
        for chunk in pieces(sorted(numbers)):
            statement_ = select(events.c.seq, events.c.venue).where(
                events.c.log == log, events.c.seq.in_(chunk)
            )
            venues |= {(log, r.seq): r.venue for r in await connection.execute(statement_)}
    return {
        key: venues.get(
            (logs.get(position.partition("/")[0], 0), int(position.partition("/")[2])), ""
        )
        for key, position in first.items()
    }


def _concerns(who: Actor, case: CaseView, published: Published) -> bool:
    """Whether a case is the business of somebody with a district or street of their own."""
    if not who.district:
        return True
    venue = published.venues.get(case.venue)
    return venue is not None and who.may(
        Right.CASES_VIEW, district=venue.district, street=venue.street
    )
