"""The hotline's look-up (12351): any left, where, until when, what to bring; why it was declined.

One search answers the first four. The second look answers “why was card …8821 declined yesterday”:
by the last digits, which the server alone keeps, with the words to say, and without telling the
agent whose card it is. Every look is recorded; the words of a search are not, for an agent may type
a caller's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.codes import Code
from ledger.entry import Kind
from ledger.rules.messages import message
from ledger.rules.offer import VENUE_ZONE, Offer
from ledger.rules.windows import local_day
from server.desk import Desk
from server.errors import ImportRefused
from server.hotline_answers import OfferAnswer, answer_of, asked, score
from server.known import pieces
from server.offers import Published
from server.roles import Actor, Right
from server.schema import cards, events

FOUND_MAX: Final = 20
TAPS_MAX: Final = 100
#: How far back a card's taps are looked for.
DAYS_MAX: Final = 400
_LAST4: Final = re.compile(r"[0-9]{4}\Z", re.ASCII)
_QUERY_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class TapAnswer:
    """One tap of a card, as the agent may tell it.

    Attributes:
        card: ``…8821``, and a letter where several cards end so: the caller says which by place
            and time.
        at_ms: when.
        venue: venue id.
        venue_name: what people call it.
        offer: offer id.
        title: of the offer, Chinese.
        title_en: of the offer, English.
        code: of the decision.
        outcome: ``redeem``, ``reentry``, ``decline`` or ``void``.
        voided: whether it was taken back.
        say: the words to say, Chinese.
        say_en: the words to say, English.
    """

    card: str
    at_ms: int
    venue: str
    venue_name: str
    offer: str
    title: str
    title_en: str
    code: str
    outcome: str
    voided: bool
    say: str
    say_en: str


class Hotline:
    """Answers the agent's two questions."""

    def __init__(self, desk: Desk) -> None:
        """Works at a desk."""
        self._desk = desk

    async def search(
        self, who: Actor, query: str, *, district: str = "", venue: str = ""
    ) -> list[OfferAnswer]:
        """Offers that a caller asks for, the best match first, those that run before others.

        Args:
            who: who looks.
            query: words of title, keywords, owner or venue; or initials in pinyin.
            district: near which district's venues are named first.
            venue: of which venue alone.

        Raises:
            NotAllowed: no right.
            ImportRefused: nothing was asked.
        """
        if not who.may(Right.LOOK_UP):
            who.need(Right.OFFERS_VIEW)
        words = query.strip()[:_QUERY_MAX]
        if not words and not venue:
            raise ImportRefused("say what is looked for")
        now_ms = self._desk.now_ms()
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            found = _best(published, words, venue, now_ms)
            await self._desk.noted(
                connection, who, "hotline.search", venue, district=district, found=len(found)
            )
        async with self._desk.database.reading() as connection:
            return [
                await answer_of(connection, published, offer, district, now_ms)
                for offer in found[:FOUND_MAX]
            ]

    async def card(
        self,
        who: Actor,
        last4: str,
        *,
        day: str = "",
        venue: str = "",
        declined: bool = False,
    ) -> list[TapAnswer]:
        """Taps of cards that end in four digits, the newest first.

        Args:
            who: who looks.
            last4: the last digits of the card.
            day: ``yyyy-mm-dd``; absent, today and yesterday.
            venue: only there.
            declined: only what was declined.

        Raises:
            NotAllowed: no right.
            ImportRefused: not four digits, or not a day.
        """
        who.need(Right.LOOK_UP)
        if not _LAST4.match(last4):
            raise ImportRefused("the last four digits of the card")
        first, last = _days(day, self._desk.now_ms())
        async with self._desk.database.writing() as connection:
            await self._desk.noted(
                connection, who, "hotline.card", f"*{last4}", day=first, venue=venue
            )
        async with self._desk.database.reading() as connection:
            published = await self._desk.book.read(connection)
            query = select(cards.c.card).where(cards.c.last4 == last4).distinct()
            hashes = sorted(await connection.scalars(query))
            rows = await _taps(connection, hashes, first, last, venue, declined=declined)
        letters = {card: chr(ord("A") + n % 26) for n, card in enumerate(_order(rows))}
        shown = rows[:TAPS_MAX]
        alone = len(letters) < 2
        return [
            _tap(row, published, f"…{last4}" + ("" if alone else f" {letters[row.card]}"))
            for row in shown
        ]


def _best(published: Published, words: str, venue: str, now_ms: int) -> list[Offer]:
    scored = []
    question = asked(published, words)
    for offer in published.newest.values():
        if not isinstance(offer, Offer):
            continue
        if venue and offer.venues and venue not in offer.venues:
            continue
        points = score(offer, question) if words else 1
        if points:
            running = offer.from_ms <= now_ms < offer.until_ms and not offer.suspended
            ended = offer.until_ms <= now_ms
            scored.append((not running, ended, -points, offer.id, offer))
    return [one[-1] for one in sorted(scored, key=lambda one: one[:-1])]


def _days(day: str, now_ms: int) -> tuple[int, int]:
    """First and last day to look at, as ``yyyymmdd``."""
    today = local_day(now_ms, VENUE_ZONE)
    if not day:
        first = today - timedelta(days=1)
        return _number(first), _number(today)
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise ImportRefused(f"day {day!r}: write yyyy-mm-dd") from None
    if not timedelta(days=-1) <= today - wanted <= timedelta(days=DAYS_MAX):
        raise ImportRefused(f"day: within the last {DAYS_MAX} days")
    return _number(wanted), _number(wanted)


def _number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


async def _taps(
    connection: AsyncConnection,
    hashes: Sequence[str],
    first: int,
    last: int,
    venue: str,
    *,
    declined: bool,
) -> list[Any]:
    rows: list[Any] = []
    for some in pieces(hashes):
        query = select(events).where(
            events.c.day >= first, events.c.day <= last, events.c.card.in_(some)
        )
        if venue:
            query = query.where(events.c.venue == venue)
        if declined:
            query = query.where(events.c.kind == Kind.DECLINE.value)
        rows += (await connection.execute(query)).all()
    return sorted(rows, key=lambda row: (-row.at_ms, row.log, row.seq))


def _order(rows: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(row.card for row in rows))


def _tap(row: Any, published: Published, card: str) -> TapAnswer:
    offer = published.versions.get((row.offer, row.offer_version)) or published.newest.get(
        row.offer
    )
    venue = published.venues.get(row.venue)
    sound = offer if isinstance(offer, Offer) else None
    details = {"kind": sound.kind.value} if sound else {}
    try:
        code = Code(row.code)
    except ValueError:
        code = Code.T06
    zh, en = (message(code, lang, "member", details) for lang in ("zh", "en"))
    return TapAnswer(
        card=card,
        at_ms=row.at_ms,
        venue=row.venue,
        venue_name=venue.name if venue else row.venue,
        offer=row.offer,
        title=sound.title if sound else row.offer,
        title_en=(sound.title_en or sound.title) if sound else row.offer,
        code=row.code,
        outcome=row.kind,
        voided=bool(row.voided),
        say=f"{zh.big}。{zh.small}".rstrip("。") + "。",
        say_en=f"{en.big}. {en.small}".rstrip(". ") + ".",
    )
