"""Bookings: by telephone, from a file, or by the back office; each becomes a token of one terminal.

A caller says the last digits of the card and the session; the name is compared, masked, only where
several cards end alike, and is kept nowhere. A booking is a reservation (``server.reservations``):
who does not come leaves it unused, and its units return to stock after its session.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules import windows
from ledger.rules.offer import Offer, Venue
from server import reservations
from server.errors import (
    BookingRefused,
    ImportRefused,
    PublicationRefused,
    ServerError,
    TerminalUnknown,
)
from server.home import RESERVATIONS
from server.identity_map import mask_name
from server.offers import Published
from server.roles import CONSOLE_ACTOR
from server.schema import cards
from server.stock import ISSUED

if TYPE_CHECKING:
    from server.core import ServerCore

COLUMNS: Final = ("offer", "venue", "session", "last4", "name", "units")
NEEDED: Final = ("offer", "venue", "session", "last4")
ROWS_MAX: Final = 10_000
CSV_BYTES_MAX: Final = 4 * 1024 * 1024
_LAST4: Final = re.compile(r"[0-9]{4}\Z")
#: A card's hash may stand in place of its last digits, where the back office knows it.
_CARD: Final = re.compile(r"[a-z2-7]{26}\Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants.

    Attributes:
        session: its beginning in the venue's time, ISO 8601 such as ``2014-06-02T09:00``.
        last4: the last four digits of the card, or its hash.
        name: compared with the member's, masked, where several cards end alike.
        line: of the file, 0 for none.
    """

    offer: str
    venue: str
    session: str
    last4: str
    name: str = ""
    units: int = 1
    line: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one wish: a reservation, or why not and what to do."""

    wanted: Wanted
    issued: reservations.Issued | None = None
    fault: str = ""


async def book(core: ServerCore, wanted: Wanted) -> reservations.Issued:
    """Books one session; the same again answers with the booking that stands.

    Raises:
        ImportRefused: a field is wrong, or the digits do not name one card; nothing was booked.
        PublicationRefused: it cannot be had; the message says the code.
        TerminalUnknown: no terminal works at the venue.
    """
    async with core.database.reading() as connection:
        published = await core.book.read(connection)
        found = await _cards(connection, wanted.last4)
    card = await _one(core, found, wanted)
    venue = published.venues.get(wanted.venue) or Venue(wanted.venue)
    from_ms, until_ms = _session(published, wanted, venue)
    standing = await _standing(core, wanted, from_ms, dict(found)[card])
    if standing is not None:
        return standing
    _in_time(published, wanted, venue, from_ms, core.now_ms())
    return await core.reserve(
        card, wanted.offer, wanted.venue, from_ms=from_ms, until_ms=until_ms, units=wanted.units
    )


async def _standing(
    core: ServerCore, wanted: Wanted, from_ms: int, member: str
) -> reservations.Issued | None:
    """What this member has booked of this session already: an answer may have been lost."""
    for row in await core.reservations(offer=wanted.offer, venue=wanted.venue):
        if (row["member"], row["from_ms"], row["state"]) == (member, from_ms, ISSUED):
            kept = {field.name: row[field.name] for field in fields(reservations.Issued)[:-1]}
            return reservations.Issued(**kept, token="")
    return None


async def book_all(core: ServerCore, data: bytes) -> list[Outcome]:
    """Books every line of a CSV file; a line that cannot be booked keeps no other from it.

    Raises:
        ImportRefused: the file as a whole is malformed; nothing was booked.
    """
    outcomes = []
    for wanted in read_csv(data):
        try:
            outcomes.append(Outcome(wanted, await book(core, wanted)))
        except (ImportRefused, PublicationRefused, TerminalUnknown) as fault:
            outcomes.append(Outcome(wanted, fault=str(fault)))
    return outcomes


def read_csv(data: bytes) -> list[Wanted]:
    """The wishes of a CSV file with a heading, UTF-8, with or without a byte order mark.

    Raises:
        ImportRefused: with the line that is wrong.
    """
    if len(data) > CSV_BYTES_MAX:
        raise ImportRefused(f"the file is larger than {CSV_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImportRefused("the file is not UTF-8; nothing was booked") from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    found: list[Wanted] = []
    try:
        missing = set(NEEDED) - set(reader.fieldnames or ())
        if missing:
            raise ImportRefused(f"line 1: the column {min(missing)} is missing; nothing was booked")
        for row in reader:
            if len(found) >= ROWS_MAX:
                raise ImportRefused(f"more than {ROWS_MAX} lines; nothing was booked")
            given = {name: (row.get(name) or "").strip() for name in COLUMNS}
            units = given["units"] or "1"
            if not (units.isascii() and units.isdigit() and len(units) < 5):
                raise ImportRefused(f"line {reader.line_num}: units is a number")
            words = (given[name] for name in COLUMNS[:-1])
            offer, venue, session, last4, name = words
            found.append(Wanted(offer, venue, session, last4, name, int(units), reader.line_num))
    except csv.Error as error:
        raise ImportRefused(f"line {reader.line_num}: {error}; nothing was booked") from None
    return found


async def move(
    core: ServerCore, offer: str, venue: str, session: str, to: str
) -> list[dict[str, Any]]:
    """Moves every waiting booking of a session to another one, each whole or not at all.

    Args:
        core: the server.
        offer: of what.
        venue: where.
        session: its beginning as it was booked.
        to: its new beginning.

    Returns:
        A row a booking: ``reservation``, ``moved_to`` or ``fault``. One that cannot be moved keeps
        its old token, so that somebody can be called.

    Raises:
        ImportRefused: a time is malformed.
    """
    async with core.database.reading() as connection:
        published = await core.book.read(connection)
        place = published.venues.get(venue) or Venue(venue)
        old_ms = _instant(session, place)
        listed = await reservations.listed(connection, offer=offer, venue=venue)
    rows = [row for row in listed if row["from_ms"] == old_ms and row["state"] == ISSUED]
    outcomes: list[dict[str, Any]] = []
    for row in rows:
        wanted = Wanted(offer, venue, to, "", units=row["units"])
        try:
            issued = await _moved(core, published, row, wanted, place)
        except ServerError as fault:
            outcomes.append({"reservation": row["reservation"], "fault": str(fault)})
        else:
            outcomes.append({"reservation": row["reservation"], "moved_to": issued.reservation})
    return outcomes


async def _moved(
    core: ServerCore,
    published: Published,
    row: Mapping[str, Any],
    wanted: Wanted,
    venue: Venue,
) -> reservations.Issued:
    """One booking moved in one transaction: if the new one is refused the old one stands."""
    from_ms, until_ms = _session(published, wanted, venue)
    now_ms = core.now_ms()
    async with core.database.writing() as connection:
        card = await connection.scalar(
            select(cards.c.card)
            .where(cards.c.member == row["member"])
            .order_by(cards.c.from_ms.desc())
            .limit(1)
        )
        await reservations.cancel(connection, row["reservation"], now_ms)
        issued = await reservations.issue(
            connection,
            core.database,
            published,
            core.home.signer(RESERVATIONS),
            reservations.Wish(
                str(card),
                wanted.offer,
                wanted.venue,
                from_ms,
                until_ms,
                row["terminal"],
                wanted.units,
                instead=row["reservation"],
            ),
            now_ms,
        )
        await core.own.record(
            connection,
            "reservation_moved",
            subject=issued.reservation,
            offer=wanted.offer,
            venue=wanted.venue,
        )
        return issued


async def day(core: ServerCore, venue: str, date: str) -> list[dict[str, Any]]:
    """Bookings of a venue on a local day with the cards' last digits, by time.

    ``state`` is ``booked``, ``used``, ``cancelled``, ``missed`` (its session is over) or ``moved``
    (its session is not given any more: move it, or call the member).

    Raises:
        ImportRefused: the date is malformed.
    """
    await core.judge()
    async with core.database.reading() as connection:
        published = await core.book.read(connection)
        place = published.venues.get(venue) or Venue(venue)
        start = _instant(f"{date}T00:00", place)
        end = windows.next_day_start(start, place.zone)
        rows = await reservations.listed(connection, venue=venue)
        rows = [row for row in rows if start <= row["from_ms"] < end]
        digits = {
            row.member: row.last4
            for row in await connection.execute(
                select(cards.c.member, cards.c.last4)
                .where(cards.c.member.in_({row["member"] for row in rows}))
                .order_by(cards.c.from_ms)
            )
        }
    return [
        {
            **row,
            "last4": digits.get(row["member"], ""),
            "state": _state(published, row, place, core.now_ms()),
        }
        for row in rows
    ]


def _state(published: Published, row: dict[str, Any], venue: Venue, now_ms: int) -> str:
    if row["state"] != ISSUED:
        return str(row["state"])
    if row["until_ms"] <= now_ms:
        return "missed"
    offer = published.newest.get(row["offer"])
    if not isinstance(offer, Offer) or windows.ended(offer, row["from_ms"]):
        return "moved"
    return "booked" if windows.open_at(offer, row["from_ms"], venue.zone) else "moved"


async def _cards(connection: AsyncConnection, last4: str) -> list[tuple[str, str]]:
    """Cards in force that a caller may mean, with their members."""
    if not (_CARD.match(last4) or _LAST4.match(last4)):
        raise ImportRefused("last4: the last four digits of the card; nothing was booked")
    column = cards.c.last4 if _LAST4.match(last4) else cards.c.card
    rows = await connection.execute(select(cards).where(column == last4).order_by(cards.c.from_ms))
    newest = {row.card: row for row in rows}
    return [(row.card, row.member) for row in newest.values() if row.status == "active"]


async def _one(core: ServerCore, found: Sequence[tuple[str, str]], wanted: Wanted) -> str:
    members = {member for _, member in found}
    if len(members) > 1 and wanted.name:
        names = {one: (await core.identities.masked(CONSOLE_ACTOR, one)).name for one in members}
        members = {one for one, name in names.items() if name == mask_name(wanted.name)}
    if not members:
        raise BookingRefused(
            f"no card in force ends in {wanted.last4}: ask the caller again, nothing was booked",
            cause="no_card",
        )
    if len(members) > 1:
        raise BookingRefused(
            f"{len(members)} members' cards end in {wanted.last4}: ask for the name, or let the "
            "member come with the card; nothing was booked",
            cause="several_cards",
        )
    return next(card for card, member in reversed(found) if member in members)


def _session(published: Published, wanted: Wanted, venue: Venue) -> tuple[int, int]:
    """Beginning and end of the session that is meant.

    Raises:
        ImportRefused: there is no such session; the message says the next one.
    """
    offer = published.newest.get(wanted.offer)
    from_ms = _instant(wanted.session, venue)
    if not isinstance(offer, Offer):
        raise ImportRefused(f"no sound offer is called {wanted.offer}; nothing was booked")
    if not windows.open_at(offer, from_ms, venue.zone) or windows.ended(offer, from_ms):
        opens = windows.next_open(offer, from_ms, venue.zone)
        told = (
            "there is no later one" if opens is None else f"the next begins {_text(opens, venue)}"
        )
        raise BookingRefused(
            f"{wanted.offer} has no session at {wanted.session}: {told}; nothing was booked",
            cause="no_session",
        )
    if not offer.sessions:
        return from_ms, 0
    sitting = windows.sitting(offer, from_ms, venue.zone)
    return (from_ms, 0) if sitting is None else sitting


def _in_time(published: Published, wanted: Wanted, venue: Venue, from_ms: int, now_ms: int) -> None:
    """Keeps a rule such as 须提前 1 日; the back office itself may still promise by `reserve`."""
    offer = published.newest[wanted.offer]
    assert isinstance(offer, Offer)
    if not windows.booked_in_time(offer, now_ms, from_ms, venue.zone):
        first = windows.local_day(now_ms, venue.zone) + timedelta(days=offer.booking_days)
        raise BookingRefused(
            f"{offer.id} must be booked at least {offer.booking_days} day(s) before, so from "
            f"{first.isoformat()} on; nothing was booked. On the day a supervisor may let the "
            "member in",
            cause="too_late",
        )


def _instant(text: str, venue: Venue) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ImportRefused(f"{text[:40]!r} is no time such as 2014-06-02T09:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(venue.zone))
    return int(moment.timestamp() * 1000)


def _text(at_ms: int, venue: Venue) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(venue.zone))
    return moment.isoformat(timespec="minutes")[:16]
