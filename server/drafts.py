"""An offer's way to publication: draft → review → published, by level and right.

Whoever writes an offer does not pass it. A district writes and passes offers of its own level and
of its streets, at its own venues; a street writes and its district passes; the federation does
either for all. What is published is a version for ever (``server.offers``); what follows is
``server.offer_life``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.catalogue import load_offers
from server.desk import Desk
from server.errors import ImportRefused, NotAllowed
from server.offer_life import is_place, need_place
from server.offers import add_versions, newest_documents
from server.roles import CONSOLE_ACTOR, Actor, Right, Role
from server.schema_office import drafts

Document = dict[str, Any]
DOCUMENT_BYTES_MAX: Final = 64 * 1024
REMARK_LETTERS_MAX: Final = 200


class DraftState(StrEnum):
    """Where a draft stands."""

    DRAFT = "draft"
    REVIEW = "review"
    RETURNED = "returned"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


#: From which states each step leads on.
_STEPS: Final[Mapping[DraftState, frozenset[DraftState]]] = {
    DraftState.REVIEW: frozenset({DraftState.DRAFT, DraftState.RETURNED}),
    DraftState.RETURNED: frozenset({DraftState.REVIEW}),
    DraftState.PUBLISHED: frozenset({DraftState.REVIEW}),
    DraftState.WITHDRAWN: frozenset({DraftState.DRAFT, DraftState.RETURNED, DraftState.REVIEW}),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """An offer on its way to publication.

    Attributes:
        id: number.
        offer: offer id.
        document: the offer as it would be published (``docs/offers.md``).
        state: where it stands.
        author: who wrote it.
        decided_by: who returned or passed it, or empty.
        remark: why it was returned, or what is to be known of it.
        created_ms: since when.
        changed_ms: last step.
    """

    id: int
    offer: str
    document: Document
    state: DraftState
    author: str
    decided_by: str
    remark: str
    created_ms: int
    changed_ms: int


class Drafts:
    """Takes offers from draft to publication."""

    def __init__(self, desk: Desk, publish: Callable[[], Awaitable[None]]) -> None:
        """Works at a desk; ``publish`` brings what changed to the terminals."""
        self._desk = desk
        self._publish = publish

    async def write(self, who: Actor, document: Document, *, draft: int = 0) -> int:
        """Keeps a draft, new or changed; a changed one in review is a draft again.

        Args:
            who: who writes; becomes its author.
            document: the offer; it need not be complete before it goes to review.
            draft: number of the draft to change, 0 for a new one.

        Returns:
            Its number.

        Raises:
            NotAllowed: no right, another author's, or a level or place that is not the own.
            ImportRefused: no id, too large, or published already.
        """
        who.need(Right.OFFERS_WRITE)
        text = json.dumps(document, ensure_ascii=False)
        if len(text.encode("utf-8")) > DOCUMENT_BYTES_MAX:
            raise ImportRefused(f"an offer has at most {DOCUMENT_BYTES_MAX} bytes")
        offer = document.get("id")
        if not isinstance(offer, str) or not 0 < len(offer) <= 64:
            raise ImportRefused("id: a short name of the offer")
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            need_place(who, Right.OFFERS_WRITE, document, published)
            if offer in published.newest:
                held = (await newest_documents(connection))[offer]
                need_place(who, Right.OFFERS_WRITE, held, published)
            row = {"document": text, "state": DraftState.DRAFT.value, "changed_ms": now_ms}
            if draft:
                before = await _draft(connection, draft)
                if before.author != who.person or before.state is DraftState.PUBLISHED:
                    raise NotAllowed("another author's, or published; write a new draft")
                mine = update(drafts).where(drafts.c.id == draft)
                await connection.execute(mine.values(**row, offer=offer))
                number = draft
            else:
                row |= {"offer": offer, "author": who.person, "created_ms": now_ms}
                row |= {"decided_by": "", "remark": ""}
                answer = await connection.execute(insert(drafts).returning(drafts.c.id), row)
                number = int(answer.scalar_one())
            await self._desk.done(connection, who, "draft.write", str(number), offer=offer)
        return number

    async def submit(self, who: Actor, draft: int) -> None:
        """Sends a draft to review; it must be a sound offer now.

        Raises:
            NotAllowed: not the author.
            ImportRefused: it is not a draft.
            OfferInvalid: names the field; it stays a draft.
        """
        async with self._desk.database.writing() as connection:
            held = await _draft(connection, draft)
            if held.author != who.person and who.role is not Role.FEDERATION:
                raise NotAllowed("another author's draft")
            published = await self._desk.book.read(connection)
            load_offers(
                json.dumps([held.document]).encode("utf-8"), venues=published.venues or None
            )
            await self._step(connection, who, held, DraftState.REVIEW, "")

    async def give_back(self, who: Actor, draft: int, remark: str) -> None:
        """Returns a draft to its author, with what is to be changed.

        Raises:
            NotAllowed: no right here.
            ImportRefused: it is not in review, or the remark is too long.
        """
        if len(remark) > REMARK_LETTERS_MAX:
            raise ImportRefused(f"a remark has at most {REMARK_LETTERS_MAX} characters")
        async with self._desk.database.writing() as connection:
            held = await self._passable(connection, who, draft)
            await self._step(connection, who, held, DraftState.RETURNED, remark)

    async def withdraw(self, who: Actor, draft: int) -> None:
        """Takes a draft back for good.

        Raises:
            NotAllowed: not the author.
            ImportRefused: it is published or withdrawn already.
        """
        async with self._desk.database.writing() as connection:
            held = await _draft(connection, draft)
            if held.author != who.person and who.role is not Role.FEDERATION:
                raise NotAllowed("another author's draft")
            await self._step(connection, who, held, DraftState.WITHDRAWN, "")

    async def pass_(self, who: Actor, draft: int) -> int:
        """Passes a draft in review and publishes it; the author cannot.

        Returns:
            The number of the version now in force.

        Raises:
            NotAllowed: no right here, or the own draft.
            ImportRefused: it is not in review.
            OfferInvalid: a venue is gone since; it stays in review.
        """
        async with self._desk.database.writing() as connection:
            held = await self._passable(connection, who, draft)
            if held.author == who.person and who != CONSOLE_ACTOR:
                raise NotAllowed("nobody passes their own offer; another person must")
            published = await self._desk.book.read(connection)
            load_offers(
                json.dumps([held.document]).encode("utf-8"), venues=published.venues or None
            )
            await add_versions(connection, [held.document], self._desk.now_ms())
            version = int((await newest_documents(connection))[held.offer]["version"])
            await self._step(connection, who, held, DraftState.PUBLISHED, "")
        await self._publish()
        return version

    async def all(self, who: Actor, *, state: str = "") -> list[Draft]:
        """Drafts of the own place, the newest first.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.OFFERS_VIEW)
        query = select(drafts).order_by(drafts.c.id.desc())
        if state:
            query = query.where(drafts.c.state == state)
        async with self._desk.database.reading() as connection:
            published = await self._desk.book.read(connection)
            found = [_of_row(row) for row in await connection.execute(query)]
        return [one for one in found if is_place(who, Right.OFFERS_VIEW, one.document, published)]

    async def one(self, who: Actor, draft: int) -> Draft:
        """One draft.

        Raises:
            NotAllowed: no right.
            ImportRefused: there is none of this number.
        """
        who.need(Right.OFFERS_VIEW)
        async with self._desk.database.reading() as connection:
            return await _draft(connection, draft)

    async def _passable(self, connection: AsyncConnection, who: Actor, draft: int) -> Draft:
        held = await _draft(connection, draft)
        published = await self._desk.book.read(connection)
        need_place(who, Right.OFFERS_PASS, held.document, published)
        return held

    async def _step(
        self, connection: AsyncConnection, who: Actor, held: Draft, to: DraftState, remark: str
    ) -> None:
        if held.state not in _STEPS[to]:
            raise ImportRefused(f"draft {held.id} is {held.state}; nothing was changed")
        decided = who.person if to in {DraftState.RETURNED, DraftState.PUBLISHED} else ""
        await connection.execute(
            update(drafts)
            .where(drafts.c.id == held.id)
            .values(
                state=to.value,
                remark=remark,
                decided_by=decided,
                changed_ms=self._desk.now_ms(),
            )
        )
        await self._desk.done(connection, who, f"draft.{to}", str(held.id), offer=held.offer)


async def _draft(connection: AsyncConnection, draft: int) -> Draft:
    row = (await connection.execute(select(drafts).where(drafts.c.id == draft))).one_or_none()
    if row is None:
        raise ImportRefused(f"there is no draft {draft}")
    return _of_row(row)


def _of_row(row: Any) -> Draft:
    return Draft(
        id=row.id,
        offer=row.offer,
        document=json.loads(row.document),
        state=DraftState(row.state),
        author=row.author,
        decided_by=row.decided_by,
        remark=row.remark,
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
    )
