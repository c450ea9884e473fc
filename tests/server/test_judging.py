"""Judging what came in: conflicts, flags, cases, revisions, stock; and again from scratch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

import ledger.rules.decide
from server.core import ServerCore
from server.schema import events, judgements, stock
from server.stock import recount
from tests.server.world import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Time,
    card,
    enrol,
    open_core,
    play,
    push,
    verdicts,
)

OVER = ("accepted_flagged", ("over_member_limit",))
GOOD: tuple[str, tuple[str, ...]] = ("accepted", ())


def test_one_member_at_two_terminals(home: Path, database_url: str) -> None:
    """Case 68: both kept, the earlier accepted, the other flagged, both told, a case opened."""

    async def run(core: ServerCore, time: Time) -> None:
        first = await enrol(core, "first", time)
        second = await enrol(core, "second", time)
        second.redeem(1, "late", at_ms=START_MS + 5 * MINUTE_MS)
        first.redeem(1, "early", at_ms=START_MS + 2 * MINUTE_MS)
        time.pass_(HOUR_MS)
        await push(core, second)
        assert await verdicts(core, second) == {"late": GOOD}
        assert await core.cases() == []
        await push(core, first)
        assert await verdicts(core, first) == {"early": GOOD}
        assert await verdicts(core, second) == {"late": OVER}
        assert [(one["reason"], one["nonces"]) for one in await core.cases()] == [
            ("over_member_limit", ["late"])
        ]
        async with core.database.reading() as connection:
            rows = (await connection.execute(select(judgements))).all()
        told = {(row.nonce, row.verdict): row.counterpart for row in rows}
        assert told["early", "accepted"] == f"{second.ledger}/0"
        assert told["late", "accepted_flagged"] == f"{first.ledger}/0"
        assert len(rows) == 3

    play(run, home, database_url)


def test_case_lists_flagged_nonces_by_event_time(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminals = [await enrol(core, f"t{n}", time) for n in range(4)]
        for place in (2, 0, 3, 1):
            terminals[place].redeem(1, f"n{place}", at_ms=START_MS + (place + 1) * MINUTE_MS)
        terminals[0].redeem(1, "next-day", at_ms=START_MS + DAY_MS)
        terminals[1].redeem(1, "next-day-too", at_ms=START_MS + DAY_MS + MINUTE_MS)
        time.pass_(2 * DAY_MS)
        for terminal in terminals:
            await push(core, terminal)
        await core.judge()
        assert [one["nonces"] for one in await core.cases()] == [
            ["n1", "n2", "n3"],
            ["next-day-too"],
        ]

    play(run, home)


def test_void_resolves_the_conflict(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        first = await enrol(core, "first", time)
        second = await enrol(core, "second", time)
        seq = first.redeem(1, "n1", at_ms=START_MS + MINUTE_MS)
        second.redeem(1, "n2", at_ms=START_MS + 2 * MINUTE_MS)
        time.pass_(HOUR_MS)
        await push(core, first)
        await push(core, second)
        await core.judge()
        assert await verdicts(core, second) == {"n2": OVER}
        time.pass_(MINUTE_MS)
        first.void(seq, "v1")
        await push(core, first, 1)
        assert await verdicts(core, first) == {"n1": GOOD, "v1": GOOD}
        assert await verdicts(core, second) == {"n2": GOOD}
        assert await core.cases() == []

    play(run, home, database_url)


def test_status_clock_offer_and_revocation_flags(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        time.pass_(HOUR_MS)
        await core.set_card(card(1), "blocked")
        await core.set_member("0000000000000003", "suspended")
        time.pass_(HOUR_MS)
        terminal.redeem(1, "blocked")
        terminal.redeem(1, "before", at_ms=START_MS + MINUTE_MS, offer="pack", quantity=1)
        terminal.redeem(2, "suspended")
        terminal.redeem(3, "2031", at_ms=1_924_905_600_000)
        terminal.redeem(4, "1999", at_ms=915_148_800_000)
        terminal.decline(5, "no", "C02", card=card(5000))
        time.pass_(MINUTE_MS)
        await core.change_offer("museum", {"status": "suspended"})
        time.pass_(MINUTE_MS)
        terminal.redeem(6, "withdrawn")
        await push(core, terminal)
        await core.revoke(terminal.ledger, "lost")
        terminal.redeem(7, "revoked", offer="pack")
        await push(core, terminal, len(terminal.stored) - 1)
        found = await verdicts(core, terminal)
        assert found == {
            "blocked": ("accepted_flagged", ("stale_status",)),
            "before": GOOD,
            "suspended": ("accepted_flagged", ("stale_status",)),
            "2031": ("accepted_flagged", ("clock_skew", "offer_withdrawn")),
            "1999": ("accepted_flagged", ("clock_skew",)),
            "no": GOOD,
            "withdrawn": ("accepted_flagged", ("offer_withdrawn",)),
            "revoked": ("accepted_flagged", ("after_revocation",)),
        }

    play(run, home, database_url)


def test_backlog_is_no_clock_skew(home: Path) -> None:
    """Entries of days ago in the second batch of one push were not written after the first."""

    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        for n in range(501):
            terminal.decline(1, f"n{n}", at_ms=START_MS + n * MINUTE_MS)
        terminal.redeem(1, "old", at_ms=START_MS + 502 * MINUTE_MS)
        time.pass_(9 * DAY_MS)
        await push(core, terminal)
        assert (await verdicts(core, terminal))["old"] == GOOD
        terminal.redeem(2, "back", at_ms=START_MS + 503 * MINUTE_MS)
        await push(core, terminal, 502)
        assert (await verdicts(core, terminal))["back"] == ("accepted_flagged", ("clock_skew",))

    play(run, home)


def test_same_nonce_elsewhere_is_a_duplicate(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        first = await enrol(core, "first", time)
        second = await enrol(core, "second", time)
        first.redeem(1, "n1", offer="pack", at_ms=START_MS + MINUTE_MS)
        second.redeem(1, "n1", offer="pack", at_ms=START_MS + 2 * MINUTE_MS)
        second.redeem(2, "n1x", offer="pack")
        time.pass_(HOUR_MS)
        await push(core, second)
        await push(core, first)
        assert await verdicts(core, first) == {"n1": GOOD}
        assert (await verdicts(core, second))["n1"] == ("duplicate", ())
        assert (await core.stock_of("pack")).redeemed == 2
        assert (await core.counts())["twice"] == 0

    play(run, home)


def test_stock_lease_and_oversold(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "desheng", time, venues=["S0201"])
        state = await core.stock_of("pack")
        assert (state.leased, state.stock_left) == (4, 6)
        async with core.database.reading() as connection:
            from server.schema import leases

            lease = (await connection.execute(select(leases))).one()
        terminal.redeem(1, "n1", offer="pack", lease=lease.lease)
        await push(core, terminal)
        await core.judge()
        state = await core.stock_of("pack")
        assert (state.redeemed, state.reversed, state.leased, state.stock_left) == (1, 0, 3, 6)
        seq = terminal.redeem(2, "n2", offer="pack", lease=lease.lease)
        terminal.void(seq, "v2")
        await push(core, terminal, 1)
        await core.judge()
        state = await core.stock_of("pack")
        assert (state.redeemed, state.reversed, state.leased, state.stock_left) == (1, 1, 3, 6)
        # A second lease never takes more than what is left.
        granted = await core.grant(terminal.ledger, "pack", 50)
        assert granted is not None
        assert granted.units == 6
        assert await core.grant(terminal.ledger, "pack", 1) is None
        terminal.append("lease_close", lease=lease.lease, offer="pack", lease_epoch=1, spent=1)
        terminal.redeem(3, "late", offer="pack", lease="x", at_ms=START_MS + MINUTE_MS)
        await push(core, terminal, 3)
        await core.judge()
        state = await core.stock_of("pack")
        assert (state.leased, state.stock_left, state.oversold) == (6, 2, 0)
        for n in range(4, 16):
            terminal.redeem(n, f"m{n}", offer="pack", at_ms=START_MS + n * MINUTE_MS)
        time.pass_(HOUR_MS)
        await push(core, terminal, 5)
        found = await verdicts(core, terminal)
        beyond = sorted(nonce for nonce, (_, why) in found.items() if why == ("oversold",))
        assert beyond == ["m12", "m13", "m14", "m15"]
        assert (await core.stock_of("pack")).oversold == 4
        await _counts_the_stock_alike(core)
        terminal.void(5, "back")
        await push(core, terminal, len(terminal.stored) - 1)
        await core.judge()
        await _counts_the_stock_alike(core)
        assert (await core.stock_of("pack")).oversold == 3

    play(run, home, database_url)


def test_expired_lease_is_flagged(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.change_offer("pack", {"stock": {"pool": 10, "lease_ttl": "1h"}})
        terminal = await enrol(core, "kiosk", time)
        lease = await core.grant(terminal.ledger, "pack", 2)
        assert lease is not None
        terminal.redeem(1, "n1", offer="pack", lease=lease.lease, at_ms=lease.expires_ms - 1)
        terminal.redeem(2, "n2", offer="pack", lease=lease.lease, at_ms=lease.expires_ms)
        time.pass_(2 * HOUR_MS)
        await push(core, terminal)
        assert await verdicts(core, terminal) == {
            "n1": GOOD,
            "n2": ("accepted_flagged", ("lease_expired",)),
        }

    play(run, home)


def test_void_of_another_ledger_waits_for_its_original(home: Path) -> None:
    """Case 72: flagged until the original arrives, then accepted."""

    async def run(core: ServerCore, time: Time) -> None:
        first = await enrol(core, "first", time)
        office = await enrol(core, "office", time)
        seq = first.redeem(1, "n1")
        office.append(
            "void",
            nonce="v1",
            card=card(1),
            offer="museum",
            venue="M01",
            operator="office",
            code="A00",
            orig_ledger=first.ledger,
            orig_seq=seq,
            orig_nonce="n1",
            reason_code="mistake",
        )
        await push(core, office)
        flagged = ("accepted_flagged", ("original_missing",))
        assert await verdicts(core, office) == {"v1": flagged}
        assert [one["reason"] for one in await core.cases()] == ["original_missing"]
        await push(core, first)
        await core.judge()
        assert await verdicts(core, office) == {"v1": GOOD}
        assert await core.cases() == []
        assert (await core.month_report("2014-05")).total.person_times == 0

    play(run, home)


def test_malformed_lines_are_stored_and_unusable(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminal = await enrol(core, "kiosk", time)
        terminal.redeem(1, "n1")
        terminal.commit(b"not json", b"\x00\xff", b'{"kind":"redeem"}')
        terminal.redeem(2, "n2", seq=99)
        terminal.append("future_kind_of_entry")
        terminal.redeem(3, "n3")
        assert (await push(core, terminal)).status == 200
        await core.judge()
        async with core.database.reading() as connection:
            rows = (await connection.execute(select(events).order_by(events.c.seq))).all()
        assert [row.verdict for row in rows] == ["accepted", *["unusable"] * 5, "accepted"]

    play(run, home, database_url)


async def _everything(core: ServerCore) -> dict[str, Any]:
    async with core.database.reading() as connection:
        rows = (await connection.execute(select(events).order_by(events.c.log, events.c.seq))).all()
        revisions = (await connection.execute(select(judgements))).all()
    return {
        "events": [tuple(row) for row in rows],
        "revisions": len(revisions),
        "cases": [(one["reason"], one["nonces"]) for one in await core.cases()],
        "report": await core.month_report("2014-05"),
        "stock": await core.stock_of("pack"),
    }


def test_rebuild_finds_the_same_and_signs_nothing_anew(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        terminals = [await enrol(core, f"t{n}", time) for n in range(3)]
        for place, terminal in enumerate(terminals):
            for n in range(6):
                offer = "pack" if n % 2 else "museum"
                terminal.redeem(n // 2, f"{place}-{n}", offer, at_ms=START_MS + n * MINUTE_MS)
            terminal.void(1, f"{place}-v")
        time.pass_(HOUR_MS)
        for terminal in reversed(terminals):
            await push(core, terminal)
            await core.judge()
        before = await _everything(core)
        await core.projector.rebuild()
        assert await _everything(core) == before

    play(run, home, database_url)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    taps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 90), st.sampled_from("mpv")),
        max_size=14,
    ),
    order=st.permutations(range(3)),
)
def test_order_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    taps: list[tuple[int, int, int, str]],
    order: list[int],
) -> None:
    """Judging bit by bit as ledgers arrive equals judging all of them from scratch."""

    async def run(core: ServerCore, time: Time) -> None:
        terminals = [await enrol(core, f"t{n}", time) for n in range(3)]
        for number, (place, who, minute, what) in enumerate(taps):
            terminal = terminals[place]
            if what == "v" and terminal.stored:
                terminal.void(0, f"v{number}") if b'"redeem"' in terminal.stored[0] else None
            else:
                offer = "pack" if what == "p" else "museum"
                terminal.redeem(who, f"n{number % 9}", offer, at_ms=START_MS + minute * MINUTE_MS)
        time.pass_(2 * HOUR_MS)
        for place in order:
            terminal = terminals[place]
            half = len(terminal.stored) // 2
            for start, stop in ((0, half), (half, len(terminal.stored))):
                if start < stop:
                    body = terminal.body(start, stop)
                    assert (await core.ingest.take(terminal.ledger, body)).status == 200
                    await core.judge()
        bit_by_bit = await _everything(core)
        await _counts_the_stock_alike(core)
        await core.projector.rebuild()
        assert await _everything(core) == bit_by_bit

    play(run, tmp_path_factory.mktemp("order") / "server")


async def _counts_the_stock_alike(core: ServerCore) -> None:
    """What was kept step by step is what all events sum up to."""

    async def rows(connection: AsyncConnection) -> list[tuple[Any, ...]]:
        found = await connection.execute(select(stock).order_by(stock.c.offer, stock.c.bucket))
        return [tuple(row) for row in found if any(row[2:])]

    async with core.database.writing() as connection:
        kept = await rows(connection)
        await recount(connection)
        assert await rows(connection) == kept


def test_a_decide_that_raises_stops_judging(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no second copy of the rules here; and what failed is judged later."""

    class Broken(Exception):
        pass

    def broken(*_arguments: Any, **_more: Any) -> Any:
        raise Broken

    async def run() -> None:
        time = Time()
        async with await open_core(home, time) as core:
            terminal = await enrol(core, "kiosk", time)
            terminal.redeem(1, "n1")
            with monkeypatch.context() as patched:
                patched.setattr(ledger.rules.decide, "decide", broken)
                assert (await push(core, terminal)).status == 200
                with pytest.raises(Broken):
                    await core.judge()
            assert await verdicts(core, terminal) == {"n1": GOOD}

    asyncio.run(run())
