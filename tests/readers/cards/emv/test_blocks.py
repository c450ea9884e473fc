"""Blocks that are right but for one byte, made with the test world's private keys."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.emv import IccKey, verify_combined_signature, verify_dynamic_signature
from readers.cards.emv.rsa import recover
from readers.cards.errors import AuthenticationFailed, Failure
from readers.virtual.authority import TestCa

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
