from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sync import download
from sync.errors import (
    Malformed,
    MetadataInvalid,
    MetadataMismatch,
    MetadataRolledBack,
    Refused,
    TargetInvalid,
    Unreachable,
)
from sync.snapshot import DELTAS_FIELD, SnapshotStore
from sync.transport import FolderTransport, MemoryTransport, Request, Response
from tests.sync.tuf_repository import Repository


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.put("offers/offers.json", b'[{"id":"BJ-T-005"}]')
    made.put("status/roster.bin", bytes(range(250)) * 40)
    made.put("ca_keys.json", b"{}")
    made.put("config/empty", b"")
    made.publish()
    return made


def store(folder: Path, repository: Repository) -> SnapshotStore:
    return SnapshotStore(folder, repository.roots[1])


def contents(kept: SnapshotStore) -> dict[str, bytes]:
    assert kept.current is not None
    assert kept.current.faults() == []
    return {path: kept.current.read(path) for path in kept.current.files}


@pytest.mark.parametrize("consistent", [True, False])
def test_a_snapshot_comes_into_force_whole_and_survives_a_restart(
    tmp_path: Path, consistent: bool
) -> None:
    repository = Repository(consistent=consistent)
    repository.put("offers/offers.json", b"[]")
    repository.put("ca_keys.json", b"{}")
    repository.publish()
    kept = store(tmp_path, repository)
    assert kept.current is None
    got = kept.refresh(MemoryTransport(repository))
    assert (got.version, got.changed, got.signed_ms) == (1, True, repository.signed_ms)
    assert contents(kept) == repository.contents
    assert contents(store(tmp_path, repository)) == repository.contents


def test_nothing_new_changes_nothing_and_a_new_stamp_only_the_time(
    tmp_path: Path, repository: Repository
) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    before = kept.current
    repository.log.clear()
    assert not kept.refresh(MemoryTransport(repository)).changed
    assert kept.current is before
    assert [request.target for request in repository.log] == [
        "/v1/tuf/metadata/2.root.json",
        "/v1/tuf/metadata/timestamp.json",
    ]
    repository.signed_ms += 60_000
    repository.stamp()
    got = kept.refresh(MemoryTransport(repository))
    assert (got.changed, got.signed_ms) == (False, repository.signed_ms)
    again = store(tmp_path, repository)
    assert again.current is not None
    assert again.current.signed_ms == repository.signed_ms
    assert before is not None
    assert again.current.number == before.number


def test_only_what_changed_is_fetched(tmp_path: Path, repository: Repository) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    repository.put("offers/offers.json", b"[1]")
    repository.publish()
    repository.log.clear()
    assert kept.refresh(MemoryTransport(repository)).changed
    fetched = [r.target for r in repository.log if "targets/" in r.target]
    assert len(fetched) == 1
    assert fetched[0].endswith(".offers.json")
    assert contents(kept) == repository.contents


def test_a_mapped_file_outlives_its_generation(tmp_path: Path, repository: Repository) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    assert kept.current is not None
    with kept.current.path("status/roster.bin").open("rb") as held:
        for number in range(4):
            repository.put("status/roster.bin", b"%d" % number)
            repository.publish()
            kept.refresh(MemoryTransport(repository))
        assert len(held.read()) == 10_000
    assert len(list((tmp_path / "generations").iterdir())) == 2
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_download_resumes_where_it_broke_off(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 1_000)
    kept = store(tmp_path, repository)
    budget = [5]

    def cut(request: Request) -> Response:
        if "roster.bin" in request.target:
            budget[0] -= 1
            if budget[0] < 0:
                raise Unreachable("cut")
        return repository(request)

    with pytest.raises(Unreachable):
        kept.refresh(MemoryTransport(cut))
    assert kept.current is None
    repository.log.clear()
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    spans = [r.headers["Range"] for r in repository.log if "roster.bin" in r.target]
    assert spans[0] == "bytes=5000-5999"
    assert len(spans) == 5
    assert contents(kept) == repository.contents


Attack = Callable[[Repository], None]


def _older(repository: Repository) -> None:
    repository.timestamp.version -= 2
    repository.stamp()


def _unsigned(repository: Repository) -> None:
    repository.keys["online"] = repository.keys["thief"]
    repository.publish()


def _corrupt(repository: Repository) -> None:
    repository.put("status/roster.bin", b"new roster")
    repository.publish()
    for name in repository.files:
        if name.endswith("roster.bin"):
            repository.files[name] = repository.files[name][:-1] + b"!"


def _truncated(repository: Repository) -> None:
    repository.put("status/roster.bin", b"new roster")
    repository.publish()
    for name in repository.files:
        if name.endswith("roster.bin"):
            repository.files[name] = repository.files[name][:-1]


def _missing(repository: Repository) -> None:
    repository.put("status/roster.bin", b"new roster")
    repository.publish()
    for name in list(repository.files):
        if name.endswith("roster.bin"):
            del repository.files[name]


