"""Reads stored entries as events: what of an entry the projections keep in columns.

A line that is no valid entry, or that says it stands elsewhere, is an event all the same: it is
stored, it is in the tree, and it is judged ``unusable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import entry as entries_of
from ledger.entry import Entry, Kind
from ledger.errors import EntryInvalid, NotCanonical
from ledger.log import canonical
from ledger.rules.offer import Venue
from ledger.rules.windows import local_day
from server.facts import Event
from server.judge import original_position
from server.known import among
from server.offers import Published, bucket_of
from server.schema import cursors, entries, events, histories, judgements, ledgers, receipts

#: Entries of one step; a step is one transaction and holds up other writers of SQLite.
STEP_ENTRIES_MAX: Final = 500
#: The same on PostgreSQL, where it holds up nobody.
STEP_ENTRIES_POSTGRESQL_MAX: Final = 2_000
#: Ledgers of one step.
STEP_LEDGERS_MAX: Final = 500
#: Kinds that get a row of their own, and a judgement.
TOLD: Final = frozenset(
    {Kind.REDEEM.value, Kind.REENTRY.value, Kind.DECLINE.value, Kind.VOID.value, Kind.MANUAL.value}
)
_TEXT_MAX: Final = {
    "card": 26,
    "member": 16,
    "offer": 64,
    "venue": 64,
    "code": 8,
    "lease": 64,
    "orig_ledger": 26,
}
_INTEGER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next events of one ledger.

    Attributes:
        log: the server's number of the ledger.
        ledger: ledger id.
        events: in order.
        next_seq: where the following chunk begins.
        bound_ms: entries of the following chunk were written after this.
        signed: whether any of them, or a later one, was judged by an earlier folding.
    """

    log: int
    ledger: str
    events: tuple[Event, ...]
    next_seq: int
    bound_ms: int
    signed: bool


def read_entry(body: bytes, seq: int) -> Entry | None:
    """Decodes stored bytes; ``None`` if they are no entry, or one of another position."""
    try:
        decoded = canonical.decode(body)
        entries_of.check(decoded)
    except (NotCanonical, EntryInvalid):
        return None
    return decoded if decoded["seq"] == seq and _fits(decoded) else None


