"""What changed between two rosters: a few bytes a card, applied whole or not at all.

A delta names records by their distance in the older roster, so a changed status costs three bytes
before compression: the exact status of 3.555 million cards, one in a hundred of them blocked, is
less than 64 KB. Layout: header (``HEADER``), then compressed by zlib (RFC 1950) appended tables as
JSON, and for each change the distance as a varint and an operation:

    0-7    the card's status is this one
    8      attributes follow (4 bytes)
    9      member and attributes follow (12 bytes)
    10     the record is gone
    11     a record stands before this one: prefix, member and attributes follow (20 bytes)

The result has exactly the bytes of the roster built anew, so the signed hash of the roster proves
it. Rosters with colliding prefixes have no delta; they are fetched whole.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sync.errors import RosterInvalid
from sync.roster import (
    PROFILES_MAX,
    TABLES_BYTES_MAX,
    Layout,
    Roster,
    Tables,
    encode_tables,
)

MAGIC: Final = b"redcard-rdelta/2"
#: magic, version before, version after, as_of_ms, count before, count after, changes, tables bytes.
HEADER: Final = struct.Struct("<16sQQQQQQQ")
DELTA_BYTES_MAX: Final = 64 << 20
ATTRIBUTES: Final = 8
_MEMBER: Final = 9
_GONE: Final = 10
_NEW: Final = 11
_BODY: Final = {ATTRIBUTES: 4, _MEMBER: 12, _GONE: 0, _NEW: 20}
_COPY: Final = 1 << 18
#: Records that are compared at once as bytes; most pieces of two rosters are equal.
_PIECE: Final = 256


@dataclass(frozen=True, slots=True)
class Change:
    """One operation at a position of the older roster; ``fields`` are prefix, member, bits."""

    index: int
    operation: int
    fields: tuple[int, int, int]


def make_delta(older: Roster, newer: Roster) -> bytes | None:
    """The delta that leads from one roster to the other, ``None`` if there is no small one.

    Args:
        older: what terminals have.
        newer: built with the tables of ``older``.
    """
    if older.layout.collisions or newer.layout.collisions:
        return None
    names = appended(older.tables, newer.tables)
    if names is None:
        return None
    return pack_delta(older.version, len(older), newer.layout, names, _compare(older, newer))


def pack_delta(
    version: int, count: int, newer: Layout, names: bytes, changes: Iterable[Change]
) -> bytes | None:
    """The bytes of a delta, ``None`` if there are too many.

    Args:
        version: of the older roster.
        count: of its cards.
        newer: version, time and count of the newer one.
        names: what its tables have beyond those of the older one; see ``appended``.
        changes: in the order of the older roster.
    """
    pieces, number, at = [b""], 0, 0
    for change in changes:
        pieces.append(_encode(change, change.index - at))
        at = change.index
        number += 1
    header = HEADER.pack(
        MAGIC, version, newer.version, newer.as_of_ms, count, newer.count, number, len(names)
    )
    data = header + zlib.compress(names + b"".join(pieces), 9)
    return data if len(data) <= DELTA_BYTES_MAX else None


def apply_delta(old: Path, delta: Path, new: Path) -> None:
    """Builds the newer roster; satisfies ``sync.snapshot.Patch``.

    Raises:
        RosterInvalid: the delta is damaged or leads from another roster; ``new`` is not there.
        OSError: the disk is full or failing.
    """
    data = _expanded(delta.read_bytes())
    partial = new.with_name(new.name + ".new")
    with Roster.open(old) as older:
        layout, tables, start = _read_head(data, older)
        try:
            with partial.open("wb") as out:
                _apply(older, layout, data, start, out)
                out.seek(layout.profile)
                profiles = [place << 16 | tags for place, tags in tables.profiles]
                out.write(struct.pack(f"<{len(profiles)}I", *profiles))
                out.write(encode_tables(tables))
                out.seek(0)
                out.write(layout.header())
                out.flush()
                os.fsync(out.fileno())
            if partial.stat().st_size != layout.end:
                raise RosterInvalid("the delta does not give the roster that it promises")
            partial.replace(new)
        finally:
            partial.unlink(missing_ok=True)


def _compare(older: Roster, newer: Roster) -> Iterator[Change]:
    """Walks both rosters by prefix."""
    i = j = 0
    while i < len(older) or j < len(newer):
        if (same := _equal_records(older, i, newer, j)) > 0:
            i, j = i + same, j + same
            continue
        before = older.prefixes[i] if i < len(older) else None
        after = newer.prefixes[j] if j < len(newer) else None
        if before == after:
            member, bits = newer.members[j], newer.attributes[j]
            if member != older.members[i]:
                yield Change(i, _MEMBER, (0, member, bits))
            elif bits != older.attributes[i]:
                same = bits >> 3 == older.attributes[i] >> 3
                yield Change(i, bits & 7 if same else ATTRIBUTES, (0, 0, bits))
            i, j = i + 1, j + 1
        elif after is None or (before is not None and before < after):
            yield Change(i, _GONE, (0, 0, 0))
            i += 1
        else:
            yield Change(i, _NEW, (after, newer.members[j], newer.attributes[j]))
            j += 1


def _equal_records(older: Roster, i: int, newer: Roster, j: int) -> int:
    """How many records from here on are certainly equal: a piece of them, or none."""
    if i % _PIECE or i + _PIECE > len(older) or j + _PIECE > len(newer):
        return 0
    for old, new, width in zip(_sections(older), _sections(newer), (8, 8, 4), strict=True):
        size = _PIECE * width
        if older.raw(old + i * width, old + i * width + size) != newer.raw(
            new + j * width, new + j * width + size
        ):
            return 0
    return _PIECE


def _sections(roster: Roster) -> tuple[int, int, int]:
    """Where prefixes, members and attributes begin in the file."""
    return (len(roster.layout.header()), roster.layout.members, roster.layout.attributes)


def _encode(change: Change, distance: int) -> bytes:
    prefix, member, bits = change.fields
    body = {
        ATTRIBUTES: struct.pack("<I", bits),
        _MEMBER: struct.pack("<QI", member, bits),
        _NEW: struct.pack("<QQI", prefix, member, bits),
    }.get(change.operation, b"")
    return _varint(distance) + bytes([change.operation]) + body


def _varint(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)


def _decode(data: bytes, start: int, count: int, older_count: int) -> Iterator[Change]:
    at, index = start, 0
    for _ in range(count):
        distance, at = _read_varint(data, at)
        index += distance
        if at >= len(data) or index > older_count:
            raise RosterInvalid("the delta ends inside a change or points beyond the roster")
        operation = data[at]
        size = _BODY.get(operation, 0)
        body = data[at + 1 : at + 1 + size]
        if operation > _NEW or len(body) != size or (index == older_count and operation != _NEW):
            raise RosterInvalid("the delta holds a change that cannot be")
        at += 1 + size
        if operation == _NEW:
            prefix, member, bits = struct.unpack("<QQI", body)
            yield Change(index, operation, (prefix, member, bits))
        elif operation == _MEMBER:
            yield Change(index, operation, (0, *struct.unpack("<QI", body)))
        elif operation == ATTRIBUTES:
            yield Change(index, operation, (0, 0, *struct.unpack("<I", body)))
        else:
            yield Change(index, operation, (0, 0, 0))
    if at != len(data):
        raise RosterInvalid("nothing may follow the last change")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(5):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise RosterInvalid("the delta ends inside a number")


def _apply(older: Roster, layout: Layout, data: bytes, start: int, out: IO[bytes]) -> None:
    sections = _Sections(older, layout, out)
    done = 0
    changes = struct.unpack_from("<Q", data, HEADER.size - 16)[0]
    for change in _decode(data, start, changes, len(older)):
        if change.index < done:
            raise RosterInvalid("the delta changes a record twice")
        sections.copy(done, change.index)
        done = change.index
        if change.operation == _NEW:
            sections.put(*change.fields)
            continue
        if change.operation != _GONE:
            prefix, member = older.prefixes[done], older.members[done]
            bits = change.fields[2]
            if change.operation == _MEMBER:
                member = change.fields[1]
            elif change.operation < ATTRIBUTES:
                bits = older.attributes[done] & ~7 | change.operation
            sections.put(prefix, member, bits)
        done += 1
    sections.copy(done, len(older))
    if sections.count != layout.count:
        raise RosterInvalid("the delta does not give the number of cards that it promises")


class _Sections:
    """The three arrays of the new file, filled side by side from buffers."""

    def __init__(self, older: Roster, layout: Layout, out: IO[bytes]) -> None:
        self._older = older
        self._out = out
        self._limit = layout.count
        self._at = [len(layout.header()), layout.members, layout.attributes]
        self._buffers = [bytearray(), bytearray(), bytearray()]
        self.count = 0

    def put(self, prefix: int, member: int, bits: int) -> None:
        """Appends one record."""
        self._buffers[0] += prefix.to_bytes(8, "little")
        self._buffers[1] += member.to_bytes(8, "little")
        self._buffers[2] += bits.to_bytes(4, "little")
        self._grew(1)

    def copy(self, start: int, stop: int) -> None:
        """Appends records of the older roster as they are."""
        begins = _sections(self._older)
        while start < stop:
            upto = min(start + _COPY, stop)
            for buffer, begin, width in zip(self._buffers, begins, (8, 8, 4), strict=True):
                buffer.extend(self._older.raw(begin + start * width, begin + upto * width))
            self._grew(upto - start)
            start = upto
        self._flush()

    def _grew(self, count: int) -> None:
        self.count += count
        if self.count > self._limit:
            raise RosterInvalid("the delta gives more cards than it promises")
        if len(self._buffers[0]) >= 8 * _COPY:
            self._flush()

    def _flush(self) -> None:
        for number, buffer in enumerate(self._buffers):
            self._out.seek(self._at[number])
            self._out.write(buffer)
            self._at[number] += len(buffer)
            buffer.clear()


def appended(older: Tables, newer: Tables) -> bytes | None:
    """What the newer tables have beyond the older ones; None if they do not begin with them."""
    pairs: tuple[tuple[tuple[object, ...], tuple[object, ...]], ...] = (
        (older.places, newer.places),
        (older.tagsets, newer.tagsets),
        (older.profiles, newer.profiles),
    )
    if any(new[: len(old)] != old for old, new in pairs):
        return None
    places, tagsets, profiles = ([list(item) for item in new[len(old) :]] for old, new in pairs)  # type: ignore[call-overload]
    document = {
        "card_key_id": newer.card_key_id,
        "places": places,
        "tagsets": tagsets,
        "profiles": profiles,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _expanded(data: bytes) -> bytes:
    """The header and what follows it, expanded to the largest that a delta may be."""
    expander = zlib.decompressobj()
    try:
        body = expander.decompress(data[HEADER.size :], DELTA_BYTES_MAX)
    except zlib.error as error:
        raise RosterInvalid(f"the delta is damaged: {error}") from error
    if not expander.eof or expander.unused_data:
        raise RosterInvalid("the delta is cut short, too large, or followed by something else")
    return data[: HEADER.size] + body


def _read_head(data: bytes, older: Roster) -> tuple[Layout, Tables, int]:
    if not HEADER.size <= len(data) <= HEADER.size + DELTA_BYTES_MAX:
        raise RosterInvalid("this is not a roster delta")
    magic, before, after, as_of_ms, old_count, count, changes, length = HEADER.unpack_from(data)
    if magic != MAGIC or length > TABLES_BYTES_MAX:
        raise RosterInvalid("this is not a roster delta of format 2")
    if changes > len(data) or count > old_count + changes:
        raise RosterInvalid("the delta promises more than it can hold")
    # One that says what some cards are now leads from all versions since its first; whether it
    # did is proved by the hash of what it gives.
    leads = before <= older.version < after and old_count == len(older)
    if not leads or older.layout.collisions:
        raise RosterInvalid(f"the delta leads from version {before}, this is {older.version}")
    start = HEADER.size + length
    tables = _extended(older.tables, data[HEADER.size : start])
    names = len(encode_tables(tables))
    return Layout(after, as_of_ms, count, 0, len(tables.profiles), names), tables, start


def _extended(older: Tables, data: bytes) -> Tables:
    try:
        document = json.loads(data)
        places = tuple((str(one), str(two)) for one, two in document["places"])
        tagsets = tuple(tuple(str(tag) for tag in tags) for tags in document["tagsets"])
        profiles = tuple((int(place), int(tags)) for place, tags in document["profiles"])
        key_id = str(document["card_key_id"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RosterInvalid(f"the delta's tables cannot be read: {error}") from error
    tables = Tables(
        key_id, older.places + places, older.tagsets + tagsets, older.profiles + profiles
    )
    limits = (len(tables.places), len(tables.tagsets))
    if len(tables.profiles) > PROFILES_MAX or any(
        not (0 <= place < limits[0] <= 1 << 16 and 0 <= tags < limits[1] <= 1 << 16)
        for place, tags in profiles
    ):
        raise RosterInvalid("the delta's tables name what is not there")
    return tables
