"""Stock: how much of each offer is left, by station, on which leases, and when it will be gone."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.rules.offer import Offer
from ledger.rules.terms import StockMode
from server.errors import ImportRefused, PublicationRefused
from server.offer_life import is_place
from server.pages.charts import Charts, Point, Titles
from server.pages.office import Office, Visit
from server.roles import Right
from server.stock_desk import WRITE_OFF_REASONS
from server.stock_view import PartView, StockView
from server.trying import document_of

_PARTS_MAX: Final = 16
_LEASES_MAX: Final = 100


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/stock", Right.OFFERS_VIEW, _list)
    office.page("/stock/{offer}", Right.OFFERS_VIEW, _one)
    office.act("/stock/{offer}", Right.STOCK_MOVE, _act)


async def _list(visit: Visit) -> Response:
    published = await visit.core.published()
    everything = visit.query("all") == "1"
    views: list[tuple[Offer, StockView]] = []
    for offer in published.newest.values():
        if not isinstance(offer, Offer) or offer.stock.mode is StockMode.NONE:
            continue
        if everything or offer.from_ms <= visit.now_ms < offer.until_ms:
            views.append((offer, await visit.core.stock_desk.view(visit.actor, offer.id)))
    views.sort(key=lambda pair: (pair[1].forecast.gone_ms or 1 << 60, pair[0].id))
    return visit.draw(
        "stock.html",
        views=views,
        charts=Charts(visit.language),
        everything=everything,
        transfers=await visit.core.stock_desk.transfers(visit.actor, state="requested"),
        offers=published.newest,
        venues=published.venues,
    )


async def _one(visit: Visit) -> Response:
    name = visit.path("offer")
    published = await visit.core.published()
    offer = published.newest.get(name)
    try:
        view = await visit.core.stock_desk.view(visit.actor, name)
    except PublicationRefused:
        raise HTTPException(404) from None
    document = await document_of(visit.core, visit.actor, name)
    transfers = await visit.core.stock_desk.transfers(visit.actor)
    return visit.draw(
        "stock_offer.html",
        offer=offer,
        view=view,
        chart=_parts(visit, view.parts),
        leases=view.leases[:_LEASES_MAX],
        transfers=[one for one in transfers if one.offer == name],
        venues=published.venues,
        reasons=WRITE_OFF_REASONS,
        charts=Charts(visit.language),
        per_venue=view.mode == StockMode.PER_VENUE,
        may_move=is_place(visit.actor, Right.STOCK_MOVE, document, published),
    )


def _parts(visit: Visit, parts: tuple[PartView, ...]) -> object:
    if len(parts) < 2:
        return None
    _ = visit.gettext
    points = [
        Point(part.name or part.part, part.redeemed, f"/ {part.units}", part.units - part.redeemed)
        for part in parts[:_PARTS_MAX]
    ]
    says = _("Redeemed of what each part holds.")
    titles = Titles("parts", _("Redeemed by part"), says, _("Part"), _("units"))
    return Charts(visit.language).bars(titles, points)


async def _act(visit: Visit) -> Response:
    name, form, desk, who = visit.path("offer"), visit.form, visit.core.stock_desk, visit.actor
    here = f"/stock/{name}"
    match form.get("act"):
        case "split":
            units = {
                field.removeprefix("units-"): _units(value)
                for field, value in form.items()
                if field.startswith("units-") and value
            }
            if form.get("venue"):
                units[form["venue"]] = _units(form.get("more", ""))
            await desk.split(who, name, units)
            return visit.go(here, "split")
        case "transfer":
            units_moved = _units(form.get("units", ""))
            await desk.request_transfer(
                who, name, form.get("source", ""), form.get("target", ""), units_moved
            )
            return visit.go(here, "transfer")
        case "decide":
            number = form.get("transfer", "")
            transfer = int(number) if number.isdecimal() else 0
            await desk.decide_transfer(who, transfer, do=form.get("do") == "1")
            return visit.go(here, "transfer")
        case "recall":
            await desk.recall_all(who, name)
            return visit.go(here, "recalled")
        case "write_off":
            await desk.write_off(who, form.get("lease", ""), form.get("reason", ""))
            return visit.go(here, "written_off")
    raise HTTPException(400)


def _units(text: str) -> int:
    """Units of a form.

    Raises:
        ImportRefused: not a number.
    """
    if not text.isdecimal() or len(text) > 9:
        raise ImportRefused(f"units: a whole number, not {text!r}")
    return int(text)
