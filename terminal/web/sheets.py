"""Papers of a station to be printed by the browser: sign-off sheet, paper sheet, today's bookings.

Plain pages without a script, A4, the names left blank for the hand: nobody's name is known here.
The sign-off sheet carries the batch and the entries, so that paper and ledger can be compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from screens.language import Language, wording
from screens.web import environment, language_of
from terminal.errors import TerminalError

if TYPE_CHECKING:
    from terminal.counterwork import CounterWork

#: What the papers say, by language; they are no screens and have no other texts.
WORDS: Final[dict[Language, dict[str, str]]] = {
    Language.ZH: {
        "collection": "代领签收单",
        "manual": "补录登记表",
        "bookings": "今日预约名单",
        "offer": "项目",
        "venue": "点位",
        "operator": "经办",
        "agent": "代领人卡",
        "agent_name": "代领人姓名、单位",
        "batch": "批次",
        "when": "时间",
        "number": "序号",
        "entry": "账目",
        "card": "识别码",
        "result": "结果",
        "given": "已发放",
        "refused": "未发放",
        "name": "姓名",
        "signed": "签收",
        "units": "数量",
        "total": "共 {cards} 张卡，发放 {units} 份，未发放 {refused} 张",
        "declare": "本人已如数领取，并负责转交以上职工。",
        "agent_signed": "代领人签字",
        "clerk_signed": "经办人签字",
        "date": "日期",
        "sheet": "表号",
        "line": "行",
        "day_time": "日期、时间",
        "tail": "卡号后四位",
        "reason": "原因",
        "manual_note": "停电或故障时手工登记。恢复后由主管逐行补录，每行只录一次；"
        "须联网办理和须预约的项目不得手工发放。",
        "supervisor_signed": "主管签字",
        "from": "开始",
        "until": "结束",
        "state": "状态",
        "booking": "预约号",
        "booked": "待到场",
        "used": "已使用",
        "missed": "未到场，已退回余量",
        "moved": "场次已变更，请电话通知",
        "practice": "练习 · 不计入核销",
        "none": "没有预约",
        "print": "按 Ctrl+P 打印",
    },
    Language.EN: {
        "collection": "Sign-off sheet of a proxy collection",
        "manual": "Paper sheet for late entries",
        "bookings": "Bookings of the day",
        "offer": "Offer",
        "venue": "Venue",
        "operator": "Served by",
        "agent": "Representative's card",
        "agent_name": "Representative's name and unit",
        "batch": "Batch",
        "when": "Time",
        "number": "No.",
        "entry": "Entry",
        "card": "Mark",
        "result": "Result",
        "given": "given out",
        "refused": "not given",
        "name": "Name",
        "signed": "Signature",
        "units": "Units",
        "total": "{cards} cards, {units} units given out, {refused} cards refused",
        "declare": "I have received the above in full and will hand it to the colleagues named.",
        "agent_signed": "Representative's signature",
        "clerk_signed": "Clerk's signature",
        "date": "Date",
        "sheet": "Sheet",
        "line": "Line",
        "day_time": "Date and time",
        "tail": "Last 4 of card",
        "reason": "Reason",
        "manual_note": "For power cuts and faults. A supervisor enters each line once afterwards; "
        "offers that need the network or a booking are never given out on paper.",
        "supervisor_signed": "Supervisor's signature",
        "from": "From",
        "until": "Until",
        "state": "State",
        "booking": "Booking",
        "booked": "expected",
        "used": "used",
        "missed": "did not come, back in stock",
        "moved": "session changed, please call",
        "practice": "Practice · nothing counts",
        "none": "No bookings",
        "print": "Print with Ctrl+P",
    },
}


class Sheets:
    """Routes of the papers, behind the guard like everything else."""

    def __init__(self, work: Callable[[], CounterWork], positions: tuple[str, ...]) -> None:
        self._work = work
        self._positions = positions

    def routes(self) -> list[Route]:
        """``/sheet/collection``, ``/sheet/manual`` and ``/sheet/bookings``."""
        return [
            Route("/sheet/collection", self.collection),
            Route("/sheet/manual", self.manual),
            Route("/sheet/bookings", self.bookings),
        ]

    async def collection(self, request: Request) -> Response:
        """The sign-off sheet of ``?batch=``, as the ledger has it."""
        batch = request.query_params.get("batch", "")
        shown = await self._ask(lambda: self._work().sheet_of(self._position(request), batch))
        if shown is None:
            raise HTTPException(404)
        return self._paper(request, "collection", shown=shown)

    async def manual(self, request: Request) -> Response:
        """A blank paper sheet; each time it is opened it has a number of its own."""
        from terminal.manual import LINES_A_SHEET

        number = await self._ask(lambda: self._work().issue_sheet(self._position(request)))
        return self._paper(request, "manual", sheet=number, lines=range(1, LINES_A_SHEET + 1))

    async def bookings(self, request: Request) -> Response:
        """Who is booked on ``?day=``, today as a rule."""
        day = request.query_params.get("day", "")
        found = await self._ask(lambda: self._work().bookings(self._position(request), day))
        return self._paper(request, "bookings", found=found)

    def _position(self, request: Request) -> str:
        return request.query_params.get("position") or self._positions[0]

    async def _ask(self, question: Any) -> Any:
        try:
            return await asyncio.to_thread(question)
        except TerminalError:
            raise HTTPException(404) from None

    def _paper(self, request: Request, name: str, **given: Any) -> Response:
        language = language_of(request)
        position = self._position(request)
        words = wording(language)
        html = (
            environment(language, "terminal.web")
            .get_template(f"sheet_{name}.html")
            .render(
                w=WORDS[language],
                words=words,
                name=name,
                zh=language is Language.ZH,
                practice=position in self._work().rooms,
                **given,
            )
        )
        return HTMLResponse(html)
