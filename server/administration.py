"""What an operator does at the server, each act as a name and plain arguments.

The command line calls ``ask``: when a server runs on this home, it asks that process over the
loopback with the token that only this user can read; otherwise it opens the home itself. So SQLite
has one process that writes, and every act is one function for both ways.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from server.core import ServerCore
from server.errors import DatabaseFault, ImportRefused, ServerError
from server.key_list import key_list
from server.office_acts import OFFICE_ACTS
from server.publications import CA_KEYS_TARGET, PIV_ROOTS_TARGET
from server.roles import CONSOLE_ACTOR
from server.signals.signal import explain

Arguments = Mapping[str, Any]
Act = Callable[[ServerCore, Arguments], Awaitable[Any]]

RUN_FILE: Final = "run/server.json"
ASK_TIMEOUT_S: Final = 3600.0
PROGRESS_EVERY_S: Final = 0.5


async def _enrol(core: ServerCore, arguments: Arguments) -> Any:
    made = await core.activation(
        arguments["terminal"],
        arguments["venues"],
        profile=arguments.get("profile", "counter"),
        name=arguments.get("name", ""),
        life_ms=int(arguments["life_ms"]),
    )
    return asdict(made)


async def _revoke(core: ServerCore, arguments: Arguments) -> Any:
    state = await core.revoke(arguments["ledger"], arguments["reason"])
    return {"ledger": arguments["ledger"], "state": state.value}


async def _terminals(core: ServerCore, _arguments: Arguments) -> Any:
    return {"ledgers": await core.ledgers()}


async def _terminal_keys(core: ServerCore, _arguments: Arguments) -> Any:
    return {"note": (await key_list(core)).decode()}


async def _supervisor(core: ServerCore, arguments: Arguments) -> Any:
    told = await core.provide_supervisor(
        arguments["terminal"],
        arguments["supervisor"],
        pin=arguments.get("pin", ""),
        card=arguments.get("card", ""),
        active=bool(arguments.get("active", True)),
    )
    return {"supervisor": arguments["supervisor"], "terminal": arguments["terminal"], "told": told}


async def _supervisors(core: ServerCore, _arguments: Arguments) -> Any:
    return {"supervisors": await core.supervisors()}


async def _publish_offers(core: ServerCore, arguments: Arguments) -> Any:
    return {"published": await core.publish_offers(_data(arguments))}


async def _change_offer(core: ServerCore, arguments: Arguments) -> Any:
    version = await core.change_offer(arguments["offer"], arguments["changes"])
    return {"offer": arguments["offer"], "version": version}


async def _offers(core: ServerCore, _arguments: Arguments) -> Any:
    published = await core.published()
    return {
        "offers": [
            {
                "offer": offer.id,
                "version": offer.version,
                "title": getattr(offer, "title", ""),
                "title_en": getattr(offer, "title_en", ""),
            }
            for offer in published.newest.values()
        ]
    }


async def _import_venues(core: ServerCore, arguments: Arguments) -> Any:
    return {"venues": await core.import_venues(_data(arguments))}


async def _import_members(core: ServerCore, arguments: Arguments) -> Any:
    # A file of millions is named and not sent: whoever may ask sits at this machine.
    file = Path(arguments["path"]) if "path" in arguments else _data(arguments)
    moved: Callable[[int, int], None] = arguments.get("moved") or (lambda _done, _total: None)
    if arguments.get("note"):
        report = await core.member_feed.take(file, arguments["note"].encode("utf-8"), moved)
    else:
        report = await core.import_members(file, moved)
    return asdict(report) | {"faults": [list(fault) for fault in report.faults]}


async def _importing(core: ServerCore, _arguments: Arguments) -> Any:
    return {"done": core.importing[0], "total": core.importing[1]}


async def _set_card(core: ServerCore, arguments: Arguments) -> Any:
    await core.set_card(arguments["card"], arguments["status"])
    return {"card": arguments["card"], "status": arguments["status"]}


async def _set_member(core: ServerCore, arguments: Arguments) -> Any:
    await core.set_member(arguments["member"], arguments["status"])
    return {"member": arguments["member"], "status": arguments["status"]}


async def _ca_keys(core: ServerCore, arguments: Arguments) -> Any:
    return await _bundle(core, arguments, CA_KEYS_TARGET)


async def _piv_roots(core: ServerCore, arguments: Arguments) -> Any:
    return await _bundle(core, arguments, PIV_ROOTS_TARGET)


async def _bundle(core: ServerCore, arguments: Arguments, target: str) -> Any:
    folder = arguments.get("custodians")
    place = Path(folder) if folder else None
    return {"targets_version": await core.publish_ca_keys(_data(arguments), place, target=target)}


async def _stock(core: ServerCore, arguments: Arguments) -> Any:
    published = await core.published()
    names = [arguments["offer"]] if arguments.get("offer") else sorted(published.newest)
    return {"stock": [{"offer": name, **asdict(await core.stock_of(name))} for name in names]}


async def _lease(core: ServerCore, arguments: Arguments) -> Any:
    lease = await core.grant(
        arguments["ledger"],
        arguments["offer"],
        int(arguments["units"]),
        arguments.get("bucket", ""),
    )
    return {"lease": asdict(lease) if lease else None}


async def _recall(core: ServerCore, arguments: Arguments) -> Any:
    return {"asked": await core.recall(arguments["ledger"], arguments["offer"])}


async def _reserve(core: ServerCore, arguments: Arguments) -> Any:
    issued = await core.reserve(
        arguments["card"],
        arguments["offer"],
        arguments["venue"],
        from_ms=int(arguments.get("from_ms", 0)),
        until_ms=int(arguments.get("until_ms", 0)),
        terminal=arguments.get("terminal", ""),
        units=int(arguments.get("units", 1)),
    )
    return asdict(issued)


async def _cancel_reservation(core: ServerCore, arguments: Arguments) -> Any:
    await core.cancel_reservation(arguments["reservation"])
    return {"reservation": arguments["reservation"], "state": "cancelled"}


async def _reservations(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    found = await core.reservations(
        offer=arguments.get("offer", ""), venue=arguments.get("venue", "")
    )
    return {"reservations": found}


async def _report(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    if arguments.get("year"):
        return asdict(await core.year_report(arguments["year"]))
    return asdict(await core.month_report(arguments["month"]))


async def _state_period(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    return asdict(await core.state_period(arguments["period"], CONSOLE_ACTOR.person))


async def _cases(core: ServerCore, _arguments: Arguments) -> Any:
    await core.judge()
    found = await core.cases()
    for one in found:
        words = explain(one["reason"], one.get("details", {}))
        if words is not None:
            one["explained"] = {"zh": words[0], "en": words[1]}
    for case in await core.case_desk.all(CONSOLE_ACTOR):
        if case.kind not in {"judged", "signal"}:
            words = case.explained
            more = {"explained": {"zh": words[0], "en": words[1]}} if words else {}
            found.append({name: getattr(case, name) for name in _OF_MATTER} | more)
    return {"cases": found}


_OF_MATTER: Final = (
    "key", "kind", "reason", "nonces", "positions", "member", "offer", "venue", "terminal",
    "first_ms", "opened_ms", "details",
)  # fmt: skip


async def _signals(core: ServerCore, arguments: Arguments) -> Any:
    await core.judge()
    return asdict(await core.scan_signals([int(day) for day in arguments.get("days", ())]))


async def _publish_used(core: ServerCore, _arguments: Arguments) -> Any:
    await core.judge()
    return {"changed": await core.publish_used()}


async def _rebuild(core: ServerCore, _arguments: Arguments) -> Any:
    return {"judged": await core.projector.rebuild()}


async def _import_batches(core: ServerCore, arguments: Arguments) -> Any:
    from server.carrying import take_file
    from sync.envelope import encode_receipts

    receipts = await take_file(core, _data(arguments))
    return {
        "ledger": receipts.ledger,
        "status": receipts.status,
        "size": receipts.size,
        "receipts": len(receipts.receipts),
        "data": base64.b64encode(encode_receipts(receipts)).decode("ascii"),
    }


ACTS: Final[Mapping[str, Act]] = {
    "enrol": _enrol,
    "revoke": _revoke,
    "terminals": _terminals,
    "terminal_keys": _terminal_keys,
    "supervisor": _supervisor,
    "supervisors": _supervisors,
    "publish_offers": _publish_offers,
    "change_offer": _change_offer,
    "offers": _offers,
    "import_venues": _import_venues,
    "import_members": _import_members,
    "importing": _importing,
    "set_card": _set_card,
    "set_member": _set_member,
    "ca_keys": _ca_keys,
    "piv_roots": _piv_roots,
    "stock": _stock,
    "lease": _lease,
    "recall": _recall,
    "reserve": _reserve,
    "cancel_reservation": _cancel_reservation,
    "reservations": _reservations,
    "report": _report,
    "state_period": _state_period,
    "cases": _cases,
    "signals": _signals,
    "rebuild": _rebuild,
    "publish_used": _publish_used,
    "import_batches": _import_batches,
    **OFFICE_ACTS,
}


def _data(arguments: Arguments) -> bytes:
    return base64.b64decode(arguments["data"])


def packed(data: bytes) -> str:
    """A file's bytes as they travel among the arguments."""
    return base64.b64encode(data).decode("ascii")


