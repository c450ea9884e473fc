"""Settlement: statements by merchant and month, down to each signed entry and its proof."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from screens.language import Language, wording
from server.disputes import DISPUTE_REASONS
from server.errors import ImportRefused
from server.office_acts import plain
from server.office_voids import REASONS
from server.pages.office import Office, Visit
from server.pages.reports import XLSX, months_back
from server.roles import Right
from server.statement_tables import statement_tables
from server.statements import ENTRIES_PAGE_MAX, StatementEntry
from server.tables import as_csv, as_xlsx

_ENTRY: Final = "/settlement/entries/{ledger}/{seq}"


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/settlement", Right.SETTLEMENT_VIEW, _list)
    office.act("/settlement", Right.SETTLEMENT_CLOSE, _state)
    office.page("/settlement/{statement}", Right.SETTLEMENT_VIEW, _one)
    office.act("/settlement/{statement}", Right.SETTLEMENT_VIEW, _act)
    office.page("/settlement/{statement}/file/{ending}", Right.SETTLEMENT_VIEW, _file)
    office.page(_ENTRY, Right.SETTLEMENT_VIEW, _entry)
    office.page(_ENTRY + "/proof", Right.SETTLEMENT_VIEW, _proof)
    office.act(_ENTRY, Right.CASES_DECIDE, _void)


async def _list(visit: Visit) -> Response:
    core, who = visit.core, visit.actor
    month, state = visit.query("month"), visit.query("state")
    merchants = await core.settlement.merchants(who)
    found = await core.statements.all(who, month=month, state=state)
    disputes = await core.disputes.all(who)
    return visit.draw(
        "settlement.html",
        statements=found,
        merchants=merchants,
        month=month,
        state=state,
        months=months_back(visit, month, over=True),
        disputes=[one for one in disputes if one.state == "open"],
        fen=sum(one.fen for one in found),
        may_close=who.may(Right.SETTLEMENT_CLOSE),
    )


async def _state(visit: Visit) -> Response:
    month = visit.form.get("month", "")
    await visit.core.judge()
    await visit.core.settlement.state_month(
        visit.actor, month, merchant=visit.form.get("merchant", "")
    )
    return visit.go(f"/settlement?month={month}", "stated")


async def _one(visit: Visit) -> Response:
    core, who, number = visit.core, visit.actor, visit.number("statement")
    try:
        statement = await core.statements.one(who, number)
    except ImportRefused:
        raise HTTPException(404) from None
    start = int(visit.query("from")) if visit.query("from").isdecimal() else 0
    entries = await core.statements.entries(who, number, start=start)
    published = await core.published()
    return visit.draw(
        "statement.html",
        one=statement,
        entries=entries,
        start=start,
        rows_max=ENTRIES_PAGE_MAX,
        disputes=await core.disputes.all(who, statement=number),
        reasons=DISPUTE_REASONS,
        offers=published.newest,
        venues=published.venues,
        may_close=who.may(Right.SETTLEMENT_CLOSE),
        may_dispute=who.may(Right.DISPUTE) or who.may(Right.SETTLEMENT_CLOSE),
    )


async def _file(visit: Visit) -> Response:
    """The whole statement down to its entries, ``xlsx`` or ``csv``."""
    core, who, number, ending = (
        visit.core,
        visit.actor,
        visit.number("statement"),
        visit.path("ending"),
    )
    if ending not in {"csv", "xlsx"}:
        raise HTTPException(404)
    statement = await core.statements.one(who, number)
    entries: list[StatementEntry] = []
    while page := await core.statements.entries(who, number, start=len(entries)):
        entries += page
    published, words = await core.published(), wording(visit.language)
    document = plain(statement) | {"entries": plain(entries)}
    tables = statement_tables(
        document,
        visit.language.value,
        lambda ms: f"{words.full_date(ms)} {words.clock(ms)}",
        {key: _title(visit, offer) for key, offer in published.newest.items()},
    )
    name = f"redcard-statement-{number}.{ending}"
    if ending == "csv":
        return visit.file(as_csv(tables), name, "text/csv; charset=utf-8")
    return visit.file(as_xlsx(tables), name, XLSX)


def _title(visit: Visit, offer: Any) -> str:
    title, english = getattr(offer, "title", ""), getattr(offer, "title_en", "")
    return str(title if visit.language is Language.ZH else english or title)


async def _act(visit: Visit) -> Response:
    core, who, form = visit.core, visit.actor, visit.form
    number = visit.number("statement")
    here = f"/settlement/{number}"
    match form.get("act"):
        case "settle":
            await core.settlement.settle(who, number)
            return visit.go(here, "settled")
        case "dispute":
            await core.disputes.open(
                who, number, reason=form.get("reason", ""), position=form.get("position", "")
            )
            return visit.go(here, "disputed")
        case "decide":
            dispute = form.get("dispute", "")
            upheld = form.get("upheld") == "1"
            await core.disputes.decide(
                who, int(dispute) if dispute.isdecimal() else 0, upheld=upheld
            )
            return visit.go(here, "decided")
        case "adjust":
            yuan = form.get("yuan", "0")
            await core.settlement.adjust(
                who,
                number,
                offer=form.get("offer", ""),
                units=0,
                fen=_fen(yuan),
                reason=form.get("reason", ""),
            )
            return visit.go(here, "adjusted")
    raise HTTPException(400)


def _fen(yuan: str) -> int:
    """``-12.50`` yuan as fen.

    Raises:
        ImportRefused: not an amount.
    """
    sign, digits = (-1, yuan[1:]) if yuan.startswith("-") else (1, yuan)
    whole, _, rest = digits.partition(".")
    sound = whole.isdecimal() and len(whole) <= 9 and len(rest) <= 2
    if not sound or (rest and not rest.isdecimal()):
        raise ImportRefused("amount: yuan with at most two decimals, for example -12.50")
    return sign * (int(whole) * 100 + int(rest.ljust(2, "0") or "0"))


async def _entry(visit: Visit) -> Response:
    position = f"{visit.path('ledger')}/{visit.path('seq')}"
    try:
        evidence = await visit.core.evidence.of(visit.actor, position)
    except ImportRefused:
        raise HTTPException(404) from None
    fields: dict[str, Any] = json.loads(evidence.entry)
    return visit.draw(
        "entry.html",
        evidence=evidence,
        fields=sorted(fields.items()),
        at_ms=fields.get("ts_ms"),
        raw=evidence.entry.decode("ascii", "replace"),
        may_void=fields.get("kind") == "redeem" and visit.actor.may(Right.CASES_DECIDE),
        reasons=REASONS,
    )


async def _proof(visit: Visit) -> Response:
    ledger, seq = visit.path("ledger"), visit.path("seq")
    evidence = await visit.core.evidence.of(visit.actor, f"{ledger}/{seq}")
    return visit.file(evidence.proof, f"{ledger[:8]}-{seq}.tlog-proof", "text/plain; charset=utf-8")


async def _void(visit: Visit) -> Response:
    """Takes a redemption back by an entry of the server's own ledger, unless it is paid."""
    ledger, seq = visit.path("ledger"), visit.path("seq")
    here = f"/settlement/entries/{ledger}/{seq}"
    done = await visit.core.voids.void(visit.actor, f"{ledger}/{seq}", visit.form.get("reason", ""))
    await visit.core.judge()  # so that pages, and a second click, know of it
    return visit.go(here, f"void_{done.code.value}")
