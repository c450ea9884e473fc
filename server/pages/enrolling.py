"""New machines: codes for many at once with sheets to print, approval, and a spare in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.rules.offer import Profile
from server.enrolling import Sheet
from server.enrolment import Activation
from server.pages.door import qr
from server.pages.office import Office, Visit
from server.roles import Right
from sync.enrolment import setup_text

HEADING: Final = "terminal,venue,name,profile,offers"


@dataclass(frozen=True, slots=True)
class Printed:
    """A sheet with its picture for a scanner."""

    sheet: Sheet
    picture: Markup


def mount(office: Office) -> None:
    """Adds the pages; before those of single terminals, whose address takes any name."""
    office.page("/terminals/enrol", Right.FLEET_CHANGE, _form)
    office.act("/terminals/enrol", Right.FLEET_CHANGE, _many)
    office.act("/terminals/approve", Right.FLEET_CHANGE, _approve)
    office.act("/terminals/replace", Right.FLEET_CHANGE, _replace)


async def _form(visit: Visit) -> Response:
    published = await visit.core.published()
    return visit.draw(
        "enrol.html",
        heading=HEADING,
        waiting=await visit.core.enrolments.waiting(visit.actor),
        venues=sorted(published.venues),
    )


async def _many(visit: Visit) -> Response:
    rows = visit.form.get("rows", "")
    if not rows.startswith("terminal"):
        rows = f"{HEADING}\n{rows}"
    report = await visit.core.enrolments.many(
        visit.actor, rows.encode("utf-8"), approval=visit.form.get("approval") == "1"
    )
    return _sheets(visit, report.sheets, report.faults)


def _sheets(
    visit: Visit, sheets: tuple[Sheet, ...], faults: tuple[tuple[int, str], ...]
) -> Response:
    server = str(visit.request.base_url).rstrip("/")
    return visit.draw(
        "activation_sheets.html",
        printed=[Printed(sheet, qr(_scanned(sheet, server))) for sheet in sheets],
        faults=faults,
        server=server,
    )


def _scanned(sheet: Sheet, server: str) -> str:
    """What the machine's scanner reads: all that it needs, or the code where the rest is set."""
    if sheet.profile == Profile.KIOSK and not sheet.offers:
        return sheet.code
    return setup_text(server, sheet.venue, sheet.profile, sheet.offers, sheet.code)


async def _approve(visit: Visit) -> Response:
    form = visit.form
    await visit.core.enrolments.approve(
        visit.actor, form.get("terminal", ""), form.get("fingerprint", "")
    )
    return visit.go("/terminals/enrol", "approved")


async def _replace(visit: Visit) -> Response:
    """Puts a spare in a terminal's place; its sheet is shown once."""
    if visit.form.get("sure") != "1":
        raise HTTPException(400)
    made: Activation = await visit.core.enrolments.replace(
        visit.actor, visit.form.get("terminal", ""), reason=visit.form.get("reason", "")
    )
    published = await visit.core.published()
    views = await visit.core.fleet_desk.all(visit.actor)
    view = next(one for one in views if one.terminal == made.terminal)
    place = published.venues.get(view.venue)
    sheet = Sheet(
        terminal=made.terminal,
        name=view.name or made.terminal,
        venue=view.venue,
        venue_name=place.name if place is not None else view.venue,
        profile=view.profile,
        offers=(),
        code=made.code,
        expires_ms=made.expires_ms,
        approval=False,
    )
    return _sheets(visit, (sheet,), ())
