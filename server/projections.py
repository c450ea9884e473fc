"""Judges what came in, off the ingest path, and folds it into events, stock and cases.

One step takes the next entries of some ledgers in one transaction: rows for the events, the judge
over every member concerned with all their events on all ledgers, revisions for what changed, cases,
stock, and the cursors. A step that fails leaves everything as it was. What is folded here can be
dropped and folded again; judgements stay, and a rebuild that finds the same adds no revision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.entry import Kind
from server.bench import Bench
from server.database import Database
from server.errors import Overloaded
from server.facts import Event, Position
from server.folding import (
    STEP_ENTRIES_MAX,
    STEP_ENTRIES_POSTGRESQL_MAX,
    Chunk,
    next_chunks,
    row_of,
    told,
)
from server.goods import know_transfers
from server.holds import settle_holds
from server.judge import original_position
from server.known import among, card_histories
from server.leases import close_leases, know_leases, parts_of_leases
from server.offers import OfferBook
from server.reservations import settle_reservations
from server.schema import FOLDED, cursors, events, histories, judgements, ledgers
from server.schema_statistics import STATISTICS

_JUDGE_LOCK: Final = 0x6A7564


class Projector:
    """Brings the folded tables up to what is stored.

    Attributes:
        step_entries_max: entries of one step where nobody else waits to write; 0 for the usual.
    """

    step_entries_max = 0

    def __init__(self, database: Database, book: OfferBook, now_ms: Callable[[], int]) -> None:
        """Reads and writes ``database``; ``now_ms`` dates judgements."""
        self._database = database
        self._book = book
        self._now_ms = now_ms

    async def step(self, ledger: str | None = None) -> int:
        """Takes the next entries of some ledgers.

        Args:
            ledger: which one; absent, those that wait longest.

        Returns:
            How many entries were taken; 0 when nothing is left, or another server is at it.
        """
        async with self._database.writing() as connection:
            if not await self._database.exclusive(connection, _JUDGE_LOCK):
                return 0
            chunks = await self._next(connection, ledger)
            if not chunks:
                return 0
            bench = await self._bench(connection)
            concerned = await _fold(bench, chunks)
            await bench.judge(concerned.members, concerned.alone)
            return sum(len(chunk.events) for chunk in chunks)

    async def catch_up(self, ledger: str | None = None) -> int:
        """Steps until nothing is left; returns how many entries were taken."""
        total = 0
        while taken := await self.step(ledger):
            total += taken
        return total

    async def rebuild(self) -> int:
        """Drops what is folded and folds it again from the stored entries, in one transaction.

        Everything is folded before anything is judged, so that no half-known state is signed: a
        judgement that comes out the same has no new revision.

        Returns:
            How many entries were folded.
        """
        total = 0
        async with self._database.writing() as connection:
            if not await self._database.exclusive(connection, _JUDGE_LOCK):
                raise Overloaded("another server is judging; try again", retry_after_s=5)
            for table in (*FOLDED, *STATISTICS):
                await connection.execute(delete(table))
            bench = await self._bench(connection)
            alone: list[Event] = []
            while chunks := await self._next(connection, None):
                alone += (await _fold(bench, chunks)).alone
                await bench.put_down()
                total += sum(len(chunk.events) for chunk in chunks)
            members = await connection.scalars(select(events.c.member).distinct())
            await bench.judge(set(members), await _still_alone(connection, alone), anew=True)
        return total

    async def _next(self, connection: AsyncConnection, ledger: str | None) -> list[Chunk]:
        """The next chunks, their ledgers' cursors already moved behind them."""
        large = STEP_ENTRIES_POSTGRESQL_MAX if self._database.postgresql else STEP_ENTRIES_MAX
        chunks = await next_chunks(connection, ledger, self.step_entries_max or large)
        if chunks:
            logs = [chunk.log for chunk in chunks]
            await connection.execute(delete(cursors).where(cursors.c.log.in_(logs)))
            rows = [(chunk.log, chunk.next_seq, chunk.bound_ms) for chunk in chunks]
            await self._database.append(connection, cursors, rows)
        return chunks

    async def _bench(self, connection: AsyncConnection) -> Bench:
        published = await self._book.read(connection)
        return Bench(self._database, connection, published, self._now_ms())


@dataclass(frozen=True, slots=True)
class _Concerned:
    """Whom the events of a chunk concern: members, and events that belong to none."""

    members: set[str]
    alone: list[Event]


