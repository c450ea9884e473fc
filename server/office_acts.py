"""Acts of the back office from the server's own shell: people, settlement, cases and the rest.

Each is one function of ``server.administration.ACTS``: a core and plain arguments in, a document
that JSON can carry out. Who acts is the console; the operating system let them in.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from server.booking_acts import BOOKING_ACTS
from server.case_desk import LISTED_MAX
from server.fleet_acts import FLEET_ACTS
from server.ledger_acts import LEDGER_ACTS
from server.offer_acts import OFFER_ACTS
from server.publication_acts import PUBLICATION_ACTS
from server.roles import CONSOLE_ACTOR

if TYPE_CHECKING:
    from server.core import ServerCore

Arguments = Mapping[str, Any]
OfficeAct = Callable[["ServerCore", Arguments], Awaitable[Any]]
_ME: Final = CONSOLE_ACTOR


def plain(value: Any) -> Any:
    """A value as JSON carries it: dataclasses as objects, bytes in base64."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(one) for name, one in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value


async def _people(core: ServerCore, _arguments: Arguments) -> Any:
    return {"people": plain(await core.people.all(_ME))}


async def _person_add(core: ServerCore, arguments: Arguments) -> Any:
    made = await core.people.add(
        _ME,
        arguments["person"],
        name=arguments["name"],
        role=arguments["role"],
        scope=arguments.get("scope", ""),
    )
    return plain(made)


async def _person_change(core: ServerCore, arguments: Arguments) -> Any:
    changed = await core.people.change(
        _ME,
        arguments["person"],
        role=arguments.get("role"),
        scope=arguments.get("scope"),
        active=arguments.get("active"),
    )
    return plain(changed)


async def _person_reset(core: ServerCore, arguments: Arguments) -> Any:
    factor = bool(arguments.get("second_factor", False))
    return plain(await core.people.reset(_ME, arguments["person"], second_factor=factor))


async def _records(core: ServerCore, arguments: Arguments) -> Any:
    found = await core.people.records(
        _ME, person=arguments.get("person", ""), act=arguments.get("acts", "")
    )
    return {"records": plain(found)}


async def _identity_erase(core: ServerCore, arguments: Arguments) -> Any:
    erased = await core.identities.erase(_ME, arguments["member"])
    return {"member": arguments["member"], "erased": erased}


async def _identities(core: ServerCore, arguments: Arguments) -> Any:
    kept, faults = await core.identities.take(_ME, base64.b64decode(arguments["data"]))
    return {"kept": kept, "faults": faults}


async def _access_copy(core: ServerCore, arguments: Arguments) -> Any:
    return await core.identities.access_copy(_ME, arguments["member"])


async def _settle_state(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    made = await core.settlement.state_month(
        _ME, arguments["month"], merchant=arguments.get("merchant", "")
    )
    return {"statements": plain(made)}


async def _settle_list(core: ServerCore, arguments: Arguments) -> Any:
    found = await core.statements.all(
        _ME,
        month=arguments.get("month", ""),
        merchant=arguments.get("merchant", ""),
        state=arguments.get("state", ""),
    )
    return {"statements": plain(found)}


async def _settle_show(core: ServerCore, arguments: Arguments) -> Any:
    number = int(arguments["statement"])
    statement = await core.statements.one(_ME, number)
    entries: list[Any] = []
    while page := await core.statements.entries(_ME, number, start=len(entries)):
        entries += page
    disputes = await core.disputes.all(_ME, statement=number)
    return plain(statement) | {"entries": plain(entries), "disputes": plain(disputes)}


async def _settle_close(core: ServerCore, arguments: Arguments) -> Any:
    return plain(await core.settlement.settle(_ME, int(arguments["statement"])))


async def _settle_tariff(core: ServerCore, arguments: Arguments) -> Any:
    given = (arguments["merchant"], arguments["offer"], int(arguments["fen"]))
    await core.settlement.set_tariff(_ME, *given)
    return {"merchant": given[0], "offer": given[1], "fen": given[2]}


async def _settle_adjust(core: ServerCore, arguments: Arguments) -> Any:
    await core.settlement.adjust(
        _ME,
        int(arguments["statement"]),
        offer=arguments.get("offer", ""),
        units=int(arguments.get("units", 0)),
        fen=int(arguments.get("fen", 0)),
        reason=arguments["reason"],
        dispute=int(arguments.get("dispute", 0)),
    )
    return {"statement": int(arguments["statement"])}


async def _settle_dispute(core: ServerCore, arguments: Arguments) -> Any:
    number = await core.disputes.open(
        _ME,
        int(arguments["statement"]),
        reason=arguments["reason"],
        position=arguments.get("position", ""),
    )
    return {"dispute": number}


async def _settle_decide(core: ServerCore, arguments: Arguments) -> Any:
    upheld = bool(arguments["upheld"])
    await core.disputes.decide(_ME, int(arguments["dispute"]), upheld=upheld)
    return {"dispute": int(arguments["dispute"]), "upheld": upheld}


async def _evidence(core: ServerCore, arguments: Arguments) -> Any:
    return plain(await core.evidence.of(_ME, arguments["position"]))


async def _case_list(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    found = await core.case_desk.page(
        _ME,
        state=arguments.get("state", "open"),
        reason=arguments.get("reason", ""),
        assigned=arguments.get("assigned", ""),
        start=int(arguments.get("start", 0)),
        limit=int(arguments.get("limit", LISTED_MAX)),
    )
    return plain(found)


async def _case_show(core: ServerCore, arguments: Arguments) -> Any:
    return plain(await core.case_desk.one(_ME, arguments["key"]))


async def _case_act(core: ServerCore, arguments: Arguments) -> Any:
    key, act, value = arguments["key"], arguments["doing"], arguments.get("value", "")
    remark = arguments.get("remark", "")
    if act == "assign":
        await core.case_desk.assign(_ME, key, value)
    elif act == "note":
        await core.case_desk.note(_ME, key, remark)
    elif act == "reopen":
        await core.case_desk.reopen(_ME, key, remark)
    else:
        await core.case_desk.decide(_ME, key, value, remark)
    return plain(await core.case_desk.one(_ME, key))


def _plainly(act: OfficeAct) -> OfficeAct:
    async def told(core: ServerCore, arguments: Arguments) -> Any:
        return plain(await act(core, arguments))

    return told


_ACTS: Final[Mapping[str, OfficeAct]] = {
    "people": _people,
    "person_add": _person_add,
    "person_change": _person_change,
    "person_reset": _person_reset,
    "records": _records,
    "identity_erase": _identity_erase,
    "identities": _identities,
    "access_copy": _access_copy,
    "settle_state": _settle_state,
    "settle_list": _settle_list,
    "settle_show": _settle_show,
    "settle_close": _settle_close,
    "settle_tariff": _settle_tariff,
    "settle_adjust": _settle_adjust,
    "settle_dispute": _settle_dispute,
    "settle_decide": _settle_decide,
    "evidence": _evidence,
    "case_list": _case_list,
    "case_show": _case_show,
    "case_act": _case_act,
    **OFFER_ACTS,
    **BOOKING_ACTS,
    **FLEET_ACTS,
    **PUBLICATION_ACTS,
    **LEDGER_ACTS,
}
#: All of them, each answering what JSON can carry.
OFFICE_ACTS: Final[Mapping[str, OfficeAct]] = {name: _plainly(act) for name, act in _ACTS.items()}
