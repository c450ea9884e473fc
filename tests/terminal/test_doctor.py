"""Each fault is found, named in both languages, and comes with one remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys.passphrase import Argon2Cost, PassphraseKeyStore
from readers.errors import ServiceMissing
from terminal import doctor
from terminal.clock import TimeFloor
from terminal.doctor import Finding, examine
from terminal.enrolment import enrol
from terminal.home import Home
from terminal.journal import Journal
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import CONFIG, OFFERS

READERS = ["kiosk reader", "counter reader"]


class Patient:
    """An enrolled home that has pulled once, with a key store on disk."""

    def __init__(self, path: Path, founded: Path) -> None:
        from terminal.composition import open_terminal

        self.clock = HandClock()
        self.federation = Federation(shutil.copytree(founded, path / "server"), self.clock)
        self.home = Home.create(path / "terminal", CONFIG.format(extra=""))
        cost = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
        keys = PassphraseKeyStore(self.home.keys_path, self.home.passphrase(), cost=cost)
        enrol(self.home, self.federation.code(), self.federation.transport, self.clock, keys=keys)
        service = open_terminal(
            self.home, self.clock, keys=keys, transport=self.federation.transport
        )
        assert service.sync_now().status == "ok"
        service.close()

    def examine(self, names: Callable[[], list[str]] = lambda: READERS) -> dict[str, Finding]:
        found = examine(
            self.home.path,
            self.clock,
            transport=self.federation.transport,
            reader_names=names,
        )
        return {one.check: one for one in found}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Patient]:
    made = Patient(tmp_path_factory.mktemp("patient"), founded)
    yield made
    made.federation.close()


@pytest.fixture(autouse=True)
def _fonts_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fonts() -> Finding:
        return Finding("fonts", True, "有", "there")

    monkeypatch.setattr(doctor, "_fonts", fonts)


def test_a_healthy_terminal_has_no_remedy(patient: Patient) -> None:
    found = patient.examine()
    assert [one for one in found.values() if not one.ok] == []
    assert all(not one.remedy and one.detail_zh and one.detail_en for one in found.values())
    assert {"packages", "home", "keys", "ledger", "sync", "disk", "clock", "snapshot"} <= set(found)


def _only(found: dict[str, Finding], check: str, remedy: str) -> None:
    bad = [one for one in found.values() if not one.ok]
    assert [one.check for one in bad] == [check], bad
    assert remedy in bad[0].remedy
    assert bad[0].detail_en in bad[0].detail_zh


def test_no_home_and_open_permissions(patient: Patient, tmp_path: Path) -> None:
    found = {one.check: one for one in examine(tmp_path / "none", patient.clock)}
    assert "redcard init" in found["home"].remedy
    patient.home.path.chmod(0o755)
    try:
        _only(patient.examine(), "home", f"chmod 700 {patient.home.path}")
    finally:
        patient.home.path.chmod(0o700)


def test_a_wrong_passphrase(patient: Patient) -> None:
    file = patient.home.path / "passphrase"
    good = file.read_bytes()
    file.write_bytes(b"wrong\n")
    try:
        _only(patient.examine(), "keys", "passphrase")
    finally:
        file.write_bytes(good)


def test_a_damaged_ledger(patient: Patient) -> None:
    good = patient.home.ledger_path.read_bytes()
    patient.home.ledger_path.write_bytes(b"x" * len(good))
    try:
        _only(patient.examine(), "ledger", "redcard ledger verify")
    finally:
        patient.home.ledger_path.write_bytes(good)


def test_a_clock_behind_the_signed_time_and_one_off_the_servers(patient: Patient) -> None:
    patient.clock.wall -= 3_600_000
    try:
        found = patient.examine()
        assert not found["clock"].ok
        assert "timedatectl" in found["clock"].remedy
    finally:
        patient.clock.wall += 3_600_000
    journal = Journal(patient.home.state_path)
    assert journal.floor() != TimeFloor(0, "", 0)
    journal.close()


def test_a_server_that_cannot_be_reached(patient: Patient) -> None:
    patient.federation.transport.connected = False
    try:
        _only(patient.examine(), "server", "network")
    finally:
        patient.federation.transport.connected = True


def test_no_pcscd_and_a_reader_that_is_missing(patient: Patient) -> None:
    def missing() -> list[str]:
        raise ServiceMissing("pcscd does not run")

    _only(patient.examine(missing), "pcscd", "pcscd.socket")
    _only(patient.examine(lambda: READERS[:1]), "reader.counter", "plug the reader in")


def test_a_full_disk(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES_MIN", 1 << 60)
    _only(patient.examine(), "disk", "never by deleting anything in the home")


def test_no_chinese_font(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "fonts-noto-cjk" in doctor._fonts().remedy


def test_other_software_with_our_names(monkeypatch: pytest.MonkeyPatch, patient: Patient) -> None:
    monkeypatch.setattr(
        "importlib.metadata.packages_distributions", lambda: {"server": ["redcard", "evil-server"]}
    )
    found = patient.examine()
    assert not found["packages"].ok
    assert "evil-server" in found["packages"].detail_en


def test_a_broken_offer_and_no_ca_keys(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.rules.catalogue import Catalogue
    from ledger.rules.offer import BrokenOffer

    broken = BrokenOffer(str(OFFERS[0]["id"]), "until before from")
    monkeypatch.setattr(doctor, "catalogue_of", lambda _: Catalogue({broken.id: broken}))
    monkeypatch.setattr(doctor, "named", lambda *_: "")
    found = patient.examine()
    assert "museum" in found["offers"].detail_en
    assert found["ca_keys"].remedy == "redcard sync pull"


def test_an_old_snapshot(patient: Patient) -> None:
    file = patient.home.path / "terminal.toml"
    text = file.read_text()
    file.write_text(text.replace('name = "T-1"', 'name = "T-1"\nsnapshot_max_age = "1h"'))
    patient.clock.pass_ms(2_000_000)
    try:
        found = patient.examine()
        assert "degraded" in found["snapshot"].detail_en
    finally:
        file.write_text(text)
