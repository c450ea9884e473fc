"""Reservation tokens: one spelling, only declared errors, small enough for a QR code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keys.keystore import KeyKind, MemoryKeyStore
from ledger.log.note import KeySigner, sign_note
from sync.errors import Malformed
from sync.reservation import (
    TOKEN_BYTES_MAX,
    UNITS_MAX,
    ReservationClaims,
    decode_claims,
    encode_claims,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
CLAIMS = ReservationClaims("a" * 26, "0" * 16, "tour", "M01", "b" * 26, 1, 10, 20)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=64
)


@given(
    st.builds(
        ReservationClaims,
        st.text(LETTERS, min_size=26, max_size=26),
        st.text("0123456789abcdef", min_size=16, max_size=16),
        NAMES,
        NAMES,
        st.text(LETTERS, min_size=26, max_size=26),
        st.integers(1, UNITS_MAX),
        st.integers(0, 2**52),
        st.integers(2**52 + 1, 2**53 - 1),
    )
)
def test_there_and_back(claims: ReservationClaims) -> None:
    assert decode_claims(encode_claims(claims)) == claims


WHOLE = encode_claims(CLAIMS)


@given(st.text() | st.integers(0, len(WHOLE) - 1).map(lambda at: WHOLE[:at]))
def test_anything_else_is_malformed(text: str) -> None:
    assume(text.count("\n") < 9)
    with pytest.raises(Malformed):
        decode_claims(text)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "A" * 26},
        {"member": "0" * 15},
        {"offer": "two words"},
        {"offer": "a\nvenue b"},
        {"venue": ""},
        {"ledger": ""},
        {"units": 0},
        {"units": UNITS_MAX + 1},
        {"until_ms": 10},
        {"from_ms": -1},
        {"until_ms": 2**53},
    ],
)
def test_claims_that_break_the_format_are_not_signed(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        encode_claims(replace(CLAIMS, **change))  # type: ignore[arg-type]


def test_the_longest_token_fits_its_bound() -> None:
    keys = MemoryKeyStore()
    keys.generate("k", KeyKind.ED25519)
    signer = KeySigner("d" * 200, lambda m: keys.sign("k", m), keys.public_key("k"))
    longest = replace(CLAIMS, offer="項" * 64, venue="点" * 64, until_ms=2**53 - 1, units=UNITS_MAX)
    assert len(sign_note(encode_claims(longest), [signer])) <= TOKEN_BYTES_MAX
