"""Migrations on a copy, one schema on both engines, one process per SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text

from server.database import POOL_CONNECTIONS_MAX, SQLITE_NAME, Database, async_url
from server.errors import DatabaseFault, MigrationFailed, SchemaNewer
from server.migrations import versions
from server.schema import PARTITIONED, metadata, settings

#: The revision that this program brings a database to.
NEWEST = max(file.name for file in Path(str(versions.__file__)).parent.glob("0*.py"))[:4]


def test_migrations_make_the_tables_of_the_schema(tmp_path: Path, database_url: str) -> None:
    def differences(connection: Any) -> list[Any]:
        def ours(_object: Any, name: str, kind: str, _reflected: bool, _other: Any) -> bool:
            return kind != "table" or not any(name.startswith(f"{one}_") for one in PARTITIONED)

        context = MigrationContext.configure(connection, opts={"include_object": ours})
        return list(compare_metadata(context, metadata))

    async def run() -> None:
        database = await Database.open(tmp_path, database_url)
        try:
            async with database.writing() as connection:
                assert await connection.run_sync(differences) == []
        finally:
            await database.close()

    asyncio.run(run())


def test_large_tables_are_spread_by_ledger(postgres: Any, tmp_path: Path) -> None:
    async def run() -> None:
        database = await Database.open(tmp_path, postgres.database())
        try:
            async with database.reading() as connection:
                rows = await connection.execute(
                    text(
                        "SELECT parent.relname, count(*) FROM pg_inherits"
                        " JOIN pg_class parent ON parent.oid = inhparent"
                        " JOIN pg_partitioned_table ON partrelid = inhparent AND partstrat = 'h'"
                        " WHERE parent.relkind = 'p' GROUP BY 1 ORDER BY 1"
                    )
                )
                assert [tuple(row) for row in rows] == [(name, 16) for name in sorted(PARTITIONED)]
        finally:
            await database.close()

    asyncio.run(run())


def _write(path: Path, value: str) -> None:
    async def run() -> None:
        database = await Database.open(path)
        try:
            async with database.writing() as connection:
                await connection.execute(insert(settings), {"name": "kept", "value": value})
        finally:
            await database.close()

    asyncio.run(run())


def _read(path: Path) -> str | None:
    async def run() -> str | None:
        database = await Database.open(path)
        try:
            async with database.reading() as connection:
                value: str | None = await connection.scalar(select(settings.c.value))
                return value
        finally:
            await database.close()

    return asyncio.run(run())


def _age(path: Path) -> None:
    """Makes the file look as if an older version had written it."""
    with sqlite3.connect(path / SQLITE_NAME) as older:
        older.execute("DELETE FROM alembic_version")
    older.close()


def test_a_failed_migration_leaves_the_file_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "dear")
    _age(tmp_path)
    before = (tmp_path / SQLITE_NAME).read_bytes()

    def half(config: Any, _revision: str) -> None:
        connection = config.attributes["connection"]
        connection.exec_driver_sql("DROP TABLE settings")
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(command, "upgrade", half)
        with pytest.raises(MigrationFailed, match="is as it was"):
            _read(tmp_path)
    assert (tmp_path / SQLITE_NAME).read_bytes() == before
    with sqlite3.connect(tmp_path / SQLITE_NAME) as older:
        older.execute(f"INSERT INTO alembic_version VALUES ('{NEWEST}')")
    older.close()
    assert _read(tmp_path) == "dear"


def test_a_good_migration_keeps_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "dear")
    _age(tmp_path)

    def forward(config: Any, _revision: str) -> None:
        connection = config.attributes["connection"]
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{NEWEST}')")
        connection.exec_driver_sql("UPDATE settings SET value = 'moved'")

    with monkeypatch.context() as changed:
        changed.setattr(command, "upgrade", forward)
        assert _read(tmp_path) == "moved"
    with sqlite3.connect(tmp_path / "server.before-migration") as former:
        assert former.execute("SELECT value FROM settings").fetchone() == ("dear",)
    former.close()
    assert not list(tmp_path.glob("*.migrating*"))


def test_a_newer_schema_is_refused(tmp_path: Path, postgres: Any) -> None:
    async def newer(url: str) -> None:
        database = await Database.open(tmp_path, url)
        try:
            async with database.writing() as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        finally:
            await database.close()
        with pytest.raises(SchemaNewer, match="9999"):
            await Database.open(tmp_path, url)

    asyncio.run(newer(""))
    asyncio.run(newer(postgres.database()))


def test_a_second_process_is_told_of_the_first(tmp_path: Path) -> None:
    async def run() -> None:
        first = await Database.open(tmp_path)
        try:
            with pytest.raises(DatabaseFault, match="running as process"):
                await Database.open(tmp_path)
        finally:
            await first.close()
        await (await Database.open(tmp_path)).close()

    asyncio.run(run())


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / SQLITE_NAME).write_bytes(b"these are not the bytes you look for" * 100)
    with pytest.raises(DatabaseFault, match=r"server\.db"):
        _read(tmp_path)


def test_urls() -> None:
    assert async_url("postgresql://a:b@h/d") == "postgresql+asyncpg://a:b@h/d"
    for bad in ("mysql://h/d", "sqlite:///x", "::"):
        with pytest.raises(DatabaseFault):
            async_url(bad)
    assert "secret" not in Database("postgresql+asyncpg://a:secret@h/d").url


def test_who_waits_for_a_connection_is_not_overtaken(tmp_path: Path, database_url: str) -> None:
    served: list[int] = []

    async def run() -> None:
        database = await Database.open(tmp_path, database_url)
        free = asyncio.Event()

        async def hold() -> None:
            async with database.reading():
                await free.wait()

        async def ask(number: int) -> None:
            async with database.reading() as connection:
                served.append(number)
                await connection.execute(text("SELECT 1"))
                if number < 5:  # comes again at once, as a client does that was told to wait
                    later.append(asyncio.create_task(ask(number + 100)))

        later: list[asyncio.Task[None]] = []
        held = [asyncio.create_task(hold()) for _ in range(POOL_CONNECTIONS_MAX)]
        await asyncio.sleep(0.1)
        asking = [asyncio.create_task(ask(number)) for number in range(20)]
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(*held, *asking)
        await asyncio.gather(*later)
        await database.close()

    asyncio.run(run())
    assert len(served) == 25
    # A newcomer has its turn when all twenty had theirs, of whom nine may still be at it.
    first = next(at for at, number in enumerate(served) if number >= 100)
    assert first >= len(range(20)) - (POOL_CONNECTIONS_MAX - 1), served


def test_a_busy_database_is_said_after_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.database.TURN_S", 0.05)

    async def run() -> None:
        database = await Database.open(tmp_path)
        free = asyncio.Event()

        async def hold() -> None:
            async with database.reading():
                await free.wait()

        held = [asyncio.create_task(hold()) for _ in range(POOL_CONNECTIONS_MAX)]
        await asyncio.sleep(0.1)
        with pytest.raises(DatabaseFault, match="nothing was done"):
            async with database.reading():
                pass
        free.set()
        await asyncio.gather(*held)
        async with database.reading() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        await database.close()

    asyncio.run(run())
