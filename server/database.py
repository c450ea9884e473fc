"""Opens the server's database: SQLite in its home by default, PostgreSQL by URL.

SQLite is for one server process, which a lock file holds to it: every write goes through one
connection that begins at once as a writer, readers see snapshots beside it. PostgreSQL takes
several processes behind one address.

A migration never touches the file in use. On SQLite it runs on a copy, which takes the file's place
only when it is whole; the former file stays beside it. On PostgreSQL it is one transaction.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Table, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.log.disk import sync_directory
from server.errors import DatabaseFault, MigrationFailed, SchemaNewer
from server.hot_path import HotPath

if TYPE_CHECKING:
    from alembic.config import Config

SQLITE_NAME: Final = "server.db"
BUSY_TIMEOUT_S: Final = 10.0
POOL_CONNECTIONS_MAX: Final = 10
#: Longest that a request waits for one of them.
TURN_S: Final = 30.0
#: Rows of one statement; SQLite's limit on bound values is 32,766.
PARAMETERS_MAX: Final = 900
#: SQLite's page cache of the writer while much is loaded, and its usual one (negative: KiB).
LOADING_CACHE_KIB: Final = 768 * 1024
CACHE_PAGES: Final = -2000
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: One migration at a time, whichever of several servers starts first.
_MIGRATION_LOCK: Final = 0x52656463


class Database:
    """Connections to one database.

    Attributes:
        url: as configured, without password.
        postgresql: whether it is PostgreSQL, where COPY is used and several servers may write.
    """

    def __init__(self, url: str, lock: IO[str] | None = None) -> None:
        """Prepares engines; nothing is opened before the first use."""
        parsed = make_url(url)
        self.url = parsed.render_as_string(hide_password=True)
        self.postgresql = parsed.get_backend_name() == "postgresql"
        self._lock = lock
        self._writing = asyncio.Lock()
        #: The pool lets whoever comes last overtake those who wait; here they stand in line.
        self._turns = asyncio.Semaphore(POOL_CONNECTIONS_MAX)
        #: The way in, where the database has one of its own.
        self.hot = HotPath(url) if self.postgresql else None
        if self.postgresql:
            self._writer = self._reader = create_async_engine(
                parsed, pool_size=POOL_CONNECTIONS_MAX, max_overflow=0
            )
        else:
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", connections=1)
            self._reader = _sqlite_engine(url, "BEGIN", connections=POOL_CONNECTIONS_MAX)

    @classmethod
    async def open(cls, home: Path, url: str = "") -> Database:
        """Opens the database and brings it to this version's schema.

        Args:
            home: the server's folder, in which SQLite keeps its file.
            url: ``postgresql://…``, or empty for SQLite.

        Raises:
            DatabaseFault: cannot be opened, or another server process holds the SQLite file.
            MigrationFailed: the schema could not be brought up to date; nothing was changed.
            SchemaNewer: a newer version of the program wrote it.
        """
        if url:
            database = cls(async_url(url))
            try:
                await _migrate_postgresql(database._writer)
            except BaseException:
                await database.close()
                raise
            return database
        lock = _lock(home)
        try:
            await asyncio.to_thread(_migrate_sqlite, home / SQLITE_NAME)
        except BaseException:
            lock.close()
            raise
        return cls(f"sqlite+aiosqlite:///{home / SQLITE_NAME}", lock)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that may write; committed at the end, undone on any exception."""
        if self.postgresql:
            async with self._turn(), self._writer.begin() as connection:
                yield connection
            return
        async with self._writing, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that only reads; it sees one state of everything."""
        async with self._turn(), self._reader.connect() as connection:
            if self.postgresql:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the pool's connections, given in the order of asking.

        Raises:
            DatabaseFault: none became free in time; nothing was done.
        """
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise DatabaseFault("the database is busy; nothing was done, ask again") from None
        try:
            yield
        finally:
            self._turns.release()

    async def append(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Adds whole rows, values in the order of the table's columns: COPY where there is one."""
        if not rows:
            return
        names = [column.name for column in table.columns]
        if self.postgresql:
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            assert driver is not None
            await driver.copy_records_to_table(table.name, records=rows, columns=names)
            return
        # By the driver: of millions of rows, half the time went into naming their values.
        marks = ", ".join("?" for _ in names)
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        await connection.exec_driver_sql(statement, list(rows))

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """While millions of rows come in: keeps more of SQLite's pages in memory."""
        if self.postgresql:
            yield
            return
        async with self._writing, self._writer.connect() as connection:
            await connection.exec_driver_sql(f"PRAGMA cache_size = -{LOADING_CACHE_KIB}")
        try:
            yield
        finally:
            async with self._writing, self._writer.connect() as connection:
                await connection.exec_driver_sql(f"PRAGMA cache_size = {CACHE_PAGES}")

    async def exclusive(self, connection: AsyncConnection, number: int) -> bool:
        """Whether this transaction now holds a lock that one server at a time can hold."""
        if not self.postgresql:
            return True
        statement = text("SELECT pg_try_advisory_xact_lock(:number)")
        return bool(await connection.scalar(statement, {"number": number}))

    async def in_turn(self, connection: AsyncConnection, number: int) -> None:
        """Waits until this transaction holds a lock that one of all servers can hold."""
        if self.postgresql:
            statement = text("SELECT pg_advisory_xact_lock(:number)")
            await connection.execute(statement, {"number": number})

    async def close(self) -> None:
        """Gives all connections back, and the lock."""
        if self.hot is not None:
            await self.hot.close()
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()
        if self._lock is not None:
            self._lock.close()


def async_url(url: str) -> str:
    """The URL with the driver this program uses, whatever driver it names.

    Raises:
        DatabaseFault: not a PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        raise DatabaseFault(
            "the database URL cannot be read: postgresql://user@host/name"
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise DatabaseFault(f"{parsed.drivername} is not supported: use postgresql://, or nothing")
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _sqlite_engine(url: str, begin: str, *, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=connections, max_overflow=0, connect_args={"timeout": BUSY_TIMEOUT_S}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The driver would begin transactions by itself, later than we mean and not before DDL.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _lock(home: Path) -> IO[str]:
    """Holds the home for this process."""
    try:
        lock = (home / "server.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise DatabaseFault(f"{home} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(64).strip() or "unknown"
        lock.close()
        raise DatabaseFault(
            f"the server of {home} is running as process {holder}; with SQLite there is one "
            "process: ask it, stop it, or use PostgreSQL"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


# Migrations.


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def revisions(connection: Connection) -> tuple[str, str]:
    """The database's revision, empty if it has none, and the newest that this program knows.

    Raises:
        SchemaNewer: the database has a revision that this program does not know.
    """
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config(connection))
    newest = script.get_current_head() or ""
    present = MigrationContext.configure(connection).get_current_revision() or ""
    if present and present not in {item.revision for item in script.walk_revisions()}:
        raise SchemaNewer(
            f"the database has schema {present}, this program knows {newest}: "
            "install the version that wrote it; nothing was changed"
        )
    return present, newest


def _upgrade(connection: Connection) -> None:
    """Brings the schema up to date inside the connection's transaction."""
    from alembic import command

    present, newest = revisions(connection)
    if present != newest:
        command.upgrade(_config(connection), "head")


async def _migrate_postgresql(engine: AsyncEngine) -> None:
    try:
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK}
            )
            await connection.run_sync(_upgrade)
    except (DatabaseFault, OSError) as error:
        if isinstance(error, DatabaseFault):
            raise
        raise DatabaseFault(f"PostgreSQL cannot be reached: {error}") from None
    except Exception as error:
        raise MigrationFailed(
            f"the database could not be brought to this version and is as it was: {error}"
        ) from error


