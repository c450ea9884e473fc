"""PAN, dates, data object lists, locators, records: each by itself."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import tlv
from readers.cards.emv import dates, dol, records
from readers.cards.emv.pan import Pan, agreed
from readers.cards.emv.rsa import RsaKey, recover
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable, ProtocolViolation

digits = st.text("0123456789", min_size=12, max_size=19)


@given(digits)
def test_pans_in_their_three_forms(number: str) -> None:
    padded = bytes.fromhex(number.ljust(20, "F"))
    short = bytes.fromhex(number + "F" * (len(number) % 2))
    track = bytes.fromhex((number + "D2512220").ljust((len(number) + 9) // 2 * 2, "F"))
    found = [Pan.from_padded(padded), Pan.from_padded(short), Pan.from_track2(track)]
    pan = agreed(None, *found)
    assert pan is found[0]
    assert found[1].take() == found[2].take() == bytes(len(number))
    assert pan.take() == number.encode()
    assert pan.starts_with(number[:6])
    assert not pan.starts_with(number[:6] + ("1" if number[6] == "0" else "0"))
    assert repr(pan) == "Pan(hidden)"
    pan.wipe()
    assert pan.take() == bytes(len(number))


@given(st.lists(digits, min_size=1, max_size=3))
def test_agreement(numbers: list[str]) -> None:
    found = [Pan(number.encode()) for number in numbers]
    if len(set(numbers)) == 1:
        assert agreed(*found) == found[0]
    else:
        with pytest.raises(AuthenticationFailed) as raised:
            agreed(*found)
        assert raised.value.failure is Failure.PAN_MISMATCH
        assert not any(number in str(raised.value) for number in numbers)
        assert not any(pan.take().strip(b"\x00") for pan in found)


def test_track_2_has_a_separator() -> None:
    with pytest.raises(CardUnreadable, match="separator"):
        Pan.from_track2(bytes.fromhex("629999123456"))


def test_no_pan_at_all() -> None:
    assert agreed(None, None) is None
    with pytest.raises(TypeError):
        hash(Pan(b"629999123456"))


@given(st.binary(max_size=24))
def test_pans_of_any_bytes(data: bytes) -> None:
    for read in (Pan.from_padded, Pan.from_track2, Pan):
        try:
            pan = read(data)
        except CardUnreadable as error:
            assert data.hex() not in str(error) or len(data) < 2
        else:
            assert 12 <= len(pan.take()) <= 19
            assert pan.take().isdigit()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1219", date(2019, 12, 31)),
        ("0220", date(2020, 2, 29)),
        ("0249", date(2049, 2, 28)),
        ("0150", date(1950, 1, 31)),
        ("1299", date(1999, 12, 31)),
        ("0100", date(2000, 1, 31)),
    ],
)
def test_months_last_to_their_end(value: str, expected: date) -> None:
    assert dates.month_end(bytes.fromhex(value)) == expected


@pytest.mark.parametrize("value", ["0019", "1319", "0A19", "19", "", "121900"])
def test_months_that_are_none(value: str) -> None:
    with pytest.raises(CardUnreadable):
        dates.month_end(bytes.fromhex(value))


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2049, 12, 31)))
def test_days_go_both_ways(value: date) -> None:
    assert dates.day(dates.day_bytes(value)) == value


def test_day_nought_is_the_last_of_the_month() -> None:
    assert dates.day(bytes.fromhex("200200")) == date(2020, 2, 29)


@given(st.binary(max_size=4))
def test_dates_of_any_bytes(data: bytes) -> None:
    for read in (dates.day, dates.month_end):
        try:
            read(data)
        except CardUnreadable:
            continue


def test_filling_cuts_and_pads_as_the_format_demands() -> None:
    values = {0x9F37: b"\x01\x02\x03\x04", 0x9C: b"\x09", 0x5F2A: b"\x01\x56"}
    wanted = bytes.fromhex("9F37029F37069C02" + "5F2A015F2A03" + "9F0206" + "DF6003")
    expected = "0102010203040000000956000156000000000000000000"
    assert dol.fill(wanted, values).hex() == expected


@given(st.dictionaries(st.sampled_from(sorted(dol.AMOUNT_TAGS)), st.binary(min_size=1, max_size=6)))
def test_amounts_are_zero_whatever_is_given(values: dict[int, bytes]) -> None:
    wanted = b"".join(tlv.tag_bytes(tag) + b"\x06" for tag in sorted(dol.AMOUNT_TAGS))
    assert dol.fill(wanted, values) == bytes(6 * len(dol.AMOUNT_TAGS))


@given(st.binary(max_size=80))
def test_filling_any_list(data: bytes) -> None:
    try:
        filled = dol.fill(data, {0x9F37: b"1234"})
    except ProtocolViolation:
        return
    assert len(filled) == sum(length for _, length in tlv.parse_dol(data)) <= 252


def test_locators() -> None:
    found = records.parse_locator(bytes.fromhex("0801020010020402"))
    assert [(a.sfi, a.number, a.signed) for a in found] == [
        (1, 1, False),
        (1, 2, False),
        (2, 2, True),
        (2, 3, True),
        (2, 4, False),
    ]
    assert records.parse_locator(b"") == ()


@given(st.binary(max_size=64))
def test_locators_of_any_bytes(data: bytes) -> None:
    try:
        found = records.parse_locator(data)
    except CardUnreadable:
        return
    assert len(found) <= records.RECORDS_MAX
    assert len({(a.sfi, a.number) for a in found}) == len(found)


@given(st.binary(max_size=80))
def test_options_and_records_of_any_bytes(data: bytes) -> None:
    wrapped = (data, tlv.encode(0x77, data), tlv.encode(0x80, data), tlv.encode(0x70, data))
    for read in (records.parse_options, records.parse_record):
        for candidate in wrapped:
            try:
                read(candidate)
            except CardUnreadable:
                continue


def test_a_record_is_bounded() -> None:
    with pytest.raises(CardUnreadable):
        records.parse_record(tlv.encode(0x70, tlv.encode(0x5A, bytes(4096))))


@given(
    modulus=st.binary(min_size=0, max_size=250),
    exponent=st.sampled_from([0, 1, 3, 65_537]),
    block=st.binary(max_size=250),
)
def test_recovery_of_any_block_under_any_key(modulus: bytes, exponent: int, block: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        recover(RsaKey(modulus, exponent), block, 0x02, Failure.ISSUER_CERTIFICATE)


def test_a_block_not_below_the_modulus() -> None:
    key = RsaKey(b"\xc1" * 128, 3)
    for block in (key.modulus, b"\xff" * 128):
        with pytest.raises(AuthenticationFailed, match="exceeds"):
            recover(key, block, 0x02, Failure.ISSUER_CERTIFICATE)
