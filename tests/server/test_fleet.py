"""The fleet: what terminals tell, what worries, and settings from afar with a way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log import canonical
from server.app import create_app
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed, TerminalUnknown
from server.fleet_desk import TerminalView
from server.roles import CONSOLE_ACTOR, Actor, Role
from sync.errors import Malformed
from sync.health import (
    PROBLEMS,
    Health,
    ProblemReport,
    decode_health,
    decode_problem,
    encode_health,
    encode_problem,
    health_path,
    problems_path,
)
from sync.protocol import authorize
from tests.server.world import DAY_MS, HOUR_MS, Terminal, Time, enrol, play, push


async def _tell(core: ServerCore, terminal: Terminal, path: str, body: bytes) -> int:
    app = create_app(core, judging=False)
    header = authorize(terminal.ledger, path, terminal.time(), terminal.sign, body)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(path, content=body, headers={"Authorization": header})
    return answer.status_code


async def _one(core: ServerCore) -> TerminalView:
    (view,) = await core.fleet_desk.all(CONSOLE_ACTOR)
    return view


def _records(core_feed: bytes) -> list[dict[str, Any]]:
    from ledger.log.note import split_note
    from sync.feed import decode_page

    return [dict(one) for one in decode_page(split_note(core_feed)[0]).records]


def test_what_a_terminal_tells_is_shown(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        assert (await _one(core)).worries == ("silent",)
        terminal.redeem(1, "a")
        await push(core, terminal)
        assert (await _one(core)).worries == ()
        health = Health(
            ts_ms=time() + HOUR_MS,
            size=4,
            acknowledged=1,
            oldest_ms=time() - 2 * DAY_MS,
            snapshot_ms=time() - DAY_MS,
            snapshot="degraded",
            version="9.9",
            readers=("ACS ACR1281|fault", "second|ready"),
            disk_mb=900,
        )
        path = health_path(terminal.ledger)
        assert await _tell(core, terminal, path, encode_health(health)) == 200
        view = await _one(core)
        assert (view.queue, view.offset_ms, view.version) == (3, HOUR_MS, "9.9")
        assert view.readers == health.readers
        assert view.worries == ("queue", "snapshot", "clock", "reader")
        for n in range(3):
            terminal.redeem(n + 2, f"n{n}")
        await push(core, terminal, 1)
        view = await _one(core)
        assert (view.queue, view.oldest_ms) == (0, 0), "what has come since is no queue"
        assert await _tell(core, terminal, path, b"{}") == 400
        other = await enrol(core, "other", time)
        assert await _tell(core, other, path, encode_health(health)) in {401, 403}

    play(run, home, database_url)


def test_a_problem_is_a_case_once(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        body = encode_problem(ProblemReport("01J", "reader", "M01", "n1", time()))
        for _ in range(2):
            assert await _tell(core, terminal, problems_path(terminal.ledger), body) == 200
        (case,) = await core.case_desk.all(CONSOLE_ACTOR)
        assert (case.kind, case.reason, case.venue, case.terminal) == (
            "problem",
            "reader",
            "M01",
            "kiosk",
        )

    play(run, home)


def test_settings_from_afar_and_back(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        await enrol(core, "desheng", time, venues=["S0201"])
        settings = core.configurations
        with pytest.raises(ImportRefused, match="offline_cap"):
            await settings.set(CONSOLE_ACTOR, {"offline_cap": -1})
        with pytest.raises(ImportRefused, match="unknown_setting"):
            await settings.set(CONSOLE_ACTOR, {"unknown_setting": 1})
        with pytest.raises(NotAllowed):
            await settings.set(Actor("d", Role.DISTRICT, "东城区"), {"offline_cap": 5})
        with pytest.raises(TerminalUnknown):
            await settings.set(CONSOLE_ACTOR, {"offline_cap": 5}, terminal="nobody")
        await settings.set(CONSOLE_ACTOR, {"sync_every_ms": 30_000})
        await settings.set(CONSOLE_ACTOR, {"offline_cap": 5}, terminal="kiosk")
        await settings.set(CONSOLE_ACTOR, {"offline_cap": 50, "sync_every_ms": 9_000})
        await settings.roll_back(CONSOLE_ACTOR, 1)
        sent = _records(await core.feed(terminal.ledger, 0))
        told = [one for one in sent if one["kind"] == "configuration"]
        assert [(one["version"], one.get("offline_cap"), one["sync_every_ms"]) for one in told] == [
            (1, None, 30_000),
            (2, 5, 30_000),
            (3, 5, 9_000),
            (4, 5, 30_000),
        ]
        view = await _one_of(core, "desheng")
        assert view.wished == 4
        kept = await settings.all(CONSOLE_ACTOR)
        assert [(one.version, one.rolled_back_to) for one in kept] == [(4, 1), (3, None), (1, None)]
        # A terminal that comes later learns of it at once.
        late = await enrol(core, "late", time)
        assert [r["version"] for r in _records(await core.feed(late.ledger, 0))] == [4]

    play(run, home, database_url)


async def _one_of(core: ServerCore, terminal: str) -> TerminalView:
    return next(one for one in await core.fleet_desk.all(CONSOLE_ACTOR) if one.terminal == terminal)


_words = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)
_numbers = st.integers(0, 2**50)


@given(_numbers, _numbers, _words, st.lists(_words, max_size=4))
def test_health_makes_the_round_trip(a: int, b: int, word: str, readers: list[str]) -> None:
    health = Health(ts_ms=a, size=b, acknowledged=b, version=word, readers=tuple(readers))
    assert decode_health(encode_health(health)) == health


@given(_numbers, st.sampled_from(PROBLEMS), _words)
def test_problems_make_the_round_trip(ts_ms: int, about: str, tap: str) -> None:
    report = ProblemReport("n", about, "M01", tap, ts_ms)
    assert decode_problem(encode_problem(report)) == report


@given(
    st.binary(max_size=200)
    | st.builds(
        canonical.encode,
        st.dictionaries(
            st.sampled_from(["format", "ts_ms", "readers", "snapshot", "about"]),
            st.one_of(
                _numbers,
                st.just("redcard-health/v1"),
                st.just("redcard-problem/v1"),
                st.lists(_words),
            ),
        ),
    )
)
def test_other_bytes_are_malformed(body: bytes) -> None:
    for read in (decode_health, decode_problem):
        try:
            read(body)
        except Malformed:
            continue
