"""An offer's life after publication: running → suspended → ended; who has which right over it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.rules.offer import VENUE_ZONE, BrokenOffer, Level, Offer
from ledger.rules.windows import local
from server.desk import Desk
from server.errors import NotAllowed, PublicationRefused
from server.offers import Published, change_offer, newest_documents
from server.roles import Actor, Right, Role

Document = dict[str, Any]

#: Levels that a role writes for.
_LEVELS: Final[Mapping[Role, frozenset[str]]] = {
    Role.FEDERATION: frozenset(Level),
    Role.DISTRICT: frozenset({Level.DISTRICT, Level.STREET}),
    Role.STREET: frozenset({Level.STREET}),
}


@dataclass(frozen=True, slots=True)
class OfferView:
    """A published offer and where it stands.

    Attributes:
        offer: offer id.
        version: newest version.
        title: what people call it.
        title_en: the same in English.
        level: city, district or street.
        owner: whose it is.
        category: of the six.
        state: ``upcoming``, ``running``, ``suspended``, ``ended``, or ``broken``.
        from_ms: when it begins.
        until_ms: when it ends.
    """

    offer: str
    version: int
    title: str
    title_en: str
    level: str
    owner: str
    category: str
    state: str
    from_ms: int
    until_ms: int


class OfferLife:
    """Suspends, resumes and ends what is published."""

    def __init__(self, desk: Desk, publish: Callable[[], Awaitable[None]]) -> None:
        """Works at a desk; ``publish`` brings what changed to the terminals."""
        self._desk = desk
        self._publish = publish

    async def suspend(self, who: Actor, offer: str, *, resume: bool = False) -> int:
        """Suspends a published offer from now on, or puts it in force again.

        Raises:
            NotAllowed: no right here.
            PublicationRefused: no such offer.
        """
        status = "active" if resume else "suspended"
        return await self._change(who, offer, {"status": status}, "resume" if resume else "suspend")

    async def end(self, who: Actor, offer: str) -> int:
        """Ends a published offer now; what was redeemed stays as it is.

        Raises:
            NotAllowed: no right here.
            PublicationRefused: no such offer, or it has not begun or has ended.
        """
        now_ms = self._desk.now_ms()
        async with self._desk.database.reading() as connection:
            held = (await self._desk.book.read(connection)).newest.get(offer)
        if not isinstance(held, Offer) or not held.from_ms < now_ms < held.until_ms:
            raise PublicationRefused(f"{offer} is not running; suspend it instead")
        until = local(now_ms, VENUE_ZONE).isoformat(timespec="seconds")
        return await self._change(who, offer, {"until": until}, "end")

    async def _change(self, who: Actor, offer: str, changes: Document, act: str) -> int:
        async with self._desk.database.writing() as connection:
            published = await self._desk.book.read(connection)
            document = (await newest_documents(connection)).get(offer)
            if document is None:
                raise PublicationRefused(f"no offer is called {offer}")
            need_place(who, Right.OFFERS_PASS, document, published)
            version = await change_offer(connection, offer, changes, self._desk.now_ms())
            await self._desk.done(connection, who, f"offer.{act}", offer, version=version)
        await self._publish()
        return version

    async def all(self, who: Actor) -> list[OfferView]:
        """Every published offer and where it stands.

        Raises:
            NotAllowed: no right.
        """
        who.need(Right.OFFERS_VIEW)
        async with self._desk.database.reading() as connection:
            found = await self._desk.book.read(connection)
        now_ms = self._desk.now_ms()
        return [view_of(one, now_ms) for _, one in sorted(found.newest.items())]


def view_of(offer: Offer | BrokenOffer, now_ms: int) -> OfferView:
    """Where a published offer stands at a moment."""
    if not isinstance(offer, Offer):
        return OfferView(offer.id, offer.version, offer.id, offer.id, "", "", "", "broken", 0, 0)
    if offer.until_ms <= now_ms:
        state = "ended"
    elif offer.suspended:
        state = "suspended"
    else:
        state = "running" if offer.from_ms <= now_ms else "upcoming"
    return OfferView(
        offer=offer.id,
        version=offer.version,
        title=offer.title or offer.id,
        title_en=offer.title_en or offer.title or offer.id,
        level=offer.level,
        owner=offer.owner,
        category=offer.category,
        state=state,
        from_ms=offer.from_ms,
        until_ms=offer.until_ms,
    )


def is_place(who: Actor, right: Right, document: Document, published: Published) -> bool:
    """Whether an offer is of a level and at venues of which somebody has the right."""
    if not who.district:
        return who.may(right)
    if document.get("level") not in _LEVELS.get(who.role, frozenset()):
        return False
    places = _places(document, published)
    return bool(places) and all(
        who.may(right, district=district, street=street) for district, street in places
    )


def _places(document: Document, published: Published) -> set[tuple[str, str]]:
    """Districts and streets at which an offer would be given."""
    named = document.get("venues")
    if isinstance(named, list) and named:
        known = [published.venues.get(str(name)) for name in named]
        return {(one.district, one.street) if one else ("", "") for one in known} - {("", "")}
    scope = document.get("scope")
    if not isinstance(scope, dict):
        return set()
    districts = _texts(scope.get("district"))
    streets = _texts(scope.get("street")) or [""]
    return {(district, street) for district in districts for street in streets}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, Iterable) else []


def need_place(who: Actor, right: Right, document: Document, published: Published) -> None:
    """Lets only who has the right over such an offer go on.

    Raises:
        NotAllowed: another level or place; nothing was done.
    """
    who.need(right)
    if not is_place(who, right, document, published):
        raise NotAllowed(
            f"{who.person} may do this for offers of their own level, at venues of "
            f"{who.scope or 'their own'} alone; nothing was done"
        )
