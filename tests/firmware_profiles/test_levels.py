"""Exchange levels of readers without a profile, and every reader that Debian's drivers list."""

from __future__ import annotations

import json
import plistlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles.catalogue import load
from firmware_profiles.errors import ProfileInvalid
from firmware_profiles.levels import FORMAT, parse_levels
from firmware_profiles.match import EXCHANGE, rank
from firmware_profiles.model import Driver, Exchange, ReaderProfile, Sighting
from tests.conftest import IN_CI

CATALOGUE = load()
LISTED = CATALOGUE.levels.by_usb
DRIVERS = Path("/usr/lib/pcsc/drivers")
LIBCCID_READERS = 562
LIBACSCCID_READERS = 93


def _listed_by(bundle: str, package: str) -> list[Sighting]:
    """All readers of an installed driver, as pcsc-lite would name them."""
    path = DRIVERS / bundle / "Contents" / "Info.plist"
    if not path.exists():
        reason = f"Debian's {package} is not installed: {path} is missing"
        if IN_CI:
            pytest.fail(f"CI must test its whole list, but {reason}")
        pytest.skip(f"NOT TESTED: {reason}")
    plist = plistlib.loads(path.read_bytes())
    rows = zip(plist["ifdVendorID"], plist["ifdProductID"], plist["ifdFriendlyName"], strict=True)
    return [Sighting(name=f"{n} 00 00", vid=int(v, 16), pid=int(p, 16)) for v, p, n in rows]


def _usb(sighting: Sighting) -> str:
    return f"{sighting.vid:04X}:{sighting.pid:04X}"


def _ours(sighting: Sighting) -> ReaderProfile | None:
    """The profile that names this USB id and whose other criteria do not exclude the reader."""
    fitting = [one.profile for one in rank(CATALOGUE.profiles.values(), sighting)]
    return next(
        (one for one in fitting if f"{one.match.vid}:{one.match.pid}" == _usb(sighting)), None
    )


def _no_tie(sighting: Sighting) -> None:
    ranked = rank(CATALOGUE.profiles.values(), sighting)
    assert len(ranked) < 2 or ranked[0].score > ranked[1].score, sighting


def test_every_reader_of_libccid_gets_its_own_profile_or_the_generic_one_of_its_level() -> None:
    readers = _listed_by("ifd-ccid.bundle", "libccid")
    assert len(readers) >= LIBCCID_READERS
    generic = set()
    for reader in readers:
        _no_tie(reader)
        match = CATALOGUE.match(reader)
        levels = {level.exchange for level in LISTED[_usb(reader)].levels}
        if own := _ours(reader):
            assert match.profile is own
            assert own.apdu.exchange in levels, own.id
            continue
        assert match.profile.generic, (reader, match)
        assert match.score == EXCHANGE
        surest = next(one for one in ("short", "tpdu", "character", "extended") if one in levels)
        assert match.profile.id == f"generic-{surest}", (reader, match.why)
        assert match.profile.apdu.exchange == surest
        generic.add(surest)
    assert generic == {"short", "tpdu", "extended", "character"}


def test_every_reader_of_libacsccid_gets_its_own_profile_or_a_generic_one() -> None:
    readers = _listed_by("ifd-acsccid.bundle", "libacsccid1")
    assert len(readers) >= LIBACSCCID_READERS
    for reader in readers:
        _no_tie(reader)
        match = CATALOGUE.match(reader)
        if own := _ours(reader):
            assert match.profile is own
        elif listed := LISTED.get(_usb(reader)):
            assert match.profile.apdu.exchange in {one.exchange for one in listed.levels}
        else:  # its descriptor is nowhere published: short until the driver itself says more
            assert (match.profile.id, match.score) == ("generic-short", 0), (reader, match)
            for told in (Exchange.EXTENDED, Exchange.SHORT):
                said = Sighting(vid=reader.vid, pid=reader.pid, exchange=told)
                assert CATALOGUE.match(said).profile.id == f"generic-{told.value}"


@pytest.mark.parametrize(
    "profile",
    [p for p in CATALOGUE.profiles.values() if p.match.vid and p.driver is Driver.PCSC],
    ids=lambda one: one.id,
)
def test_what_profiles_say_of_the_level_is_what_the_descriptor_says(profile: ReaderProfile) -> None:
    listed = LISTED[f"{profile.match.vid}:{profile.match.pid}"]
    assert profile.apdu.exchange in {level.exchange for level in listed.levels}


@pytest.mark.parametrize(
    ("seen", "profile", "says"),
    [
        (Sighting(vid=0x08E6, pid=0x3437), "tpdu", "USB id 08E6:3437"),
        (Sighting(name="Gemalto PC Twin Reader 00 00"), "tpdu", "name Gemalto PC Twin Reader"),
        (Sighting(name="Gemalto PC Twin Readers 00 00"), "short", "nothing known"),
        # the driver cannot tell TPDUs from extended APDUs; the descriptor can
        (Sighting(vid=0x08E6, pid=0x3437, exchange=Exchange.EXTENDED), "tpdu", "descriptor"),
        # but what it says to be short is short, whatever another firmware's descriptor says
        (Sighting(vid=0x0DB5, pid=0x0138, exchange=Exchange.SHORT), "short", "level short"),
        (Sighting(vid=0x046A, pid=0x0090), "short", "the surest of extended, short"),
        (Sighting(vid=0x046A, pid=0x0090, device_version=0x0204), "extended", "says extended"),
        (Sighting(vid=0x046A, pid=0x00A7, interface="Smart Terminal XX44"), "extended", "extended"),
        (Sighting(vid=1, pid=2, name="Gemalto PC Twin Reader 00 00"), "short", "nothing known"),
        (Sighting(vid=1, pid=2, exchange=Exchange.EXTENDED), "extended", "level extended"),
    ],
)
def test_the_level_comes_from_the_surest_source(seen: Sighting, profile: str, says: str) -> None:
    match = CATALOGUE.match(seen)
    assert match.profile.id == f"generic-{profile}"
    assert says in " ".join(match.why)


def test_a_draft_for_a_listed_reader_has_its_level() -> None:
    assert 'exchange = "tpdu"' in CATALOGUE.draft(Sighting(vid=0x08E6, pid=0x3437))


def _file(**changed: object) -> bytes:
    reader = {"usb": "0001:0002", "names": ["A"], "levels": [{"exchange": "tpdu"}]}
    document = {"format": FORMAT, "source": "test", "date": "2026-01-01", "readers": [reader]}
    return json.dumps(document | changed).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (_file(format="other"), "format is 'other'"),
        (_file(readers=[{"usb": "0001:0002", "names": [], "levels": []}]), "without a level"),
        (_file(readers=json.loads(_file())["readers"] * 2), "there twice"),
        (_file(more=1), "more"),
        (_file().replace(b"tpdu", b"long"), "long"),
        (_file().replace(b'"tpdu"', b'"tpdu", "device_version": "2"'), "no version such as"),
        (b"{", "levels.json"),
    ],
)
def test_a_wrong_list_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ProfileInvalid, match=re.escape(says)):
        parse_levels(data, "levels.json")


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_name_finds_a_level_or_none(name: str, interface: str) -> None:
    found = CATALOGUE.levels.of(Sighting(name=name, interface=interface))
    assert found is None or found.exchange in Exchange
