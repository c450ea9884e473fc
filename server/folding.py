"""Reads stored entries as events: what of an entry the projections keep in columns.

A line that is no valid entry, or that says it stands elsewhere, is an event all the same: it is
stored, it is in the tree, and it is judged ``unusable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import entry as entries_of
from ledger.entry import Entry, Kind
from ledger.errors import EntryInvalid, NotCanonical
from ledger.log import canonical
from ledger.rules.offer import Venue
from ledger.rules.windows import local_day
from server.facts import Event
from server.judge import original_position
from server.offers import Published, bucket_of
from server.schema import entries, events, ledgers, receipts

#: Entries of one step; a step is one transaction and holds up other writers of SQLite.
STEP_ENTRIES_MAX: Final = 500
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
    """

    log: int
    ledger: str
    events: tuple[Event, ...]
    next_seq: int
    bound_ms: int


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
        text = str(entry.get(name, ""))
        if len(text) > width or "\x00" in text:
            return False
    numbers = (entry.get(name, 0) for name in ("quantity", "companions", "offer_version"))
    return all(isinstance(n, int) and 0 <= n <= _INTEGER_MAX for n in numbers)


async def next_chunk(
    connection: AsyncConnection, log: int, next_seq: int, bound_ms: int
) -> Chunk | None:
    """Reads what follows a cursor, receipt by receipt; ``None`` if nothing does.

    The receipt of a batch says until when its entries were written. It also says after what the
    later ones were, if the batch came over the network and held all that the terminal had.
    """
    ledger = await connection.scalar(select(ledgers.c.ledger).where(ledgers.c.log == log))
    assert ledger is not None, "a cursor stands on no ledger"
    bodies = await _bodies(connection, log, next_seq)
    if not bodies:
        return None
    end = next_seq + len(bodies)
    found: list[Event] = []
    for receipt in await _receipts(connection, log, next_seq, end):
        first, last = max(receipt.old_size, next_seq), min(receipt.size, end)
        found += (
            Event(
                ledger, seq, read_entry(bodies[seq - next_seq], seq), bound_ms, receipt.received_ms
            )
            for seq in range(first, last)
        )
        if receipt.drained and receipt.size <= end:
            bound_ms = max(bound_ms, receipt.received_ms)
    return Chunk(log, ledger, tuple(found), end, bound_ms)


async def _bodies(connection: AsyncConnection, log: int, start: int) -> list[bytes]:
    statement = (
        select(entries.c.body)
        .where(entries.c.log == log, entries.c.seq >= start)
        .order_by(entries.c.seq)
        .limit(STEP_ENTRIES_MAX)
    )
    return [bytes(body) for body in await connection.scalars(statement)]


async def _receipts(connection: AsyncConnection, log: int, start: int, end: int) -> Sequence[Any]:
    statement = (
        select(receipts)
        .where(receipts.c.log == log, receipts.c.size > start, receipts.c.old_size < end)
        .order_by(receipts.c.size)
    )
    return (await connection.execute(statement)).all()


def row_of(log: int, event: Event, member: str, published: Published) -> dict[str, Any]:
    """The row of an event, not judged yet."""
    venue = published.venues.get(event.text("venue")) or Venue(event.text("venue"))
    offer = published.versions.get((event.text("offer"), event.number("offer_version")))
    offer = offer or published.newest.get(event.text("offer"))
    void = event.kind == Kind.VOID
    return {
        "log": log,
        "seq": event.seq,
        "kind": event.kind,
        "nonce": event.text("nonce"),
        "card": event.text("card"),
        "member": member,
        "offer": event.text("offer"),
        "offer_version": event.number("offer_version"),
        "venue": event.text("venue"),
        "operator": event.text("operator"),
        "code": event.text("code"),
        "quantity": event.number("quantity", 1),
        "companions": event.number("companions"),
        "bucket": bucket_of(offer, venue, event.at_ms),
        "lease": event.text("lease"),
        "after_ms": event.after_ms,
        "before_ms": event.before_ms,
        "at_ms": event.at_ms,
        "day": int(local_day(event.at_ms, venue.zone).strftime("%Y%m%d")),
        "original": str(original_position(event)) if void else "",
        "counted": False,
        "voided": False,
        "verdict": "",
        "reasons": "",
        "counterpart": "",
    }


async def events_of_members(
    connection: AsyncConnection, members: Sequence[str]
) -> dict[str, list[tuple[Event, dict[str, Any]]]]:
    """All events of some members on all ledgers, each with its row, read from the stored bytes."""
    statement = (
        select(events, entries.c.body, ledgers.c.ledger)
        .join(entries, (entries.c.log == events.c.log) & (entries.c.seq == events.c.seq))
        .join(ledgers, ledgers.c.log == events.c.log)
        .where(events.c.member.in_(members))
    )
    found: dict[str, list[tuple[Event, dict[str, Any]]]] = {}
    for row in (await connection.execute(statement)).mappings():
        decoded = read_entry(bytes(row["body"]), row["seq"])
        event = Event(row["ledger"], row["seq"], decoded, row["after_ms"], row["before_ms"])
        if event.entry is not None and not event.text("member"):
            event = replace(event, entry={**event.entry, "member": row["member"]})
        found.setdefault(row["member"], []).append((event, dict(row)))
    return found


def told(found: Iterable[Event]) -> list[Event]:
    """The events that get a row and a judgement."""
    return [event for event in found if event.entry is None or event.kind in TOLD]