async def carry_out(core: ServerCore, act: str, arguments: Arguments) -> Any:
    """Does one act.

    Raises:
        ImportRefused: there is no such act, or an argument is missing.
        ServerError: the act was refused; the message says whether anything was changed.
    """
    known = ACTS.get(act)
    if known is None:
        raise ImportRefused(f"there is no act {act}")
    try:
        return await known(core, arguments)
    except KeyError as error:
        raise ImportRefused(f"{act} needs {error.args[0]}") from None


def ask(home: Path, act: str, arguments: Arguments, now_ms: Callable[[], int]) -> Any:
    """Does one act at the running server of this home, or opens the home for it.

    Args:
        home: the server's folder.
        act: a name of ``ACTS``.
        arguments: what JSON can carry.
        now_ms: time for an act without a running server.

    Returns:
        The document that the act answers.

    Raises:
        ServerError: refused, with the running server's words.
        DatabaseFault: the running server does not answer.
    """
    running = _running(home)
    if running is not None:
        return _ask_running(running, act, arguments)

    async def alone() -> Any:
        core = await ServerCore.open(home, now_ms)
        try:
            return await carry_out(core, act, arguments)
        finally:
            await core.close()

    return asyncio.run(alone())


def ask_with_progress(
    home: Path,
    act: str,
    arguments: Arguments,
    now_ms: Callable[[], int],
    moved: Callable[[int, int], None],
) -> Any:
    """As ``ask``, for an import: tells meanwhile how many rows of how many are done.

    Raises:
        ServerError: as ``ask``.
    """
    running = _running(home)
    if running is None:
        return ask(home, act, {**arguments, "moved": moved}, now_ms)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask_running, running, act, arguments)
        while not wait([answer], timeout=PROGRESS_EVERY_S).done:
            told = _ask_running(running, "importing", {})
            if told["total"]:
                moved(told["done"], told["total"])
        return answer.result()


def _running(home: Path) -> dict[str, Any] | None:
    """How to reach the server that holds this home; ``None`` if none runs."""
    import fcntl

    try:
        document = json.loads((home / RUN_FILE).read_text("utf-8"))
        with (home / RUN_FILE).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it: left behind by a server that was killed
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return dict(document)
    except (OSError, ValueError) as error:
        raise DatabaseFault(f"{home / RUN_FILE} cannot be read: {error}") from None


def _ask_running(running: Mapping[str, Any], act: str, arguments: Arguments) -> Any:
    import httpx

    try:
        answer = httpx.post(
            f"{running['url']}/v1/admin/{act}",
            json=dict(arguments),
            headers={"Authorization": f"Bearer {running['token']}"},
            timeout=ASK_TIMEOUT_S,
        )
    except httpx.HTTPError as error:
        raise DatabaseFault(f"the running server does not answer: {error}") from None
    if answer.status_code == 200:
        return answer.json()
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the running server answered {answer.status_code}"
    raise ServerError(detail)
