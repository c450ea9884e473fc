"""Acts on the fleet, and the hotline's, from the server's shell; see ``server.office_acts``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from server.roles import CONSOLE_ACTOR

if TYPE_CHECKING:
    from server.core import ServerCore
    from server.office_acts import Arguments, OfficeAct

_ME: Final = CONSOLE_ACTOR


async def _fleet(core: ServerCore, arguments: Arguments) -> Any:
    worried = bool(arguments.get("worried", False))
    return {"terminals": await core.fleet_desk.all(_ME, worried=worried)}


async def _configure(core: ServerCore, arguments: Arguments) -> Any:
    settings = dict(arguments["settings"])
    return await core.configurations.set(_ME, settings, terminal=arguments.get("terminal", ""))


async def _roll_back(core: ServerCore, arguments: Arguments) -> Any:
    version = int(arguments["version"])
    return await core.configurations.roll_back(_ME, version, terminal=arguments.get("terminal", ""))


async def _configurations(core: ServerCore, arguments: Arguments) -> Any:
    found = await core.configurations.all(_ME, terminal=arguments.get("terminal", ""))
    return {"configurations": found}


async def _hotline_search(core: ServerCore, arguments: Arguments) -> Any:
    found = await core.hotline.search(
        _ME,
        arguments["query"],
        district=arguments.get("district", ""),
        venue=arguments.get("venue", ""),
    )
    return {"offers": found}


async def _hotline_card(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    found = await core.hotline.card(
        _ME,
        arguments["last4"],
        day=arguments.get("day", ""),
        venue=arguments.get("venue", ""),
        declined=bool(arguments.get("declined", False)),
    )
    return {"taps": found}


async def _feed_source(core: ServerCore, arguments: Arguments) -> Any:
    active = bool(arguments.get("active", True))
    await core.member_feed.set_source(_ME, arguments["source"], arguments["vkey"], active=active)
    return {"source": arguments["source"], "active": active}


async def _feed_sources(core: ServerCore, _arguments: Arguments) -> Any:
    return {"sources": await core.member_feed.sources(_ME)}


async def _enrol_many(core: ServerCore, arguments: Arguments) -> Any:
    data = base64.b64decode(arguments["data"])
    approval = bool(arguments.get("approval", False))
    return await core.enrolments.many(
        _ME, data, approval=approval, life_ms=int(arguments["life_ms"])
    )


async def _waiting(core: ServerCore, _arguments: Arguments) -> Any:
    return {"waiting": await core.enrolments.waiting(_ME)}


async def _approve(core: ServerCore, arguments: Arguments) -> Any:
    await core.enrolments.approve(_ME, arguments["terminal"], arguments["fingerprint"])
    return {"terminal": arguments["terminal"], "approved": True}


async def _replace(core: ServerCore, arguments: Arguments) -> Any:
    return await core.enrolments.replace(_ME, arguments["terminal"], reason=arguments["reason"])


async def _void(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    done = await core.voids.void(_ME, arguments["position"], arguments["reason"])
    await core.judge()
    return {"position": arguments["position"], "code": done.code.value, "nonce": done.nonce}


FLEET_ACTS: Final[Mapping[str, OfficeAct]] = {
    "fleet": _fleet,
    "configure": _configure,
    "roll_back": _roll_back,
    "configurations": _configurations,
    "hotline_search": _hotline_search,
    "hotline_card": _hotline_card,
    "feed_source": _feed_source,
    "feed_sources": _feed_sources,
    "enrol_many": _enrol_many,
    "waiting": _waiting,
    "approve": _approve,
    "replace": _replace,
    "void": _void,
}
