"""What the federation says at every terminal: its own texts of codes, and notices to the staff."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import WordsInvalid
from ledger.rules.published_words import FORMAT, load_words
from server.desk import Desk
from server.errors import ImportRefused
from server.roles import Actor, Right
from server.setting_rows import set_setting, setting

Document = dict[str, Any]

_SETTING: Final = "messages"


class Announcements:
    """Keeps texts and notices and brings them to the terminals."""

    def __init__(self, desk: Desk, publish: Callable[[], Awaitable[None]]) -> None:
        """Works at a desk; ``publish`` brings what changed to the terminals."""
        self._desk = desk
        self._publish = publish

    async def all(self, who: Actor) -> Document:
        """What is in force, as a file of it would be.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.FLEET_VIEW)
        async with self._desk.database.reading() as connection:
            return await messages_document(connection) or _empty()

    async def put(self, who: Actor, data: bytes) -> Document:
        """Adds the texts and notices of a file; those of the same code or id are replaced.

        Raises:
            NotAllowed: no right.
            ImportRefused: something in the file is wrong; nothing was changed.
        """
        who.need(Right.FLEET_CHANGE)
        try:
            load_words(data)
        except WordsInvalid as fault:
            raise ImportRefused(f"{fault}; nothing was changed") from None
        fresh = json.loads(data)

        def change(held: Document) -> None:
            held["texts"] |= fresh.get("texts", {})
            ids = {one["id"] for one in fresh.get("notices", [])}
            kept = [one for one in held["notices"] if one["id"] not in ids]
            held["notices"] = [*kept, *fresh.get("notices", [])]

        texts, notices = len(fresh.get("texts", {})), len(fresh.get("notices", []))
        return await self._change(who, "messages.put", change, texts=texts, notices=notices)

    async def take_back(
        self, who: Actor, *, codes: Sequence[str] = (), notices: Sequence[str] = ()
    ) -> Document:
        """Puts the product's own texts of codes in force again, and withdraws notices.

        Raises:
            NotAllowed: no right.
            ImportRefused: one of them is not in force; nothing was changed.
        """
        who.need(Right.FLEET_CHANGE)

        def change(held: Document) -> None:
            ids = [one["id"] for one in held["notices"]]
            for name, known in [(one, held["texts"]) for one in codes] + [
                (one, ids) for one in notices
            ]:
                if name not in known:
                    raise ImportRefused(f"nothing is published for {name}; nothing was changed")
            for code in codes:
                held["texts"].pop(code, None)
            held["notices"] = [one for one in held["notices"] if one["id"] not in notices]

        return await self._change(
            who, "messages.take_back", change, subject=" ".join((*codes, *notices))[:64]
        )

    async def _change(
        self,
        who: Actor,
        act: str,
        change: Callable[[Document], None],
        subject: str = "",
        **detail: int,
    ) -> Document:
        async with self._desk.database.writing() as connection:
            held = await messages_document(connection) or _empty()
            change(held)
            now_ms = self._desk.now_ms()
            held["notices"] = [one for one in held["notices"] if one["until_ms"] > now_ms]
            await self._check_places(connection, held["notices"])
            try:
                load_words(json.dumps(held).encode("utf-8"))
            except WordsInvalid as fault:
                raise ImportRefused(f"{fault}; nothing was changed") from None
            await set_setting(connection, _SETTING, json.dumps(held, ensure_ascii=False))
            await self._desk.done(connection, who, act, subject, **detail)
        await self._publish()
        return held

    async def _check_places(self, connection: AsyncConnection, notices: Sequence[Any]) -> None:
        venues = (await self._desk.book.read(connection)).venues
        districts = {one.district for one in venues.values()}
        for notice in notices:
            for kind, known in (("venues", set(venues)), ("districts", districts)):
                if unknown := set(notice.get(kind, [])) - known:
                    raise ImportRefused(
                        f"notice {notice['id']}: {min(unknown)} is none of the {kind}; "
                        "nothing was changed"
                    )


async def messages_document(connection: AsyncConnection) -> Document | None:
    """What is to be published, ``None`` if nothing ever was."""
    value = await setting(connection, _SETTING)
    return None if value is None else dict(json.loads(value))


def _empty() -> Document:
    return {"format": FORMAT, "texts": {}, "notices": []}
