"""Puts what terminals fetch in force: offers, venues, messages, roster, used-set, keys, profiles.

What is published is read from the database inside the one publication at a time, so that of two
server processes the later one publishes the newer state.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from keys.keystore import KeyStore
from server import offers, rosters
from server.announcements import messages_document
from server.database import Database
from server.errors import PublicationRefused
from server.home import ServerHome
from server.members import CHANGES_LOCK
from server.offers import OfferBook
from server.publish import Repository
from server.roster_rows import Standing, standing, standing_of
from server.setting_rows import set_setting, setting
from server.shelf import Shelf, Work
from server.used_sets import uses_that_count
from sync.used import USED_TARGET, RemoteUse, UsedSet, changed, decode_used, encode_used

OFFERS_TARGET: Final = "offers/offers.json"
VENUES_TARGET: Final = "offers/venues.json"
MESSAGES_TARGET: Final = "offers/messages.json"
CA_KEYS_TARGET: Final = "ca_keys.json"
PIV_ROOTS_TARGET: Final = "piv_roots.json"
PROFILES_TARGET: Final = "firmware_profiles.json"
PROFILES_BYTES_MAX: Final = 1 << 20
ROSTER_VERSION: Final = "roster_version"
_JOURNAL: Final = "roster_journal"
_DUE: Final = "roster_due"


class Publications:
    """Publishes from one database."""

    def __init__(
        self, home: ServerHome, database: Database, now_ms: Callable[[], int], book: OfferBook
    ) -> None:
        """Publishes nothing yet."""
        self._home = home
        self._database = database
        self._now_ms = now_ms
        self._book = book
        self.repository = Repository(home.path / "tuf", home.keys, now_ms)
        self.shelf = Shelf(database, self.repository, now_ms)

    async def create(self, custodians: Sequence[KeyStore]) -> None:
        """Makes the first version of everything; see ``Repository.create``."""
        async with self.shelf.changing() as repository:
            await asyncio.to_thread(repository.create, custodians)

    async def timestamp(self) -> bytes:
        """The newest timestamp, signed anew if it is old.

        Raises:
            HomeInvalid: nothing was published yet.
        """
        found = await self.shelf.timestamp()
        if found is None or not self.repository.current(found):
            async with self.shelf.changing() as repository:
                await asyncio.to_thread(repository.refresh)
            found = await self.shelf.timestamp()
        assert found is not None, "it was signed a moment ago"
        return found

    async def versions(self) -> dict[str, int]:
        """Version in force of each role; none if nothing was published yet."""
        await self.shelf.begin()
        if not self.repository.exists:
            return {}
        return await asyncio.to_thread(self.repository.versions)

    async def root(self) -> bytes:
        """The newest root, with which a new terminal begins."""
        await self.shelf.begin()
        return await asyncio.to_thread(self.repository.root)

    async def offers(self) -> None:
        """Puts offers, venues and messages as they stand in force."""
        self._book.forget()
        async with self.shelf.changing() as repository:
            async with self._database.reading() as connection:
                newest = await offers.newest_documents(connection)
                places = await offers.venue_documents(connection)
                said = await messages_document(connection)
            files = {OFFERS_TARGET: _json(list(newest.values())), VENUES_TARGET: _json(places)}
            if said is not None:
                files[MESSAGES_TARGET] = _json(said)
            await asyncio.to_thread(repository.publish, "offers", files)

    async def roster(self) -> None:
        """Puts all cards as they stand in force."""
        async with self.shelf.changing():
            async with self._database.reading() as connection:
                due = await _due(connection)
                rows = await standing(connection)
            version = await self._next_roster()
            await asyncio.to_thread(self._publish_roster, rows, version)
            self.shelf.at_end(self._in_force(due, []))

    async def _next_roster(self) -> int:
        """The next roster's number. No step is in the journal until the roster is in force."""
        async with self._database.writing() as connection:
            version = int(await setting(connection, ROSTER_VERSION) or 0) + 1
            await set_setting(connection, ROSTER_VERSION, str(version))
            await set_setting(connection, _JOURNAL, "[]")
        return version

    def _publish_roster(self, rows: Standing, version: int) -> None:
        rosters.publish_roster(
            self.repository,
            rows.records(),
            version=version,
            as_of_ms=self._now_ms(),
            card_key_id=self._home.configuration.card_key_id,
        )

    async def cards(self) -> None:
        """Puts the cards and members that changed one by one in force; see ``change_is_due``.

        Costs what changed, not what there is; what cannot be told so is published as a whole. A
        change that another publication has taken along costs nothing, and one that an earlier one
        failed to bring is made good.
        """
        async with self.shelf.changing() as repository:
            async with self._database.reading() as connection:
                due = await _due(connection)
                records = await standing_of(connection, due)
                past = _journal(await setting(connection, _JOURNAL))
            if not due:
                return
            journal = await asyncio.to_thread(
                rosters.publish_changes,
                repository,
                records,
                past,
                version=await self._next_roster(),
                as_of_ms=self._now_ms(),
            )
            if journal is not None:
                self.shelf.at_end(self._in_force(due, journal))
        if journal is None:
            await self.roster()

    def _in_force(self, due: Sequence[str], journal: rosters.Journal) -> Work:
        """Notes that these changes have reached the terminals."""

        async def note(connection: AsyncConnection) -> None:
            await self._database.in_turn(connection, CHANGES_LOCK)
            left = [one for one in await _due(connection) if one not in due]
            await set_setting(connection, _DUE, json.dumps(left))
            await set_setting(connection, _JOURNAL, json.dumps(journal))

        return note

    async def used(self) -> bool:
        """Puts what may still count against members in force; says whether it is new."""
        if not self.repository.exists:
            return False
        async with self.shelf.changing() as repository:
            async with self._database.reading() as connection:
                published = await self._book.read(connection)
                uses = await uses_that_count(connection, published, self._now_ms())
            return await asyncio.to_thread(self._publish_used, repository, uses)

    def _publish_used(self, repository: Repository, uses: tuple[RemoteUse, ...]) -> bool:
        held = repository.target(USED_TARGET)
        if not changed(decode_used(held).uses if held is not None else (), uses):
            return False
        data = encode_used(UsedSet(self._now_ms(), uses))
        repository.publish("status", {USED_TARGET: data})
        return True

    async def signed_by_custodians(
        self, target: str, data: bytes, custodians: Path | None = None, *, instead_of: str = ""
    ) -> int:
        """Puts a target in force that custodians sign: CA keys, roots of staff cards, profiles.

        Args:
            target: its path.
            data: the file.
            custodians: folder of their keys, absent the server's own.
            instead_of: SHA-256 of what it was made from; refused if something else is in force.

        Raises:
            PublicationRefused: fewer than two custodians, or somebody published meanwhile.
        """
        signers = self._home.custodians(custodians)
        async with self.shelf.changing() as repository:
            if instead_of and instead_of != (repository.targets("targets").get(target) or NOTHING):
                raise PublicationRefused(
                    f"{target} was published by somebody else meanwhile; nothing was changed, "
                    "try again"
                )
            return await asyncio.to_thread(repository.publish_offline, {target: data}, signers)

    async def profiles(self) -> tuple[bytes, str]:
        """The published reader profiles, empty if there are none, and what names this state."""
        async with self.shelf.changing() as repository:
            held = await asyncio.to_thread(repository.target, PROFILES_TARGET) or b""
        return held, hashlib.sha256(held).hexdigest() if held else NOTHING


#: Stands for the hash of a target that there is not.
NOTHING: Final = "nothing"


async def change_is_due(connection: AsyncConnection, name: str) -> None:
    """Notes in the transaction of a change that a card or member must reach the terminals.

    Args:
        connection: in the turn of ``CHANGES_LOCK``.
        name: card hash or member reference; they are told by their length.
    """
    due = await _due(connection)
    if name not in due:
        await set_setting(connection, _DUE, json.dumps([*due, name]))


async def _due(connection: AsyncConnection) -> list[str]:
    return list(json.loads(await setting(connection, _DUE) or "[]"))


def _journal(text: str | None) -> rosters.Journal:
    return [
        rosters.Step(digest, version, {int(at): whole for at, whole in touched.items()})
        for digest, version, touched in json.loads(text or "[]")
    ]


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")
