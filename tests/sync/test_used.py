from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import Malformed
from sync.used import RemoteUse, UsedSet, changed, decode_used, encode_used

NAMES = st.text("abc-1", min_size=1, max_size=6)
NUMBERS = st.integers(0, 2**53 - 1)
USES = st.builds(
    RemoteUse,
    st.text("0123456789abcdef", min_size=16, max_size=16),
    NAMES,
    NAMES,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NAMES,
)


@given(NUMBERS, st.lists(USES, max_size=20))
def test_what_was_encoded_is_read_back(as_of_ms: int, uses: list[RemoteUse]) -> None:
    ordered = tuple(sorted(uses, key=lambda one: (one.ledger, one.seq)))
    read = decode_used(encode_used(UsedSet(as_of_ms, tuple(uses))))
    assert (read.as_of_ms, read.uses) == (as_of_ms, ordered)
    assert not changed(read.uses, uses)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    for damaged in (data, zlib.compress(data)):
        with pytest.raises(Malformed):
            decode_used(damaged)


def test_numbers_and_places_that_cannot_be_are_refused() -> None:
    good = encode_used(UsedSet(1, (RemoteUse("0" * 16, "o", "l", 1, 2, 3, "v"),)))
    text = zlib.decompress(good)
    for old, new in ((b"[1,0,0,", b"[1,0,9,"), (b",1,2,3,0]", b",1,-2,3,0]"), (b"/v1", b"/v2")):
        changed_text = text.replace(old, new)
        if changed_text != text:
            with pytest.raises(Malformed):
                decode_used(zlib.compress(changed_text))
    with pytest.raises(Malformed):
        decode_used(good[:-1])
    with pytest.raises(Malformed):
        decode_used(good + b"x")
