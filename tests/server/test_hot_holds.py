"""An offer without a stock, decided at the server: once for each member, on either database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ledger.rules.offer import Decision
from server.core import ServerCore
from server.online import HOLD_MS, Question
from tests.server.world import DAY_MS, Time, card, enrol, play, push

ENDLESS = {
    "id": "screening",
    "title": "职工体检",
    "kind": "service",
    "from": "2014-05-01T00:00:00+08:00",
    "until": "2014-11-01T00:00:00+08:00",
    "limits": [{"count": 1, "per": "day"}],
    "offline": "online",
}


def ask(ledger: str, who: int, nonce: str, **more: Any) -> Question:
    return Question(ledger, nonce, card(who), "screening", "M01", **more)


def told(decision: Decision) -> tuple[str, bool]:
    return decision.code.value, decision.replay


def with_screening(
    scenario: Callable[[ServerCore, Time], Awaitable[None]], home: Path, url: str
) -> None:
    async def whole(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps([ENDLESS]).encode())
        await scenario(core, time)

    play(whole, home, url)


def test_a_member_is_held_once_whatever_the_terminal(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminals = [await enrol(core, f"t{n}", time) for n in range(6)]
        asked = [core.hold(ask(one.ledger, 1, f"n{n}")) for n, one in enumerate(terminals)]
        codes = sorted(told(one)[0] for one in await asyncio.gather(*asked))
        assert codes == ["A00", *["L02"] * 5]
        assert told(await core.hold(ask(terminals[0].ledger, 2, "other")))[0] == "A00"

    with_screening(run, home, database_url)


def test_asked_again_it_is_the_same_hold(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        ledger = (await enrol(core, "t", time)).ledger
        assert told(await core.hold(ask(ledger, 1, "n1"))) == ("A00", False)
        time.pass_(HOLD_MS - 1)
        assert told(await core.hold(ask(ledger, 1, "n1"))) == ("A00", True)
        time.pass_(HOLD_MS - 1)  # it was prolonged when it was asked for
        assert told(await core.hold(ask(ledger, 1, "n2")))[0] == "L02"
        assert told(await core.hold(ask(ledger, 1, "n1", quantity=2)))[0] == "T07"
        time.pass_(2)
        assert told(await core.hold(ask(ledger, 1, "n2"))) == ("A00", False)

    with_screening(run, home, database_url)


def test_uses_of_the_ledgers_count_and_voids_give_back(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "t", time)
        assert told(await core.hold(ask(terminal.ledger, 1, "n1")))[0] == "A00"
        seq = terminal.redeem(1, "n1", "screening", mode="online")
        await push(core, terminal)
        await core.judge()
        time.pass_(HOLD_MS + 1)
        assert told(await core.hold(ask(terminal.ledger, 1, "n2")))[0] == "L02"
        assert told(await core.hold(ask(terminal.ledger, 1, "n1"))) == ("A00", True)
        terminal.void(seq, "v1")
        await push(core, terminal, 1)
        await core.judge()
        assert told(await core.hold(ask(terminal.ledger, 1, "n3")))[0] == "A00"
        time.pass_(DAY_MS)
        assert told(await core.hold(ask(terminal.ledger, 1, "n4")))[0] == "A00"

    with_screening(run, home, database_url)


def test_the_card_and_its_member_are_as_they_are_now(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        ledger = (await enrol(core, "t", time)).ledger
        assert told(await core.hold(ask(ledger, 99, "n1")))[0] == "C03"
        time.pass_(1)
        await core.set_card(card(1), "blocked")
        assert told(await core.hold(ask(ledger, 1, "n2")))[0] == "C04"
        await core.set_member(f"{3:016x}", "suspended")
        assert told(await core.hold(ask(ledger, 2, "n3")))[0] == "M01"
        await core.change_offer("screening", {"until": "2014-05-29T00:00:00+08:00"})
        assert told(await core.hold(ask(ledger, 4, "n4")))[0] == "O03"

    with_screening(run, home, database_url)