def _mixed(repository: Repository) -> None:
    repository.publish()
    repository.files["metadata/3.status.json"] = repository.files["metadata/2.status.json"]


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        (_older, MetadataRolledBack),
        (_unsigned, MetadataInvalid),
        (_corrupt, TargetInvalid),
        (_truncated, TargetInvalid),
        (_missing, Refused),
        (_mixed, MetadataMismatch),
    ],
)
def test_what_is_not_to_be_trusted_leaves_the_current_one_in_force(
    tmp_path: Path, repository: Repository, attack: Attack, error: type[Exception]
) -> None:
    repository.publish()
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    good, before = dict(repository.contents), kept.current
    attacked = copy.deepcopy(repository)
    attack(attacked)
    with pytest.raises(error):
        kept.refresh(MemoryTransport(attacked))
    assert kept.current is before
    assert contents(kept) == good
    assert contents(store(tmp_path, repository)) == good
    repository.put("offers/offers.json", b"[2]")
    repository.publish()
    kept.refresh(MemoryTransport(repository))
    assert contents(kept) == repository.contents


def test_endless_data_is_cut_off(tmp_path: Path, repository: Repository) -> None:
    for what in ("timestamp", "snapshot", "roster"):

        def endless(request: Request, what: str = what) -> Response:
            if what in request.target:
                return Response(200, {}, b"x" * 6_000_000)
            return repository(request)

        kept = store(tmp_path / what, repository)
        with pytest.raises(Unreachable, match="longer"):
            kept.refresh(MemoryTransport(endless))
        assert kept.current is None


def test_a_new_root_binds_at_once_and_an_older_generation_stays_readable(
    tmp_path: Path, repository: Repository
) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    repository.rotate("online", "online2", "timestamp", "r1", "r2")
    with pytest.raises(MetadataInvalid):
        kept.refresh(MemoryTransport(repository))
    again = store(tmp_path, repository)
    assert contents(again) == repository.contents
    stolen = copy.deepcopy(repository)
    del stolen.files["metadata/2.root.json"]
    stolen.publish()
    with pytest.raises(MetadataInvalid):
        again.refresh(MemoryTransport(stolen))
    repository.stamp(online="online2")
    again.refresh(MemoryTransport(repository))
    assert again.current is not None
    assert again.current.trusted.root.version == 2
    assert contents(store(tmp_path, repository)) == repository.contents


def test_a_generation_that_never_came_into_force_is_passed_over(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    good = dict(repository.contents)
    repository.put("offers/offers.json", b"[3]")
    repository.publish()

    def power_cut(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "symlink_to", power_cut)
        with pytest.raises(OSError, match="No space"):
            kept.refresh(MemoryTransport(repository))
    assert contents(kept) == good
    again = store(tmp_path, repository)
    assert contents(again) == good
    again.refresh(MemoryTransport(repository))
    assert contents(store(tmp_path, repository)) == repository.contents


def test_a_damaged_target_is_named_and_brought_anew(tmp_path: Path, repository: Repository) -> None:
    kept = store(tmp_path, repository)
    kept.refresh(MemoryTransport(repository))
    assert kept.current is not None
    path = kept.current.path("ca_keys.json")
    path.write_bytes(b"[]")
    with pytest.raises(TargetInvalid, match="pull again"):
        kept.current.read("ca_keys.json")
    assert len(kept.current.faults()) == 1
    path.write_bytes(b"longer")
    again = store(tmp_path, repository)
    assert again.current is None
    again.refresh(MemoryTransport(repository))
    assert contents(again) == repository.contents


def test_a_stick_brings_the_same_snapshot(tmp_path: Path, repository: Repository) -> None:
    repository.save(tmp_path / "stick")
    kept = store(tmp_path / "home", repository)
    kept.refresh(FolderTransport(tmp_path / "stick"))
    assert contents(kept) == repository.contents
    repository.publish()
    kept.refresh(MemoryTransport(repository))
    with pytest.raises(MetadataRolledBack):
        kept.refresh(FolderTransport(tmp_path / "stick"))


@pytest.mark.parametrize("target", ["/etc/passwd", "/v1/tuf/../secret", "/v1/tuf/a//b", "/v1/tuf/"])
def test_a_stick_gives_nothing_outside_its_folder(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "stick").mkdir()
    assert FolderTransport(tmp_path / "stick").exchange(Request("GET", target)).status == 404


def _patch(old: Path, delta: Path, new: Path) -> None:
    change = delta.read_bytes()
    if change.startswith(b"bad"):
        raise Malformed("cannot be applied")
    new.write_bytes(old.read_bytes() + change)


def test_a_delta_spares_the_whole_target(tmp_path: Path, repository: Repository) -> None:
    kept = SnapshotStore(tmp_path, repository.roots[1], {"status/roster.bin": _patch})
    kept.refresh(MemoryTransport(repository))
    for delta in (b"+a", b"bad", b"+wrong"):
        old = repository.contents["status/roster.bin"]
        path = f"status/deltas/{delta.decode()}"
        new = old + (b"+a" if delta == b"+a" else b"+b")
        repository.put(path, delta)
        repository.put(
            "status/roster.bin",
            new,
            {DELTAS_FIELD: {hashlib.sha256(old).hexdigest(): path}},
        )
        repository.publish()
        repository.log.clear()
        kept.refresh(MemoryTransport(repository))
        assert kept.current is not None
        assert kept.current.read("status/roster.bin") == new
        whole = [r for r in repository.log if r.target.endswith("roster.bin")]
        assert len(whole) == (0 if delta == b"+a" else 1)
        assert not kept.current.path(path).exists()
