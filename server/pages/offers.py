"""Offers: what is published, drafts on their way, and who could take one before it is."""

from __future__ import annotations

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.errors import OfferInvalid
from ledger.rules.fields import CATEGORIES
from ledger.rules.offer import BrokenOffer, Offer
from screens.language import wording
from server.drafts import Draft, DraftState
from server.errors import ImportRefused, PublicationRefused
from server.offer_life import is_place
from server.pages.drafting import edit
from server.pages.offer_words import OfferWords
from server.pages.office import Office, Visit
from server.pages.trials import draw_trial
from server.roles import Right
from server.trying import document_of, draft_offer

ROWS_MAX: Final = 50
STATES: Final = ("running", "upcoming", "suspended", "ended", "broken")


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/offers", Right.OFFERS_VIEW, _list)
    office.page("/offers/drafts", Right.OFFERS_VIEW, _drafts)
    office.page("/offers/drafts/{draft}", Right.OFFERS_VIEW, _draft)
    office.act("/offers/drafts/{draft}", Right.OFFERS_VIEW, _step)
    office.page("/offers/drafts/{draft}/try", Right.OFFERS_VIEW, _try_draft)
    office.page("/offers/offer/{offer}", Right.OFFERS_VIEW, _one)
    office.act("/offers/offer/{offer}", Right.OFFERS_PASS, _change)
    office.page("/offers/offer/{offer}/try", Right.OFFERS_VIEW, _try)


async def _list(visit: Visit) -> Response:
    state, level = visit.query("state"), visit.query("level")
    category, words = visit.query("category"), visit.query("q").lower()
    found = await visit.core.offer_life.all(visit.actor)
    shown = [
        one
        for one in found
        if (not state or one.state == state)
        and (not level or one.level == level)
        and (not category or one.category == category)
        and (not words or words in f"{one.offer} {one.title} {one.title_en}".lower())
    ]
    shown.sort(key=lambda one: (STATES.index(one.state), one.level, one.offer))
    first = int(visit.query("from")) if visit.query("from").isdecimal() else 0
    return visit.draw(
        "offers.html",
        shown=shown[first : first + ROWS_MAX],
        many=len(shown),
        first=first,
        rows_max=ROWS_MAX,
        state=state,
        states=[one for one in STATES if any(view.state == one for view in found)],
        level=level,
        category=category,
        categories=CATEGORIES,
        words=visit.query("q"),
        waiting=len(await visit.core.drafts.all(visit.actor, state=DraftState.REVIEW)),
    )


async def _drafts(visit: Visit) -> Response:
    return visit.draw("drafts.html", drafts=await visit.core.drafts.all(visit.actor))


async def _held(visit: Visit) -> Draft:
    try:
        return await visit.core.drafts.one(visit.actor, visit.number("draft"))
    except ImportRefused:
        raise HTTPException(404) from None


async def _draft(visit: Visit) -> Response:
    draft = await _held(visit)
    if visit.query("edit"):
        return await edit(visit, draft.id, draft.document)
    return await _draw_draft(visit, draft, "")


async def _draw_draft(visit: Visit, draft: Draft, fault: str) -> Response:
    offer = draft_offer(draft.document)
    published = await visit.core.published()
    mine = draft.author == visit.actor.person
    passes = is_place(visit.actor, Right.OFFERS_PASS, draft.document, published)
    return visit.draw(
        "draft.html",
        status=400 if fault else 200,
        draft=draft,
        fault=fault,
        broken=offer.fault if isinstance(offer, BrokenOffer) else "",
        rows=_rows(visit, offer, published.venues),
        before=published.newest.get(draft.offer),
        mine=mine,
        may_pass=passes and not mine,
        own_pass=passes and mine,
    )


def _rows(visit: Visit, offer: Offer | BrokenOffer, venues: Any) -> list[tuple[str, str]]:
    if not isinstance(offer, Offer):
        return []
    return OfferWords(wording(visit.language)).rows(offer, venues)


async def _step(visit: Visit) -> Response:
    draft, who, drafts = await _held(visit), visit.actor, visit.core.drafts
    here = f"/offers/drafts/{draft.id}"
    try:
        match visit.form.get("act"):
            case "submit":
                await drafts.submit(who, draft.id)
                return visit.go(here, "submitted")
            case "pass":
                await drafts.pass_(who, draft.id)
                return visit.go(here, "published")
            case "return":
                await drafts.give_back(who, draft.id, visit.form.get("remark", ""))
                return visit.go(here, "returned")
            case "withdraw":
                await drafts.withdraw(who, draft.id)
                return visit.go(here, "withdrawn")
    except OfferInvalid as fault:
        return await _draw_draft(visit, draft, str(fault))
    raise HTTPException(400)


async def _one(visit: Visit) -> Response:
    published = await visit.core.published()
    offer = published.newest.get(visit.path("offer"))
    if offer is None:
        raise HTTPException(404)
    found = await visit.core.offer_life.all(visit.actor)
    view = next(one for one in found if one.offer == offer.id)
    document = await document_of(visit.core, visit.actor, offer.id)
    return visit.draw(
        "offer.html",
        offer=offer,
        view=view,
        broken=offer.fault if isinstance(offer, BrokenOffer) else "",
        rows=_rows(visit, offer, published.venues),
        stocked=isinstance(offer, Offer) and offer.stock.mode != "none",
        may_change=is_place(visit.actor, Right.OFFERS_PASS, document, published),
        may_write=is_place(visit.actor, Right.OFFERS_WRITE, document, published),
    )


async def _change(visit: Visit) -> Response:
    name, life = visit.path("offer"), visit.core.offer_life
    here = f"/offers/offer/{name}"
    match visit.form.get("act"):
        case "suspend":
            await life.suspend(visit.actor, name)
            return visit.go(here, "suspended")
        case "resume":
            await life.suspend(visit.actor, name, resume=True)
            return visit.go(here, "resumed")
        case "end":
            await life.end(visit.actor, name)
            return visit.go(here, "ended")
    raise HTTPException(400)


async def _try(visit: Visit) -> Response:
    name = visit.path("offer")
    try:
        document = await document_of(visit.core, visit.actor, name)
    except PublicationRefused:
        raise HTTPException(404) from None
    return await draw_trial(visit, document, ("/offers", f"/offers/offer/{name}"))


async def _try_draft(visit: Visit) -> Response:
    draft = await _held(visit)
    back = ("/offers/drafts", f"/offers/drafts/{draft.id}")
    return await draw_trial(visit, draft.document, back)
