"""Cases: what was flagged, seen or reported, who looks at it, and how it ended."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from screens.language import Language
from server.case_desk import DECISIONS
from server.case_reading import CaseView
from server.errors import ImportRefused
from server.pages.office import Office, Visit
from server.roles import Right
from sync.health import PROBLEMS

ROWS_MAX: Final = 50
_KEY_MAX: Final = 255


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/cases", Right.CASES_VIEW, _list)
    office.page("/cases/case", Right.CASES_VIEW, _one)
    office.act("/cases/case", Right.CASES_DECIDE, _act)


async def _list(visit: Visit) -> Response:
    state = visit.query("state", "open")
    reason = visit.query("reason")
    mine = visit.query("mine") == "1"
    first = int(visit.query("from")) if visit.query("from").isdecimal() else 0
    found = await visit.core.case_desk.page(
        visit.actor,
        state="" if state == "all" else state,
        reason=reason,
        assigned=visit.actor.person if mine else "",
        start=first,
        limit=ROWS_MAX,
    )
    published = await visit.core.published()
    return visit.draw(
        "cases.html",
        shown=found.cases,
        many=found.total,
        first=first,
        rows_max=ROWS_MAX,
        state=state,
        reason=reason,
        mine=mine,
        reasons=list(found.reasons.items()),
        offers=published.newest,
        venues=published.venues,
        link=link_of,
        of_reason=reason_word,
    )


async def _one(visit: Visit) -> Response:
    case = await _case(visit, visit.request.query_params.get("key", "")[:_KEY_MAX])
    published = await visit.core.published()
    people = []
    if visit.actor.may(Right.PEOPLE):
        people = [one for one in await visit.core.people.all(visit.actor) if one.active]
    return visit.draw(
        "case.html",
        case=case,
        of_reason=reason_word,
        says=_says(visit, case),
        offers=published.newest,
        venues=published.venues,
        decisions=DECISIONS,
        people=people,
        here_path=link_of(case.key),
    )


def _says(visit: Visit, case: CaseView) -> str:
    if case.explained is None:
        return ""
    return case.explained[0 if visit.language is Language.ZH else 1]


async def _act(visit: Visit) -> Response:
    key = visit.form.get("key", "")[:_KEY_MAX]
    desk, who = visit.core.case_desk, visit.actor
    remark = visit.form.get("remark", "")
    match visit.form.get("act"):
        case "assign":
            await desk.assign(who, key, visit.form.get("person", "") or who.person)
        case "note":
            await desk.note(who, key, remark)
        case "decide":
            await desk.decide(who, key, visit.form.get("decision", ""), remark)
        case "reopen":
            await desk.reopen(who, key, remark)
        case _:
            raise HTTPException(400)
    return visit.go(link_of(key), "case")


async def _case(visit: Visit, key: str) -> CaseView:
    try:
        return await visit.core.case_desk.one(visit.actor, key)
    except ImportRefused:
        raise HTTPException(404) from None


def reason_word(reason: str) -> str:
    """Under which code the words of a reason stand."""
    return f"problem_{reason}" if reason in PROBLEMS else reason


def link_of(key: str) -> str:
    """Where a case is shown."""
    return f"/cases/case?key={quote(key, safe='')}"
