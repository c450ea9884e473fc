"""A few changes of a published roster, without building it anew.

A card that is blocked at a counter's word must not cost a minute of sorting millions. Records keep
their places, so what leads here from any earlier roster of the same cards is known by the places
alone that were touched since, without the earlier file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sync.roster import Roster, RosterEntry
from sync.roster_build import TableBuilder, attributes_of
from sync.roster_delta import ATTRIBUTES, Change, appended, pack_delta

#: Places of a roster that were touched, and whether more than the card's status was.
Touched = Mapping[int, bool]


def edit(
    older: Roster, records: Iterable[tuple[str, RosterEntry]], *, version: int, as_of_ms: int
) -> tuple[bytes, dict[int, bool]] | None:
    """The delta that gives some listed cards other attributes, and which places it touches.

    Args:
        older: the roster in force.
        records: cards as they are now; those that are as before change nothing.
        version: of the next roster.
        as_of_ms: server time of what it says.

    Returns:
        ``None`` if the roster has to be built anew: a card or name is new, a card has another
        member, or two cards share a prefix.

    Raises:
        RosterInvalid: a record cannot be held.
    """
    builder = TableBuilder(older.tables)
    changes: dict[int, Change] = {}
    for number, (card, entry) in enumerate(records, 1):
        place = older.place(card)
        if place is None or (older.members[place] != int(entry.member or "0", 16)):
            return None
        bits, before = attributes_of(entry, builder, number), older.attributes[place]
        if bits != before:
            whole = bits >> 3 != before >> 3
            operation = ATTRIBUTES if whole else bits & 7
            changes[place] = Change(place, operation, (0, 0, bits))
    if builder.tables(older.card_key_id) != older.tables:
        return None
    newer = replace(older.layout, version=version, as_of_ms=as_of_ms)
    names = appended(older.tables, older.tables) or b""
    ordered = [changes[place] for place in sorted(changes)]
    data = pack_delta(older.version, len(older), newer, names, ordered)
    if data is None:
        return None
    return data, {one.index: one.operation == ATTRIBUTES for one in ordered}


def lead(newer: Roster, version: int, touched: Touched) -> bytes | None:
    """The delta from an earlier roster of the same cards and tables, and from all since it.

    Args:
        newer: the roster to lead to.
        version: of the earliest one.
        touched: all places that were touched since it.
    """
    names = appended(newer.tables, newer.tables) or b""
    changes = (
        Change(place, ATTRIBUTES if touched[place] else bits & 7, (0, 0, bits))
        for place in sorted(touched)
        for bits in (newer.attributes[place],)
    )
    return pack_delta(version, len(newer), newer.layout, names, changes)
