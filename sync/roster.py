"""The roster: every card the federation knows, mapped into memory, looked up exactly.

Layout, all numbers little-endian (``docs/protocol.md``)::

    header      80 bytes, see ``HEADER``
    prefixes    count x 8   first 8 bytes of the card hash as a number, ascending
    members     count x 8   member reference, 0 if the card has no member
    attributes  count x 4   status 3 bits, member suspended 1, expiry month 9, profile 19
    collisions  n x 12      where prefixes are equal: record number, other 8 bytes of the hash
    profiles    n x 4       place and tag set
    tables      JSON        names of places and tag sets, id of the card key

An unlisted card whose hash begins with the same 64 bits as one of 3.6 million listed ones would be
taken for it: 2 in 10^13, and nobody can choose the hash of a genuine card.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import struct
import sys
import weakref
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sync.errors import RosterInvalid

MAGIC: Final = b"redcard-roster/1"
#: magic, version, as_of_ms, count, collisions, profiles, tables_bytes, reserved.
HEADER: Final = struct.Struct("<16sQQQQQQ16s")
#: In this order: the number is what the file holds.
STATUSES: Final = ("active", "blocked", "replaced", "expired", "not_active")
RECORD_BYTES: Final = 20
COUNT_MAX: Final = 400_000_000
PROFILES_MAX: Final = 1 << 19
TABLES_BYTES_MAX: Final = 16 << 20
YEAR_MIN: Final = 2010
#: How far around its guessed place a prefix is looked for at first.
NEAR_RECORDS: Final = 64
MONTHS_MAX: Final = (1 << 9) - 1
_CARD: Final = re.compile(r"[a-z2-7]{26}\Z")
#: From the alphabet of base32 (RFC 4648) to the digits that ``int`` reads.
_DIGITS: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv"
)
_COLLISION: Final = struct.Struct("<IQ")


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """What the roster says of one card.

    Attributes:
        status: one of ``STATUSES``.
        member: 16 hexadecimal digits, empty if the card has no member.
        suspended: whether the member is.
        district: of the member, empty if unknown.
        street: of the member, empty if unknown.
        tags: of the member, sorted.
        expires: year and month through which the card is good, ``None`` if unknown.
    """

    status: str
    member: str = ""
    suspended: bool = False
    district: str = ""
    street: str = ""
    tags: tuple[str, ...] = ()
    expires: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """Names behind the numbers of a roster; later rosters only append, so that deltas stay small.

    Attributes:
        card_key_id: which card key the hashes were made with.
        places: district and street.
        tagsets: sorted tags.
        profiles: index of a place and of a tag set.
    """

    card_key_id: str = ""
    places: tuple[tuple[str, str], ...] = ()
    tagsets: tuple[tuple[str, ...], ...] = ()
    profiles: tuple[tuple[int, int], ...] = ()


def card_bytes(card: str) -> bytes:
    """The 16 bytes of a card hash; rosters are sorted by these, not by their base32 text.

    Raises:
        RosterInvalid: not 26 characters ``a-z2-7`` that end in two zero bits.
    """
    if not _CARD.match(card):
        raise RosterInvalid("a card hash is 26 characters a-z and 2-7")
    value = int(card.translate(_DIGITS), 32)
    if value & 3:
        raise RosterInvalid("a card hash of 16 bytes ends in two zero bits")
    return (value >> 2).to_bytes(16, "big")


def encode_tables(tables: Tables) -> bytes:
    """The JSON section: all of the tables but the profiles."""
    document = {
        "card_key_id": tables.card_key_id,
        "places": [list(place) for place in tables.places],
        "tagsets": [list(tags) for tags in tables.tagsets],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode_tables(data: bytes, profiles: Sequence[int]) -> Tables:
    """Reads the JSON section and the profiles, each ``place << 16 | tag set``.

    Raises:
        RosterInvalid: malformed, or a profile names what is not there.
    """
    try:
        document = json.loads(data)
        key_id = document["card_key_id"]
        places = tuple((place[0], place[1]) for place in document["places"])
        tagsets = tuple(tuple(tags) for tags in document["tagsets"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise RosterInvalid(f"the roster's tables cannot be read: {error}") from error
    texts = [key_id, *(name for names in (*places, *tagsets) for name in names)]
    if not all(isinstance(item, str) for item in texts):
        raise RosterInvalid("the roster's tables hold texts only")
    pairs = tuple((value >> 16, value & 0xFFFF) for value in profiles)
    if any(place >= len(places) or tags >= len(tagsets) for place, tags in pairs):
        raise RosterInvalid("a profile names a place or tag set that is not there")
    return Tables(key_id, places, tagsets, pairs)


def pack_attributes(status: int, month: int, profile: int, *, suspended: bool) -> int:
    """The 4 bytes of attributes as a number."""
    return status | suspended << 3 | month << 4 | profile << 13


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sections of a roster file begin, in bytes."""

    version: int
    as_of_ms: int
    count: int
    collisions: int
    profiles: int
    tables_bytes: int

    @property
    def members(self) -> int:
        """Begin of the members."""
        return HEADER.size + 8 * self.count

    @property
    def attributes(self) -> int:
        """Begin of the attributes."""
        return self.members + 8 * self.count

    @property
    def collision(self) -> int:
        """Begin of the collisions."""
        return self.attributes + 4 * self.count

    @property
    def profile(self) -> int:
        """Begin of the profiles."""
        return self.collision + _COLLISION.size * self.collisions

    @property
    def tables(self) -> int:
        """Begin of the tables."""
        return self.profile + 4 * self.profiles

    @property
    def end(self) -> int:
        """Length of the file."""
        return self.tables + self.tables_bytes

    def header(self) -> bytes:
        """The header's bytes."""
        counts = (self.count, self.collisions, self.profiles, self.tables_bytes)
        return HEADER.pack(MAGIC, self.version, self.as_of_ms, *counts, b"")


