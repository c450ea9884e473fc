"""Reservations at the server: exact for member and stock, whatever arrives in which order."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.log import canonical
from ledger.log.note import Ed25519Verifier, open_note
from server.core import ServerCore
from server.errors import PublicationRefused, TerminalUnknown
from server.reservations import Issued
from sync.feed import decode_page
from sync.reservation import decode_claims
from tests.server.world import (
    DAY_MS,
    HOUR_MS,
    OFFERS,
    START_MS,
    Terminal,
    Time,
    card,
    enrol,
    member,
    play,
    push,
)

LIFE = {"from": "2014-05-01T00:00:00+08:00", "until": "2014-07-01T00:00:00+08:00"}
TOUR = {
    "id": "tour",
    "kind": "ticket",
    **LIFE,
    "hours": ["09:00-17:00"],
    "limits": [{"count": 1, "per": "month"}],
    "stock": {"per_day": 2},
    "offline": "reserved",
}
LESSON = {"id": "lesson", "kind": "service", **LIFE, "booking": "required", "offline": "open"}
Play = Callable[[ServerCore, Time, Terminal], Awaitable[None]]


def with_tour(scenario: Play, home: Path, database: str = "") -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(json.dumps([*OFFERS, TOUR, LESSON]).encode())
        await scenario(core, time, await enrol(core, "first", time))

    play(run, home, database)


async def reserve(core: ServerCore, who: int, **more: Any) -> Issued:
    return await core.reserve(card(who), more.pop("offer", "tour"), "M01", **more)


async def refused(core: ServerCore, who: int, **more: Any) -> str:
    with pytest.raises(PublicationRefused) as caught:
        await reserve(core, who, **more)
    return str(caught.value).partition(" ")[0]


async def left(core: ServerCore) -> tuple[int, int]:
    """Redeemed, and promised or held, of the tour."""
    state = await core.stock_of("tour")
    return state.redeemed, state.leased


async def states(core: ServerCore) -> dict[str, str]:
    return {row["reservation"]: row["state"] for row in await core.reservations(offer="tour")}


def use(terminal: Terminal, who: int, issued: Issued, nonce: str) -> int:
    return terminal.redeem(who, nonce, "tour", reservation=issued.reservation)


def test_a_token_is_signed_and_goes_to_the_one_terminal_that_takes_it(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal) -> None:
        second = await enrol(core, "second", time)
        issued = await reserve(core, 1)
        key = Ed25519Verifier.from_vkey(first.enrolled.vkeys["reservations"])
        claims = decode_claims(open_note(issued.token.encode(), [key]).text)
        assert (claims.id, claims.member) == (issued.reservation, member(1))
        assert (claims.venue, claims.ledger, claims.units) == ("M01", first.ledger, 1)
        assert (claims.from_ms, claims.until_ms) == (START_MS, START_MS + 14 * HOUR_MS)
        records = decode_page(await _feed(core, first)).records
        assert [record["kind"] for record in records[-2:]] == ["reservation_key", "reservation"]
        assert records[-1]["token"] == issued.token
        assert len(canonical.encode(records[-1])) <= 4096
        assert not any(
            record["kind"] == "reservation"
            for record in decode_page(await _feed(core, second)).records
        )
        other = await reserve(core, 2, terminal="second")
        assert other.terminal == "second"

    with_tour(run, home)


async def _feed(core: ServerCore, terminal: Terminal) -> str:
    note = await core.feed(terminal.ledger, 0)
    return open_note(note, [Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["feed"])]).text


def test_stock_and_limit_are_exact_before_anybody_has_tapped(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal) -> None:
        issued = await reserve(core, 1)
        assert await refused(core, 1) == "L03"
        other = await reserve(core, 2)
        assert await refused(core, 3) == "L05"
        await reserve(core, 3, from_ms=START_MS + DAY_MS)
        assert await left(core) == (0, 3)
        use(first, 1, issued, "n1")
        await push(core, first)
        await core.judge()
        assert await left(core) == (1, 2)
        assert (await states(core))[issued.reservation] == "used"
        assert (await states(core))[other.reservation] == "issued"
        assert await refused(core, 1) == "L03"

    with_tour(run, home, database_url)


def test_a_void_gives_the_token_back_and_it_can_be_used_again(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal) -> None:
        issued = await reserve(core, 1)
        seq = use(first, 1, issued, "n1")
        first.void(seq, "v1")
        await push(core, first)
        await core.judge()
        assert (await left(core), await states(core)) == ((0, 1), {issued.reservation: "issued"})
        use(first, 1, issued, "n2")
        await push(core, first, 2)
        await core.judge()
        await core.projector.rebuild()
        assert (await left(core), await states(core)) == ((1, 0), {issued.reservation: "used"})

    with_tour(run, home)


def test_units_of_an_unused_token_return_only_when_its_terminal_was_heard(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal) -> None:
        await reserve(core, 1)
        cancelled = await reserve(core, 2)
        await core.cancel_reservation(cancelled.reservation)
        assert await left(core) == (0, 2), "its terminal may have taken it already"
        with pytest.raises(PublicationRefused):
            await core.cancel_reservation(cancelled.reservation)
        time.pass_(DAY_MS)
        assert await left(core) == (0, 2)
        first.decline(3, "n3")
        await push(core, first)
        await core.judge()
        assert await left(core) == (0, 0)

    with_tour(run, home)


def test_what_cannot_be_had_is_not_promised(home: Path) -> None:
    async def run(core: ServerCore, time: Time, first: Terminal) -> None:
        assert await refused(core, 1, offer="museum") == "museum"
        assert await refused(core, 1, offer="nothing") == "no"
        assert await refused(core, 5000) == "C03"
        assert await refused(core, 1, from_ms=START_MS + 90 * DAY_MS) == "tour"
        assert await refused(core, 1, units=3) == "L03"
        time.pass_(1)
        await core.set_card(card(4), "blocked")
        assert await refused(core, 4) == "C04"
        with pytest.raises(TerminalUnknown):
            await core.reserve(card(1), "tour", "S0201")
        with pytest.raises(TerminalUnknown):
            await reserve(core, 1, terminal="second")
        evening = await reserve(core, 1, from_ms=START_MS + 8 * HOUR_MS)
        assert evening.from_ms == START_MS + 23 * HOUR_MS, "when it opens again"
        assert (await reserve(core, 1, offer="lesson")).offer == "lesson"

    with_tour(run, home)
