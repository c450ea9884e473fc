"""The member feed (会员信息采集系统 → 会员服务系统): lists signed by their sender, taken once.

A list is the CSV of ``server.card_list``. Beside it goes a signed note that says who sends it, its
number in a row that only rises, its SHA-256 and its rows; or the same words are the signature of a
request to the API. A list of an unknown sender, out of turn or changed on the way is refused whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import NoteInvalid
from ledger.log.note import Ed25519Verifier, open_note
from server.card_list import ImportReport
from server.desk import Desk
from server.errors import ImportRefused
from server.roles import Actor, Right
from server.schema_office import feed_keys, member_feeds

FEED_FORMAT: Final = "redcard-members/v1"
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")
_LINE: Final = re.compile(r"(source|number) ([0-9a-z.-]{1,64})\Z|(sha256) ([0-9a-f]{64})\Z")
NUMBER_MAX: Final = 2**53

Progress = Callable[[int, int], None]
Take = Callable[[bytes | Path, Progress], Any]


@dataclass(frozen=True, slots=True)
class FeedStatement:
    """What a sender signs of a list."""

    source: str
    number: int
    sha256: str

    def text(self) -> str:
        """The signed text."""
        return f"{FEED_FORMAT}\nsource {self.source}\nnumber {self.number}\nsha256 {self.sha256}\n"


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A sender of lists.

    Attributes:
        source: name.
        vkey: verifier key (C2SP signed-note).
        active: whether lists of it are taken.
        number: of the last list taken.
    """

    source: str
    vkey: str
    active: bool
    number: int


class MemberFeed:
    """Takes signed lists."""

    def __init__(self, desk: Desk, take: Take) -> None:
        """Works at a desk; ``take`` imports a list and publishes the roster."""
        self._desk = desk
        self._take = take

    async def set_source(self, who: Actor, source: str, vkey: str, *, active: bool = True) -> None:
        """Makes a sender known, gives it another key, or takes no more of it.

        Raises:
            NotAllowed: no right.
            ImportRefused: no name or no verifier key; nothing was changed.
        """
        who.need(Right.MEMBERS)
        if not _SOURCE.match(source):
            raise ImportRefused("source: 1 to 64 of a-z, 0-9, dot and hyphen")
        try:
            Ed25519Verifier.from_vkey(vkey)
        except NoteInvalid as error:
            raise ImportRefused(f"vkey: {error}; nothing was changed") from None
        async with self._desk.database.writing() as connection:
            held = await _source(connection, source)
            await connection.execute(delete(feed_keys).where(feed_keys.c.source == source))
            row = {
                "source": source,
                "vkey": vkey,
                "active": active,
                "number": held.number if held else 0,
                "set_ms": self._desk.now_ms(),
            }
            await connection.execute(insert(feed_keys), row)
            await self._desk.done(connection, who, "feed.source", source, active=int(active))

    async def sources(self, who: Actor) -> list[FeedSource]:
        """Senders by name.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.MEMBERS)
        async with self._desk.database.reading() as connection:
            rows = await connection.execute(select(feed_keys).order_by(feed_keys.c.source))
            return [FeedSource(r.source, r.vkey, bool(r.active), r.number) for r in rows]

    async def take(
        self,
        file: bytes | Path,
        note: bytes,
        progress: Progress = lambda _done, _total: None,
    ) -> ImportReport:
        """Takes a list with the note that its sender signed; the same list again changes nothing.

        Raises:
            ImportRefused: unknown sender, bad signature, another file, out of turn, or what
                ``members.import_members`` refuses; nothing was changed.
        """
        statement = await self.check(note)
        if _digest(file) != statement.sha256:
            raise ImportRefused("the list is not the one that was signed; nothing was imported")
        async with self._desk.database.reading() as connection:
            held = await _source(connection, statement.source)
            done = await _taken(connection, statement)
        assert held is not None, "whoever signed is known"
        if done is not None:
            report: dict[str, Any] = json.loads(done)
            return ImportReport(
                **{**report, "faults": tuple((line, said) for line, said in report["faults"])}
            )
        if statement.number <= held.number:
            raise ImportRefused(
                f"list {statement.number} of {statement.source} comes after {held.number}: lists "
                "are taken in their order; nothing was imported"
            )
        found: ImportReport = await self._take(file, progress)
        async with self._desk.database.writing() as connection:
            await connection.execute(
                update(feed_keys)
                .where(feed_keys.c.source == statement.source)
                .values(number=statement.number)
            )
            row = {
                "source": statement.source,
                "number": statement.number,
                "digest": bytes.fromhex(statement.sha256),
                "rows": found.rows,
                "faulty": found.faulty,
                "report": json.dumps(asdict(found), ensure_ascii=False),
                "applied_ms": self._desk.now_ms(),
            }
            await connection.execute(insert(member_feeds), row)
        return found

    async def check(self, note: bytes) -> FeedStatement:
        """What a note says of a list, if somebody signed it who may send lists.

        Raises:
            ImportRefused: unknown sender, or a bad signature.
        """
        statement = read_statement(note)
        async with self._desk.database.reading() as connection:
            held = await _source(connection, statement.source)
        if held is None or not held.active:
            raise ImportRefused(f"{statement.source} sends no lists here; nothing was imported")
        try:
            opened = open_note(note, [Ed25519Verifier.from_vkey(held.vkey)])
        except NoteInvalid as error:
            raise ImportRefused(f"the note: {error}; nothing was imported") from None
        if opened.text != statement.text():
            raise ImportRefused("the note says more than a list's; nothing was imported")
        return statement


def read_statement(note: bytes) -> FeedStatement:
    """Reads what a note says of a list; its signature is not checked.

    Raises:
        ImportRefused: it is no note of a list.
    """
    try:
        lines = note.decode("utf-8").split("\n\n")[0].split("\n")
    except UnicodeDecodeError:
        lines = []
    found = (_LINE.match(line) for line in lines[1:])
    fields = dict(tuple(filter(None, one.groups())) for one in found if one is not None)
    number = fields.get("number", "")
    if lines[:1] != [FEED_FORMAT] or len(fields) != 3 or not number.isdigit() or len(number) > 16:
        raise ImportRefused(f"the note is no {FEED_FORMAT}: source, number, sha256")
    return FeedStatement(fields["source"], int(number), fields["sha256"])


def _digest(file: bytes | Path) -> str:
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ImportRefused(f"the list cannot be read: {error.strerror}") from None


async def _source(connection: AsyncConnection, source: str) -> Any:
    query = select(feed_keys).where(feed_keys.c.source == source)
    return (await connection.execute(query)).one_or_none()


async def _taken(connection: AsyncConnection, statement: FeedStatement) -> str | None:
    """The report of this very list, if it was taken before."""
    query = select(member_feeds.c.report).where(
        member_feeds.c.source == statement.source,
        member_feeds.c.number == statement.number,
        member_feeds.c.digest == bytes.fromhex(statement.sha256),
    )
    report: str | None = await connection.scalar(query)
    return report