def read_layout(head: bytes, length: int) -> Layout:
    """Reads a header and checks it against the length of the file.

    Raises:
        RosterInvalid: not a roster of this format, or not whole.
    """
    if len(head) < HEADER.size:
        raise RosterInvalid("the roster ends inside its header")
    magic, version, as_of_ms, *counts, reserved = HEADER.unpack_from(head)
    if magic != MAGIC or reserved != bytes(16):
        raise RosterInvalid("this is not a roster of format 1")
    layout = Layout(version, as_of_ms, *counts)
    if layout.count > COUNT_MAX or layout.collisions > layout.count:
        raise RosterInvalid("the roster claims more cards than there can be")
    if layout.profiles > PROFILES_MAX or layout.tables_bytes > TABLES_BYTES_MAX:
        raise RosterInvalid("the roster's tables are larger than allowed")
    if layout.end != length:
        raise RosterInvalid(f"the roster has {length} bytes, its header says {layout.end}")
    return layout


class Numbers(Sequence[int]):
    """Little-endian numbers in a buffer, for machines whose own order is the other."""

    def __init__(self, view: memoryview, code: str) -> None:
        """Views ``view`` as numbers of struct code ``code``."""
        self._view = view
        self._struct = struct.Struct("<" + code)

    def __len__(self) -> int:
        return len(self._view) // self._struct.size

    def __getitem__(self, index: int | slice) -> int:  # type: ignore[override]
        assert isinstance(index, int)
        if index >= len(self):
            raise IndexError(index)
        return int(self._struct.unpack_from(self._view, index * self._struct.size)[0])

    def release(self) -> None:
        """Lets the buffer go."""
        self._view.release()


def numbers(view: memoryview, code: str) -> memoryview[int] | Numbers:
    """A buffer of little-endian ``Q`` or ``I`` as a sequence of integers, without copying it."""
    if sys.byteorder == "little":
        return view.cast("Q") if code == "Q" else view.cast("I")
    return Numbers(view, code)


