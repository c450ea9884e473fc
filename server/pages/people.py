"""People and roles, and the record of what they did."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.audit import RECORDS_MAX
from server.pages.office import Office, Visit
from server.people import Person
from server.roles import RIGHTS, Right, Role

ROWS_MAX: Final = 100


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/people", Right.PEOPLE, _list)
    office.act("/people", Right.PEOPLE, _add)
    office.page("/people/{person}", Right.PEOPLE, _one)
    office.act("/people/{person}", Right.PEOPLE, _change)
    office.page("/audit", Right.AUDIT, _audit)


async def _list(visit: Visit) -> Response:
    return visit.draw(
        "people.html",
        people=await visit.core.people.all(visit.actor),
        roles=list(Role),
        rights=list(Right),
        held=RIGHTS,
    )


async def _add(visit: Visit) -> Response:
    form = visit.form
    made = await visit.core.people.add(
        visit.actor,
        form.get("person", ""),
        name=form.get("name", ""),
        role=form.get("role", ""),
        scope=form.get("scope", ""),
    )
    return visit.draw("first_password.html", made=made, fresh=True)


async def _one(visit: Visit) -> Response:
    person = await _person(visit)
    acts = await visit.core.people.records(visit.actor, person=person.person)
    return visit.draw("person.html", person=person, roles=list(Role), acts=acts[:20])


async def _person(visit: Visit) -> Person:
    name = visit.path("person")
    found = [one for one in await visit.core.people.all(visit.actor) if one.person == name]
    if not found:
        raise HTTPException(404)
    return found[0]


async def _change(visit: Visit) -> Response:
    person, form = visit.path("person"), visit.form
    if form.get("act") == "reset":
        factor = form.get("second_factor") == "1"
        made = await visit.core.people.reset(visit.actor, person, second_factor=factor)
        return visit.draw("first_password.html", made=made, fresh=False)
    await visit.core.people.change(
        visit.actor,
        person,
        role=form.get("role"),
        scope=form.get("scope", ""),
        active=form.get("active") == "1",
    )
    return visit.go(f"/people/{person}", "person")


async def _audit(visit: Visit) -> Response:
    person, act = visit.query("person"), visit.query("act")
    before = visit.query("before")
    before_ms = int(before) if before.isdecimal() and len(before) < 16 else None
    found = await visit.core.people.records(
        visit.actor, person=person, act=act, before_ms=before_ms
    )
    shown = found[:ROWS_MAX]
    older = shown[-1].at_ms if len(found) > ROWS_MAX or len(found) == RECORDS_MAX else None
    return visit.draw(
        "audit.html", records=shown, person=person, act=act, before=before, older=older
    )
