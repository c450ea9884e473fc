"""Restricted canonical JSON: one form, cross-checked with an implementation that is not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import ENTRY_BYTES_MAX, INTEGER_MAX, Kind
from ledger.errors import NotCanonical
from ledger.log.canonical import decode, encode

KEYS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
VALUES = TEXTS | st.booleans() | INTEGERS | st.lists(TEXTS, max_size=4) | st.lists(INTEGERS)
ENTRIES = st.dictionaries(KEYS, VALUES, max_size=12).filter(
    lambda entry: len(json.dumps(entry, ensure_ascii=False).encode()) < ENTRY_BYTES_MAX
)


@given(ENTRIES)
def test_form_is_the_one_of_rfc_8785(entry: dict[str, Any]) -> None:
    data = encode(entry)
    assert data == rfc8785.dumps(entry)
    assert decode(data) == entry


@given(st.binary(max_size=200) | ENTRIES.map(lambda e: json.dumps(e).encode()))
def test_what_decodes_encodes_to_itself(data: bytes) -> None:
    try:
        entry = decode(data)
    except NotCanonical:
        return
    assert encode(entry) == data


@given(ENTRIES.filter(bool), st.data())
def test_a_changed_byte_never_decodes_to_the_same_entry(
    entry: dict[str, Any], data: st.DataObject
) -> None:
    stored = bytearray(encode(entry))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(stored))
    except NotCanonical:
        return
    assert json.dumps(changed) != json.dumps(entry)


@pytest.mark.parametrize(
    "entry",
    [
        {"a": 1.0},
        {"a": 1.5},
        {"a": None},
        {"a": {}},
        {"a": b"bytes"},
        {"a": [1, "b"]},
        {"a": [True]},
        {"a": [1.0]},
        {"a": [[1]]},
        {"a": 2**53},
        {"a": -(2**53)},
        {"a": [2**53]},
        {"A": 1},
        {"": 1},
        {"a b": 1},
        {"ä": 1},
        {"a\n": 1},
        {1: 1},
        {"a": "\ud800"},
        {"a": "x" * ENTRY_BYTES_MAX},
    ],
)
def test_what_has_no_form_is_refused(entry: Any) -> None:
    with pytest.raises(NotCanonical):
        encode(entry)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"[]",
        b"null",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":99999999999999999999999999}',
        b'{"a":null}',
        b'{"a":{}}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":NaN}',
        b"[" * 4000,
        b'{"a":' + b"[" * 3000,
        b'{"a":"' + b"x" * 5000 + b'"}',
    ],
)
def test_bytes_in_any_other_form_are_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(data)


def test_members_of_enumerations_are_their_values() -> None:
    assert encode({"kind": Kind.REDEEM}) == b'{"kind":"redeem"}'
    assert encode({}) == b"{}"


def test_other_kinds_of_text_are_refused() -> None:
    class Shouted(str):
        __slots__ = ()

    with pytest.raises(NotCanonical, match="Shouted"):
        encode({"a": Shouted("x")})


def test_unknown_keys_are_kept() -> None:
    assert decode(b'{"kind":"redeem","zz_later":[1,2]}')["zz_later"] == [1, 2]
