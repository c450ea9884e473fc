from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from sync.errors import (
    MetadataInvalid,
    MetadataMismatch,
    MetadataRolledBack,
    TrustError,
)
from sync.metadata import FileFacts, canonical, check_file, parse
from sync.trust import (
    Grade,
    Trusted,
    accept,
    advance_root,
    advance_timestamp,
    begin,
    grade,
    target_files,
    wanted,
)
from tests.sync.tuf_repository import NOW_MS, Repository

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_canonical_form_is_that_of_securesystemslib(value: object) -> None:
    expected = encode_canonical(value)  # type: ignore[arg-type]
    assert expected is not None
    assert canonical(value) == expected.encode()


@given(st.binary(max_size=200))
def test_parsing_is_total(data: bytes) -> None:
    with contextlib.suppress(MetadataInvalid):
        parse(data, "root", bytes_max=1000)


REPOSITORY = Repository()
REPOSITORY.put("offers/offers.json", b"[]")
REPOSITORY.publish()


@given(st.data())
def test_damaged_metadata_is_never_trusted(data: st.DataObject) -> None:
    root = bytearray(REPOSITORY.roots[1])
    for _ in range(data.draw(st.integers(1, 3))):
        root[data.draw(st.integers(0, len(root) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MetadataInvalid):
        assert begin(bytes(root)).root.message == begin(REPOSITORY.roots[1]).root.message


@pytest.mark.parametrize(
    "text",
    [
        '{"signed":{"_type":"root","version":1.0},"signatures":[]}',
        '{"signed":{"_type":"root","version":true,"spec_version":"1.0.31"},"signatures":[]}',
        '{"signed":{"_type":"root","_type":"root"},"signatures":[]}',
        '{"signed":' + "[" * 5000 + "]" * 5000 + ',"signatures":[]}',
        '{"signed":NaN}',
        '{"signed":{"_type":"root","version":1,"spec_version":"2.0"},"signatures":[]}',
        '{"signed":{"_type":"root","version":1,"spec_version":"1.0","expires":"2026-13-01T00:00:00Z"}}',
        '{"signed":{"_type":"root","version":1,"spec_version":"1.0","expires":"2026-01-01"}}',
    ],
)
def test_malformed_metadata_is_refused_by_name(text: str) -> None:
    with pytest.raises(MetadataInvalid):
        parse(text.encode(), "root", bytes_max=100_000)


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.put("offers/offers.json", b'[{"id":"BJ-T-005"}]')
    made.put("status/roster.bin", b"\x00" * 300)
    made.put("ca_keys.json", b"{}")
    made.publish()
    return made


def file(repository: Repository, role: str, version: int | None = None) -> bytes:
    if role == "timestamp":
        return repository.files["metadata/timestamp.json"]
    return repository.files[f"metadata/{version}.{role}.json"]


def complete(repository: Repository, trusted: Trusted) -> Trusted:
    trusted = advance_timestamp(trusted, file(repository, "timestamp"))
    while (need := wanted(trusted)) is not None:
        trusted = accept(trusted, need.role, file(repository, need.role, need.version))
    return trusted


def test_the_workflow_reaches_every_target(repository: Repository) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    files = target_files(trusted)
    assert set(files) == {"offers/offers.json", "status/roster.bin", "ca_keys.json"}
    assert files["status/roster.bin"].length == 300
    assert trusted.signed_ms == NOW_MS
    assert trusted.consistent


def test_ngclient_accepts_the_same_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    from tuf.ngclient._internal import trusted_metadata_set
    from tuf.ngclient.fetcher import FetcherInterface
    from tuf.ngclient.updater import Updater

    repository.rotate("r3", "r4", "root", "r1", "r2", "r4")
    repository.publish()

    class Memory(FetcherInterface):
        def _fetch(self, url: str) -> Any:
            from tuf.api.exceptions import DownloadHTTPError

            data = repository.files.get(url.removeprefix("http://x/"))
            if data is None:
                raise DownloadHTTPError("absent", 404)
            return iter([data])

    class Frozen(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return dt.datetime.fromtimestamp(NOW_MS / 1000, tz)

    (tmp_path / "targets").mkdir()
    monkeypatch.setattr(trusted_metadata_set.datetime, "datetime", Frozen)
    updater = Updater(
        str(tmp_path),
        "http://x/metadata/",
        str(tmp_path / "targets"),
        "http://x/targets/",
        fetcher=Memory(),
        bootstrap=repository.roots[1],
    )
    updater.refresh()
    for path, data in repository.contents.items():
        info = updater.get_targetinfo(path)
        assert info is not None
        assert Path(updater.download_target(info)).read_bytes() == data
    trusted = advance_root(begin(repository.roots[1]), repository.roots[2])
    assert set(target_files(complete(repository, trusted))) == set(repository.contents)


def test_root_needs_two_of_three_of_old_and_of_new(repository: Repository) -> None:
    trusted = begin(repository.roots[1])
    repository.rotate("r3", "r4", "root", "r1", "r4")
    with pytest.raises(MetadataInvalid, match="1 good"):
        advance_root(trusted, repository.roots[2])
    good = repository.sign_root("r1", "r2", "r4")
    assert advance_root(trusted, good).root.version == 2
    with pytest.raises(MetadataRolledBack):
        advance_root(advance_root(trusted, good), good)
    with pytest.raises(MetadataInvalid):
        begin(repository.sign_root("r1"))


def test_one_key_under_two_ids_counts_once(repository: Repository) -> None:
    document = json.loads(repository.roots[1])
    document["signatures"] = document["signatures"][:1]
    only = document["signatures"][0]["keyid"]
    document["signed"]["keys"]["f" * 64] = document["signed"]["keys"][only]
    document["signed"]["roles"]["root"]["keyids"].append("f" * 64)
    signature = repository.keys["r1"].sign(canonical(document["signed"]))
    document["signatures"] = [
        {"keyid": only, "sig": signature.signature},
        {"keyid": "f" * 64, "sig": signature.signature},
    ]
    with pytest.raises(MetadataInvalid, match="1 good"):
        begin(json.dumps(document).encode())


def test_a_root_may_not_skip_a_version(repository: Repository) -> None:
    trusted = begin(repository.roots[1])
    repository.rotate("r3", "r4", "root", "r1", "r2", "r4")
    repository.rotate("r4", "r5", "root", "r1", "r2", "r5")
    with pytest.raises(MetadataRolledBack):
        advance_root(trusted, repository.roots[3])


def test_rollback_of_timestamp_snapshot_and_delegation_is_refused(
    repository: Repository,
) -> None:
    old_stamp = file(repository, "timestamp")
    repository.publish()
    trusted = complete(repository, begin(repository.roots[1]))
    with pytest.raises(MetadataRolledBack):
        advance_timestamp(trusted, old_stamp)

    lower = copy.deepcopy(repository)
    lower.snapshot.version = 0
    lower.publish()
    with pytest.raises(MetadataRolledBack, match="older snapshot"):
        advance_timestamp(trusted, file(lower, "timestamp"))

    back = copy.deepcopy(repository)
    back.delegated["offers"].version = 0
    back.publish()
    with pytest.raises(MetadataRolledBack, match=r"older offers\.json"):
        complete(back, trusted)

    gone = copy.deepcopy(repository)
    gone.publish()
    del gone.snapshot.meta["status.json"]
    gone.snapshot.version += 1
    gone.stamp(gone._write("snapshot", gone.snapshot, "online"))
    with pytest.raises(MetadataRolledBack, match=r"no longer names status\.json"):
        complete(gone, trusted)


def test_signed_time_never_decreases(repository: Repository) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    repository.signed_ms -= 1
    repository.stamp()
    with pytest.raises(MetadataRolledBack, match="signed before"):
        advance_timestamp(trusted, file(repository, "timestamp"))


def test_a_frozen_server_ages_instead_of_being_refused(repository: Repository) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    again = complete(repository, trusted)
    assert again == trusted
    day = 86_400_000
    ages = [(0, Grade.FRESH), (day, Grade.FRESH), (36 * day // 24, Grade.DEGRADED)]
    ages += [(3 * day - 1, Grade.DEGRADED), (3 * day, Grade.LOCKED), (900 * day, Grade.LOCKED)]
    for age, expected in ages:
        assert grade(again.signed_ms, NOW_MS + age, 3 * day) is expected
    assert grade(again.signed_ms, NOW_MS + 900 * day, None) is Grade.FRESH
    assert grade(again.signed_ms, NOW_MS - 5 * day, 3 * day) is Grade.FRESH


def test_mix_and_match_is_refused(repository: Repository) -> None:
    old = file(repository, "offers", 1)
    repository.put("offers/offers.json", b"[1]")
    repository.publish()
    repository.files["metadata/2.offers.json"] = old
    with pytest.raises(MetadataMismatch):
        complete(repository, begin(repository.roots[1]))


def test_a_file_of_the_same_version_but_other_bytes_is_fetched_again(
    repository: Repository,
) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    repository.put("offers/offers.json", b"[2]")
    repository.delegated["offers"].version -= 1
    repository.publish()
    trusted = advance_timestamp(trusted, file(repository, "timestamp"))
    roles = []
    while (need := wanted(trusted)) is not None:
        roles.append(need.role)
        trusted = accept(trusted, need.role, file(repository, need.role, need.version))
    assert roles == ["snapshot", "targets", "offers", "status"]
    assert target_files(trusted)["offers/offers.json"].length == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "offers", "status"])
def test_a_wrong_key_is_refused_for_every_role(repository: Repository, role: str) -> None:
    keys = {"timestamp": "online", "snapshot": "online", "targets": "t1"}
    stolen = copy.deepcopy(repository)
    stolen.keys[keys.get(role, role)] = repository.keys["thief"]
    stolen.publish()
    with pytest.raises(MetadataInvalid, match="good signatures"):
        complete(stolen, begin(repository.roots[1]))


def test_one_of_two_targets_signatures_is_not_enough(repository: Repository) -> None:
    repository.keys["t3"] = repository.keys["thief"]
    repository.publish()
    with pytest.raises(MetadataInvalid, match="1 good signatures, 2"):
        complete(repository, begin(repository.roots[1]))


def test_a_delegation_speaks_only_for_its_paths(repository: Repository) -> None:
    from tuf.api._payload import TargetFile

    for path in ("ca_keys.json", "status/roster.bin", "offers/a/b", "stray.json"):
        repository.delegated["offers"].targets[path] = TargetFile.from_data(
            path, b"evil", ["sha256"]
        )
    repository.publish()
    files = target_files(complete(repository, begin(repository.roots[1])))
    assert set(files) == {"offers/offers.json", "status/roster.bin", "ca_keys.json"}
    assert files["ca_keys.json"].length == 2
    assert files["status/roster.bin"].length == 300


def test_a_terminating_delegation_keeps_its_paths_to_itself(repository: Repository) -> None:
    assert repository.targets.delegations is not None
    assert repository.targets.delegations.roles is not None
    repository.targets.delegations.roles["offers"].paths = ["offers/*", "status/*"]
    repository.publish()
    files = target_files(complete(repository, begin(repository.roots[1])))
    assert set(files) == {"offers/offers.json", "ca_keys.json"}


def test_a_parent_without_hashes_still_names_the_version(repository: Repository) -> None:
    from tuf.api._payload import MetaFile

    old = file(repository, "offers", 1)
    repository.publish()
    repository.snapshot.meta["offers.json"] = MetaFile(2)
    repository.snapshot.version += 1
    repository.stamp(repository._write("snapshot", repository.snapshot, "online"))
    repository.files["metadata/2.offers.json"] = old
    with pytest.raises(MetadataMismatch, match="version 1 instead of 2"):
        complete(repository, begin(repository.roots[1]))


def test_a_length_is_demanded_even_without_a_hash() -> None:
    check_file([b"abc"], FileFacts(1, 3, {}), "file")
    for data in (b"ab", b"abcd"):
        with pytest.raises(MetadataMismatch, match="bytes instead of 3"):
            check_file([data], FileFacts(1, 3, {}), "file")


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", "a\\b", "", "a\nb"])
def test_a_target_path_cannot_leave_its_folder(repository: Repository, path: str) -> None:
    from tuf.api._payload import TargetFile

    repository.targets.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    repository.publish()
    with pytest.raises(MetadataInvalid, match="target path"):
        target_files(complete(repository, begin(repository.roots[1])))


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "offers"])
def test_what_had_expired_when_it_was_signed_is_refused(repository: Repository, role: str) -> None:
    from datetime import timedelta

    from tests.sync.tuf_repository import NOW

    signed: Any = repository.delegated.get(role) or getattr(repository, role)
    signed.expires = (NOW - timedelta(days=1)).replace(microsecond=0)
    root = repository.sign_root("r1", "r2") if role == "root" else repository.roots[1]
    repository.publish()
    with pytest.raises(MetadataInvalid, match="expired"):
        complete(repository, begin(root))


def test_rotating_the_online_key_recovers_from_a_fast_forward(repository: Repository) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    attacked = copy.deepcopy(repository)
    attacked.timestamp.version = 10_000
    attacked.stamp()
    trusted = advance_timestamp(trusted, file(attacked, "timestamp"))
    repository.rotate("online", "online2", "timestamp", "r1", "r2")
    repository.stamp(online="online2")
    with pytest.raises(MetadataInvalid):
        advance_timestamp(trusted, file(repository, "timestamp"))
    rotated = advance_root(trusted, repository.roots[2])
    assert rotated.timestamp is None
    assert complete(repository, rotated).signed_ms == NOW_MS


def test_a_snapshot_without_the_delegation_or_a_stamp_without_time_is_refused(
    repository: Repository,
) -> None:
    broken = copy.deepcopy(repository)
    broken.timestamp.unrecognized_fields.clear()
    broken.timestamp.version += 1
    broken._write("timestamp", broken.timestamp, "online")
    with pytest.raises(MetadataInvalid, match="redcard_signed_ms"):
        complete(broken, begin(repository.roots[1]))
    del repository.snapshot.meta["offers.json"]
    repository.snapshot.version += 1
    repository.stamp(repository._write("snapshot", repository.snapshot, "online"))
    with pytest.raises(MetadataMismatch, match=r"offers\.json"):
        complete(repository, begin(repository.roots[1]))


def test_an_error_leaves_the_trusted_set_as_it_was(repository: Repository) -> None:
    trusted = complete(repository, begin(repository.roots[1]))
    before = target_files(trusted)
    for junk in (b"", b"{}", file(repository, "snapshot", 1)):
        with pytest.raises(TrustError):
            advance_timestamp(trusted, junk)
        with pytest.raises(TrustError):
            advance_root(trusted, junk)
    assert target_files(trusted) == before