def _fits(entry: Entry) -> bool:
    """Whether the fields that get a column fit into it; none that we ever wrote does not."""
    for name, width in _TEXT_MAX.items():
        text = entry.get(name)
        if text is not None and (len(str(text)) > width or "\x00" in str(text)):
            return False
    numbers = (entry.get(name, 0) for name in ("quantity", "companions", "offer_version"))
    return all(isinstance(n, int) and 0 <= n <= _INTEGER_MAX for n in numbers)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next entries of one ledger begin and end, and after what they were written."""

    log: int
    ledger: str
    start: int
    stop: int
    bound_ms: int
    signed: bool


async def next_chunks(
    connection: AsyncConnection, ledger: str | None, entries_max: int
) -> list[Chunk]:
    """Reads what follows the cursors, of several ledgers in a few statements.

    The receipt of a batch says until when its entries were written. It also says after what the
    later ones were, if the batch came over the network and held all that the terminal had.

    Args:
        connection: a transaction.
        ledger: which one; absent, those that wait longest.
        entries_max: of all chunks together.

    Returns:
        A chunk of each ledger, none of them empty.
    """
    places = await _places(connection, ledger, entries_max)
    bodies: dict[int, list[bytes]] = {place.log: [] for place in places}
    for row in await _of_all(connection, places, entries, entries.c.seq, entries.c.seq + 1):
        bodies[row.log].append(bytes(row.body))
    found: dict[int, list[Any]] = {place.log: [] for place in places}
    for row in await _of_all(connection, places, receipts, receipts.c.old_size, receipts.c.size):
        found[row.log].append(row)
    return [_chunk(place, bodies[place.log], found[place.log]) for place in places]


async def _places(
    connection: AsyncConnection, ledger: str | None, entries_max: int
) -> list[_Place]:
    begin = func.coalesce(cursors.c.next_seq, 0)
    signed = (
        select(judgements.c.seq)
        .where(judgements.c.log == ledgers.c.log, judgements.c.seq >= begin)
        .exists()
    )
    statement = (
        select(
            ledgers.c.log,
            ledgers.c.ledger,
            ledgers.c.size,
            ledgers.c.created_ms,
            cursors.c.next_seq,
            cursors.c.bound_ms,
            signed.label("signed"),
        )
        .join(cursors, cursors.c.log == ledgers.c.log, isouter=True)
        .where(ledgers.c.size > begin)
        .order_by(ledgers.c.received_ms, ledgers.c.log)
        .limit(STEP_LEDGERS_MAX)
    )
    if ledger is not None:
        statement = statement.where(ledgers.c.ledger == ledger)
    places: list[_Place] = []
    for row in await connection.execute(statement):
        start = row.next_seq or 0
        stop = min(row.size, start + entries_max)
        bound_ms = row.created_ms if row.bound_ms is None else row.bound_ms
        if stop > start:
            places.append(_Place(row.log, row.ledger, start, stop, bound_ms, bool(row.signed)))
        entries_max -= stop - start
    return places


async def _of_all(
    connection: AsyncConnection,
    places: Sequence[_Place],
    table: Table,
    first: ColumnElement[Any],
    end: ColumnElement[Any],
) -> list[Any]:
    """Rows that overlap the places, by ledger and position: one statement for most of them."""
    rows: list[Any] = []
    if not places:
        return rows
    *whole, last = places  # each but the last is read to its end, so that the cursors bound it
    logs = [place.log for place in whole]
    if logs:
        begin = func.coalesce(cursors.c.next_seq, 0)
        statement = (
            select(table)
            .join(ledgers, ledgers.c.log == table.c.log)
            .join(cursors, cursors.c.log == table.c.log, isouter=True)
            .where(table.c.log.in_(logs), end > begin, first < ledgers.c.size)
            .order_by(table.c.log, end)
        )
        stops = {place.log: place.stop for place in whole}
        column = "seq" if "seq" in table.c else "old_size"
        rows += [
            row
            for row in await connection.execute(statement)
            # A head may have moved since the places were taken.
            if getattr(row, column) < stops[row.log]
        ]
    mine = (table.c.log == last.log, end > last.start, first < last.stop)
    rows += (await connection.execute(select(table).where(*mine).order_by(end))).all()
    return rows


def _chunk(place: _Place, bodies: Sequence[bytes], found: Iterable[Any]) -> Chunk:
    """The events of a place, each with the receipts around it."""
    assert len(bodies) == place.stop - place.start, "a ledger's size is beyond its entries"
    events_of: list[Event] = []
    bound_ms = place.bound_ms
    for receipt in found:
        first, last = max(receipt.old_size, place.start), min(receipt.size, place.stop)
        events_of += (
            Event(
                place.ledger,
                seq,
                read_entry(bodies[seq - place.start], seq),
                bound_ms,
                receipt.received_ms,
            )
            for seq in range(first, last)
        )
        if receipt.drained and receipt.size <= place.stop:
            bound_ms = max(bound_ms, receipt.received_ms)
    return Chunk(place.log, place.ledger, tuple(events_of), place.stop, bound_ms, place.signed)


def row_of(log: int, event: Event, member: str, published: Published) -> dict[str, Any]:
    """The row of an event, not judged yet."""
    place, name, version = event.text("venue"), event.text("offer"), event.number("offer_version")
    venue = published.venues.get(place) or Venue(place)
    offer = published.versions.get((name, version)) or published.newest.get(name)
    void = event.kind == Kind.VOID
    return {
        "log": log,
        "seq": event.seq,
        "kind": event.kind,
        "nonce": event.text("nonce"),
        "card": event.text("card"),
        "member": member,
        "offer": name,
        "offer_version": version,
        "venue": place,
        "operator": event.text("operator"),
        "code": event.text("code"),
        "quantity": event.number("quantity", 1),
        "companions": event.number("companions"),
        "bucket": bucket_of(offer, venue, event.at_ms),
        "lease": event.text("lease"),
        "after_ms": event.after_ms,
        "before_ms": event.before_ms,
        "at_ms": event.at_ms,
        "day": _day_of(event, venue.zone),
        "original": str(original_position(event)) if void else "",
        "counted": False,
        "voided": False,
        "verdict": "",
        "reasons": "",
        "counterpart": "",
    }


def _day_of(event: Event, zone: str) -> int:
    """The venue's day that an event counts on, ``yyyymmdd``.

    A late entry from the paper sheet counts on the day that the sheet names, if that is not later
    than the entry itself.
    """
    happened = local_day(event.at_ms, zone)
    if event.kind == Kind.MANUAL:
        with suppress(ValueError):
            happened = min(happened, date.fromisoformat(event.text("day")))
    return happened.year * 10_000 + happened.month * 100 + happened.day


async def events_of_members(
    connection: AsyncConnection, members: Sequence[str]
) -> dict[str, list[tuple[Event, dict[str, Any]]]]:
    """All events of some members on all ledgers, each with its row, read from the stored bytes."""
    statement = (
        select(events, entries.c.body, ledgers.c.ledger)
        .join(entries, (entries.c.log == events.c.log) & (entries.c.seq == events.c.seq))
        .join(ledgers, ledgers.c.log == events.c.log)
        .join(histories, (histories.c.log == events.c.log) & (histories.c.seq == events.c.seq))
    )
    found: dict[str, list[tuple[Event, dict[str, Any]]]] = {}
    for which in among(connection, histories.c.member, members):
        for row in (await connection.execute(statement.where(which))).mappings().all():
            decoded = read_entry(bytes(row["body"]), row["seq"])
            event = Event(row["ledger"], row["seq"], decoded, row["after_ms"], row["before_ms"])
            if event.entry is not None and not event.text("member"):
                event = replace(event, entry={**event.entry, "member": row["member"]})
            found.setdefault(row["member"], []).append((event, dict(row)))
    return found


def told(found: Iterable[Event]) -> list[Event]:
    """The events that get a row and a judgement."""
    return [event for event in found if event.entry is None or event.kind in TOLD]
