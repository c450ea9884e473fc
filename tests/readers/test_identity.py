from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.connection import Interface
from readers.errors import ProtocolViolation
from readers.identity import SlotRole, interface_of, parse_atr, parse_ats, parse_reader_name


@given(st.binary(max_size=40) | st.binary(max_size=38).map(lambda rest: b"\x3b" + rest))
def test_reading_an_atr_is_total(raw: bytes) -> None:
    try:
        atr = parse_atr(raw)
    except ProtocolViolation:
        return
    assert len(atr.historical) == raw[1] & 0x0F
    assert atr.protocols
    assert atr.made_by_contactless_reader in (True, False)


@given(st.binary(max_size=300) | st.binary(max_size=252).map(lambda b: bytes((len(b) + 1,)) + b))
def test_reading_an_ats_is_total(raw: bytes) -> None:
    try:
        ats = parse_ats(raw)
    except ProtocolViolation:
        return
    assert 16 <= ats.frame_bytes <= 4096
    assert 0.3 < ats.waiting_ms < 5000
    assert raw.endswith(ats.historical)


def test_a_contact_card() -> None:
    atr = parse_atr(bytes.fromhex("3B6500002063CB6600"))
    assert atr.protocols == (0,)
    assert atr.historical.hex() == "2063cb6600"
    assert atr.interface_bytes == {"TB1": 0, "TC1": 0}
    assert atr.check_ok is None
    assert not atr.made_by_contactless_reader


def test_a_card_with_a_check_byte() -> None:
    yubikey = bytes.fromhex("3BFD1300008131FE158073C021C057597562694B657940")
    atr = parse_atr(yubikey)
    assert atr.protocols == (1,)
    assert atr.historical == bytes.fromhex("8073C021C057597562694B6579")
    assert atr.check_ok is True
    assert parse_atr(yubikey[:-1] + b"\x41").check_ok is False


def test_a_contactless_card_as_a_reader_shows_it() -> None:
    atr = parse_atr(bytes.fromhex("3B8180018080"))
    assert atr.made_by_contactless_reader
    assert not atr.storage_card
    mifare = parse_atr(bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"))
    assert mifare.storage_card
    assert mifare.check_ok


@pytest.mark.parametrize(
    "wire", ["", "3B", "3C00", "3B10", "3B01", "3B800101FF00", "3B" + "00" * 40]
)
def test_what_is_no_atr_is_refused(wire: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_atr(bytes.fromhex(wire))


def test_an_ats() -> None:
    ats = parse_ats(bytes.fromhex("0675778102 80".replace(" ", "")))
    assert ats.frame_bytes == 64
    assert round(ats.waiting_ms, 1) == 77.3
    assert round(ats.guard_ms, 2) == 0.6
    assert (ats.takes_nad, ats.takes_cid) == (False, True)
    assert ats.historical == b"\x80"
    bare = parse_ats(b"\x01")
    assert (bare.frame_bytes, round(bare.waiting_ms, 2), bare.guard_ms) == (32, 4.83, 0)
    for wrong in ("", "02", "0278", "037800"):
        with pytest.raises(ProtocolViolation):
            parse_ats(bytes.fromhex(wrong))


@pytest.mark.parametrize(
    ("name", "expected", "role"),
    [
        (
            "HID OMNIKEY 5022 Smart Card Reader [OMNIKEY 5022 Smart Card Reader] (KJ-0.1) 01 00",
            (
                "HID OMNIKEY 5022 Smart Card Reader",
                "OMNIKEY 5022 Smart Card Reader",
                "KJ-0.1",
                1,
                0,
                "pcsc-lite",
            ),
            SlotRole.UNKNOWN,
        ),
        (
            "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01",
            ("ACS ACR1252 Dual Reader", "ACR1252 Dual Reader SAM", "", 0, 1, "pcsc-lite"),
            SlotRole.SAM,
        ),
        ("Counter 0A 0F", ("Counter", "", "", 10, 15, "pcsc-lite"), SlotRole.UNKNOWN),
        (
            "Gemalto PC Twin Reader (70D7E2EE) 00 00",
            ("Gemalto PC Twin Reader", "", "70D7E2EE", 0, 0, "pcsc-lite"),
            SlotRole.UNKNOWN,
        ),
        (
            "ACS ACR122U PICC Interface 0",
            ("ACS ACR122U PICC Interface", "", "", 0, None, "windows"),
            SlotRole.PICC,
        ),
        (
            "Broadcom Corp Contacted SmartCard 0",
            ("Broadcom Corp Contacted SmartCard", "", "", 0, None, "windows"),
            SlotRole.ICC,
        ),
        ("Yubico YubiKey", ("Yubico YubiKey", "", "", None, None, "plain"), SlotRole.UNKNOWN),
        ("", ("", "", "", None, None, "plain"), SlotRole.UNKNOWN),
    ],
)
def test_reader_names(name: str, expected: tuple[object, ...], role: SlotRole) -> None:
    parsed = parse_reader_name(name)
    assert (
        parsed.product,
        parsed.interface,
        parsed.serial,
        parsed.index,
        parsed.slot,
        parsed.grammar,
    ) == expected
    assert parsed.role is role


@given(st.text(max_size=600) | st.text(alphabet="([ 0A)]", max_size=600))
def test_every_name_parses(name: str) -> None:
    assert len(parse_reader_name(name).product) <= 256


def test_the_name_of_the_reader_outweighs_the_atr() -> None:
    contactless, contact = bytes.fromhex("3B8180018080"), bytes.fromhex("3B00")
    assert interface_of(contactless) is Interface.CONTACTLESS
    assert interface_of(contact) is Interface.CONTACT
    assert interface_of(b"") is Interface.CONTACT
    assert interface_of(contact, "X PICC 0") is Interface.CONTACTLESS
    assert interface_of(contactless, "X ICC 0") is Interface.CONTACT
