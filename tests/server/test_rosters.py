"""Who was here before fetches what changed, and gets the very roster that others fetch whole."""

from __future__ import annotations

from pathlib import Path

from server.core import ServerCore
from server.rosters import DELTAS_FIELD, DELTAS_PATH, ROSTER_TARGET
from sync.roster import Roster
from sync.roster_delta import apply_delta
from sync.snapshot import SnapshotStore
from sync.transport import Request, Response
from tests.server.world import Time, card, people, play


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


def test_only_deltas_from_versions_that_are_here_are_named(home: Path) -> None:
    async def scenario(core: ServerCore, _time: Time) -> None:
        for n in range(30):
            await core.set_card(card(n % 20), ("blocked", "active")[n % 2])
        named = core.repository.targets("status")
        deltas = {path for path in named if path.startswith(DELTAS_PATH)}
        assert 3 <= len(deltas) <= 8
        signed = core.repository._read("status").signed
        leads = signed.targets[ROSTER_TARGET].custom[DELTAS_FIELD]
        assert set(leads.values()) == deltas
        files = list((core.repository.folder / "targets" / DELTAS_PATH).iterdir())
        assert len(files) <= 24

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
