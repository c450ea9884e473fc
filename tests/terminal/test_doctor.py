"""Each fault is found, named in both languages, and comes with one remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from firmware_profiles.model import Sighting
from keys.passphrase import Argon2Cost, PassphraseKeyStore
from readers.errors import ReaderBusy, ReaderFault, ServiceMissing, ServiceRefuses
from readers.part10 import Told
from terminal import doctor, doctor_readers
from terminal.clock import TimeFloor
from terminal.doctor import examine
from terminal.doctor_readers import Surroundings
from terminal.enrolment import enrol
from terminal.findings import Finding
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
    none = examine(tmp_path / "none", patient.clock, reader_names=lambda: READERS)
    found = {one.check: one for one in none}
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


def _surroundings(told: Told | Exception, modules: str = "") -> Surroundings:
    """A machine on which every reader tells the same."""

    names = READERS
    if isinstance(told, Told):
        names = [f"{name} {told.sighting.name}" for name in READERS]

    def ask(name: str) -> Told:
        if isinstance(told, Exception):
            raise told
        return Told(msgspec.structs.replace(told.sighting, name=name), told.features)

    return Surroundings(lambda: names, ask, lambda: frozenset(modules.split()))


ACR122U = Sighting(name="ACS ACR122U", vid=0x072F, pid=0x2200, device_version=0x0205)
ACR1252 = Sighting(name="ACR1252 Reader", vid=0x072F, pid=0x223E, device_version=0x0100)
WELL = Told(Sighting(name="ACS ACR122U", vid=0x072F, pid=0x2200, device_version=0x0207))


@pytest.mark.parametrize(
    ("surroundings", "check", "remedy"),
    [
        (_surroundings(WELL, "usbcore pn533_usb"), "pn533", "modprobe -r pn533_usb"),
        (_surroundings(ReaderBusy("held")), "exclusive", "close it"),
        (_surroundings(Told(ACR122U)), "firmware", "to 2.06 or later"),
        (_surroundings(Told(ACR1252)), "escape", "ifdDriverOptions"),
        (_surroundings(ReaderFault("it failed")), "reader", "plug it in"),
    ],
)
def test_what_is_wrong_with_readers(
    patient: Patient, surroundings: Surroundings, check: str, remedy: str
) -> None:
    found = examine(
        patient.home.path,
        patient.clock,
        transport=patient.federation.transport,
        surroundings=surroundings,
    )
    faults = {one.check: one for one in found if not one.ok}
    assert set(faults) == {check}
    assert remedy in faults[check].remedy
    assert "\n" not in faults[check].remedy


def test_readers_without_a_fault(patient: Patient) -> None:
    open_way = Told(ACR1252, {0x13: 3_225_551_361})  # the driver offers its escape
    for told in (WELL, open_way):
        found = examine(
            patient.home.path,
            patient.clock,
            transport=patient.federation.transport,
            surroundings=_surroundings(told, "usbcore"),
        )
        assert all(one.ok for one in found), found


def test_polkit_refuses_also_where_there_is_no_home(patient: Patient, tmp_path: Path) -> None:
    def refused() -> list[str]:
        raise ServiceRefuses("the card service refuses this user (8010006A)")

    found = examine(
        tmp_path / "none", patient.clock, surroundings=Surroundings(refused, None, frozenset)
    )
    faults = {one.check: one for one in found if not one.ok}
    assert set(faults) == {"home", "polkit"}
    assert "polkit-1/rules.d" in faults["polkit"].remedy


def test_modules_that_the_kernel_has_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "modules").write_text("pn533_usb 20480 0 - Live 0x0\nusbcore 1 2 - Live 0x0\n")
    monkeypatch.setattr(doctor_readers, "MODULES_FILE", tmp_path / "modules")
    assert doctor_readers.loaded_modules() == {"pn533_usb", "usbcore"}
    monkeypatch.setattr(doctor_readers, "MODULES_FILE", tmp_path / "none")
    assert doctor_readers.loaded_modules() == frozenset()


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
