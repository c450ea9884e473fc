"""What readers tell of themselves, and the list of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles.catalogue import load
from firmware_profiles.model import Driver, Exchange, Sighting
from readers import part10, pcsc
from readers.discovery import discover
from readers.errors import ProtocolViolation, ReaderMissing
from readers.identity import SlotRole
from readers.pcsc import PcscReaders
from readers.virtual.vpcd import Pcscd

NAME = "ACS ACR122U PICC Interface [CCID] 00 00"
PROPERTIES = bytes.fromhex("080841435231323255320A04000000000B022F070C020022")


def test_features_and_their_control_codes() -> None:
    answer = bytes.fromhex("12 04 42330012 13 04 42000DAC".replace(" ", ""))
    assert part10.parse_features(answer) == {
        part10.FEATURE_TLV_PROPERTIES: 0x42330012,
        part10.FEATURE_CCID_ESCAPE: 0x42000DAC,
    }
    with pytest.raises(ProtocolViolation, match="control code of 2 bytes"):
        part10.parse_features(bytes.fromhex("12024233"))


def test_all_that_a_reader_tells() -> None:
    seen = part10.sighting(NAME, bytes.fromhex("00000702"), PROPERTIES)
    assert seen == Sighting(
        name=NAME,
        interface="CCID",
        vid=0x072F,
        pid=0x2200,
        device_version=0x0207,
        firmware="ACR122U2",
        exchange=Exchange.SHORT,
    )
    match = load().match(seen)
    assert (match.profile.id, match.score) == ("acs-acr122u", 1200)


def test_a_reader_that_tells_little() -> None:
    assert part10.sighting("X 00 00") == Sighting(name="X 00 00")
    extended = part10.sighting("X", b"", bytes.fromhex("0A0400000100"))
    assert extended.exchange is Exchange.EXTENDED


@given(st.binary(max_size=80))
def test_reading_properties_is_total(answer: bytes) -> None:
    for read in (part10.parse_features, part10.parse_properties):
        try:
            read(answer)
        except ProtocolViolation as error:
            assert str(error)
    try:
        part10.sighting("X", answer[:4], answer)
    except ProtocolViolation:
        return


@pytest.mark.parametrize("answer", ["12", "1204", "0B022F"])
def test_a_property_that_runs_past_the_end(answer: str) -> None:
    with pytest.raises(ProtocolViolation):
        part10.parse_properties(bytes.fromhex(answer))


@pytest.mark.pcscd
def test_the_virtual_reader_is_found_with_its_profile(pcscd: Pcscd) -> None:
    found = discover(load())
    assert [one.name for one in found] == list(pcscd.reader_names)
    for one in found:
        assert (one.driver, one.role, one.remark) == (Driver.PCSC, SlotRole.UNKNOWN, "")
        assert one.match.profile.id == "generic-short"  # its name in these tests is Counter
    with pytest.raises(ReaderMissing):
        pcsc.look_at("Nothing 00 00")


def test_slots_for_security_modules_are_left_alone_unless_asked_for() -> None:
    sam = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01"
    assert not PcscReaders()._wanted(sam)
    assert PcscReaders("SAM")._wanted(sam)
    assert PcscReaders()._wanted(NAME)
    assert not PcscReaders("SAM")._wanted(NAME)
