"""Who a member is: masked for whoever looks up, in full for a purpose, erased for good.

A page of a case or an entry names a member by reference; here the reference is looked up. Each look
is recorded before anything is shown, in full only with its purpose.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.errors import ImportRefused
from server.identity_map import PURPOSES, Identity
from server.pages.office import Office, Visit, within
from server.roles import Right

_REFERENCE: Final = 16


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/members", Right.LOOK_UP, _ask)
    office.act("/members", Right.LOOK_UP, _look)
    office.act("/members/full", Right.UNMASK, _full)
    office.act("/members/copy", Right.UNMASK, _copy)
    office.act("/members/erase", Right.MEMBERS, _erase)


async def _ask(visit: Visit) -> Response:
    return _draw(visit, None, "")


def _draw(
    visit: Visit, identity: Identity | None, purpose: str, *, masked: bool = True
) -> Response:
    return visit.draw(
        "members.html",
        identity=identity,
        masked=masked,
        purpose=purpose,
        purposes=PURPOSES,
        member=visit.form.get("member", visit.query("member")),
        may_unmask=visit.actor.may(Right.UNMASK),
        may_erase=visit.actor.may(Right.MEMBERS),
    )


def _reference(visit: Visit) -> str:
    """The reference that a form names.

    Raises:
        ImportRefused: it is none.
    """
    within(visit.office.looks, visit.actor.person)
    member = visit.form.get("member", "")
    if len(member) != _REFERENCE or not set(member) <= set("0123456789abcdef"):
        raise ImportRefused("member: 16 digits 0-9 and a-f")
    return member


async def _look(visit: Visit) -> Response:
    member = _reference(visit)
    return _draw(visit, await visit.core.identities.masked(visit.actor, member), "")


async def _full(visit: Visit) -> Response:
    member, purpose = _reference(visit), visit.form.get("purpose", "")
    identity = await visit.core.identities.unmasked(visit.actor, member, purpose)
    return _draw(visit, identity, purpose, masked=False)


async def _copy(visit: Visit) -> Response:
    """All that is kept of a member, as the law gives them a right to."""
    member = _reference(visit)
    copy = await visit.core.identities.access_copy(visit.actor, member)
    data = json.dumps(copy, ensure_ascii=False, indent=1).encode("utf-8")
    return visit.file(data, f"member-{member}.json", "application/json")


async def _erase(visit: Visit) -> Response:
    member = _reference(visit)
    if visit.form.get("sure") != "1":
        raise HTTPException(400)
    await visit.core.identities.erase(visit.actor, member)
    return visit.go("/members", "erased")
