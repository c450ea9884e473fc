"""Published offers: every version for ever, and which was in force when.

A version once published is never changed; suspending an offer or moving its end publishes the next
one. The judge reads versions by the number that an entry names, terminals get the newest ones.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import OfferInvalid
from ledger.rules.catalogue import load_offers, load_venues, parse_offer, parse_venue, share_groups
from ledger.rules.leases import StockPool
from ledger.rules.offer import BrokenOffer, Offer, StockMode, Venue
from server.approvals import Approvals
from server.database import Database
from server.errors import ImportRefused, PublicationRefused
from server.facts import History
from server.schema import offers, venues
from server.venue_list import venues_of_csv

Document = dict[str, Any]

FILE_BYTES_MAX: Final = 64 << 20
#: How old a look at what is published may be where it is asked for many times a second.
LATELY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """All that was ever published, parsed.

    Attributes:
        versions: every version by offer id and number.
        in_force: per offer, which version from when on.
        newest: the newest version of each offer.
        venues: venues by id.
        approvals: what the judge has found of these very offers.
    """

    versions: Mapping[tuple[str, int], Offer | BrokenOffer] = field(default_factory=dict)
    in_force: Mapping[str, History[Offer | BrokenOffer]] = field(default_factory=dict)
    newest: Mapping[str, Offer | BrokenOffer] = field(default_factory=dict)
    venues: Mapping[str, Venue] = field(default_factory=dict)
    approvals: Approvals = field(default_factory=Approvals, compare=False)


class _Mark(NamedTuple):
    """What tells one state of the tables from the next."""

    offers: int
    latest_ms: int
    venues: int
    venues_length: int


class OfferBook:
    """Keeps what was published parsed, and reads it again when there is more."""

    def __init__(self) -> None:
        """Reads nothing yet."""
        self._mark: _Mark | None = None
        self._published = Published()
        self._read_s = -math.inf

    async def lately(self, database: Database) -> Published:
        """What was published at most a moment ago, for what is asked many times a second."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._read_s > LATELY_S:
            async with database.reading() as connection:
                await self.read(connection)
            self._read_s = now_s
        return self._published

    def forget(self) -> None:
        """Something was published by this process: it is in force at once."""
        self._read_s = -math.inf

    async def read(self, connection: AsyncConnection) -> Published:
        """What is published now."""
        count, latest = (
            await connection.execute(select(func.count(), func.max(offers.c.published_ms)))
        ).one()
        places, length = (
            await connection.execute(select(func.count(), func.sum(func.length(venues.c.document))))
        ).one()
        mark = _Mark(count, latest or 0, places, length or 0)
        if mark != self._mark:
            self._published = await _read(connection)
            self._mark = mark
        return self._published


async def _read(connection: AsyncConnection) -> Published:
    rows = (
        await connection.execute(select(offers).order_by(offers.c.published_ms, offers.c.version))
    ).all()
    versions: dict[tuple[str, int], Offer | BrokenOffer] = {}
    moments: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        versions[row.offer, row.version] = _parse(row.offer, row.version, row.document)
        moments.setdefault(row.offer, []).append((row.published_ms, row.version))
    newest = {name: versions[name, held[-1][1]] for name, held in moments.items()}
    for key, offer in list(versions.items()):
        if isinstance(offer, Offer) and any(limit.group for limit in offer.limits):
            versions[key] = share_groups({**newest, key[0]: offer})[key[0]]
    in_force = {
        name: History((moment, versions[name, number]) for moment, number in held)
        for name, held in moments.items()
    }
    places = (await connection.execute(select(venues))).all()
    return Published(
        versions=versions,
        in_force=in_force,
        newest={name: versions[name, held[-1][1]] for name, held in moments.items()},
        venues={row.venue: parse_venue(json.loads(row.document)) for row in places},
    )


def _parse(name: str, version: int, document: str) -> Offer | BrokenOffer:
    try:
        return parse_offer(json.loads(document))
    except OfferInvalid as fault:
        return BrokenOffer(name, str(fault), version)


async def newest_documents(connection: AsyncConnection) -> dict[str, Document]:
    """The newest document of each offer, by id."""
    rows = await connection.execute(
        select(offers.c.offer, offers.c.document).order_by(offers.c.offer, offers.c.version)
    )
    return {row.offer: json.loads(row.document) for row in rows}


