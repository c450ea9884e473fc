from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from redcard.bench.postgres import Cluster, binaries, cluster
from server.database import Database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as running:
        running.sql('CREATE DATABASE "template_redcard"')
        url = running.url("template_redcard")
        home = tmp_path_factory.mktemp("template")

        async def migrate() -> None:
            await (await Database.open(home, url)).close()

        asyncio.run(migrate())
        running.template = "template_redcard"
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Empty for SQLite in the home, else the URL of a PostgreSQL database of this test's own."""
    if request.param == "sqlite":
        return ""
    running: Cluster = request.getfixturevalue("postgres")
    return running.database()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "server"
