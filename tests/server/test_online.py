"""Holds: what only the server can decide, exact for a member's limit and for the last unit."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import ledger.rules.decide
from server.core import ServerCore
from server.errors import PublicationRefused, TerminalUnknown
from server.online import HOLD_MS, Question
from tests.server.world import HOUR_MS, OFFERS, Terminal, Time, card, enrol, play, push

TICKET = {
    "id": "ticket",
    "title": "地坛庙会门票",
    "kind": "ticket",
    "level": "city",
    "from": "2014-05-01T00:00:00+08:00",
    "until": "2014-07-01T00:00:00+08:00",
    "limits": [{"count": 1, "per": "offer"}],
    "stock": {"pool": 2},
    "offline": "online",
}
Play = Callable[[ServerCore, Time, Terminal, Terminal], Awaitable[None]]


def with_ticket(scenario: Play, home: Path, database: str = "") -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps([*OFFERS, TICKET]).encode())
        first, second = await enrol(core, "first", time), await enrol(core, "second", time)
        await scenario(core, time, first, second)

    play(run, home, database)


async def ask(core: ServerCore, terminal: Terminal, who: int, nonce: str, **more: Any) -> str:
    question = Question(terminal.ledger, nonce, card(who), "ticket", "M01", **more)
    return str((await core.hold(question)).code)


def test_a_members_limit_holds_across_terminals(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        assert await ask(core, first, 1, "n1") == "A00"
        assert await ask(core, first, 1, "n1") == "A00"
        assert await ask(core, second, 1, "n2") == "L01"
        assert await ask(core, first, 2, "n1") == "T07"

    with_ticket(run, home, database_url)


def test_the_last_unit_goes_once(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        assert await ask(core, first, 1, "n1") == "A00"
        assert await ask(core, second, 2, "n2") == "A00"
        assert await ask(core, first, 3, "n3") == "L05"
        time.pass_(HOLD_MS)
        assert await ask(core, first, 3, "n3") == "A00"

    with_ticket(run, home, database_url)


def test_the_entry_confirms_and_the_void_releases(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        for who in (1, 2):
            assert await ask(core, first, who, f"n{who}") == "A00"
        seq = first.redeem(1, "n1", "ticket", mode="online")
        first.decline(2, "n2", offer="ticket")
        await push(core, first)
        await core.judge()
        # One is redeemed, the other was declined after all: one unit is left, for one member.
        time.pass_(HOUR_MS)
        assert await ask(core, first, 1, "n1") == "A00"
        assert await ask(core, second, 1, "x1") == "L01"
        assert await ask(core, second, 3, "x3") == "A00"
        assert await ask(core, second, 4, "x4") == "L05"
        first.void(seq, "v1")
        await push(core, first, 2)
        await core.judge()
        assert await ask(core, second, 1, "x1") == "A00"

    with_ticket(run, home, database_url)


def test_cards_are_judged_as_they_are_now(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        assert await ask(core, first, 5000, "n1") == "C03"
        time.pass_(1)
        await core.set_card(card(1), "blocked")
        assert await ask(core, first, 1, "n2") == "C04"
        time.pass_(1)
        await core.set_card(card(1), "active")
        assert await ask(core, first, 1, "n2") == "A00"

    with_ticket(run, home)


def test_what_is_not_decided_here_is_refused(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        with pytest.raises(PublicationRefused):
            await core.hold(Question(first.ledger, "n", card(1), "museum", "M01"))
        with pytest.raises(TerminalUnknown):
            await core.hold(Question("a" * 26, "n", card(1), "ticket", "M01"))

    with_ticket(run, home)


def test_it_is_the_one_decide(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def broken(*_arguments: Any, **_more: Any) -> Any:
        raise Broken

    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(ledger.rules.decide, "decide", broken)
            with pytest.raises(Broken):
                await ask(core, first, 1, "n1")
        assert await ask(core, first, 1, "n1") == "A00"

    with_ticket(run, home)


def test_a_hold_does_not_stand_in_its_own_way(home: Path, database_url: str) -> None:
    """Over by its time, kept by entries that wait to be judged, and asked for again."""

    async def run(core: ServerCore, time: Time, first: Terminal, second: Terminal) -> None:
        for who in (1, 2):
            assert await ask(core, first, who, f"n{who}") == "A00"
        first.decline(9, "other")
        await push(core, first)
        time.pass_(2 * HOLD_MS)
        assert await ask(core, second, 1, "x1") == "L01"
        assert await ask(core, second, 3, "x3") == "L05"
        assert await ask(core, first, 1, "n1") == "A00"

    with_ticket(run, home, database_url)
