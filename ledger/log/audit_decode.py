"""Decoding of many entries for an audit: all of a tile at once, in compiled code.

Entries use few keys. Those that were seen make a record type, by which a tile is decoded and
encoded again as lines: equal bytes are the canonical form of what they say, and nothing else is,
because no encoded line holds a newline. Whatever does not fit is decoded one by one
(`canonical.decode`), which also says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec

from ledger.entry import ENTRY_BYTES_MAX
from ledger.errors import NotCanonical
from ledger.log import canonical

_COUNTED: Final = ("seq", "ts_ms", "mono_ms")
#: Keys that a record type has at most; each costs a little in every entry.
KEYS_MAX: Final = 100
_ENCODER: Final = msgspec.json.Encoder()
_PREFIX: Final = canonical.RECORD_PREFIX


class Columns(Protocol):
    """Decoded entries, to be read by key."""

    def has(self, key: str) -> bool:
        """Whether any of them may have this key."""

    def column(self, key: str) -> list[Any]:
        """Its value in each of them, None where it is not."""

    def entry(self, at: int) -> Mapping[str, Any]:
        """One of them."""


class Separate:
    """Entries that were decoded one by one."""

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self._entries = entries

    def has(self, key: str) -> bool:
        """As `Columns.has`."""
        return any(key in entry for entry in self._entries)

    def column(self, key: str) -> list[Any]:
        """As `Columns.column`."""
        return [entry.get(key) for entry in self._entries]

    def entry(self, at: int) -> Mapping[str, Any]:
        """As `Columns.entry`."""
        return self._entries[at]


class _Records:
    """Entries that were decoded together."""

    def __init__(self, records: Sequence[msgspec.Struct], keys: Mapping[str, object]) -> None:
        self._records, self._keys = records, keys

    def has(self, key: str) -> bool:
        return key in self._keys

    def column(self, key: str) -> list[Any]:
        if key not in self._keys:
            return [None] * len(self._records)
        return list(map(attrgetter(_PREFIX + key), self._records))

    def entry(self, at: int) -> Mapping[str, Any]:
        record = self._records[at]
        found = {key: getattr(record, _PREFIX + key) for key in self._keys}
        return {key: value for key, value in found.items() if value is not None}


class Shape:
    """Keys that were found in canonical entries, and the record type that they make."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = dict.fromkeys(_COUNTED, canonical.Integer)
        self._make()

    def decode(self, entries: Sequence[bytes]) -> Columns | None:
        """Decodes entries; None if one is not canonical, or not of these keys."""
        lines = b"\n".join(entries) + b"\n"
        try:
            records = self._decoder.decode_lines(lines)
            # As many entries as lines, one entry a line: no entry can stand for two.
            if len(records) == len(entries) and _ENCODER.encode_lines(records) == lines:
                return _Records(records, self._keys)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        return None

    def learn(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Takes up the keys of canonical entries, while there is room."""
        before = len(self._keys)
        for entry in entries:
            for key, value in entry.items():
                if key not in self._keys and len(self._keys) < KEYS_MAX:
                    self._keys[key] = _type_of(value)
        if len(self._keys) > before:
            self._make()

    def _make(self) -> None:
        # What an entry has not is left out again.
        record = canonical.record_type(self._keys, _COUNTED, omit_defaults=True, kw_only=True)
        self._decoder = msgspec.json.Decoder(record)


def _type_of(value: object) -> Any:
    """The type by which a key is decoded of which this is a value."""
    if not isinstance(value, list):
        return str | bool | canonical.Integer
    return list[canonical.Integer] if value and type(value[0]) is int else list[str]


_shape: Final = Shape()


def decode(data: bytes) -> dict[str, Any]:
    """Decodes a canonical entry that counts itself; raises NotCanonical for anything else."""
    entry = canonical.decode(data)
    if any(type(entry.get(name)) is not int for name in _COUNTED):
        raise NotCanonical("not an object with integers seq, ts_ms and mono_ms")
    return entry


def decode_all(entries: Sequence[bytes], shape: Shape = _shape) -> Columns:
    """Decodes entries of any keys.

    Raises:
        NotCanonical: one of them is not canonical or does not count itself.
    """
    if max(map(len, entries), default=0) > ENTRY_BYTES_MAX:
        raise NotCanonical("an entry is too long")
    together = shape.decode(entries)
    if together is not None:
        return together
    decoded = [decode(data) for data in entries]
    shape.learn(decoded)
    return Separate(decoded)