def _migrate_sqlite(path: Path) -> None:
    """Brings a copy up to date and puts it in the file's place."""
    if path.exists() and _is_current(path):
        return
    fresh = path.with_suffix(".migrating")
    for leftover in path.parent.glob(f"{fresh.name}*"):
        leftover.unlink()
    try:
        if path.exists():
            _copy(path, fresh)
        _upgrade_file(fresh)
    except DatabaseFault:
        raise
    except Exception as error:
        raise MigrationFailed(
            f"{path} could not be brought to this version and is as it was; "
            f"the attempt is in {fresh}: {error}"
        ) from error
    if path.exists():
        # Only now is the old file touched: its log is folded in, so that none is left to be
        # mistaken for the new file's.
        with closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            old.execute("PRAGMA journal_mode = DELETE")
        _put_aside(path, path.with_suffix(".before-migration"))
    fresh.replace(path)
    sync_directory(path.parent)


def _put_aside(path: Path, former: Path) -> None:
    """Keeps the former file under a second name; at no moment is there no database."""
    former.unlink(missing_ok=True)
    try:
        former.hardlink_to(path)
    except OSError:  # a file system without hard links
        shutil.copy2(path, former)


def _is_current(path: Path) -> bool:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            present, newest = revisions(connection)
            return present == newest
    except SQLAlchemyError as error:
        raise DatabaseFault(f"{path} is not a database of this program: {error}") from None
    finally:
        engine.dispose()


def _copy(path: Path, fresh: Path) -> None:
    # Read-only, so that not even the file's write-ahead log is folded into it.
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(fresh)) as target,
    ):
        source.backup(target)


def _upgrade_file(path: Path) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _upgrade(connection)
            connection.exec_driver_sql("COMMIT")
            fault = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
            if fault != "ok":
                raise MigrationFailed(f"{path} is damaged: {fault}; restore a backup")
    finally:
        engine.dispose()
