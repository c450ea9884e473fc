"""A federation as its back office sees it: a month of use, cases, statements, people.

One server runs in a thread of its own; whoever visits gets a session without typing a password,
because signing in has a test of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from ledger.log import canonical
from server.app import serve
from server.case_desk import open_matter
from server.core import ServerCore
from server.roles import CONSOLE_ACTOR as CONSOLE
from server.roles import Actor, Role
from server.sign_in import _open
from tests.server.world import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Terminal,
    Time,
    card,
    enrol,
    make_home,
    member,
    people,
    push,
)

#: Days back from the morning on which something happened: last month, then this one.
DAYS = (31, 30, 23, 14, 9, 7, 3, 2, 1, 0)
MEMBERS = 260
#: Half past three of the demo's Friday.
NOON_MS = START_MS + 5 * HOUR_MS + 30 * MINUTE_MS
#: Terminals: id, what people call it, venue, the offer that is used there.
PLACES = (
    ("museum-1", "孔庙和国子监博物馆 1 号机", "M01", "BJ-T-005"),
    ("desheng-1", "德胜街道工会服务站 1 号机", "S0201", "XC-L-009"),
    ("desheng-2", "德胜街道工会服务站 2 号机", "S0201", "DS-E-016"),
    ("xicheng-2", "西城区演示站 02", "S0202", "XC-L-009"),
    ("dongcheng-1", "东城区演示站 01", "S0101", "DS-E-016"),
    ("chaoyang-1", "朝阳区演示站 01", "S0301", "DS-E-016"),
    ("fengtai-1", "丰台区演示站 01", "S0401", "BJ-I-023"),
    ("haidian-1", "海淀区演示站 01", "S0601", "DS-E-016"),
    ("cinema-1", "联名影院 01", "C01", "BJ-M-011"),
    ("cinema-2", "联名影院 02", "C02", "BJ-M-011"),
    ("hospital-1", "合作医院 01", "H01", "BJ-M-011"),
    ("shunyi-1", "顺义区演示站 01", "S1001", "DS-E-016"),
    ("shijingshan-1", "石景山区演示站 01", "S0501", "DS-E-016"),
    ("mentougou-1", "门头沟区演示站 01", "S0701", "DS-E-016"),
    ("changping-1", "昌平区演示站 01", "S1101", "DS-E-016"),
    ("fangshan-1", "房山区演示站 01", "S0801", "DS-E-016"),
)
#: Offers that a member may use once.
#: Offers that begin with May.
FROM_MAY = ("BJ-T-005", "XC-L-009")
ONCE = ("XC-L-009", "BJ-I-023")
#: Not heard of for days; and quarantined; and never used.
SILENT, LOST, UNUSED = "mentougou-1", "changping-1", "daxing-1"
PERSONS = (
    ("demo", "王敏", "federation", ""),
    ("chen", "陈立", "federation", ""),
    ("xicheng", "李晓华", "district", "110102"),
    ("desheng", "赵静", "street", "110102/s0201"),
    ("audit", "周明", "auditor", ""),
    ("hotline", "孙丽", "hotline", ""),
    ("hospital", "合作医院", "merchant", "H01"),
)


class OfficeSite:
    """A running server with its data, and sessions for its people."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.time = Time(NOON_MS)
        self.served: dict[str, list[int]] = {offer: list(range(MEMBERS)) for offer in ONCE}
        self.url = ""
        self.core: ServerCore
        self.terminals: dict[str, Terminal] = {}
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="office", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(120)
        if self._fault is not None or not self.url:
            raise AssertionError("the office did not start") from self._fault

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def ask(self, act: Callable[[ServerCore], Awaitable[Any]]) -> Any:
        """Runs something in the server's own loop."""

        async def run() -> Any:
            return await act(self.core)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def session(self, person: str = "demo") -> str:
        """A whole session of somebody."""

        async def opened(core: ServerCore) -> str:
            async with core.database.writing() as connection:
                return await _open(connection, person, complete=True, now_ms=self.time())

        token: str = self.ask(opened)
        return token

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except (OSError, RuntimeError, AssertionError, ValueError) as fault:
            self._fault = fault
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.time.now_ms = NOON_MS - (max(DAYS) + 1) * DAY_MS
        make_home(self.home)
        self.core = await ServerCore.open(self.home, self.time)
        await fill(self)

        def ready(url: str) -> None:
            self.url = url
            self._ready.set()

        await serve(self.core, host="127.0.0.1", port=0, ready=ready, stop=self._stop)


@contextmanager
def office(home: Path) -> Iterator[OfficeSite]:
    """A server that runs until the block ends."""
    site = OfficeSite(home)
    site.start()
    try:
        yield site
    finally:
        site.stop()


async def fill(site: OfficeSite) -> None:
    """A month of a federation's life, the same every time."""
    core, time = site.core, site.time
    core.repository.create(core.home.custodians())
    await core.import_venues(_shipped("venues.json"))
    await core.publish_offers(_catalogue())
    rows = people(MEMBERS, district="110102")
    await core.take_members([_with_digits(row, at) for at, row in enumerate(rows)])
    for person, name, role, scope in PERSONS:
        await core.people.add(CONSOLE, person, name=name, role=role, scope=scope)
    await _settled_in(core)
    for name, title, venue, _ in PLACES:
        made = await enrol(core, name, time, venues=(venue,))
        site.terminals[name] = made
        await _call(core, name, title)
    await core.activation(UNUSED, ["S1201"], name="大兴区演示站 01")
    draw = random.Random(20140530)
    for back in DAYS:
        time.now_ms = NOON_MS - back * DAY_MS
        await _one_day(site, draw, back)
    await core.judge()
    await _matters(site)