class Roster:
    """A roster file mapped into memory; safe to use from several threads."""

    def __init__(self, mapped: mmap.mmap, layout: Layout, file: int) -> None:
        """Use ``open``; ``file`` is a descriptor that ``close`` closes."""
        profiles = struct.unpack(f"<{layout.profiles}I", mapped[layout.profile : layout.tables])
        # Everything that may fail comes before the first view, which would keep the file mapped.
        self.tables = decode_tables(mapped[layout.tables : layout.end], profiles)
        self._mapped = mapped
        self.layout = layout
        view = memoryview(mapped)
        self.prefixes = numbers(view[HEADER.size : layout.members], "Q")
        self.members = numbers(view[layout.members : layout.attributes], "Q")
        self.attributes = numbers(view[layout.attributes : layout.collision], "I")
        self._view = view
        self._file = file
        # Closed by ``close``, or with the last that holds the roster, as the mapping is.
        self._let_go = weakref.finalize(self, os.close, file)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps a roster whose bytes the downlink has verified.

        Raises:
            RosterInvalid: not whole, or of another format.
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            length = file.seek(0, 2)
            if length < HEADER.size:
                raise RosterInvalid(f"{path}: the roster ends inside its header")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            descriptor = os.dup(file.fileno())
        try:
            return cls(mapped, read_layout(mapped[: HEADER.size], length), descriptor)
        except RosterInvalid as error:
            mapped.close()
            os.close(descriptor)
            raise RosterInvalid(f"{path}: {error}") from error

    @property
    def version(self) -> int:
        """Rises with every roster."""
        return self.layout.version

    @property
    def as_of_ms(self) -> int:
        """Server time of what it says, milliseconds since the epoch."""
        return self.layout.as_of_ms

    @property
    def card_key_id(self) -> str:
        """Which card key its hashes were made with."""
        return self.tables.card_key_id

    def __len__(self) -> int:
        return self.layout.count

    def lookup(self, card: str) -> RosterEntry | None:
        """What the roster says of a card, ``None`` if it is not listed.

        Raises:
            RosterInvalid: ``card`` is not a card hash.
        """
        data = card_bytes(card)
        key = int.from_bytes(data[:8], "big")
        index, here, also = self._place(key)
        if not here:
            return None
        if also:
            found = self._among(index, key, int.from_bytes(data[8:], "big"))
            return None if found is None else self.entry(found)
        member = os.pread(self._file, 8, self.layout.members + index * 8)
        bits = os.pread(self._file, 4, self.layout.attributes + index * 4)
        little = int.from_bytes
        return self._entry(index, little(bits, "little"), little(member, "little"))

    def place(self, card: str) -> int | None:
        """The place of a listed card, ``None`` if it is not listed or prefixes are shared."""
        index, here, _ = self._place(int.from_bytes(card_bytes(card)[:8], "big"))
        return index if here and not self.layout.collisions else None

    def _place(self, key: int) -> tuple[int, bool, bool]:
        """Index of the first prefix that is not below ``key``; whether it, and the next, equal it.

        Hashes spread evenly, so the place is guessed, from what stands there guessed again, and a
        few hundred bytes around it are read. Reading leaves the file in the kernel's cache alone:
        a mapped page would count as this process's memory, with sixteen of its neighbours.
        """
        count = len(self.prefixes)
        guess = min(key * count >> 64, max(0, count - 1))
        for found in self._read(guess, min(count, guess + 1)):
            guess += (key - found) * count >> 64
        reach = NEAR_RECORDS
        while True:
            low = min(max(0, guess - reach), count)
            high = max(low, min(count, guess + reach))
            near = self._read(low, high)
            at = bisect_left(near, key)
            whole = (low == 0 or at > 0) and (high == count or at + 1 < len(near))
            if whole:
                following = near[at : at + 2]
                return low + at, key in following[:1], key in following[1:]
            reach *= 16

    def _read(self, low: int, high: int) -> tuple[int, ...]:
        """Prefixes of some records, from the file."""
        data = os.pread(self._file, (high - low) * 8, HEADER.size + low * 8)
        return struct.unpack(f"<{len(data) // 8}Q", data)

    def entry(self, index: int) -> RosterEntry:
        """The record at a position."""
        return self._entry(index, self.attributes[index], self.members[index])

    def _entry(self, index: int, bits: int, member: int) -> RosterEntry:
        if bits >> 13 >= len(self.tables.profiles):
            raise RosterInvalid(f"record {index} names a profile that is not there; pull again")
        place, tags = self.tables.profiles[bits >> 13]
        district, street = self.tables.places[place]
        month = bits >> 4 & MONTHS_MAX
        status = bits & 7
        return RosterEntry(
            status=STATUSES[status] if status < len(STATUSES) else "blocked",
            member=f"{member:016x}" if member else "",
            suspended=bool(bits & 8),
            district=district,
            street=street,
            tags=self.tables.tagsets[tags],
            expires=(YEAR_MIN + (month - 1) // 12, (month - 1) % 12 + 1) if month else None,
        )

    def _among(self, index: int, key: int, rest: int) -> int | None:
        """The record of several with one prefix whose other 8 bytes are ``rest``."""
        start = self.layout.collision
        for at in range(start, self.layout.profile, _COLLISION.size):
            number, other = _COLLISION.unpack_from(self._mapped, at)
            if number >= index and other == rest and self.prefixes[number] == key:
                return int(number)
        return None

    def raw(self, start: int, stop: int) -> bytes:
        """Bytes of the file."""
        return self._mapped[start:stop]

    def close(self) -> None:
        """Lets the file go; a roster in use elsewhere keeps its own mapping."""
        for view in (self.prefixes, self.members, self.attributes, self._view):
            view.release()
        self._mapped.close()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
