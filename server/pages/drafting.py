"""Writing an offer: a form with a field for each rule, and beside it who could take it.

One form does everything: it is saved, tried, or gets a row more or less, by the button that sends
it. Trying and rows write nothing; what was filled in comes back as it was. A script may send the
same form while it is filled in, to show faults and the dry run at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.errors import OfferInvalid
from ledger.rules.fields import BRANDS, CATEGORIES, WEEKDAYS
from ledger.rules.terms import (
    Booking,
    HolidayRule,
    Level,
    LimitScope,
    OfferKind,
    OfflineMode,
    Period,
    StockMode,
)
from screens.language import wording
from server.errors import ImportRefused, PublicationRefused
from server.pages.filled import ROWS_MAX, UNITS, Filled, rows_in, with_row, without_row
from server.pages.form_labels import LABELS
from server.pages.offer_faults import faults_in, said_at
from server.pages.offer_form import document_of_form, field_of, fields_of, next_year
from server.pages.offer_parts import BOUNDS, FRESH
from server.pages.office import Office, Visit
from server.pages.trials import instant_of, moment_text, sayings
from server.pages.words import in_language
from server.roles import Right
from server.trying import Trial, document_of, try_offer

#: What the form's lists offer.
LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "category": CATEGORIES,
    "brand": BRANDS,
    "level": tuple(Level),
    "kind": tuple(OfferKind),
    "offline": tuple(OfflineMode),
    "holidays": tuple(one for one in HolidayRule if one is not HolidayRule.ORDINARY),
    "booking": tuple(one for one in Booking if one is not Booking.NONE),
    "stock": tuple(StockMode),
    "per": tuple(Period),
    "scope": tuple(LimitScope),
    "bound": BOUNDS,
    "unit": UNITS,
    "weekdays": WEEKDAYS,
}


@dataclass
class Desk:
    """What the form shows besides its fields.

    Attributes:
        draft: number of the draft, 0 for a new one.
        refused: why it was not saved, empty if nothing was refused.
        faults: what is wrong, by field of the form; the empty name for what has no field.
        trying: whether a dry run was asked for, not to be saved.
        trial: the dry run, if one was asked for and the offer is sound.
        at: moment of the dry run as its field has it.
        venue: place of the dry run.
    """

    draft: int
    refused: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    trial: Trial | None = None
    trying: bool = False
    at: str = ""
    venue: str = ""


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/offers/new", Right.OFFERS_WRITE, _new)
    office.act("/offers/new", Right.OFFERS_WRITE, _sent)


async def _new(visit: Visit) -> Response:
    document: dict[str, Any] = {"kind": "service"}
    if visit.query("copy"):
        document = next_year(await _published(visit, visit.query("copy")))
    elif visit.query("change"):
        document = await _published(visit, visit.query("change"))
        document.pop("version", None)
    return _draw(visit, fields_of(document), Desk(0))


async def _published(visit: Visit, offer: str) -> dict[str, Any]:
    try:
        return await document_of(visit.core, visit.actor, offer)
    except PublicationRefused:
        raise HTTPException(404) from None


async def edit(visit: Visit, draft: int, document: Mapping[str, Any]) -> Response:
    """The form of a draft, with what is still wrong at its fields."""
    fields = fields_of(document)
    filled = Filled(fields)
    faults = await _faults(visit, filled, document_of_form(filled))
    return _draw(visit, fields, Desk(draft, faults=faults))


def _draw(visit: Visit, fields: Mapping[str, str], desk: Desk, status: int = 200) -> Response:
    trial = desk.trial
    return visit.draw(
        "draft_form.html",
        status=status,
        fields=fields,
        desk=desk,
        faults=desk.faults,
        trial=trial,
        sayings=sayings(visit, trial) if trial else [],
        lists=LISTS,
        label=in_language(wording(visit.language), LABELS),
        rows_max=ROWS_MAX,
        rows={table: rows_in(fields, table) for table in FRESH},
        rest_needed=bool(fields.get("rest")),
    )


async def _sent(visit: Visit) -> Response:
    form = dict(visit.form)
    number, do = form.pop("draft", "0"), form.pop("do", "save")
    desk = Desk(int(number) if number.isdecimal() and len(number) <= 9 else 0)
    act, _, table = do.partition(":")
    table, _, row = table.partition(":")
    match act:
        case "add" if table in FRESH:
            return _draw(visit, with_row(form, table, FRESH[table]), desk)
        case "drop" if table in FRESH and row.isdecimal():
            return _draw(visit, without_row(form, table, int(row)), desk)
        case "try":
            return await _tried(visit, form, desk)
        case "save":
            return await _saved(visit, form, desk)
    raise HTTPException(400)


async def _faults(visit: Visit, filled: Filled, document: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong, by field, in the page's language: what cannot be read, then the rules."""
    faults = {name: visit.gettext(why) for name, why in filled.faults.items()}
    rest = _rest(filled)
    published = await visit.core.published()
    for path, why in faults_in(document, published.venues):
        name = field_of(path, filled, rest)
        told = said_at(path, why, visit.language) or why
        if name == "rest" or not name:
            told = f"{path}: {told}" if path else told
        faults.setdefault(name, told)
    return faults


def _rest(filled: Filled) -> dict[str, Any]:
    try:
        rest = json.loads(filled.text("rest") or "{}")
    except (ValueError, RecursionError):
        return {}
    return rest if isinstance(rest, dict) else {}


async def _tried(visit: Visit, form: dict[str, str], desk: Desk) -> Response:
    """The dry run beside the form; nothing is written."""
    filled = Filled(form)
    document = document_of_form(filled)
    desk.trying = True
    desk.venue, desk.at = form.get("try_venue", ""), form.get("try_at", "")
    desk.faults = await _faults(visit, filled, document)
    if not desk.faults:
        try:
            at_ms = instant_of(desk.at)
            desk.trial = await try_offer(
                visit.core, visit.actor, document, venue=desk.venue, at_ms=at_ms
            )
            desk.at = moment_text(desk.trial.at_ms)
            desk.venue = desk.trial.venue.id
        except (ImportRefused, PublicationRefused) as fault:
            desk.refused = str(fault)
    return _draw(visit, form, desk)


async def _saved(visit: Visit, form: dict[str, str], desk: Desk) -> Response:
    """Keeps the draft; it need not be a sound offer yet, but each field must be readable."""
    filled = Filled(form)
    document = document_of_form(filled)
    if filled.faults:
        desk.faults = await _faults(visit, filled, document)
        desk.refused = "some fields cannot be read; what is wrong stands beside them"
        return _draw(visit, form, desk, 400)
    try:
        made = await visit.core.drafts.write(visit.actor, document, draft=desk.draft)
    except (ImportRefused, OfferInvalid) as fault:
        desk.refused = str(fault)
        if not document.get("id"):
            desk.faults = await _faults(visit, filled, document)
        return _draw(visit, form, desk, 400)
    return visit.go(f"/offers/drafts/{made}", "draft")
