"""Cases of the downlink by number, with the real roster and its real deltas."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sync import download, snapshot
from sync.errors import MetadataInvalid, MetadataRolledBack, Unreachable
from sync.roster import Roster, RosterEntry
from sync.roster_delta import apply_delta, make_delta
from sync.snapshot import DELTAS_FIELD, SnapshotStore
from sync.transport import MemoryTransport, Request, Response
from tests.sync.test_roster import build, hashed
from tests.sync.tuf_repository import Repository

ROSTER = "status/roster.bin"
CARDS = 2_000
CHANGED = range(0, CARDS, 5)  # a day's 400


def cards(*blocked: int) -> dict[str, RosterEntry]:
    lost = set(blocked)
    return {
        hashed(n): RosterEntry("blocked" if n in lost else "active", f"{n + 1:016x}")
        for n in range(CARDS)
    }


class Downlink:
    """A repository with a roster, the next roster with its delta, and a terminal's store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository()
        first = build(folder / "one", cards())
        build(folder / "two", cards(*CHANGED), version=2, older=first)
        self.old, self.new = (folder / "one").read_bytes(), (folder / "two").read_bytes()
        with Roster.open(folder / "one") as older, Roster.open(folder / "two") as newer:
            delta = make_delta(older, newer)
        assert delta is not None
        self.delta = delta
        self.repository.put(ROSTER, self.old)
        self.repository.publish()
        self.store = self.restarted()
        self.store.refresh(MemoryTransport(self.repository))

    def restarted(self) -> SnapshotStore:
        root = self.repository.roots[1]
        return SnapshotStore(self.folder / "terminal", root, {ROSTER: apply_delta})

    def publish(self) -> None:
        digest = hashlib.sha256(self.old).hexdigest()
        self.repository.put("status/deltas/2", self.delta)
        self.repository.put(ROSTER, self.new, {DELTAS_FIELD: {digest: "status/deltas/2"}})
        self.repository.publish()

    def statuses(self, store: SnapshotStore) -> set[str]:
        """What the cards that changed are by the roster in force: all old or all new."""
        assert store.current is not None
        with Roster.open(store.current.path(ROSTER)) as roster:
            found = [roster.lookup(hashed(n)) for n in CHANGED]
        assert None not in found
        return {str(one.status) for one in found if one is not None}


def _older(repository: Repository) -> None:
    repository.timestamp.version -= 1
    repository.stamp()


def _unsigned(repository: Repository) -> None:
    repository.keys["online"] = repository.keys["thief"]
    repository.publish()


@pytest.mark.parametrize(
    ("attack", "error"), [(_older, MetadataRolledBack), (_unsigned, MetadataInvalid)]
)
def test_case_76_an_older_or_unsigned_snapshot_is_refused_and_the_current_one_stays(
    tmp_path: Path, attack: Callable[[Repository], None], error: type[Exception]
) -> None:
    downlink = Downlink(tmp_path)
    early = copy.deepcopy(downlink.repository)
    downlink.publish()
    downlink.store.refresh(MemoryTransport(downlink.repository))
    assert downlink.statuses(downlink.store) == {"blocked"}
    offered = early if attack is _older else copy.deepcopy(downlink.repository)
    if attack is not _older:
        attack(offered)
    with pytest.raises(error):
        downlink.store.refresh(MemoryTransport(offered))
    for store in (downlink.store, downlink.restarted()):
        assert downlink.statuses(store) == {"blocked"}


def test_case_77_an_interrupted_delta_resumes_and_counts_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 100)
    downlink = Downlink(tmp_path)
    assert len(downlink.delta) <= 64 * 1024
    downlink.publish()
    asked: list[str] = []

    def cut(request: Request) -> Response:
        if "deltas" in request.target:
            asked.append(str(request.headers.get("Range")))
            if len(asked) == 3:
                raise Unreachable("cut")
        return downlink.repository(request)

    with pytest.raises(Unreachable):
        downlink.store.refresh(MemoryTransport(cut))
    for store in (downlink.store, downlink.restarted()):
        assert downlink.statuses(store) == {"active"}
    store = downlink.restarted()
    store.refresh(MemoryTransport(cut))
    assert asked[3] == asked[2] == "bytes=200-299", "what came before the cut is not sent again"
    assert downlink.statuses(store) == {"blocked"}
    assert store.current is not None
    assert store.current.read(ROSTER) == downlink.new
    assert not any(r.target.endswith("roster.bin") for r in downlink.repository.log[-3:])


@pytest.mark.parametrize("broken", ["_switch", "holds"])
def test_case_77_a_power_cut_while_a_delta_is_applied_leaves_the_old_roster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    downlink = Downlink(tmp_path)
    downlink.publish()

    class PowerCutError(Exception):
        pass

    def cut(*_: object, **__: object) -> bool:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(SnapshotStore if broken == "_switch" else snapshot, broken, cut)
        with pytest.raises(PowerCutError):
            downlink.store.refresh(MemoryTransport(downlink.repository))
    store = downlink.restarted()
    assert downlink.statuses(store) == {"active"}
    store.refresh(MemoryTransport(downlink.repository))
    assert downlink.statuses(store) == {"blocked"}