async def _fold(bench: Bench, chunks: Sequence[Chunk]) -> _Concerned:
    """Hands the events of some chunks to the bench; nothing is judged yet."""
    connection = bench.connection
    tellable = {chunk.log: told(chunk.events) for chunk in chunks}
    found = [event for events_of in tellable.values() for event in events_of]
    owners = await _owners(connection, found)
    await _lay_out(bench, chunks, tellable, owners)
    claimed = await _claim_voids(connection, {str(e.position): owners[e.position] for e in found})
    for chunk in chunks:
        await know_leases(connection, bench.published, chunk.log, chunk.events)
        await close_leases(connection, chunk.log, chunk.events)
        await know_transfers(connection, chunk.log, chunk.events, bench.now_ms)
    await settle_holds(connection, tellable)
    await settle_reservations(connection, tellable)
    members = (set(owners.values()) | claimed) - {""}
    return _Concerned(members, [event for event in found if not owners[event.position]])


async def _owners(connection: AsyncConnection, found: list[Event]) -> dict[Position, str]:
    """The member of each event: its own word, its card's, or that of the entry it voids."""
    owners = {event.position: event.text("member") for event in found}
    claimed = [e for e in found if e.kind == Kind.MANUAL and not owners[e.position]]
    states = await card_histories(connection, {event.text("card") for event in claimed})
    for event in claimed:
        held = states.get(event.text("card"))
        owners[event.position] = held[-1][1].member if held else ""
    for event in found:
        if event.kind == Kind.VOID:
            original = original_position(event)
            known = owners.get(original)
            owners[event.position] = (
                await _member_at(connection, original) if known is None else known
            )
    return owners


async def _member_at(connection: AsyncConnection, position: Position) -> str:
    statement = (
        select(events.c.member)
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(ledgers.c.ledger == position.ledger, events.c.seq == position.seq)
    )
    return await connection.scalar(statement) or ""


async def _lay_out(
    bench: Bench,
    chunks: Sequence[Chunk],
    tellable: Mapping[int, Sequence[Event]],
    owners: Mapping[Position, str],
) -> None:
    """Makes rows, with the verdicts that earlier foldings have signed already."""
    signed = await _signed(bench.connection, chunks)
    everything = (event.text("lease") for found in tellable.values() for event in found)
    parts = await parts_of_leases(bench.connection, everything)
    for log, found in tellable.items():
        for event in found:
            row = row_of(log, event, owners[event.position], bench.published)
            row["bucket"] = parts.get(event.text("lease"), row["bucket"])
            last = signed.get((log, event.seq))
            if last is not None:
                row |= {"verdict": last.verdict, "reasons": last.reasons}
                row["counterpart"] = last.counterpart
            bench.lay(event, row)


async def _signed(
    connection: AsyncConnection, chunks: Sequence[Chunk]
) -> dict[tuple[int, int], Any]:
    """The newest judgements of some positions, if these were folded before."""
    found: dict[tuple[int, int], Any] = {}
    for chunk in chunks:
        if not chunk.signed:
            continue
        log, start = chunk.log, chunk.next_seq - len(chunk.events)
        mine = (
            judgements.c.log == log,
            judgements.c.seq >= start,
            judgements.c.seq < chunk.next_seq,
        )
        rows = await connection.execute(
            select(judgements).where(*mine).order_by(judgements.c.revision)
        )
        found |= {(log, row.seq): row for row in rows}
    return found


async def _claim_voids(connection: AsyncConnection, owners: Mapping[str, str]) -> set[str]:
    """Gives voids that came before their original the member that they were waiting for."""
    waits = (events.c.member == "", events.c.original != "")
    if await connection.scalar(select(events.c.seq).where(*waits).limit(1)) is None:
        return set()
    waiting: list[Any] = []
    for which in among(connection, events.c.original, owners):
        statement = select(events.c.log, events.c.seq, events.c.original).where(*waits, which)
        waiting += (await connection.execute(statement)).all()
    for row in waiting:
        owner = owners[row.original]
        if owner:
            await connection.execute(
                update(events)
                .where(events.c.log == row.log, events.c.seq == row.seq)
                .values(member=owner)
            )
            await connection.execute(
                insert(histories), {"member": owner, "log": row.log, "seq": row.seq}
            )
    return {owners[row.original] for row in waiting}


async def _still_alone(connection: AsyncConnection, found: list[Event]) -> list[Event]:
    """Of events that belonged to no member, those that nobody has claimed since."""
    rows = await connection.execute(
        select(ledgers.c.ledger, events.c.seq)
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(events.c.member == "")
    )
    unclaimed = {Position(row.ledger, row.seq) for row in rows}
    return [event for event in found if event.position in unclaimed]
