"""Profiles: every file is sound, every reader finds one, and two never claim the same."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles.catalogue import Catalogue, load, parse
from firmware_profiles.errors import ProfileInvalid, ProfileTie
from firmware_profiles.match import rank
from firmware_profiles.model import (
    Driver,
    Exchange,
    KnownBad,
    ReaderProfile,
    Role,
    Sighting,
    version_number,
)

CATALOGUE = load()
DATA = Path("firmware_profiles/data")


def test_sixty_models_and_all_generic_levels_are_known() -> None:
    models = [one for one in CATALOGUE.profiles.values() if not one.generic]
    assert len(models) >= 60
    assert {one.match.exchange for one in CATALOGUE.profiles.values()} >= set(Exchange)


@pytest.mark.parametrize("profile", CATALOGUE.profiles.values(), ids=lambda one: one.id)
def test_examples_come_back_to_their_profile(profile: ReaderProfile) -> None:
    for name in profile.match.examples:
        assert CATALOGUE.match(Sighting(name=name)).profile is profile


@pytest.mark.parametrize(
    ("sighting", "profile", "score"),
    [
        (Sighting(vid=0x072F, pid=0x2200), "acs-acr122u", 1000),
        (Sighting(name="ACS ACR122U PICC Interface 0"), "acs-acr122u", 200),
        (Sighting(name="ACS ACR122U 00 00", vid=0x072F, pid=0x2200), "acs-acr122u", 1200),
        (Sighting(name="ACS ACR122U 00 00", vid=0x1111, pid=0x2222), "generic-short", 0),
        (Sighting(name="Something New 00 00"), "generic-short", 0),
        (Sighting(name="New", exchange=Exchange.EXTENDED), "generic-extended", 10),
        (Sighting(name="New", vid=1, pid=2, exchange=Exchange.TPDU), "generic-tpdu", 10),
        (Sighting(), "generic-short", 0),
    ],
)
def test_what_fits_best_and_how_well(sighting: Sighting, profile: str, score: int) -> None:
    match = CATALOGUE.match(sighting)
    assert (match.profile.id, match.score) == (profile, score)
    assert match.why


def _profile(**match: object) -> ReaderProfile:
    document = {
        "id": match.pop("id", "one"),
        "title": "One",
        "match": match,
        "slots": {"roles": ["picc"]},
        "apdu": {"exchange": "short"},
        "evidence": [{"source": "test", "date": "2026-01-01"}],
    }
    return msgspec.convert(document, ReaderProfile)


def test_interface_version_and_firmware_weigh_in_their_order() -> None:
    usb = {"vid": "0001", "pid": "0002"}
    profiles = [
        _profile(id="a", **usb, interface="PICC", device_version=["2.00", "2.99"]),
        _profile(id="b", **usb, interface="PICC"),
        _profile(id="c", **usb),
        _profile(id="d", firmware="^X215"),
        _profile(id="e", name="Reader"),
    ]
    sighting = Sighting(
        name="Reader 0",
        interface="X PICC",
        vid=1,
        pid=2,
        device_version=0x0214,
        firmware="X215",
    )
    ranked = rank(profiles, sighting)
    assert [(one.profile.id, one.score) for one in ranked] == [
        ("a", 1150),
        ("b", 1100),
        ("c", 1000),
        ("d", 400),
        ("e", 200),
    ]
    newer = msgspec.structs.replace(sighting, device_version=0x0300)
    assert [one.profile.id for one in rank(profiles, newer)] == ["b", "c", "d", "e"]
    assert "device version 2.14" in ranked[0].why


GOOD = """
id = "good"
title = "Good"
[match]
name = 'Good'
examples = ["Good 00 00"]
[slots]
roles = ["picc"]
[apdu]
exchange = "short"
[[evidence]]
source = "test"
date = "2026-01-01"
"""


def test_a_good_file_is_read() -> None:
    profile = parse(GOOD, "good.toml")
    assert (profile.driver, profile.slots.roles) == (Driver.PCSC, (Role.PICC,))
    assert not profile.generic


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "good"', 'id = "bad"', "name the file bad.toml"),
        ("title", "titel", "titel"),
        ("name = 'Good'", "name = '('", "match.name is no regular expression"),
        ("name = 'Good'", "name = 'Good'\nvid = '072f'\npid = '2200'", "capital hexadecimal"),
        ("name = 'Good'", "name = 'Good'\nvid = '072F'", "both vid and pid"),
        ("name = 'Good'", "", "neither a USB id nor a name"),
        ("name = 'Good'", "name = 'Good'\nspecificity = 10", "0 to 9"),
        ("name = 'Good'", "name = 'Good'\ndevice_version = ['2.0', '3.00']", "such as 2.00"),
        ("name = 'Good'", "name = 'Good'\ndevice_version = ['3.00', '2.00']", "lowest first"),
        ("name = 'Good'", "name = 'Good'\nexchange = 'short'", "nothing else"),
        ('examples = ["Good 00 00"]', "", "match.examples is empty"),
        ('date = "2026-01-01"', 'date = "yesterday"', "date such as"),
        ('[[evidence]]\nsource = "test"\ndate = "2026-01-01"', "evidence = []", "evidence"),
        ("[[evidence]]", "[feedback]\napprove = 'FF'\n[[evidence]]", "feedback.approve"),
        ("[[evidence]]", "[firmware]\nparse = '['\n[[evidence]]", "firmware.parse"),
        (
            "[[evidence]]",
            "[[firmware.known_bad]]\nbelow = '2'\nissue = ''\n[[evidence]]",
            "firmware.known_bad",
        ),
        ('exchange = "short"', 'exchange = "long"', "apdu.exchange"),
        ("[slots]", "[slots", "good.toml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_field(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ProfileInvalid, match=re.escape(says)) as caught:
        parse(GOOD.replace(old, new), "good.toml")
    assert str(caught.value).startswith("good.toml: ")


def _directory(path: Path, *files: tuple[str, str]) -> Path:
    for source in DATA.glob("generic-*.toml"):
        (path / source.name).write_text(source.read_text())
    for name, text in files:
        (path / name).write_text(text)
    return path


def test_a_tie_is_a_load_error(tmp_path: Path) -> None:
    twin = GOOD.replace('"good"', '"twin"').replace("'Good'", "'G..d'")
    _directory(tmp_path, ("good.toml", GOOD), ("twin.toml", twin))
    with pytest.raises(ProfileTie, match="good and twin claim Good 00 00 alike"):
        load(tmp_path)
    (tmp_path / "twin.toml").write_text(twin.replace("[match]", "[match]\nspecificity = 1"))
    with pytest.raises(ProfileTie, match="goes to twin"):
        load(tmp_path)
    (tmp_path / "twin.toml").write_text(
        twin.replace("'G..d'", "'Gold'").replace("Good 0", "Gold 0")
    )
    assert set(load(tmp_path).profiles) >= {"good", "twin"}


def test_the_same_match_twice_is_a_load_error(tmp_path: Path) -> None:
    usb = GOOD.replace("name = 'Good'", "vid = '0001'\npid = '0002'").replace(
        'examples = ["Good 00 00"]', ""
    )
    _directory(
        tmp_path, ("good.toml", usb), ("twin.toml", usb.replace('id = "good"', 'id = "twin"'))
    )
    with pytest.raises(ProfileTie, match="have the same match"):
        load(tmp_path)


def test_a_missing_generic_profile_is_a_load_error(tmp_path: Path) -> None:
    _directory(tmp_path)
    (tmp_path / "generic-tpdu.toml").unlink()
    with pytest.raises(ProfileInvalid, match="exchange level tpdu"):
        load(tmp_path)


@given(st.text(max_size=60), st.none() | st.integers(0, 0xFFFF))
def test_every_reader_finds_a_profile_and_gets_a_draft(name: str, usb: int | None) -> None:
    sighting = Sighting(name=name, vid=usb, pid=usb)
    assert CATALOGUE.match(sighting).profile.id in CATALOGUE.profiles
    if name.strip():
        draft = parse(CATALOGUE.draft(sighting), "draft.toml")
        assert Catalogue({"draft": draft}).profiles["draft"].title


def test_versions_are_binary_coded_decimal() -> None:
    assert version_number("2.07") == 0x0207
    assert version_number("10.00") == 0x1000
    for wrong in ("2", "2.7", "a.00", "100.00", ""):
        with pytest.raises(ValueError, match="no version"):
            version_number(wrong)


def test_a_known_fault_has_its_range() -> None:
    profile = _profile(vid="0001", pid="0002")
    bad = msgspec.convert({"since": "1.05", "below": "1.12", "issue": "here"}, KnownBad)
    firmware = msgspec.structs.replace(profile.firmware, known_bad=(bad,))
    profile = msgspec.structs.replace(profile, firmware=firmware)
    versions = [None, 0x0104, 0x0105, 0x0111, 0x0112]
    assert [profile.fault_of(one) for one in versions] == [None, None, bad, bad, None]
    acr122u = CATALOGUE.profiles["acs-acr122u"]
    assert acr122u.firmware.minimum == "2.06"
    assert acr122u.fault_of(0x0205) is acr122u.firmware.known_bad[0]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ('[firmware]\nminimum = "2"\n', "firmware.minimum is no version"),
        ('[firmware]\nminimum = "2.06"\n', "firmware.known_bad is empty"),
        ('[polling]\nstop = "FF"\n', "polling.stop is no command"),
    ],
)
def test_firmware_and_polling_are_linted(part: str, says: str) -> None:
    text = (files("firmware_profiles") / "data" / "acs-acr1281.toml").read_text("utf-8")
    with pytest.raises(ProfileInvalid, match=says):
        parse(text.replace("[[evidence]]", f"{part}[[evidence]]", 1), "acs-acr1281.toml")