async def venue_documents(connection: AsyncConnection) -> list[Document]:
    """Documents of all venues, by id."""
    rows = await connection.scalars(select(venues.c.document).order_by(venues.c.venue))
    return [json.loads(document) for document in rows]


async def publish_offers(connection: AsyncConnection, data: bytes, now_ms: int) -> list[str]:
    """Publishes a file of offers, whole or not at all; unchanged offers keep their version.

    Args:
        connection: inside a transaction that may write.
        data: a JSON array of offers.
        now_ms: from when on they are in force.

    Returns:
        Ids of the offers that got a new version.

    Raises:
        OfferInvalid: names line and field; nothing was published.
    """
    known = {row.id: row for row in await _venues(connection)}
    load_offers(data, venues=known or None)
    return await add_versions(connection, json.loads(data), now_ms)


async def add_versions(
    connection: AsyncConnection, documents: Sequence[Document], now_ms: int
) -> list[str]:
    """Adds a version of every document that differs from the newest one of its offer."""
    held = await newest_documents(connection)
    latest = await connection.scalar(select(func.max(offers.c.published_ms)))
    if latest is not None and now_ms < latest:
        raise PublicationRefused(
            "the server's clock stands before the last publication; set it right and publish again"
        )
    changed: list[str] = []
    for document in documents:
        name = str(document["id"])
        before = held.get(name)
        if before is not None and _content(before) == _content(document):
            continue
        number = max(int(document.get("version", 1)), int(before["version"]) + 1 if before else 1)
        row = {
            "offer": name,
            "version": number,
            "document": json.dumps({**document, "version": number}, ensure_ascii=False),
            "published_ms": now_ms,
        }
        await connection.execute(insert(offers), row)
        changed.append(name)
    return changed


async def change_offer(
    connection: AsyncConnection, name: str, changes: Document, now_ms: int
) -> int:
    """Publishes the next version of one offer with some fields changed.

    Args:
        connection: inside a transaction that may write.
        name: the offer.
        changes: fields to set; ``None`` removes one.
        now_ms: from when on it is in force.

    Returns:
        The number of the version now in force.

    Raises:
        PublicationRefused: no such offer.
        OfferInvalid: the result is not a sound offer; nothing was published.
    """
    held = await newest_documents(connection)
    if name not in held:
        raise PublicationRefused(f"no offer is called {name}")
    document = {**held[name], **changes}
    document = {key: value for key, value in document.items() if value is not None}
    parse_offer(document)
    await add_versions(connection, [document], now_ms)
    return int((await newest_documents(connection))[name]["version"])


def _content(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "version"}


async def _venues(connection: AsyncConnection) -> list[Venue]:
    return [parse_venue(document) for document in await venue_documents(connection)]


async def import_venues(connection: AsyncConnection, data: bytes) -> int:
    """Takes a JSON array or a CSV of venues; those of the same id are replaced.

    Raises:
        OfferInvalid: names line and field; nothing was changed.
        ImportRefused: the file is too large.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ImportRefused(f"a file of venues has at most {FILE_BYTES_MAX} bytes")
    if not data.lstrip().startswith((b"[", b"{")):
        data = venues_of_csv(data)
    load_venues(data)
    documents = json.loads(data)
    names = [document["id"] for document in documents]
    for name in names:
        await connection.execute(venues.delete().where(venues.c.venue == name))
    if documents:
        await connection.execute(
            insert(venues),
            [
                {"venue": document["id"], "document": json.dumps(document, ensure_ascii=False)}
                for document in documents
            ],
        )
    return len(names)


# How an offer's stock is divided.


def bucket_of(offer: Offer | BrokenOffer | None, venue: Venue, at_ms: int) -> str:
    """The part of the stock that a use takes from: empty for a pool or where there is no stock."""
    if not isinstance(offer, Offer):
        return ""
    return StockPool(offer).part(venue.id, venue.zone, at_ms)


def capacity_of(offer: Offer | BrokenOffer | None, bucket: str) -> int | None:
    """Units that such a part holds, ``None`` where nothing bounds it."""
    if not isinstance(offer, Offer) or offer.stock.mode is StockMode.NONE:
        return None
    return StockPool(offer).total(bucket)
