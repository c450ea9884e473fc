"""The used-set: what members used at other terminals, as far as a limit may still ask for it.

One file for all terminals, from which each leaves out what stands in its own ledger: that it knows
better itself. zlib (RFC 1950) over JSON::

    {"format": "redcard-used/v1", "as_of_ms": 1401415200000,
     "ledgers": [...], "offers": [...], "venues": [...],
     "uses": [[member, offer, ledger, seq, ts_ms, quantity, venue], ...]}

``offer``, ``ledger`` and ``venue`` are places in the three lists.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sync.errors import Malformed

FORMAT: Final = "redcard-used/v1"
USED_TARGET: Final = "status/used.bin"
#: More than a federation of three million members uses in a year under limits.
USES_MAX: Final = 2_000_000
EXPANDED_BYTES_MAX: Final = 256 << 20
_INTEGER_MAX: Final = 2**53 - 1
_MEMBER: Final = re.compile(r"[0-9a-f]{16}\Z")


class RemoteUse(NamedTuple):
    """One use at some terminal.

    Attributes:
        member: 16 hexadecimal digits.
        offer: offer id.
        ledger: ledger id.
        seq: position in it.
        ts_ms: when, milliseconds since the epoch.
        quantity: units.
        venue: where.
    """

    member: str
    offer: str
    ledger: str
    seq: int
    ts_ms: int
    quantity: int
    venue: str


@dataclass(frozen=True, slots=True)
class UsedSet:
    """A used-set as published.

    Attributes:
        as_of_ms: server time of what it says.
        uses: by ledger and position.
    """

    as_of_ms: int
    uses: tuple[RemoteUse, ...]


def encode_used(used: UsedSet) -> bytes:
    """The file; the same uses give the same bytes."""
    names: tuple[dict[str, int], ...] = ({}, {}, {})

    def place(kind: int, name: str) -> int:
        return names[kind].setdefault(name, len(names[kind]))

    rows = [
        [
            use.member,
            place(1, use.offer),
            place(0, use.ledger),
            use.seq,
            use.ts_ms,
            use.quantity,
            place(2, use.venue),
        ]
        for use in sorted(used.uses, key=lambda one: (one.ledger, one.seq))
    ]
    document = {
        "format": FORMAT,
        "as_of_ms": used.as_of_ms,
        "ledgers": list(names[0]),
        "offers": list(names[1]),
        "venues": list(names[2]),
        "uses": rows,
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"), 9)


def decode_used(data: bytes) -> UsedSet:
    """Reads a file that the downlink has verified.

    Raises:
        Malformed: not a used-set of this format, or larger than one may be.
    """
    expander = zlib.decompressobj()
    try:
        text = expander.decompress(data, EXPANDED_BYTES_MAX)
        if not expander.eof or expander.unused_data:
            raise Malformed("a used-set is cut short, too large, or followed by something else")
        document = json.loads(text)
        if document["format"] != FORMAT or len(document["uses"]) > USES_MAX:
            raise Malformed("this is not a used-set of format 1")
        ledgers, offers, venues = (_names(document[n]) for n in ("ledgers", "offers", "venues"))
        uses = tuple(_use(row, ledgers, offers, venues) for row in document["uses"])
        return UsedSet(_number(document["as_of_ms"]), uses)
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Malformed(f"the used-set cannot be read: {error}") from error


def _names(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Malformed("names in a used-set are texts")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _INTEGER_MAX:
        raise Malformed("numbers in a used-set are whole and not negative")
    return value


def _use(
    row: Any, ledgers: Sequence[str], offers: Sequence[str], venues: Sequence[str]
) -> RemoteUse:
    member, offer, ledger, seq, ts_ms, quantity, venue = row
    if not isinstance(member, str) or not _MEMBER.match(member):
        raise Malformed("a member is 16 hexadecimal digits")
    return RemoteUse(
        member,
        offers[_number(offer)],
        ledgers[_number(ledger)],
        _number(seq),
        _number(ts_ms),
        _number(quantity),
        venues[_number(venue)],
    )


def changed(one: Iterable[RemoteUse], other: Iterable[RemoteUse]) -> bool:
    """Whether two used-sets say something else, whenever they were made."""
    return set(one) != set(other)
