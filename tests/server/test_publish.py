"""The repository: what our terminals trust, what TUF's own client trusts, and what is refused."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keys.keystore import MemoryKeyStore
from server.errors import HomeInvalid, PublicationRefused
from server.publish import ONLINE_ROLES, Repository, key_name
from sync import trust
from tests.server.world import DAY_MS, START_MS, Time


def stores() -> tuple[MemoryKeyStore, list[MemoryKeyStore]]:
    online = MemoryKeyStore()
    for role in ONLINE_ROLES:
        online.generate(key_name(role), "ed25519")
    custodians = []
    for _ in range(3):
        custodian = MemoryKeyStore()
        custodian.generate("root", "ed25519")
        custodian.generate("targets", "ed25519")
        custodians.append(custodian)
    return online, custodians


@pytest.fixture
def made(tmp_path: Path) -> tuple[Repository, list[MemoryKeyStore], Time]:
    online, custodians = stores()
    time = Time()
    repository = Repository(tmp_path / "tuf", online, time)
    repository.create(custodians)
    return repository, custodians, time


def follow(repository: Repository, trusted: trust.Trusted | None = None) -> trust.Trusted:
    folder = repository.folder / "metadata"
    trusted = trusted or trust.begin(repository.root())
    trusted = trust.advance_timestamp(trusted, (folder / "timestamp.json").read_bytes())
    while (wanted := trust.wanted(trusted)) is not None:
        data = (folder / f"{wanted.version}.{wanted.role}.json").read_bytes()
        trusted = trust.accept(trusted, wanted.role, data)
    return trusted


Made = tuple[Repository, list[MemoryKeyStore], Time]


def test_terminals_follow_every_publication(made: Made) -> None:
    repository, custodians, time = made
    trusted = follow(repository)
    assert trust.target_files(trusted) == {}
    repository.publish("offers", {"offers/offers.json": b"[1]", "offers/venues.json": b"[]"})
    repository.publish("status", {"status/roster.bin": b"\x00"})
    repository.publish_offline({"ca_keys.json": b"{}"}, custodians[:2])
    trusted = follow(repository, trusted)
    files = trust.target_files(trusted)
    assert set(files) == {
        "offers/offers.json",
        "offers/venues.json",
        "status/roster.bin",
        "ca_keys.json",
    }
    assert repository.target("offers/offers.json") == b"[1]"
    assert trusted.signed_ms == START_MS
    time.pass_(60_000)
    repository.refresh()
    assert follow(repository, trusted).signed_ms == START_MS + 60_000


def test_versions_only_rise_and_the_same_costs_none(made: Made) -> None:
    repository, _, time = made
    repository.publish("offers", {"offers/offers.json": b"[1]"})
    before = repository.versions()
    repository.publish("offers", {"offers/offers.json": b"[1]"})
    assert repository.versions() == before
    repository.refresh()
    assert repository.versions() == before
    time.pass_(10_000)
    repository.refresh()
    assert repository.versions()["timestamp"] == before["timestamp"] + 1
    assert repository.versions()["snapshot"] == before["snapshot"]


def test_online_roles_are_signed_anew_before_they_expire(made: Made) -> None:
    repository, _, time = made
    for _ in range(12):
        time.pass_(30 * DAY_MS)
        repository.refresh()
        follow(repository)  # a new terminal, to which everything must be in force


def test_one_custodian_is_not_enough(made: Made) -> None:
    repository, custodians, _ = made
    with pytest.raises(PublicationRefused, match="2 of 3"):
        repository.publish_offline({"ca_keys.json": b"{}"}, custodians[:1])
    assert repository.target("ca_keys.json") is None


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("offers", "status/roster.bin"),
        ("offers", "ca_keys.json"),
        ("offers", "offers/../../x"),
        ("offers", "offers/a/b"),
        ("status", "offers/offers.json"),
    ],
)
def test_a_role_speaks_for_its_own_paths(made: Made, role: str, path: str) -> None:
    with pytest.raises(PublicationRefused):
        made[0].publish(role, {path: b"x"})


def test_old_versions_of_a_target_are_pruned(made: Made) -> None:
    repository, _, _ = made
    for n in range(8):
        repository.publish("offers", {"offers/offers.json": b"%d" % n})
    held = list((repository.folder / "targets" / "offers").glob("*.offers.json"))
    assert len(held) <= 4
    assert repository.target("offers/offers.json") == b"7"
    follow(repository)


def test_a_repository_is_made_once(made: Made, tmp_path: Path) -> None:
    repository, custodians, _ = made
    with pytest.raises(PublicationRefused, match="already"):
        repository.create(custodians)
    empty = Repository(tmp_path / "empty", MemoryKeyStore(), Time())
    with pytest.raises(HomeInvalid):
        empty.refresh()


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_librarys_own_client_trusts_it_too(made: Made, tmp_path: Path) -> None:
    from unittest import mock

    import tuf.ngclient._internal.trusted_metadata_set as theirs
    from tuf.ngclient import Updater

    repository, custodians, _ = made
    repository.publish("offers", {"offers/offers.json": b"[1]"})
    repository.publish_offline({"ca_keys.json": b"{}"}, custodians[1:])
    (tmp_path / "client").mkdir()
    (tmp_path / "got").mkdir()

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(START_MS // 1000 + 60, UTC)

    datetimes = mock.Mock(wraps=theirs.datetime)
    datetimes.datetime = Frozen
    with _served(repository.folder) as url, mock.patch.object(theirs, "datetime", datetimes):
        updater = Updater(
            str(tmp_path / "client"),
            f"{url}/metadata/",
            str(tmp_path / "got"),
            f"{url}/targets/",
            bootstrap=repository.root(),
        )
        updater.refresh()
        for path, data in (("offers/offers.json", b"[1]"), ("ca_keys.json", b"{}")):
            info = updater.get_targetinfo(path)
            assert info is not None
            assert Path(updater.download_target(info)).read_bytes() == data
        assert updater.get_targetinfo("status/roster.bin") is None
