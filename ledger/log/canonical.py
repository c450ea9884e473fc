"""Restricted canonical JSON: the bytes of an entry (a subset of RFC 8785, ``docs/entry.md``).

One entry is one JSON object without white space. Keys are ASCII ``[a-z0-9_]+`` in ascending order,
values are strings, booleans, integers of magnitude below 2^53, and arrays of strings or of
integers. There are no floats, nulls, nested objects or duplicate keys, so that RFC 8785 has exactly
one form for each entry and every language's JSON library reads the same values from it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from ledger.entry import ENTRY_BYTES_MAX, INTEGER_MAX, Entry, Value
from ledger.errors import NotCanonical

#: An integer within the bounds of an entry, for a record type.
Integer = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
#: So that every key of a record type is an attribute, also one that Python could not spell.
RECORD_PREFIX: Final = "k_"
_KEY: Final = re.compile(r"[a-z0-9_]+\Z", re.ASCII)
#: Keys that were found well formed; entries use few, and each is checked once.
_known_keys: Final[set[str]] = set()
_KNOWN_KEYS_MAX: Final = 1_000
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder()


def record_type(
    keys: Mapping[str, Any], required: Container[str], **more: Any
) -> type[msgspec.Struct]:
    """A type by which entries of some keys are checked, decoded and encoded in compiled code.

    Args:
        keys: the type of each key's value.
        required: keys that no entry lacks; one that lacks another has None there.
        more: of `msgspec.defstruct`.
    """
    return msgspec.defstruct(
        "Record",
        [
            (RECORD_PREFIX + key, kind) if key in required else (RECORD_PREFIX + key, kind, None)
            for key, kind in sorted(keys.items())  # the order of the canonical form
        ],
        rename=lambda name: name.removeprefix(RECORD_PREFIX),
        forbid_unknown_fields=True,
        gc=False,
        **more,
    )


def encode(entry: Entry) -> bytes:
    """Encodes an entry.

    Args:
        entry: flat mapping of keys to values; the order of keys does not matter.

    Returns:
        At most ``ENTRY_BYTES_MAX`` bytes of UTF-8 without a final newline.

    Raises:
        NotCanonical: a key or value has no canonical form; the message names it.
    """
    # Checking by type first matters: a float such as 1.0 would otherwise reach the encoder.
    for key, value in entry.items():
        kind = type(value)
        if kind is str or kind is bool:
            continue
        if kind is not int:
            _check_rare(key, value)
        elif not -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            _check_integer(key, value)
    if not _known_keys.issuperset(entry):
        for key in entry:
            _learn(key)
    try:
        data = _ENCODER.encode(entry)
    except UnicodeEncodeError:
        raise NotCanonical("a text contains a lone surrogate, which UTF-8 cannot carry") from None
    if len(data) > ENTRY_BYTES_MAX:
        raise NotCanonical(f"{len(data)} bytes are more than {ENTRY_BYTES_MAX}")
    return data


def decode(data: bytes) -> dict[str, Value]:
    """Decodes an entry, accepting only the bytes that `encode` would produce.

    Args:
        data: the stored bytes of one entry, without a final newline.

    Returns:
        The entry with unknown keys kept; arrays are lists.

    Raises:
        NotCanonical: the bytes are not JSON, or are not the canonical form of what they say.
    """
    if len(data) > ENTRY_BYTES_MAX:
        raise NotCanonical(f"{len(data)} bytes are more than {ENTRY_BYTES_MAX}")
    try:
        entry = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from None
    if type(entry) is not dict:
        raise NotCanonical("an entry must be a JSON object")
    if encode(entry) != data:
        raise NotCanonical("the bytes differ from the canonical form of what they say")
    return entry


def _learn(key: object) -> None:
    if type(key) is not str or not _KEY.match(key):
        raise NotCanonical(f"key {key!r} is not of the form [a-z0-9_]+")
    if len(_known_keys) < _KNOWN_KEYS_MAX:
        _known_keys.add(key)


def _check_integer(key: str, value: object) -> None:
    if not isinstance(value, int) or not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise NotCanonical(f"{key}: the integer {value} does not fit in 53 bits")


def _check_rare(key: str, value: Value) -> None:
    """Members of an enumeration and arrays; everything else has no canonical form."""
    if isinstance(value, str):
        if not hasattr(value, "value"):
            raise NotCanonical(f"{key}: {type(value).__name__} has no canonical form")
        return
    if not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray)):
        raise NotCanonical(f"{key}: {type(value).__name__} has no canonical form")
    types = {type(item) for item in value}
    if not types <= {str} and not types <= {int}:
        raise NotCanonical(f"{key}: an array holds either strings or integers")
    if types == {int}:
        for item in value:
            _check_integer(key, item)
