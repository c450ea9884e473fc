"""From what a caller wants to record to the rows of the ledger: stamped, checked, encoded.

This runs between a card and its green light, and mostly on entries of a few shapes: the same
fields of the same types in one boot. A shape is checked in full when it is first seen
(`ledger.entry.check`, `canonical.encode`); an entry of a known shape only in what its values may
still do wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from ledger.entry import ENTRY_BYTES_MAX, VERSION, Entry, Kind, Value, check
from ledger.errors import EntryInvalid
from ledger.log import canonical, schema
from ledger.log.reading import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from ledger.log.recovery import Head

#: Two threads may read the clock in one order and append in the other; by no more than this.
MONO_RACE_MS: Final = 10_000
#: Shapes that are remembered; a terminal writes a few dozen.
SHAPES_MAX: Final = 500
#: Texts of at most so many characters are as long as any that `ledger.entry.check` allows.
TEXT_CHARS_MAX: Final = 256

#: seq, entry, first bytes of its leaf hash, seq of the entry it voids.
Row: TypeAlias = tuple[int, str, bytes, int | None]

_ENCODER: Final = msgspec.json.Encoder()
_Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
#: Texts whose form is checked again in every entry: `ledger.entry.check` says what they are.
_FORMED: Final = {
    "member": r"^[0-9a-f]{16}\Z",
    "card": r"^[a-z2-7]{26}\Z",
    "agent": r"^[a-z2-7]{26}\Z",
}


class Stamped(NamedTuple):
    """Entries ready to be written.

    Attributes:
        rows: one for each entry.
        leaves: their leaf hashes, 32 bytes each.
        nonces: nonce and seq of those that have one.
        mono_ms: boot-time clock of the last.
        total_bytes: bytes of all, a newline each.
    """

    rows: list[Row]
    leaves: list[bytes]
    nonces: list[tuple[str, int]]
    mono_ms: int
    total_bytes: int


class _Shape(NamedTuple):
    """A known shape as a record type, by which an entry is checked and encoded in compiled code.

    Attributes:
        kind: the kind of its entries.
        record: the type, its fields in canonical order, its texts and integers within their bounds.
    """

    kind: Kind
    record: type[msgspec.Struct]


_shapes: Final[dict[tuple[object, ...], _Shape]] = {}


def stamp(entries: Sequence[Entry], head: Head, boot: str) -> Stamped:
    """Stamps ``v``, ``seq`` and ``boot`` on entries and encodes them.

    Args:
        entries: 1 to 500 entries of at most 1,000,000 bytes together.
        head: where the log stands.
        boot: the boot that these entries belong to.

    Raises:
        EntryInvalid: too many or too few, or one lacks a field or runs back in boot time.
        NotCanonical: a value has no canonical form.
    """
    if not 0 < len(entries) <= BATCH_ENTRIES_MAX:
        raise EntryInvalid(f"a commit holds 1 to {BATCH_ENTRIES_MAX} entries: split it")
    rows: list[Row] = []
    leaves: list[bytes] = []
    nonces: list[tuple[str, int]] = []
    mono = head.mono_ms if head.boot == boot else 0
    total = 0
    for seq, entry in enumerate(entries, head.size):
        stamped: dict[str, Any] = {**entry, "v": VERSION, "seq": seq, "boot": boot}
        given = stamped.get("mono_ms")
        if type(given) is int and given < mono:
            if given + MONO_RACE_MS < mono:
                raise EntryInvalid(f"mono_ms runs back from {mono} to {given} in one boot")
            stamped["mono_ms"] = mono
        kind, data = encode(stamped)
        mono = stamped["mono_ms"]
        leaf = sha256(b"\x00" + data).digest()
        original = stamped["orig_seq"] if kind is Kind.VOID else None
        rows.append((seq, data.decode(), leaf[: schema.LEAF_PREFIX_BYTES], original))
        nonce = stamped.get("nonce")
        if isinstance(nonce, str):
            nonces.append((nonce, seq))
        leaves.append(leaf)
        total += len(data) + 1
    if total > BATCH_BYTES_MAX:
        raise EntryInvalid(f"a commit holds at most {BATCH_BYTES_MAX} bytes: split it")
    return Stamped(rows, leaves, nonces, mono, total)


def encode(entry: dict[str, Value]) -> tuple[Kind, bytes]:
    """The kind and the canonical bytes of a complete entry.

    Raises:
        EntryInvalid: a field is missing or wrong; the message names it.
        NotCanonical: a value has no canonical form.
    """
    # Values that every entry of a shape shares; of which types the others are, its record knows.
    key = (entry.get("kind"), entry.get("boot"), entry.get("v"), *entry)
    try:
        shape = _shapes.get(key)
    except TypeError:  # a kind that cannot be looked up
        shape = None
    if shape is not None:
        data = _encode_known(entry, shape)
        if data is not None:
            return shape.kind, data
    kind = check(entry)
    data = canonical.encode(entry)
    if shape is None and len(_shapes) < SHAPES_MAX:
        _learn(key, kind, entry)
    return kind, data


def _encode_known(entry: Entry, shape: _Shape) -> bytes | None:
    """The bytes of an entry that is plainly right; None for one to look at more closely."""
    try:
        data = _ENCODER.encode(msgspec.convert(entry, shape.record))
    except (msgspec.ValidationError, UnicodeEncodeError):
        return None
    # JSON escapes every control byte; without an escape there is none, nor a quotation mark.
    if not data.isascii() or b"\\" in data or b"\x7f" in data or len(data) > ENTRY_BYTES_MAX:
        return None
    return data


def _learn(key: tuple[object, ...], kind: Kind, entry: Entry) -> None:
    """Remembers the shape of an entry that was checked in full, if its values are simple."""
    types = {name: type(value) for name, value in entry.items()}
    odd = [name for name in _FORMED if types.get(name, str) is not str]
    if {*types.values()} <= {str, int, bool} and not odd and types["kind"] is str:
        kinds = {name: _type_of(name, value) for name, value in entry.items()}
        _shapes[key] = _Shape(kind, canonical.record_type(kinds, kinds))


def _type_of(name: str, value: Value) -> object:
    """The type that a value of a known shape has, no looser than `ledger.entry.check`."""
    if type(value) is bool:
        return bool
    if type(value) is int:
        return canonical.Integer
    form = _FORMED.get(name)
    return _Text if form is None else Annotated[str, msgspec.Meta(pattern=form)]
