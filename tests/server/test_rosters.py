"""Who was here before fetches what changed, and gets the very roster that others fetch whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import rosters
from server.card_list import Membership
from server.core import ServerCore
from server.rosters import (
    DELTA_FILES_KEPT,
    DELTAS_FIELD,
    DELTAS_PATH,
    ROSTER_TARGET,
)
from sync.roster import Roster
from sync.roster_delta import apply_delta
from sync.snapshot import SnapshotStore
from sync.transport import Request, Response
from tests.server.world import Time, card, member, people, play


class Folder:
    """The published folder as a transport; notes what is fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: dict[str, int] = {}

    def exchange(self, request: Request, *, bytes_max: int = 1 << 20) -> Response:
        name = request.target.removeprefix("/v1/tuf/")
        path = self.folder / name
        if not path.is_file():
            return Response(404, {}, b"")
        data = path.read_bytes()
        assert len(data) <= bytes_max
        self.fetched[name] = len(data)
        return Response(200, {}, data)

    def close(self) -> None:
        pass


def roster_bytes(store: SnapshotStore) -> bytes:
    assert store.current is not None
    return store.current.path(ROSTER_TARGET).read_bytes()


def test_a_terminal_of_yesterday_fetches_the_changes_alone(home: Path, tmp_path: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        await core.take_members(people(4_000))
        folder = Folder(core.repository.folder)
        patches = {ROSTER_TARGET: apply_delta}
        store = SnapshotStore(tmp_path / "terminal", core.repository.root(), patches)
        store.refresh(folder)
        whole = max(folder.fetched.values())
        await core.set_card(card(7), "blocked")
        await core.set_card(card(9), "replaced")
        folder.fetched.clear()
        store.refresh(folder)
        deltas = {name: size for name, size in folder.fetched.items() if DELTAS_PATH in name}
        assert len(deltas) == 1
        assert max(deltas.values()) < 400 < whole
        assert not any(name.endswith(".roster.bin") for name in folder.fetched)
        assert roster_bytes(store) == core.repository.target(ROSTER_TARGET)
        assert store.current is not None
        with Roster.open(store.current.path(ROSTER_TARGET)) as roster:
            states = [roster.lookup(card(n)) for n in (7, 8, 9)]
        assert [one and one.status for one in states] == ["blocked", "active", "replaced"]

    play(scenario, home)


def test_a_delta_leads_from_every_one_of_many_single_changes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        await core.take_members(people(3_000))
        root, folder = core.repository.root(), Folder(core.repository.folder)
        kept: dict[int, SnapshotStore] = {}
        monkeypatch.setattr(rosters, "JOURNAL_STEPS_MAX", 20)
        for n in range(26):
            if n in {0, 7, 15, 25}:
                kept[n] = SnapshotStore(tmp_path / f"t{n}", root, {ROSTER_TARGET: apply_delta})
                kept[n].refresh(folder)
            if n % 9 == 4:
                await core.set_member(member(n), ("suspended", "active")[n % 2])
            else:
                await core.set_card(card(n % 40), ("blocked", "active", "replaced")[n % 3])
        for n, store in kept.items():
            folder.fetched.clear()
            store.refresh(folder)
            assert roster_bytes(store) == core.repository.target(ROSTER_TARGET)
            whole = any(one.endswith(".roster.bin") for one in folder.fetched)
            assert whole is (n < 6), f"from {n}"
            sizes = [size for name, size in folder.fetched.items() if DELTAS_PATH in name]
            assert max(sizes, default=0) < 600
        named = core.repository.targets("status")
        deltas = {path for path in named if path.startswith(DELTAS_PATH)}
        signed = core.repository._read("status").signed
        leads = signed.targets[ROSTER_TARGET].custom[DELTAS_FIELD]
        assert set(leads.values()) == deltas
        assert (len(deltas), len(leads)) == (1, 20)
        files = list((core.repository.folder / "targets" / DELTAS_PATH).iterdir())
        assert len(files) <= DELTA_FILES_KEPT

    play(scenario, home)


def test_single_changes_give_the_roster_that_is_built_anew(home: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        await core.set_card(card(3), "blocked")
        await core.set_member(member(5), "suspended")
        edited = core.repository.target(ROSTER_TARGET)
        await core.publish_roster()
        anew = core.repository.target(ROSTER_TARGET)
        assert edited is not None
        assert anew is not None
        # Magic, then the version, which is one more.
        assert (edited[:16], edited[24:]) == (anew[:16], anew[24:])
        await core.take_members([Membership(card(900), member(900))])
        await core.set_card(card(900), "blocked")
        again = core.repository.target(ROSTER_TARGET)
        assert again is not None
        assert len(again) > len(anew)

    play(scenario, home)


def test_a_roster_damaged_on_the_servers_disk_hinders_nobody(home: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        for path in core.repository.held(ROSTER_TARGET).values():
            path.write_bytes(path.read_bytes()[:-1])
        await core.set_card(card(3), "blocked")
        assert core.repository.target(ROSTER_TARGET) is not None

    play(scenario, home)


def test_the_first_roster_has_no_delta(home: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        named = core.repository.targets("status")
        assert set(named) == {ROSTER_TARGET}

    play(scenario, home)
