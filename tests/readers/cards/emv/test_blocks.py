"""Blocks that are right but for one byte, made with the test world's private keys."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.emv import (
    IccKey,
    IssuerKey,
    Pan,
    RsaKey,
    Sm2Key,
    SmIssuerKey,
    read_issuer_certificate,
    read_sm_icc_key,
    recover_icc_key,
    recover_issuer_key,
    verify_combined_signature,
    verify_dynamic_signature,
    verify_static_signature,
)
from readers.cards.emv.rsa import recover
from readers.cards.errors import AuthenticationFailed, Failure
from readers.errors import CardUnreadable
from readers.virtual.authority import Odd, TestCa, issuer_certificate, static_signature

TERMINAL = b"\x01\x02\x03\x04"


def block(size: int, content: bytes, header: int = 0x6A, trailer: int = 0xBC) -> bytes:
    filled = content.ljust(size - 22, b"\xbb")
    digest = hashlib.sha1(filled + TERMINAL).digest()
    return bytes((header,)) + filled + digest + bytes((trailer,))


def icc(world: TestCa) -> IccKey:
    return IccKey(world.icc.public, date(2019, 12, 31), b"\x00\x00\x01")


def test_the_right_block(world: TestCa) -> None:
    signature = world.icc.apply(block(128, bytes.fromhex("0501 05 04 AABBCCDD")))
    data = verify_dynamic_signature(icc(world), signature, TERMINAL)
    assert (data.number.hex(), data.rest) == ("aabbccdd", b"")


@pytest.mark.parametrize(("header", "trailer"), [(0x6B, 0xBC), (0x6A, 0xBD), (0x00, 0xBC)])
def test_header_and_trailer_each_count(world: TestCa, header: int, trailer: int) -> None:
    signed = block(128, bytes.fromhex("05010504AABBCCDD"), header, trailer)
    with pytest.raises(AuthenticationFailed, match="header or trailer"):
        verify_dynamic_signature(icc(world), world.icc.apply(signed), TERMINAL)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0501 68" + "08" + "AA" * 102, "104 bytes of dynamic data"),
        ("0501 FF" + "08" + "AA" * 8, "255 bytes of dynamic data"),
        ("0501 00", "malformed"),
        ("0501 01 00", "malformed"),
        ("0501 02 01AA", "malformed"),
        ("0501 0A 09" + "AA" * 9, "malformed"),
        ("0501 05 08" + "AA" * 8, "malformed"),
    ],
)
def test_bounds_of_dynamic_data(world: TestCa, content: str, said: str) -> None:
    signature = world.icc.apply(block(128, bytes.fromhex(content)))
    with pytest.raises(AuthenticationFailed, match=said):
        verify_dynamic_signature(icc(world), signature, TERMINAL)


def test_the_longest_dynamic_data(world: TestCa) -> None:
    signature = world.icc.apply(block(128, bytes.fromhex("0501 67 08" + "AA" * 102)))
    data = verify_dynamic_signature(icc(world), signature, TERMINAL)
    assert len(data.rest) == 94
    assert data.combined


def test_combined_data_one_byte_short(world: TestCa) -> None:
    short = bytes.fromhex("0501 25 08" + "AA" * 36)
    with pytest.raises(AuthenticationFailed, match="cryptogram"):
        verify_combined_signature(icc(world), world.icc.apply(block(128, short)), TERMINAL, b"")
    whole = bytes.fromhex("0501 26 08" + "AA" * 8 + "40" + "CC" * 8) + hashlib.sha1(b"").digest()
    signature = world.icc.apply(block(128, whole))
    data = verify_combined_signature(icc(world), signature, TERMINAL, b"")
    assert (data.information, data.cryptogram.hex()) == (0x40, "cc" * 8)


@pytest.mark.parametrize(
    ("size", "exponent_size", "said"),
    [(63, 1, "63 bytes"), (249, 1, "249 bytes"), (100, 0, "exponent"), (100, 4, "exponent")],
)
def test_bounds_of_certified_keys(world: TestCa, size: int, exponent_size: int, said: str) -> None:
    fields = bytes.fromhex("02 629999FF 1219 000001 01 01") + bytes((size, exponent_size))
    with pytest.raises(AuthenticationFailed, match=said):
        read_issuer_certificate(world.icc.public, world.icc.apply(block(128, fields)))


def test_a_certified_modulus_that_is_even_or_starts_with_nought(world: TestCa) -> None:
    today = date(2019, 1, 1)
    for modulus in (b"\xc0" * 64, b"\x00" + b"\xc1" * 63):
        made = issuer_certificate(world.ca, RsaKey(modulus, 3), identifier="629999", expires=today)
        with pytest.raises(AuthenticationFailed, match="bounds"):
            recover_issuer_key(
                world.ca.public,
                made.certificate,
                made.remainder,
                made.exponent,
                pan=Pan(b"6299991234567893"),
                today=today,
            )


def test_static_data_beyond_all_bounds(world: TestCa) -> None:
    today, pan, huge = date(2019, 1, 1), Pan(b"6299991234567893"), bytes(65_537)
    issuer = IssuerKey(world.issuer.public, "629999", today, b"\x00\x00\x01")
    sm_issuer = SmIssuerKey(Sm2Key(bytes(64)), "629999", today, b"\x00\x00\x01")
    with pytest.raises(CardUnreadable):
        recover_icc_key(issuer, b"", b"", b"", huge, pan=pan, today=today)
    with pytest.raises(CardUnreadable):
        read_sm_icc_key(sm_issuer, b"", huge, pan=pan, today=today)
    with pytest.raises(CardUnreadable):
        verify_static_signature(issuer, b"", huge)


def test_a_static_signature_with_another_hash(world: TestCa) -> None:
    issuer = IssuerKey(world.issuer.public, "629999", date(2019, 1, 1), b"\x00\x00\x01")
    assert verify_static_signature(issuer, static_signature(world.issuer, b"data"), b"data")
    for odd in (Odd(form=0x05), Odd(hash_algorithm=0x07)):
        with pytest.raises(AuthenticationFailed) as raised:
            verify_static_signature(issuer, static_signature(world.issuer, b"data", odd), b"data")
        assert raised.value.failure is Failure.STATIC_SIGNATURE


def test_a_key_applies_to_whole_blocks_only(world: TestCa) -> None:
    with pytest.raises(ValueError, match="127 bytes"):
        world.icc.apply(bytes(127))


@given(content=st.binary(min_size=2, max_size=106), form=st.integers(0, 255))
def test_recovery_returns_what_was_signed(world: TestCa, content: bytes, form: int) -> None:
    signed = block(128, content)
    signature = world.icc.apply(signed)
    if form != content[0]:
        with pytest.raises(AuthenticationFailed, match="format"):
            recover(world.icc.public, signature, form, Failure.DYNAMIC_SIGNATURE)
    found = recover(world.icc.public, signature, content[0], Failure.DYNAMIC_SIGNATURE)
    assert found.content == signed[1:-21]
    assert found.holds(TERMINAL)
    assert not found.holds(TERMINAL, b"\x00")
