"""Acts on offers and stock from the server's own shell; see ``server.office_acts``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from server.errors import ImportRefused
from server.roles import CONSOLE_ACTOR

if TYPE_CHECKING:
    from server.core import ServerCore
    from server.office_acts import Arguments, OfficeAct

_ME: Final = CONSOLE_ACTOR


async def _draft_list(core: ServerCore, arguments: Arguments) -> Any:
    return {"drafts": await core.drafts.all(_ME, state=arguments.get("state", ""))}


async def _draft_write(core: ServerCore, arguments: Arguments) -> Any:
    given = int(arguments.get("draft", 0))
    number = await core.drafts.write(_ME, arguments["document"], draft=given)
    return await core.drafts.one(_ME, number)


async def _draft_step(core: ServerCore, arguments: Arguments) -> Any:
    number, step = int(arguments["draft"]), arguments["step"]
    if step == "submit":
        await core.drafts.submit(_ME, number)
    elif step == "return":
        await core.drafts.give_back(_ME, number, arguments["remark"])
    elif step == "pass":
        await core.drafts.pass_(_ME, number)
    elif step == "withdraw":
        await core.drafts.withdraw(_ME, number)
    else:
        raise ImportRefused(f"there is no step {step}")
    return await core.drafts.one(_ME, number)


async def _offer_end(core: ServerCore, arguments: Arguments) -> Any:
    version = await core.offer_life.end(_ME, arguments["offer"])
    return {"offer": arguments["offer"], "version": version}


async def _stock_view(core: ServerCore, arguments: Arguments) -> Any:
    return await core.stock_desk.view(_ME, arguments["offer"])


async def _stock_split(core: ServerCore, arguments: Arguments) -> Any:
    units = {str(name): int(count) for name, count in dict(arguments["units"]).items()}
    version = await core.stock_desk.split(_ME, arguments["offer"], units)
    return {"offer": arguments["offer"], "version": version}


async def _stock_recall(core: ServerCore, arguments: Arguments) -> Any:
    return {"asked": await core.stock_desk.recall_all(_ME, arguments["offer"])}


async def _stock_write_off(core: ServerCore, arguments: Arguments) -> Any:
    units = await core.stock_desk.write_off(_ME, arguments["lease"], arguments["reason"])
    return {"lease": arguments["lease"], "units": units}


async def _transfer_request(core: ServerCore, arguments: Arguments) -> Any:
    number = await core.stock_desk.request_transfer(
        _ME,
        arguments["offer"],
        arguments["source"],
        arguments["target"],
        int(arguments["units"]),
    )
    return {"transfer": number}


async def _transfer_list(core: ServerCore, arguments: Arguments) -> Any:
    return {"transfers": await core.stock_desk.transfers(_ME, state=arguments.get("state", ""))}


async def _transfer_decide(core: ServerCore, arguments: Arguments) -> Any:
    do = bool(arguments["do"])
    return await core.stock_desk.decide_transfer(_ME, int(arguments["transfer"]), do=do)


OFFER_ACTS: Final[Mapping[str, OfficeAct]] = {
    "draft_list": _draft_list,
    "draft_write": _draft_write,
    "draft_step": _draft_step,
    "offer_end": _offer_end,
    "stock_view": _stock_view,
    "stock_split": _stock_split,
    "stock_recall": _stock_recall,
    "stock_write_off": _stock_write_off,
    "transfer_request": _transfer_request,
    "transfer_list": _transfer_list,
    "transfer_decide": _transfer_decide,
}
