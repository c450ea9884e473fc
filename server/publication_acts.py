"""Acts on what is published, from the server's shell; see ``server.office_acts``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from server.errors import ImportRefused
from server.publications import PROFILES_BYTES_MAX, PROFILES_TARGET
from server.roles import CONSOLE_ACTOR
from server.stick import write_stick

if TYPE_CHECKING:
    from server.core import ServerCore
    from server.office_acts import Arguments, OfficeAct

_ME: Final = CONSOLE_ACTOR


async def _profiles(core: ServerCore, _arguments: Arguments) -> Any:
    data, state = await core.publications.profiles()
    return {"data": data, "state": state}


async def _publish_profiles(core: ServerCore, arguments: Arguments) -> Any:
    """Puts a checked set in force; whoever sends it has the profiles' own rules, we have not."""
    data = base64.b64decode(arguments["data"])
    if len(data) > PROFILES_BYTES_MAX:
        raise ImportRefused(f"profiles have at most {PROFILES_BYTES_MAX} bytes")
    folder = arguments.get("custodians")
    version = await core.publications.signed_by_custodians(
        PROFILES_TARGET,
        data,
        Path(folder) if folder else None,
        instead_of=arguments["instead_of"],
    )
    async with core.database.writing() as connection:
        await core.own.record(connection, "reader_profiles", version=version)
    return {"targets_version": version}


async def _stick(core: ServerCore, arguments: Arguments) -> Any:
    files, size = await write_stick(core.publications, Path(arguments["folder"]))
    return {"folder": arguments["folder"], "files": files, "bytes": size}


async def _up_to_date(core: ServerCore, _arguments: Arguments) -> Any:
    async with core.publications.shelf.changing():
        return {"versions": core.repository.versions()}


async def _messages(core: ServerCore, _arguments: Arguments) -> Any:
    return await core.announcements.all(_ME)


async def _put_messages(core: ServerCore, arguments: Arguments) -> Any:
    return await core.announcements.put(_ME, base64.b64decode(arguments["data"]))


async def _take_back_messages(core: ServerCore, arguments: Arguments) -> Any:
    return await core.announcements.take_back(
        _ME, codes=arguments.get("codes", ()), notices=arguments.get("notices", ())
    )


PUBLICATION_ACTS: Final[Mapping[str, OfficeAct]] = {
    "profiles": _profiles,
    "publish_profiles": _publish_profiles,
    "stick": _stick,
    "up_to_date": _up_to_date,
    "messages": _messages,
    "put_messages": _put_messages,
    "take_back_messages": _take_back_messages,
}
