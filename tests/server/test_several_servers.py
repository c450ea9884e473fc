"""Two server processes with homes of their own share nothing but one PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from redcard.bench.postgres import Cluster
from server.app import create_app
from server.core import ServerCore
from server.rosters import ROSTER_TARGET
from sync.roster import Roster
from sync.roster_delta import apply_delta
from sync.snapshot import SnapshotStore
from sync.transport import Request, Response
from tests.server.world import Time, card, enrol, open_core, people, push


class Served:
    """One server's application as a transport; notes what is fetched."""

    def __init__(self, core: ServerCore) -> None:
        self._loop = asyncio.get_running_loop()
        self._app = create_app(core, judging=False)
        self.fetched: list[str] = []

    def exchange(self, request: Request, *, bytes_max: int = 1 << 20) -> Response:
        return asyncio.run_coroutine_threadsafe(self._send(request), self._loop).result(60)

    async def _send(self, request: Request) -> Response:
        way = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=way, base_url="http://server") as client:
            answer = await client.request(request.method, request.target)
        if answer.status_code == 200:
            self.fetched.append(request.target)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)

    def close(self) -> None:
        pass


@asynccontextmanager
async def two(path: Path, url: str, time: Time) -> AsyncIterator[tuple[ServerCore, ServerCore]]:
    """Two servers; the second home has the first's keys and configuration, and nothing else."""
    one, other = path / "one", path / "other"
    async with await open_core(one, time, url) as first:
        other.mkdir()
        for name in ("server.toml", "keys", "passphrase", "card_key.age"):
            shutil.copy(one / name, other / name)
        async with await ServerCore.open(other, time) as second:
            yield first, second


async def pull(core: ServerCore, path: Path, root: bytes) -> tuple[SnapshotStore, list[str]]:
    served = Served(core)
    store = await asyncio.to_thread(SnapshotStore, path, root, {ROSTER_TARGET: apply_delta})
    await asyncio.to_thread(store.refresh, served)
    return store, served.fetched


def status_of(store: SnapshotStore, name: str) -> str | None:
    assert store.current is not None
    with Roster.open(store.current.path(ROSTER_TARGET)) as roster:
        found = roster.lookup(name)
    return None if found is None else found.status


def test_published_by_one_and_pulled_from_the_other(tmp_path: Path, postgres: Cluster) -> None:
    async def scenario() -> None:
        time = Time()
        async with two(tmp_path, postgres.database(), time) as (first, second):
            root, terminal = first.repository.root(), tmp_path / "terminal"
            store, _ = await pull(second, terminal, root)
            assert status_of(store, card(7)) == "active"
            await second.set_card(card(7), "blocked")
            await first.set_card(card(8), "replaced")
            for core in (first, second):
                store, fetched = await pull(core, terminal, root)
                assert [status_of(store, card(n)) for n in (7, 8)] == ["blocked", "replaced"]
                assert not any(one.endswith(".roster.bin") for one in fetched)
            time.pass_(60_000)
            store, fetched = await pull(second, terminal, root)
            assert len(fetched) == 1, "the time alone is new"
            store, fetched = await pull(first, terminal, root)
            assert store.current is not None
            assert store.current.signed_ms == time()

    asyncio.run(scenario())


def test_many_publications_of_both_at_once_lose_none(tmp_path: Path, postgres: Cluster) -> None:
    async def scenario() -> None:
        time = Time()
        async with two(tmp_path, postgres.database(), time) as (first, second):
            await asyncio.gather(
                *(core.set_card(card(n), "blocked") for n in range(4) for core in (first, second)),
                first.change_offer("museum", {"status": "suspended"}),
                second.publish_used(),
            )
            root = second.repository.root()
            store, _ = await pull(first, tmp_path / "terminal", root)
            assert [status_of(store, card(n)) for n in range(5)] == ["blocked"] * 4 + ["active"]
            before = await first.publications.versions()
            store, _ = await pull(second, tmp_path / "terminal", root)
            assert await second.publications.versions() == before

    asyncio.run(scenario())


def test_what_was_never_committed_is_never_served(
    tmp_path: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        time = Time()
        async with two(tmp_path, postgres.database(), time) as (first, second):
            root, terminal = first.repository.root(), tmp_path / "terminal"

            async def dying(*_: object) -> set[str]:
                raise OSError("the machine dies here")

            with monkeypatch.context() as patched:
                patched.setattr(first.publications.shelf, "_put", dying)
                with pytest.raises(OSError, match="dies here"):
                    await first.set_card(card(7), "blocked")
            # The other goes on under the same version numbers; the folder of the first is wrong.
            await second.set_card(card(8), "blocked")
            for core in (first, second, first):
                store, _ = await pull(core, terminal, root)
                assert [status_of(store, card(n)) for n in (7, 8, 9)] == [
                    "blocked",
                    "blocked",
                    "active",
                ]
            await first.set_card(card(9), "blocked")
            store, _ = await pull(second, terminal, root)
            assert status_of(store, card(9)) == "blocked"

    asyncio.run(scenario())


def test_sync_through_one_and_judgements_from_the_other(tmp_path: Path, postgres: Cluster) -> None:
    async def scenario() -> None:
        time = Time()
        async with two(tmp_path, postgres.database(), time) as (first, second):
            terminal = await enrol(second, "kiosk", time)
            terminal.redeem(1, "n1")
            await push(first, terminal)
            assert await second.judge(terminal.ledger) > 0
            page = await second.judgements(terminal.ledger, 0)
            assert b"accepted" in page
            assert await first.judge(terminal.ledger) == 0

    asyncio.run(scenario())


def test_a_home_that_published_before_there_were_rows_brings_them(
    tmp_path: Path, postgres: Cluster
) -> None:
    async def scenario() -> None:
        url, time = postgres.database(), Time()
        async with await open_core(tmp_path / "old", time) as core:
            versions, root = core.repository.versions(), core.repository.root()
        home = tmp_path / "old" / "server.toml"
        home.write_text(home.read_text().replace('database = ""', f'database = "{url}"'))
        async with await ServerCore.open(tmp_path / "old", time) as core:
            await core.take_members(people(3))
            assert core.repository.versions()["status"] == versions["status"] + 1
            store, _ = await pull(core, tmp_path / "terminal", root)
            assert status_of(store, card(2)) == "active"

    asyncio.run(scenario())
