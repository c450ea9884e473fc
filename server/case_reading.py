"""Cases as the desk reads them: counted, page by page, the newest first.

Judged cases stand in a table that is folded; matters and forks of ledgers in others. A page is
found by what is light (key, time, reason), and only its own cases are read whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.casebook import CLOSED, DECIDE, OPEN, decisions
from server.forks import forks
from server.goods import explain_transfer
from server.known import pieces
from server.schema import cases, events, ledgers
from server.schema_office import case_acts, matters
from server.signals.signal import explain

ASSIGN: Final = "assign"
#: Whether the cases of a venue are somebody's business.
Concern = Callable[[str], bool]


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


@dataclass(frozen=True, slots=True)
class CasePage:
    """A page of cases.

    Attributes:
        cases: the newest first.
        total: how many there are of this choice.
        reasons: how many of each reason, whatever reason is chosen.
        start: how many newer ones are left out.
    """

    cases: tuple[CaseView, ...]
    total: int
    reasons: Mapping[str, int]
    start: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases somebody wants to see; an empty field takes all.

    Attributes:
        state: ``open``, ``closed`` or ``resolved``.
        reason: why they were opened.
        assigned: who looks at them.
        now_ms: a matter that opens later is none yet.
    """

    state: str = OPEN
    reason: str = ""
    assigned: str = ""
    now_ms: int = 1 << 53


@dataclass(frozen=True, slots=True)
class _Ref:
    """What a case is found by."""

    key: str
    first_ms: int
    reason: str
    venue: str = ""


async def page_of(
    connection: AsyncConnection,
    wanted: Wanted,
    concern: Concern | None,
    *,
    start: int = 0,
    limit: int,
) -> CasePage:
    """A page of cases, the newest first.

    Args:
        connection: for reading.
        wanted: which.
        concern: by venue, for somebody with a place of their own; ``None`` sees all.
        start: so many newer ones are left out.
        limit: at most so many.
    """
    others = [ref for ref in await _others(connection, wanted) if not concern or concern(ref.venue)]
    if concern is None:
        reasons = await _judged_counts(connection, wanted)
        refs = await _judged_refs(connection, wanted, start + limit)
    else:
        mine = [ref for ref in await _judged_at(connection, wanted) if concern(ref.venue)]
        reasons = Counter(ref.reason for ref in mine)
        refs = [ref for ref in mine if wanted.reason in {"", ref.reason}]
    reasons.update(ref.reason for ref in others)
    refs += [ref for ref in others if wanted.reason in {"", ref.reason}]
    refs.sort(key=lambda ref: (-ref.first_ms, ref.key))
    chosen = await read_cases(connection, [ref.key for ref in refs[start : start + limit]])
    total = reasons[wanted.reason] if wanted.reason else reasons.total()
    return CasePage(tuple(chosen), total, dict(reasons.most_common()), start)


async def read_cases(connection: AsyncConnection, keys: Sequence[str]) -> list[CaseView]:
    """Some cases whole, in the order of the keys; those that are not there are left out."""
    judged: list[Any] = []
    others: list[Any] = []
    for some in pieces(keys):
        judged += (await connection.execute(select(cases).where(cases.c.key.in_(some)))).all()
        others += (await connection.execute(select(matters).where(matters.c.key.in_(some)))).all()
    missing = set(keys) - {row.key for row in (*judged, *others)}
    if missing:
        others += [one for one in await forks(connection) if one.key in missing]
    acts = await _acts_of(connection, [row.key for row in (*judged, *others)])
    ended = await decisions(connection, [row.key for row in others])
    places = await _venues_of(connection, {row.key: row.positions for row in judged})
    found = [_judged(row, places.get(row.key, ""), acts.get(row.key, ())) for row in judged]
    found += [_matter(row, acts.get(row.key, ()), closed=row.key in ended) for row in others]
    by_key = {one.key: one for one in found}
    return [by_key[key] for key in keys if key in by_key]


def _of(query: Select[Any], wanted: Wanted, *, reason: bool) -> Select[Any]:
    """A query over judged cases, narrowed to those wanted."""
    if wanted.state:
        query = query.where(cases.c.state == wanted.state)
    if reason and wanted.reason:
        query = query.where(cases.c.reason == wanted.reason)
    if wanted.assigned:
        query = query.where(cases.c.key.in_(_assigned_to(wanted.assigned)))
    return query


def _assigned_to(person: str) -> Select[Any]:
    """Keys of the cases that somebody looks at: the last to whom each was given."""
    newest = select(func.max(case_acts.c.id)).where(case_acts.c.act == ASSIGN)
    return select(case_acts.c.key).where(
        case_acts.c.id.in_(newest.group_by(case_acts.c.key)), case_acts.c.value == person
    )


async def _judged_counts(connection: AsyncConnection, wanted: Wanted) -> Counter[str]:
    counted = select(cases.c.reason, func.count().label("many")).group_by(cases.c.reason)
    rows = await connection.execute(_of(counted, wanted, reason=False))
    return Counter({row.reason: row.many for row in rows})


async def _judged_refs(connection: AsyncConnection, wanted: Wanted, limit: int) -> list[_Ref]:
    query = (
        select(cases.c.key, cases.c.first_ms, cases.c.reason)
        .order_by(cases.c.first_ms.desc(), cases.c.key)
        .limit(limit)
    )
    rows = await connection.execute(_of(query, wanted, reason=True))
    return [_Ref(row.key, row.first_ms, row.reason) for row in rows]


async def _judged_at(connection: AsyncConnection, wanted: Wanted) -> list[_Ref]:
    """All judged cases of any reason, with the venue of each."""
    query = select(cases.c.key, cases.c.first_ms, cases.c.reason, cases.c.positions)
    rows = (await connection.execute(_of(query, wanted, reason=False))).all()
    places = await _venues_of(connection, {row.key: row.positions for row in rows})
    return [_Ref(row.key, row.first_ms, row.reason, places.get(row.key, "")) for row in rows]


async def _others(connection: AsyncConnection, wanted: Wanted) -> list[_Ref]:
    """Matters and forks of any reason."""
    query = select(matters.c.key, matters.c.first_ms, matters.c.reason, matters.c.venue).where(
        matters.c.opened_ms <= wanted.now_ms
    )
    refs = [_Ref(*row) for row in await connection.execute(query)]
    refs += [_Ref(one.key, one.first_ms, one.reason, one.venue) for one in await forks(connection)]
    if wanted.state:
        ended = await decisions(connection, [ref.key for ref in refs])
        states = {True: CLOSED, False: OPEN}
        refs = [ref for ref in refs if states[ref.key in ended] == wanted.state]
    if wanted.assigned:
        mine = set(await connection.scalars(_assigned_to(wanted.assigned)))
        refs = [ref for ref in refs if ref.key in mine]
    return refs


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
        assigned=_last(acts, ASSIGN),
        decision=_last(acts, DECIDE) if row.state == CLOSED else "",
        explained=explained,
        details=details,
        acts=tuple(acts),
    )


def _matter(row: Any, acts: Sequence[CaseAct], *, closed: bool) -> CaseView:
    details = json.loads(row.facts)
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
        assigned=_last(acts, ASSIGN),
        decision=_last(acts, DECIDE) if closed else "",
        explained=explain_transfer(row.reason, row.venue, details),
        details=details,
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


async def _venues_of(
    connection: AsyncConnection, positions_of: Mapping[str, str]
) -> dict[str, str]:
    """Where the first entry of each case happened; ``positions_of`` as they are stored."""
    first = {key: held[0] for key, text in positions_of.items() if (held := json.loads(text))}
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
