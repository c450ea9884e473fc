"""Building a roster file from sorted records, streamed: memory does not grow with the roster."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sync.errors import RosterInvalid
from sync.roster import (
    COUNT_MAX,
    HEADER,
    MONTHS_MAX,
    PROFILES_MAX,
    STATUSES,
    YEAR_MIN,
    Layout,
    RosterEntry,
    Tables,
    card_bytes,
    encode_tables,
    pack_attributes,
)

_BLOCK: Final = 65_536
_INDEX_MAX: Final = 0xFFFF


class TableBuilder:
    """Numbers for places, tag sets and profiles; those of an older roster keep theirs."""

    def __init__(self, older: Tables) -> None:
        """Begins with what an older roster has."""
        self._places = {place: index for index, place in enumerate(older.places)}
        self._tagsets = {tags: index for index, tags in enumerate(older.tagsets)}
        self._profiles = {profile: index for index, profile in enumerate(older.profiles)}
        self._known: dict[tuple[str, str, tuple[str, ...]], int] = {}

    def profile(self, entry: RosterEntry) -> int:
        """Number of the entry's profile.

        Raises:
            RosterInvalid: more places, tag sets or profiles than the format can hold.
        """
        whole = (entry.district, entry.street, entry.tags)
        known = self._known.get(whole)
        if known is not None:
            return known
        place = self._places.setdefault((entry.district, entry.street), len(self._places))
        tags = self._tagsets.setdefault(tuple(sorted(entry.tags)), len(self._tagsets))
        number = self._profiles.setdefault((place, tags), len(self._profiles))
        if place > _INDEX_MAX or tags > _INDEX_MAX or number >= PROFILES_MAX:
            raise RosterInvalid("more different places and tag sets than a roster can hold")
        self._known[whole] = number
        return number

    def tables(self, card_key_id: str) -> Tables:
        """The tables so far."""
        return Tables(card_key_id, tuple(self._places), tuple(self._tagsets), tuple(self._profiles))


@dataclass(frozen=True, slots=True)
class Built:
    """A roster file that was written.

    Attributes:
        count: cards in it.
        tables: to be handed to the next build, so that deltas stay small.
    """

    count: int
    tables: Tables


def build_roster(
    path: Path,
    records: Iterable[tuple[str, RosterEntry]],
    *,
    version: int,
    as_of_ms: int,
    card_key_id: str,
    older: Tables | None = None,
) -> Built:
    """Writes a roster whole or not at all; the same input gives the same bytes.

    Args:
        path: where it goes; an older file is replaced when the new one is whole.
        records: card hash and entry, ascending by ``card_bytes`` of the hash, each card once.
        version: rises with every roster.
        as_of_ms: server time of what it says.
        card_key_id: which card key the hashes were made with.
        older: tables of the roster before, whose numbers are kept.

    Raises:
        RosterInvalid: names the record that is out of order or cannot be held.
        OSError: the disk is full or failing.
    """
    builder = TableBuilder(older or Tables())
    parts = [path.with_name(f"{path.name}.{number}.part") for number in range(3)]
    whole = path.with_name(path.name + ".new")
    try:
        with (
            parts[0].open("wb") as prefixes,
            parts[1].open("wb") as members,
            parts[2].open("wb") as attributes,
        ):
            count, collisions = _stream(records, builder, (prefixes, members, attributes))
        tables = builder.tables(card_key_id)
        names = encode_tables(tables)
        profiles = [place << 16 | tags for place, tags in tables.profiles]
        layout = Layout(version, as_of_ms, count, len(collisions), len(profiles), len(names))
        with whole.open("wb") as out:
            out.write(layout.header())
            for part in parts:
                with part.open("rb") as section:
                    shutil.copyfileobj(section, out, 1 << 20)
            out.write(b"".join(struct.pack("<IQ", *collision) for collision in collisions))
            out.write(struct.pack(f"<{len(profiles)}I", *profiles))
            out.write(names)
            out.flush()
            os.fsync(out.fileno())
        assert whole.stat().st_size == layout.end >= HEADER.size
        whole.replace(path)
    finally:
        for part in (*parts, whole):
            part.unlink(missing_ok=True)
    return Built(count, tables)


def _stream(
    records: Iterable[tuple[str, RosterEntry]],
    builder: TableBuilder,
    files: tuple[IO[bytes], IO[bytes], IO[bytes]],
) -> tuple[int, list[tuple[int, int]]]:
    """Writes the three arrays block by block; returns the count and the collisions."""
    blocks = (array("Q"), array("Q"), array("I"))
    collisions: list[tuple[int, int]] = []
    count, before = 0, b""
    for count, (data, entry) in _ordered(records):
        blocks[0].append(int.from_bytes(data[:8], "big"))
        blocks[1].append(_member(entry, count))
        blocks[2].append(attributes_of(entry, builder, count))
        if before[:8] == data[:8]:
            if not collisions or collisions[-1][0] != count - 2:
                collisions.append((count - 2, int.from_bytes(before[8:], "big")))
            collisions.append((count - 1, int.from_bytes(data[8:], "big")))
        before = data
        if count % _BLOCK == 0:
            _flush(blocks, files)
    _flush(blocks, files)
    return count, collisions


def _ordered(
    records: Iterable[tuple[str, RosterEntry]],
) -> Iterator[tuple[int, tuple[bytes, RosterEntry]]]:
    before = b""
    for number, (card, entry) in enumerate(records, 1):
        try:
            data = card_bytes(card)
        except RosterInvalid as error:
            raise RosterInvalid(f"record {number}: {error}") from error
        if data <= before or number > COUNT_MAX:
            raise RosterInvalid(f"record {number}: cards must ascend, each once")
        before = data
        yield number, (data, entry)


def _member(entry: RosterEntry, number: int) -> int:
    if not entry.member:
        return 0
    try:
        value = int(entry.member, 16)
    except ValueError:
        value = 0
    if not value or entry.member != f"{value:016x}":
        raise RosterInvalid(f"record {number}: member must be 16 hexadecimal digits, not all 0")
    return value


def attributes_of(entry: RosterEntry, builder: TableBuilder, number: int) -> int:
    """The 4 bytes of attributes of the record with this number, as a number.

    Raises:
        RosterInvalid: names the record that cannot be held.
    """
    if entry.status not in STATUSES:
        raise RosterInvalid(f"record {number}: status {entry.status!r} is not in {STATUSES}")
    month = 0
    if entry.expires is not None:
        year, of_year = entry.expires
        month = (year - YEAR_MIN) * 12 + of_year
        if not 1 <= of_year <= 12 or not 1 <= month <= MONTHS_MAX:
            raise RosterInvalid(f"record {number}: expiry {year}-{of_year} cannot be held")
    return pack_attributes(
        STATUSES.index(entry.status), month, builder.profile(entry), suspended=entry.suspended
    )


def _flush(blocks: tuple[array[int], ...], files: tuple[IO[bytes], ...]) -> None:
    for block, file in zip(blocks, files, strict=True):
        if sys.byteorder == "big":
            block.byteswap()
        block.tofile(file)
        del block[:]
