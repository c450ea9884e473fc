"""The way in on PostgreSQL, in its own words: one statement for many heads, COPY for many entries.

What is stored is the same as on SQLite; only the cost is another. The statements here are the ones
that run for every batch, so they go to the driver directly and are prepared once a connection.
"""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import make_url

from server.errors import DatabaseFault

if TYPE_CHECKING:
    from sync.admission import Admitted, LogState

#: Connections of the way in; one commit is under way at a time, and heads are read beside it.
CONNECTIONS_MAX: Final = 4
#: COPY in binary (PostgreSQL, COPY, "Binary Format"): signature, flags, length of extensions.
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TAIL: Final = b"\xff\xff"
#: Three fields: log (4 bytes), seq (8 bytes), and the length of the body that follows.
_ENTRY: Final = struct.Struct(">hiiiqi")

_HEAD: Final = """
SELECT log, ledger, origin, vkeys, state, size, root, frontier FROM ledgers WHERE ledger = $1
"""
_LOCK: Final = "SELECT 1 FROM ledgers WHERE log = ANY($1::int[]) ORDER BY log FOR UPDATE"
_ADVANCE: Final = """
UPDATE ledgers l
SET size = q.size, root = q.root, frontier = q.frontier, received_ms = q.received_ms
FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[], $5::bigint[], $6::bytea[],
            $7::bytea[], $8::bigint[])
     AS q(log, old_size, old_root, state, size, root, frontier, received_ms)
WHERE l.log = q.log AND l.size = q.old_size AND l.root = q.old_root AND l.state = q.state
RETURNING l.log
"""
_NEW_KEYS: Final = "UPDATE ledgers SET vkeys = $2 WHERE log = $1"
_RECEIPTS: Final = """
INSERT INTO receipts (log, size, old_size, root, note, received_ms, carrier, drained)
SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[],
                     $6::bigint[], $7::text[], $8::bool[])
"""
_FEW_ENTRIES: Final = """
INSERT INTO entries (log, seq, body) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])
"""
#: Up to so many entries one statement is cheaper than a COPY with its extra turns.
_FEW_ENTRIES_MAX: Final = 64


class Arrived(Protocol):
    """One admitted batch, as ``server.commits.Work`` has it."""

    @property
    def number(self) -> int:
        """The server's number of the ledger."""

    @property
    def before(self) -> LogState:
        """The head that admission saw."""

    @property
    def admitted(self) -> Admitted:
        """What admission made of it."""

    @property
    def receipt(self) -> bytes:
        """To be kept and answered."""

    @property
    def received_ms(self) -> int:
        """Server time."""

    @property
    def carrier(self) -> str:
        """How it came."""

    @property
    def drained(self) -> bool:
        """Whether it held all that the terminal had."""


class HotPath:
    """A few connections to PostgreSQL for the way in alone."""

    def __init__(self, url: str) -> None:
        """Connects at the first use.

        Args:
            url: of the database, with whatever driver.
        """
        self._url = make_url(url).set(drivername="postgresql")
        self._pool: Any = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        """A connection; what goes wrong on it is a fault of the database."""
        import asyncpg

        try:
            async with self._opening:
                if self._pool is None:
                    dsn = self._url.render_as_string(hide_password=False)
                    self._pool = await asyncpg.create_pool(
                        dsn, min_size=1, max_size=CONNECTIONS_MAX
                    )
            async with self._pool.acquire() as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseFault(f"PostgreSQL: {error}") from error

    async def head(self, ledger: str) -> Any:
        """The row of a ledger's head, ``None`` if there is no such ledger.

        Raises:
            DatabaseFault: PostgreSQL does not answer.
        """
        async with self.connected() as connection:
            return await connection.fetchrow(_HEAD, ledger)

    async def write(self, group: Sequence[Arrived], vkeys: Mapping[int, str]) -> set[int]:
        """Stores batches of different ledgers in one transaction.

        Args:
            group: what was admitted, one of each ledger.
            vkeys: new verifier keys of those ledgers that changed theirs, by their number.

        Returns:
            Numbers of the ledgers whose head still stood where admission saw it; only their
            batches were stored.

        Raises:
            DatabaseFault: nothing was stored, as far as is known.
        """
        async with self.connected() as connection, connection.transaction():
            # In one order everywhere, so that two servers never wait for each other.
            await connection.execute(_LOCK, [work.number for work in group])
            moved = {row[0] for row in await connection.fetch(_ADVANCE, *_heads_of(group))}
            winners = [work for work in group if work.number in moved]
            if winners:
                await _store_entries(connection, winners)
                await connection.execute(_RECEIPTS, *_receipts_of(winners))
            for number in moved & vkeys.keys():
                await connection.execute(_NEW_KEYS, number, vkeys[number])
        return moved

    async def close(self) -> None:
        """Gives the connections back."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


async def _store_entries(connection: Any, group: Sequence[Arrived]) -> None:
    count = sum(len(work.admitted.entries) for work in group)
    if count <= _FEW_ENTRIES_MAX:
        rows = [
            (work.number, work.admitted.old_size + at, body)
            for work in group
            for at, body in enumerate(work.admitted.entries)
        ]
        await connection.execute(_FEW_ENTRIES, *zip(*rows, strict=True))
        return
    many = (
        (work.number, seq, body)
        for work in group
        for seq, body in enumerate(work.admitted.entries, work.admitted.old_size)
    )
    await connection.copy_to_table(
        "entries",
        source=io.BytesIO(copy_of(many)),
        columns=("log", "seq", "body"),
        format="binary",
    )


def copy_of(rows: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Entries as PostgreSQL's binary COPY takes them: number of the ledger, position, bytes."""
    pieces = [_COPY_HEAD]
    for log, seq, body in rows:
        pieces += (_ENTRY.pack(3, 4, log, 8, seq, len(body)), body)
    pieces.append(_COPY_TAIL)
    return b"".join(pieces)


def _heads_of(group: Sequence[Arrived]) -> list[list[Any]]:
    """The columns of ``_ADVANCE``."""
    return [
        [work.number for work in group],
        [work.admitted.old_size for work in group],
        [work.before.root for work in group],
        [work.before.state.value for work in group],
        [work.admitted.size for work in group],
        [work.admitted.root for work in group],
        [work.admitted.frontier.to_bytes() for work in group],
        [work.received_ms for work in group],
    ]


def _receipts_of(group: Sequence[Arrived]) -> list[list[Any]]:
    """The columns of ``_RECEIPTS``."""
    return [
        [work.number for work in group],
        [work.admitted.size for work in group],
        [work.admitted.old_size for work in group],
        [work.admitted.root for work in group],
        [work.receipt for work in group],
        [work.received_ms for work in group],
        [work.carrier for work in group],
        [work.drained for work in group],
    ]
