"""What an agent reads out about one offer: left, where, until when, what to bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.rules.catalogue import held_at
from ledger.rules.offer import Offer, StockMode, Venue
from server.holds import given_out
from server.offer_life import view_of
from server.offers import Published, bucket_of, capacity_of
from server.stock import Bucket, state_of

VENUES_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class VenueAnswer:
    """A venue at which an offer is given.

    Attributes:
        venue: venue id.
        name: what people call it.
        district: where it is.
        street: where it is.
        phone: of the venue, or empty.
        left: units left there, ``None`` where its stock is not its own.
    """

    venue: str
    name: str
    district: str
    street: str
    phone: str
    left: int | None


@dataclass(frozen=True, slots=True)
class OfferAnswer:
    """What is told of an offer.

    Attributes:
        offer: offer id.
        title: Chinese.
        title_en: English.
        state: upcoming, running, suspended, ended.
        from_ms: when it begins.
        until_ms: when it ends.
        opening: when within that, as the offer words it.
        left: units left in all, or today; ``None`` where nothing bounds it.
        venues: where, the asked district first, at most 30.
        venues_in_all: how many venues there are.
        bring: what to bring and to know, Chinese, a sentence each.
        bring_en: the same in English.
        price_fen: what the member pays, ``None`` if not said.
        phone: to ask or book.
        booking: whether it must be booked, as the offer says.
    """

    offer: str
    title: str
    title_en: str
    state: str
    from_ms: int
    until_ms: int
    opening: str
    left: int | None
    venues: tuple[VenueAnswer, ...]
    venues_in_all: int
    bring: tuple[str, ...]
    bring_en: tuple[str, ...]
    price_fen: int | None
    phone: str
    booking: str


async def answer_of(
    connection: AsyncConnection,
    published: Published,
    offer: Offer,
    district: str,
    now_ms: int,
) -> OfferAnswer:
    """Reads what is to be told of an offer now."""
    view = view_of(offer, now_ms)
    places = [one for one in published.venues.values() if held_at(offer, one)]
    places.sort(key=lambda one: (bool(district) and one.district != district, one.district, one.id))
    venues = [
        VenueAnswer(
            one.id,
            one.name,
            one.district,
            one.street,
            one.phone,
            await _left_at(connection, offer, one, now_ms),
        )
        for one in places[:VENUES_MAX]
    ]
    bring, bring_en = what_to_bring(offer)
    return OfferAnswer(
        offer=offer.id,
        title=view.title,
        title_en=view.title_en,
        state=view.state,
        from_ms=offer.from_ms,
        until_ms=offer.until_ms,
        opening=offer.texts.get("opening_text", ""),
        left=await _left(connection, published, offer, now_ms),
        venues=tuple(venues),
        venues_in_all=len(places),
        bring=bring,
        bring_en=bring_en,
        price_fen=offer.member_price_fen,
        phone=offer.phone,
        booking=offer.booking.value,
    )


async def _left(
    connection: AsyncConnection, published: Published, offer: Offer, now_ms: int
) -> int | None:
    if offer.stock.mode is StockMode.NONE:
        return None
    whole = await state_of(connection, published, offer.id, now_ms)
    if whole.stock_left is not None:
        return whole.stock_left
    part = bucket_of(offer, Venue(""), now_ms)
    out = await given_out(connection, Bucket(offer.id, part), now_ms)
    return max(0, (capacity_of(offer, part) or 0) - out)


async def _left_at(
    connection: AsyncConnection, offer: Offer, venue: Venue, now_ms: int
) -> int | None:
    if offer.stock.mode is not StockMode.PER_VENUE:
        return None
    out = await given_out(connection, Bucket(offer.id, venue.id), now_ms)
    return max(0, (capacity_of(offer, venue.id) or 0) - out)


def what_to_bring(offer: Offer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a member brings and should know, a sentence each, in Chinese and English."""
    said = [("带本人的小红卡", "Bring your own red card")]
    if offer.identity_check:
        said.append(("带身份证，工作人员要核对本人", "Bring your identity card; it is compared"))
    for one in offer.evidence:
        name = one.title or one.name
        need = ("请带" if one.required else "可带") + name
        said.append(
            (need, f"{'Bring' if one.required else 'You may bring'}: {one.title_en or name}")
        )
    if offer.proxy_collect:
        said.append(
            (
                "可由单位工会干部带着职工的卡集中代领",
                "Your union representative may collect for you with your card",
            )
        )
    if offer.companions_max:
        rule = offer.companions_rule or f"可带 {offer.companions_max} 人"
        said.append((f"同行：{rule}", f"Companions: up to {offer.companions_max}"))
    if text := offer.texts.get("eligibility_text", ""):
        said.append((f"限：{text}", f"For: {text}"))
    return tuple(zh for zh, _ in said), tuple(en for _, en in said)


def asked(published: Published, words: str) -> dict[str, tuple[Venue, ...]]:
    """The words of a question, each with the venues that it may name."""
    return {
        word: tuple(
            one
            for one in published.venues.values()
            if word in f"{one.id} {one.name} {one.district} {one.street}".lower()
        )[:VENUES_MAX]
        for word in words.lower().split()
    }


def score(offer: Offer, words: Mapping[str, Sequence[Venue]]) -> int:
    """How well an offer fits what was ``asked``; 0 if it does not."""
    points = 0
    for word, places in words.items():
        best = 2 if any(held_at(offer, place) for place in places) else 0
        for weight, text in _texts(offer):
            if word in text.lower():
                best = max(best, weight + (weight if text.lower().startswith(word) else 0))
        if not best and word.isascii() and word.isalpha() and word in initials(offer.title):
            best = 3
        if not best:
            return 0
        points += best
    return points


def _texts(offer: Offer) -> Iterable[tuple[int, str]]:
    yield 8, offer.id
    yield 8, offer.title
    yield 8, offer.title_en
    for word in offer.keywords:
        yield 6, word
    for text in (offer.campaign, offer.programme, offer.brand, offer.category, offer.owner):
        yield 4, text
    for text in offer.texts.values():
        yield 1, text


@lru_cache(maxsize=4096)
def initials(text: str) -> str:
    """Initials in pinyin: 优惠券套包 is ``yhqtb``."""
    from pypinyin import Style, lazy_pinyin

    return "".join(lazy_pinyin(text, style=Style.FIRST_LETTER)).lower()
