"""Where the published files are: the folder of one process, or rows that several processes share.

With SQLite the folder is all there is. On PostgreSQL the rows are what counts, and the folder is a
copy: before something is published it is brought up to date under a lock that one process at a
time holds, and what was made is put into the rows in the same transaction. A process that dies in
between has published nothing; its folder is put right the next time.

Every file but ``metadata/timestamp.json`` is named by its version or its hash and never changes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.database import Database
from server.publish import Repository
from server.schema_publications import publication_pieces, publications

#: What is done with a connection that may write.
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]

TIMESTAMP: Final = "metadata/timestamp.json"
PIECE_BYTES: Final = 4 << 20
_READ_BYTES: Final = 1 << 20
#: One publication at a time, whichever of several servers makes it.
_PUBLICATION_LOCK: Final = 0x52656470


class Shelf:
    """Keeps the folder of a repository and the shared rows the same."""

    def __init__(
        self, database: Database, repository: Repository, now_ms: Callable[[], int]
    ) -> None:
        """Reads nothing yet."""
        self._database = database
        self._repository = repository
        self._folder = repository.folder
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        self._drafts = count()
        #: Files of the folder that are known to have the bytes of their row.
        self._same: set[str] = set()

    @property
    def folder(self) -> Path:
        """Holds ``metadata`` and ``targets``."""
        return self._folder

    @property
    def shared(self) -> bool:
        """Whether other processes may publish too."""
        return self._database.postgresql

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Repository]:
        """The repository as it stands, for one change, which is in force at the end of it.

        Raises:
            DatabaseFault: the database is busy; nothing was published.
        """
        async with self._turn:
            self._at_end: list[Work] = []
            if not self.shared:
                yield self._repository
                if self._at_end:
                    async with self._database.writing() as connection:
                        await self._end(connection)
                return
            async with self._database.writing() as connection:
                await self._database.in_turn(connection, _PUBLICATION_LOCK)
                rows = await self._bring_all(connection)
                try:
                    yield self._repository
                    put = await self._put(connection, rows)
                    await self._end(connection)
                except BaseException:
                    self._same.clear()  # the folder may hold what was never published
                    raise
            self._same = put

    def at_end(self, work: Work) -> None:
        """Has something done in the transaction that puts the change under way in force."""
        self._at_end.append(work)

    async def _end(self, connection: AsyncConnection) -> None:
        for work in self._at_end:
            await work(connection)

    async def timestamp(self) -> bytes | None:
        """The newest timestamp, ``None`` if nothing was published."""
        if not self.shared:
            path = self._folder / TIMESTAMP
            return await asyncio.to_thread(path.read_bytes) if path.exists() else None
        async with self._database.reading() as connection:
            found = [piece async for piece in _pieces(connection, TIMESTAMP)]
        return b"".join(found) or None

    async def bring(self, name: str) -> None:
        """Sees to it that a file is in the folder if it is published; the timestamp never is asked.

        Args:
            name: path below the folder.
        """
        if not self.shared or name in self._same or not _plain(name):
            return
        async with self._database.reading() as connection:
            query = select(publications).where(publications.c.name == name)
            row = (await connection.execute(query)).one_or_none()
            if row is not None:
                await self._fetch(connection, name, row.sha256, row.put_ms)

    async def begin(self) -> None:
        """Makes the folder of a process that starts the same as the rows, as far as it is small.

        What a home published before there were rows becomes theirs.
        """
        if not self.shared or self._turn.locked():
            return  # whoever has the turn has brought it up to date
        if await self.timestamp() is None:
            if self._repository.exists:
                async with self.changing():
                    pass
            return
        async with self._turn, self._database.reading() as connection:
            for name, (digest, put_ms) in (await _rows(connection)).items():
                if name.startswith("metadata/"):
                    await self._fetch(connection, name, digest, put_ms)

    async def _bring_all(self, connection: AsyncConnection) -> dict[str, tuple[str, int]]:
        """Makes the folder the same as the rows; without rows it is their beginning."""
        rows = await _rows(connection)
        if not rows:
            return rows
        for name in await asyncio.to_thread(_names, self._folder):
            if name not in rows:
                (self._folder / name).unlink()
        for name, (digest, put_ms) in sorted(rows.items(), key=lambda one: one[1][1]):
            await self._fetch(connection, name, digest, put_ms)
        return rows

    async def _fetch(
        self, connection: AsyncConnection, name: str, digest: str, put_ms: int
    ) -> None:
        path = self._folder / name
        if name in self._same and path.exists() and name != TIMESTAMP:
            return
        if not path.exists() or await asyncio.to_thread(_digest, path) != digest:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.{os.getpid()}-{next(self._drafts)}")
            with fresh.open("wb") as stream:
                async for piece in _pieces(connection, name):
                    await asyncio.to_thread(stream.write, piece)
            _date(fresh, put_ms)
            fresh.replace(path)
        self._same.add(name)

    async def _put(self, connection: AsyncConnection, rows: dict[str, tuple[str, int]]) -> set[str]:
        """Puts what is new in the folder into the rows, and takes away what is gone from it."""
        here = await asyncio.to_thread(_names, self._folder)
        gone = sorted(rows.keys() - here)
        if gone:
            for table in (publications, publication_pieces):
                await connection.execute(delete(table).where(table.c.name.in_(gone)))
        newest_ms = max([self._now_ms(), *(put_ms + 1 for _, put_ms in rows.values())])
        for name in sorted(here, key=lambda one: (self._folder / one).stat().st_mtime_ns):
            path = self._folder / name
            if name in rows and name != TIMESTAMP:
                continue
            digest = await asyncio.to_thread(_digest, path)
            if name in rows and rows[name][0] == digest:
                continue
            for table in (publications, publication_pieces):
                await connection.execute(delete(table).where(table.c.name == name))
            size = path.stat().st_size
            row = {"name": name, "sha256": digest, "bytes": size, "put_ms": newest_ms}
            await connection.execute(insert(publications), row)
            _date(path, newest_ms)
            newest_ms += 1
            for number, piece in enumerate(_file_pieces(path)):
                values = {"name": name, "piece": number, "data": piece}
                await connection.execute(insert(publication_pieces), values)
        return set(here)


def _plain(name: str) -> bool:
    parts = name.split("/")
    return all(part and not part.startswith(".") and "\\" not in part for part in parts)


def _names(folder: Path) -> set[str]:
    found = (path for part in ("metadata", "targets") for path in (folder / part).rglob("*"))
    return {
        str(path.relative_to(folder))
        for path in found
        if path.is_file() and not path.name.startswith(".")
    }


def _date(path: Path, put_ms: int) -> None:
    """Dates a file by its publication: older versions of a target are told by their age."""
    os.utime(path, ns=(put_ms * 1_000_000, put_ms * 1_000_000))


def _digest(path: Path) -> str:
    digest = sha256()
    for piece in _file_pieces(path, _READ_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _file_pieces(path: Path, size: int = PIECE_BYTES) -> Iterable[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(size):
            yield piece


async def _rows(connection: AsyncConnection) -> dict[str, tuple[str, int]]:
    query = select(publications.c.name, publications.c.sha256, publications.c.put_ms)
    return {name: (digest, put_ms) for name, digest, put_ms in await connection.execute(query)}


async def _pieces(connection: AsyncConnection, name: str) -> AsyncIterator[bytes]:
    """The pieces of a file, one at a time."""
    number = 0
    while True:
        query = select(publication_pieces.c.data).where(
            publication_pieces.c.name == name, publication_pieces.c.piece == number
        )
        piece = await connection.scalar(query)
        if piece is None:
            return
        yield bytes(piece)
        number += 1
