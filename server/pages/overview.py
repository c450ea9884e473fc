"""The server's first page: figures of the month, terminals, open cases. No person is on it.

It is for the operator on the server's own machine: until people sign in, it answers only to a
browser that asks 127.0.0.1 or localhost for it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from screens.language import Language, local, wording
from screens.web import PagePolicy, environment, language_of, shared_static
from server.core import ServerCore
from server.reports import DEFINITIONS, MonthReport

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_PARAMETER_MAX: Final = 16

#: Texts of this page: Chinese, then English.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "title": ("小红卡中央服务器", "Red card central server"),
    "as_of": ("截至", "As of"),
    "month": ("月份", "Month"),
    "show": ("查看", "Show"),
    "person_times": ("人次", "Person-times"),
    "persons": ("人", "Persons"),
    "quantity": ("份数", "Units"),
    "flagged": ("待核", "Flagged"),
    "offers_running": ("在线项目", "Offers running"),
    "offers_new": ("新增项目", "New offers"),
    "recorded": ("已登记", "Recorded"),
    "confirmed": ("已确认", "Confirmed"),
    "lost": ("丢失", "Lost"),
    "twice": ("重复", "Twice"),
    "by_offer": ("按服务项目", "By offer"),
    "by_level": ("按级别", "By level"),
    "offer": ("项目", "Offer"),
    "level": ("级别", "Level"),
    "city": ("市级", "City"),
    "district": ("区级", "District"),
    "street": ("街道级", "Street"),
    "total": ("合计", "In all"),
    "terminals": ("终端", "Terminals"),
    "terminal": ("终端", "Terminal"),
    "venue": ("点位", "Venue"),
    "state": ("状态", "State"),
    "entries": ("条目", "Entries"),
    "last_seen": ("最近上传", "Last batch"),
    "to_judge": ("待判定", "To judge"),
    "never": ("尚未", "never"),
    "no_terminals": ("还没有终端。运行 redcard server enrol", "None yet: redcard server enrol"),
    "no_use": ("本月还没有核销", "Nothing was redeemed in this month yet"),
    "cases": ("待处理事项", "Open cases"),
    "no_cases": ("没有待处理事项", "Nothing to look at"),
    "definitions": ("口径", "Definitions"),
    "ok": ("正常", "in order"),
    "quarantined": ("已隔离", "quarantined"),
    "revoked_retired": ("已退役", "retired"),
    "revoked_lost": ("已挂失", "lost"),
    "revoked_compromised": ("密钥泄露", "compromised"),
    "over_member_limit": ("超出会员限次", "Over a member's limit"),
    "stale_status": ("卡或会员状态已变", "Card or member status had changed"),
    "clock_skew": ("终端时钟不准", "Terminal's clock was off"),
    "lease_expired": ("库存租约已过期", "Stock lease had expired"),
    "after_revocation": ("吊销之后", "After the revocation"),
    "offer_withdrawn": ("项目已停或已改", "Offer was withdrawn"),
    "original_missing": ("冲正找不到原笔", "Void without its original"),
    "oversold": ("超出库存", "Beyond the stock"),
}


@dataclass(frozen=True, slots=True)
class Texts:
    """The page's texts in one language."""

    language: Language

    def __call__(self, name: str) -> str:
        """A text by name; what has none is shown as it is."""
        pair = _TEXTS.get(name)
        return name if pair is None else pair[0 if self.language is Language.ZH else 1]


def mount_pages(app: FastAPI, core: ServerCore) -> None:
    """Adds the page and what it loads to the application."""
    app.mount("/static/screens", shared_static(), name="screens")
    app.mount("/static/server", StaticFiles(packages=[("server.pages", "static")]), name="server")

    async def overview(request: Request) -> HTMLResponse:
        if not _is_local(request):
            raise HTTPException(404, "there is no such page")
        language = language_of(request)
        shown = request.query_params.get("month", "")[:_PARAMETER_MAX]
        month = shown or f"{local(core.now_ms()):%Y-%m}"
        page = environment(language, "server.pages").get_template("overview.html")
        body = page.render(**await _scene(core, month, language))
        return HTMLResponse(body, headers={**PagePolicy().headers(), "cache-control": "no-store"})

    app.add_api_route("/", overview, methods=["GET"], include_in_schema=False, response_model=None)


def _is_local(request: Request) -> bool:
    host = request.headers.get("host", "")
    name = host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
    return name in _LOOPBACK


async def _scene(core: ServerCore, month: str, language: Language) -> dict[str, Any]:
    report = await core.month_report(month)
    chinese = language is Language.ZH
    words = wording(language)
    year, number = (int(part) for part in month.split("-"))
    return {
        "t": Texts(language),
        "month": month,
        "month_name": words.month(year, number),
        "as_of": f"{words.full_date(report.as_of_ms)} {words.clock(report.as_of_ms)}",
        "report": report,
        "offers": [line for line in report.offers if line.person_times],
        "levels": [line for line in report.levels if line.person_times],
        "titles": {line.key: line.title if chinese else line.title_en for line in report.offers},
        "widest": _widest(report),
        "terminals": await core.ledgers(),
        "cases": sorted(Counter(one["reason"] for one in await core.cases()).items()),
        "definitions": [zh if chinese else en for zh, en in DEFINITIONS.values()],
        "moment": lambda ms: f"{words.date(ms)} {words.clock(ms)}",
    }


def _widest(report: MonthReport) -> int:
    """The longest bar's figure, at least 1."""
    return max((line.person_times for line in report.offers), default=0) or 1
