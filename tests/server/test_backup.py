"""A server that comes back from a backup: terminals refill it, and accept all that it says."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger.log.note import Ed25519Verifier, open_note
from redcard.bench.postgres import Cluster
from server.backup import MANIFEST, MARKER, back_up, restore
from server.core import ServerCore
from server.errors import BackupInvalid, HomeInvalid
from server.rosters import ROSTER_TARGET
from server.schema import leases
from sync.feed import decode_page
from sync.protocol import decode_size
from sync.roster_delta import apply_delta
from sync.snapshot import SnapshotStore
from tests.server.test_rosters import Folder
from tests.server.world import START_MS, Terminal, Time, card, enrol, open_core, push, verdicts

PATCHES = {ROSTER_TARGET: apply_delta}


def in_time(work: Callable[[Time], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work(Time()))


def bring_back(home: Path, file: Path) -> Path:
    """A second home from the backup, with the passphrase that is kept elsewhere."""
    second = home.parent / "second"
    second.mkdir()
    (second / "passphrase").write_bytes((home / "passphrase").read_bytes())
    told = restore(second, file)
    assert told["made_ms"] == START_MS
    return second


async def revisions(core: ServerCore, terminal: Terminal, after: int) -> list[int]:
    note = await core.judgements(terminal.ledger, after)
    key = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["judgements"])
    return [int(str(one["revision"])) for one in decode_page(open_note(note, [key]).text).records]


async def feed_numbers(core: ServerCore, terminal: Terminal, after: int) -> list[int]:
    note = await core.feed(terminal.ledger, after)
    key = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["feed"])
    return [int(str(one["number"])) for one in decode_page(open_note(note, [key]).text).records]


def test_terminals_refill_it_and_accept_what_it_says(home: Path, tmp_path: Path) -> None:
    async def before(core: ServerCore, time: Time) -> Terminal:
        terminal = await enrol(core, "desheng", time)
        for n in range(3):
            terminal.redeem(n, f"n{n}")
        await push(core, terminal)
        assert await revisions(core, terminal, 0) == [1, 2, 3]
        return terminal

    async def work(time: Time) -> None:
        store = None
        async with await open_core(home, time) as core:
            terminal = await before(core, time)
            back_up(home, tmp_path / "b.tar", time())
            # What happens now is not in the backup.
            for n in range(3, 6):
                terminal.redeem(n, f"n{n}")
            await push(core, terminal, 3)
            assert await revisions(core, terminal, 3) == [4, 5, 6]
            await core.grant(terminal.ledger, "pack", 2)
            told = await feed_numbers(core, terminal, 0)
            await core.set_card(card(7), "blocked")
            folder = Folder(core.repository.folder)
            store = SnapshotStore(tmp_path / "terminal", core.repository.root())
            version = store.refresh(folder).version
        time.pass_(3_600_000)
        second = bring_back(home, tmp_path / "b.tar")
        async with await ServerCore.open(second, time) as core:
            assert not (second / MARKER).exists()
            gap = await core.ingest.take(terminal.ledger, terminal.body(6 - 1, 6))
            assert (gap.status, decode_size(gap.body)) == (409, 3)
            assert (await push(core, terminal, 3)).status == 200
            assert set(await verdicts(core, terminal)) == {f"n{n}" for n in range(6)}
            # The terminal asks after what it has seen, and is told of the entries judged again.
            assert len(await revisions(core, terminal, 6)) == 3
            await core.grant(terminal.ledger, "pack", 1)
            assert len(await feed_numbers(core, terminal, told[-1])) == 1
            assert store.refresh(Folder(core.repository.folder)).version > version
            await core.set_card(card(8), "blocked")
            assert store.refresh(Folder(core.repository.folder)).changed

    in_time(work)


def test_a_lease_that_was_forgotten_comes_back_with_the_ledger(home: Path, tmp_path: Path) -> None:
    async def work(time: Time) -> None:
        async with await open_core(home, time) as core:
            terminal = await enrol(core, "desheng", time)
            back_up(home, tmp_path / "b.tar", time())
            granted = await core.grant(terminal.ledger, "pack", 5)
            assert granted is not None
        second = bring_back(home, tmp_path / "b.tar")
        async with await ServerCore.open(second, time) as core:
            left = (await core.stock_of("pack")).stock_left
            terminal.append(
                "lease", lease=granted.lease, offer="pack", units=5, lease_epoch=granted.epoch,
                expires_ms=granted.expires_ms,
            )  # fmt: skip
            await push(core, terminal)
            await core.judge()
            assert (await core.stock_of("pack")).stock_left == (left or 0) - 5
            async with core.database.reading() as connection:
                count = await connection.scalar(select(func.count()).select_from(leases))
            await core.projector.rebuild()
            async with core.database.reading() as connection:
                assert await connection.scalar(select(func.count()).select_from(leases)) == count

    in_time(work)


def test_a_second_restore_of_one_backup_lands_further_on(home: Path, tmp_path: Path) -> None:
    async def work(time: Time) -> None:
        async with await open_core(home, time):
            back_up(home, tmp_path / "b.tar", time())
        versions = []
        for name in ("one", "two"):
            time.pass_(60_000)
            place = home.parent / name
            place.mkdir()
            (place / "passphrase").write_bytes((home / "passphrase").read_bytes())
            restore(place, tmp_path / "b.tar")
            async with await ServerCore.open(place, time) as core:
                versions.append(core.repository.versions())
        for role in ("timestamp", "snapshot", "offers", "status"):
            assert versions[0][role] < versions[1][role], role

    in_time(work)


def test_postgresql_goes_along_as_a_dump(home: Path, tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.database()
    name = url.partition("?")[0].rpartition("/")[2]

    async def work(time: Time) -> None:
        async with await open_core(home, time, url) as core:
            terminal = await enrol(core, "desheng", time)
            terminal.redeem(1, "n1")
            await push(core, terminal)
            back_up(home, tmp_path / "b.tar", time())
        postgres.sql(f'DROP DATABASE "{name}"')
        postgres.sql(f'CREATE DATABASE "{name}"')
        second = bring_back(home, tmp_path / "b.tar")
        async with await ServerCore.open(second, time) as core:
            assert set(await verdicts(core, terminal)) == {"n1"}

    in_time(work)


def _with(file: Path, name: str, data: bytes) -> None:
    with tarfile.open(file) as tar:
        held = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    held[name] = data
    with tarfile.open(file, "w") as tar:
        for one, content in held.items():
            entry = tarfile.TarInfo(one)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_what_is_no_whole_backup_restores_nothing(home: Path, tmp_path: Path) -> None:
    async def work(time: Time) -> None:
        async with await open_core(home, time):
            back_up(home, tmp_path / "b.tar", time())
            with pytest.raises(BackupInvalid, match="already"):
                back_up(home, tmp_path / "b.tar", time())

    in_time(work)
    with pytest.raises(HomeInvalid, match="empty folder"):
        restore(home, tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    outside = b'{"format": "redcard-backup/v1", "files": {"../x": "00"}}'
    damages: tuple[Callable[[Path], object], ...] = (
        lambda file: file.write_bytes(whole[: len(whole) // 2]),
        lambda file: file.write_bytes(b"no archive"),
        lambda file: _with(file, "server.toml", b"domain = 'other'"),
        lambda file: _with(file, MANIFEST, outside),
    )
    for number, damage in enumerate(damages):
        file, place = tmp_path / f"{number}.tar", tmp_path / f"restored-{number}"
        file.write_bytes(whole)
        damage(file)
        with pytest.raises(BackupInvalid):
            restore(place, file)
        assert list(place.iterdir()) == []


def test_a_backup_packs_what_is_in_force_and_no_older_roster(home: Path, tmp_path: Path) -> None:
    async def work(time: Time) -> None:
        async with await open_core(home, time) as core:
            store = SnapshotStore(tmp_path / "terminal", core.repository.root(), PATCHES)
            store.refresh(Folder(core.repository.folder))
            for n in range(4):
                await core.set_card(card(n), "blocked")
            assert len(core.repository.held(ROSTER_TARGET)) > 4
            back_up(home, tmp_path / "b.tar", time())
        with tarfile.open(tmp_path / "b.tar") as tar:
            names = tar.getnames()
        assert len([one for one in names if one.endswith(".roster.bin")]) == 1
        second = bring_back(home, tmp_path / "b.tar")
        async with await ServerCore.open(second, time) as core:
            folder = Folder(core.repository.folder)
            assert store.refresh(folder).changed
            assert not any(one.endswith(".roster.bin") for one in folder.fetched), "a delta did"
            await core.set_card(card(9), "blocked")
            assert store.refresh(folder).changed

    in_time(work)
