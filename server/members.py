"""Members and cards as the member system gives them.

Only differences become new states; every state is kept with the moment from which it held, because
taps are judged by what was true when they happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import ColumnElement, String, Table, any_, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.offer import MemberStatus
from server.card_list import (
    CARD_STATUSES,
    FILE_BYTES_MAX,
    CardList,
    ImportReport,
    Membership,
    lines_of,
    rows_of,
)
from server.database import Database
from server.errors import ImportRefused
from server.known import pieces
from server.schema import cards, members

Progress = Callable[[int, int], None]
Row = tuple[Any, ...]

#: Rows compared and written at once. Card hashes fall everywhere in a table, so that each piece
#: rewrites nearly all of its pages: few large pieces cost a tenth of many small ones.
ROWS_AT_ONCE: Final = 400_000
#: One of several servers at a time compares a card with its newest state and writes the next.
CHANGES_LOCK: Final = 0x5265646D
#: Names that one statement asks for.
NAMES_AT_ONCE: Final = 20_000


async def import_file(
    database: Database, file: bytes | Path, now_ms: int, progress: Progress
) -> tuple[ImportReport, str]:
    """Takes a file by its bytes or its path; see ``import_members``.

    Returns:
        What it did, and the SHA-256 of the file.

    Raises:
        ImportRefused: the file as a whole is refused, or cannot be read; nothing was changed.
    """

    def source() -> IO[bytes]:
        return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")

    try:
        digest = await asyncio.to_thread(_digest, source)
        report = await import_members(database, source, now_ms, progress)
    except OSError as error:
        raise ImportRefused(f"the file cannot be read: {error.strerror}") from None
    return report, digest


def _digest(source: Callable[[], IO[bytes]]) -> str:
    digest = hashlib.sha256()
    with source() as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


async def import_members(
    database: Database,
    source: Callable[[], IO[bytes]],
    now_ms: int,
    progress: Progress = lambda _done, _total: None,
) -> ImportReport:
    """Takes a CSV of cards and members; what is as before changes nothing.

    The file is read twice: once to see that nothing in it refuses it whole, then to take it, some
    rows to a transaction, so that terminals are served meanwhile. What a crash leaves half done is
    completed by taking the file again.

    Args:
        database: where members are kept.
        source: opens the file, UTF-8, with a heading of ``COLUMNS``; card and member must be there.
        now_ms: from when on new states hold.
        progress: told how many rows of how many are done; the total counts both readings.

    Raises:
        ImportRefused: the file as a whole is refused; nothing was changed.
    """
    told = CardList()
    with await asyncio.to_thread(source) as stream:
        checked = await asyncio.to_thread(_check, stream, told, progress)
    total, done = Counter[str](), 0
    with source() as stream:
        rows = rows_of(lines_of(stream), CardList())
        async with database.loading() if checked > ROWS_AT_ONCE else nullcontext():
            while some := await asyncio.to_thread(list, islice(rows, ROWS_AT_ONCE)):
                total += await _take_piece(database, some, now_ms)
                done += len(some)
                progress(checked + done, 2 * checked)
    return ImportReport(
        rows=checked + told.faulty,
        cards=total[cards.name],
        members=total[members.name],
        faults=tuple(told.faults),
        faulty=told.faulty,
    )


async def _take_piece(database: Database, rows: Sequence[Membership], now_ms: int) -> Counter[str]:
    """Compares some rows with what is held, and writes those that differ in one transaction."""
    async with database.reading() as connection:
        changed = await _changed(connection, rows, now_ms)
    if any(changed.values()):
        async with database.writing() as connection:
            for table, fresh in changed.items():
                await database.append(connection, table, fresh)
    return Counter({table.name: len(fresh) for table, fresh in changed.items()})


def _check(stream: IO[bytes], told: CardList, progress: Progress) -> int:
    """Reads a whole file; how many rows of it can be taken."""
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    if size > FILE_BYTES_MAX:
        raise ImportRefused(f"a file of members has at most {FILE_BYTES_MAX} bytes")
    stream.seek(0)
    count = 0
    for _ in rows_of(lines_of(stream), told):
        count += 1
        if count % ROWS_AT_ONCE == 0:
            # The rows are not known yet: guessed from how far the file is read.
            progress(count, 2 * count * size // max(1, stream.tell()))
    return count


async def take_rows(
    connection: AsyncConnection,
    rows: Sequence[Membership],
    now_ms: int,
    progress: Progress = lambda _done, _total: None,
) -> tuple[int, int]:
    """Records the states that differ; of several rows of one card or member the last counts.

    Args:
        connection: inside a transaction that may write.
        rows: at most some ten thousand, for they are compared at once.
        now_ms: from when on new states hold.
        progress: told how many cards of how many are done.

    Returns:
        How many cards and how many members have a new state.
    """
    changed = await _changed(connection, rows, now_ms)
    for table, fresh in changed.items():
        await _put(connection, table, fresh)
    progress(len(rows), len(rows))
    return len(changed[cards]), len(changed[members])


async def _changed(
    connection: AsyncConnection, rows: Sequence[Membership], now_ms: int
) -> dict[Table, list[Row]]:
    """The states that differ from what is held, in the order of the keys."""
    by_card = {row.card: _card_row(row, now_ms) for row in rows}
    by_member = {row.member: _member_row(row, now_ms) for row in rows if row.member}
    changed: dict[Table, list[Row]] = {}
    for table, fresh in ((cards, by_card), (members, by_member)):
        ordered = sorted(fresh.values())
        held = await _newest(connection, table, table.columns[0], [row[0] for row in ordered])
        changed[table] = _differences(ordered, held)
    return changed


def _card_row(row: Membership, now_ms: int) -> Row:
    """A card's state in the order of the table's columns."""
    return (
        row.card,
        now_ms,
        row.status.value,
        row.member,
        row.last4,
        row.expires,
        row.issued,
        row.replaced_by,
    )


def _member_row(row: Membership, now_ms: int) -> Row:
    """A member's state in the order of the table's columns."""
    return (
        row.member,
        now_ms,
        row.member_status.value,
        row.district,
        row.street,
        " ".join(sorted(row.tags)),
        row.year,
    )


async def _newest(
    connection: AsyncConnection, table: Table, column: Any, names: Sequence[str]
) -> dict[str, Row]:
    """The newest state of each; those that have none are left out."""
    found: dict[str, Row] = {}
    for some in pieces(names, NAMES_AT_ONCE):
        statement = select(table).where(_among(connection, column, some)).order_by(table.c.from_ms)
        found |= {row[0]: tuple(row) for row in await connection.execute(statement)}
    return found


def _among(connection: AsyncConnection, column: Any, names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column is one of thousands of names, as one bound value."""
    if connection.dialect.name == "postgresql":
        among: ColumnElement[bool] = column == any_(literal(list(names), ARRAY(String)))
        return among
    listed = func.json_each(json.dumps(names)).table_valued("value")
    found: ColumnElement[bool] = column.in_(select(listed.c.value))
    return found