async def _one_day(site: OfficeSite, draw: random.Random, back: int) -> None:
    for place, (name, _, _, offer) in enumerate(PLACES):
        if (name == SILENT and back < 7) or (offer in FROM_MAY and back >= 30):
            continue
        terminal = site.terminals[name]
        start = len(terminal.stored)
        end_ms = NOON_MS - back * DAY_MS
        times = sorted(
            end_ms - draw.randrange(2, 325) * MINUTE_MS
            for _ in range(draw.randrange(4, 16) if back else draw.randrange(6, 22))
        )
        bodies = [
            _use(
                terminal,
                start + at,
                _member(site, draw, offer),
                offer,
                at_ms,
                f"{name}-{back}-{at}",
            )
            for at, at_ms in enumerate(times)
        ]
        if bodies and place % 3 == 0:
            at_ms = times[-1] + MINUTE_MS
            refused = draw.choice(("L01", "L02", "O06", "C04", "M02"))
            bodies.append(
                canonical.encode(
                    terminal.entry(
                        "decline",
                        seq=start + len(bodies),
                        at_ms=at_ms,
                        nonce=f"{name}-{back}-no",
                        card=card(8),
                        offer=offer,
                        venue=terminal.venue,
                        operator="op1",
                        code=refused,
                    )
                    | {"seq": start + len(bodies)}
                )
            )
        terminal.commit(*bodies)
        await push(site.core, terminal, start)


def _member(site: OfficeSite, draw: random.Random, offer: str) -> int:
    """Somebody; whoever had a thing that is given once does not come again, but for a few."""
    waiting = site.served.get(offer)
    if not waiting or draw.random() < 0.03:
        return draw.randrange(MEMBERS)
    return waiting.pop(draw.randrange(len(waiting)))


def _use(terminal: Terminal, seq: int, who: int, offer: str, at_ms: int, nonce: str) -> bytes:
    entry = terminal.entry("redeem", at_ms=at_ms) | {
        "seq": seq,
        "nonce": nonce,
        "card": card(who),
        "member": member(who),
        "offer": offer,
        "venue": terminal.venue,
        "operator": "op1",
        "code": "A00",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "offer_version": 1,
        "quantity": 1,
        "mode": "online",
    }
    return canonical.encode(entry)


async def _matters(site: OfficeSite) -> None:
    """A problem that a terminal reported, a fork, a statement of last month and its dispute."""
    core, time = site.core, site.time
    async with core.database.writing() as connection:
        await open_matter(
            connection,
            key="problem|desheng-1|1",
            kind="problem",
            reason="printer",
            now_ms=time() - HOUR_MS,
            venue="S0201",
            terminal="desheng-1",
            facts={"tap": "", "ts_ms": time() - HOUR_MS},
        )
    await _drafts(core)
    ledger = site.terminals[LOST].ledger
    await core.revoke(ledger, "lost")
    made = await core.settlement.state_month(CONSOLE, "2014-04")
    if made:
        await core.disputes.open(CONSOLE, made[0].id, reason="missing")


async def _drafts(core: ServerCore) -> None:
    """One offer in each step on its way."""
    catalogue = {one["id"]: one for one in json.loads(_shipped("offers.json"))}
    chen, wang = Actor("chen", Role.FEDERATION), Actor("demo", Role.FEDERATION)
    fresh = {**catalogue["BJ-C-001"], "id": "BJ-C-031", "title": "地坛庙会门票（明年）"}
    fresh |= {"from": "2015-01-20T00:00:00+08:00", "until": "2015-02-21T00:00:00+08:00"}
    waiting = await core.drafts.write(chen, fresh)
    await core.drafts.submit(chen, waiting)
    mine = await core.drafts.write(wang, {**fresh, "id": "BJ-C-032", "title": "冰雪嘉年华（明年）"})
    await core.drafts.submit(wang, mine)
    await core.drafts.give_back(chen, mine, "请补充各区配额，再提交审核")
    await core.drafts.write(wang, {"id": "BJ-X-033", "title": "未写完的项目"})
    await core.stock_desk.request_transfer(chen, "XC-L-009", "S0201", "S0202", 20)


async def _settled_in(core: ServerCore) -> None:
    """People who have signed in before: password chosen, second factor set up."""
    from sqlalchemy import update

    from server.schema_office import people as persons

    async with core.database.writing() as connection:
        await connection.execute(
            update(persons)
            .where(persons.c.person != "audit")
            .values(temporary=False, totp_confirmed=True, totp=core.home.encrypt(b"s" * 20))
        )
        await connection.execute(
            update(persons).where(persons.c.person == "audit").values(temporary=False)
        )


async def _call(core: ServerCore, terminal: str, name: str) -> None:
    from sqlalchemy import update

    from server.schema import terminals

    async with core.database.writing() as connection:
        await connection.execute(
            update(terminals).where(terminals.c.terminal == terminal).values(name=name)
        )


def _with_digits(row: Any, at: int) -> Any:
    from dataclasses import replace

    return replace(row, last4=f"{8821 + at:04}"[-4:])


def _shipped(name: str) -> bytes:
    return (files("redcard") / "demo_data" / name).read_bytes()


def _catalogue() -> bytes:
    documents = json.loads(_shipped("offers.json"))
    for document in documents:
        if document["id"] == "XC-L-009":
            document["stock"] = {"per_venue": {"S0201": 214, "S0202": 120}}
            document["stock"] |= {"leases": {"desheng-1": 90, "xicheng-2": 60}}
        if document["id"] == "DS-E-016":
            document.pop("venues")
            document["scope"] = {"level": ["street"]}
        if document["id"] == "BJ-M-011":
            document["venues"] = ["C01", "C02", "H01", "H02"]
    return json.dumps(documents, ensure_ascii=False).encode()