def _differences(fresh: Iterable[Row], held: Mapping[str, Row]) -> list[Row]:
    changed: list[Row] = []
    for row in fresh:
        before = held.get(row[0])
        if before is None:
            changed.append(row)
        elif before[2:] != row[2:]:
            # Two states in one millisecond: the later one holds from the next.
            changed.append((row[0], max(row[1], before[1] + 1), *row[2:]))
    return changed


async def set_card(connection: AsyncConnection, card: str, status: str, now_ms: int) -> None:
    """Gives a card another status from now on.

    Raises:
        ImportRefused: no such card or status; nothing was changed.
    """
    if status not in CARD_STATUSES:
        raise ImportRefused(f"status {status!r}: {', '.join(CARD_STATUSES)}")
    held = await _newest(connection, cards, cards.c.card, [card])
    if card not in held:
        raise ImportRefused(f"no card {card}")
    fresh = (card, now_ms, status, *held[card][3:])
    await _put(connection, cards, _differences([fresh], held))


async def set_member(connection: AsyncConnection, member: str, status: str, now_ms: int) -> None:
    """Suspends a member from now on, or lets them use offers again.

    Raises:
        ImportRefused: no such member or status; nothing was changed.
    """
    if status not in set(MemberStatus):
        raise ImportRefused(f"status {status!r}: {', '.join(MemberStatus)}")
    held = await _newest(connection, members, members.c.member, [member])
    if member not in held:
        raise ImportRefused(f"no member {member}")
    fresh = (member, now_ms, status, *held[member][3:])
    await _put(connection, members, _differences([fresh], held))


async def _put(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        names = [column.name for column in table.columns]
        await connection.execute(
            insert(table), [dict(zip(names, row, strict=True)) for row in rows]
        )
