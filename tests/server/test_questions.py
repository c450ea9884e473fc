"""Questions at the tap over the real API: races, lost answers, voids, refills."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from ledger.log import canonical
from ledger.log.note import Ed25519Verifier, open_note
from server.app import create_app
from server.core import ServerCore
from server.ingest import REQUESTS_PER_LEDGER_MAX
from server.online import HOLD_MS
from server.schema import feed, holds, leases
from sync.asking import (
    Answer,
    HoldQuestion,
    LeaseQuestion,
    Word,
    decode_answer,
    digest,
    encode_hold,
    encode_lease,
    holds_path,
    leases_path,
)
from sync.protocol import authorize
from tests.server.world import OFFERS, Terminal, Time, card, enrol, play, push

WINDOW = {"from": "2014-05-01T00:00:00+08:00", "until": "2014-07-01T00:00:00+08:00"}
TICKET = {
    "id": "ticket",
    "title": "地坛庙会门票",
    "kind": "ticket",
    "level": "city",
    **WINDOW,
    "limits": [{"count": 1, "per": "offer"}],
    "stock": {"pool": 10},
    "companions": {"max": 2},
    "offline": "online",
}
FAMILY = {**TICKET, "id": "family", "limits": [{"count": 10, "per": "offer"}]}
FAIR = {**TICKET, "id": "fair", "stock": {"per_venue": {"M01": 1, "S0201": 1}}}
COURSE = {key: value for key, value in TICKET.items() if key not in {"stock", "companions"}} | {
    "id": "course",
    "re_entry_minutes": 30,
}
DROP = {
    "id": "drop",
    "title": "优惠券",
    "kind": "coupon",
    "level": "city",
    **WINDOW,
    "limits": [{"count": 1, "per": "offer"}],
    "stock": {"pool": 20},
    "offline": "leased",
}


class Counter8:
    """Terminals at a server behind its real API."""

    def __init__(self, core: ServerCore, time: Time, client: httpx.AsyncClient) -> None:
        self.core, self.time, self.client = core, time, client
        self.terminals: list[Terminal] = []
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(REQUESTS_PER_LEDGER_MAX)
        )

    async def post(self, terminal: Terminal, path: str, body: bytes) -> httpx.Response:
        header = authorize(terminal.ledger, path, self.time(), terminal.sign, body)
        async with self._turns[terminal.ledger]:
            return await self.client.post(path, content=body, headers={"Authorization": header})

    def _read(self, terminal: Terminal, body: bytes, answer: httpx.Response) -> Answer:
        assert answer.status_code == 200, answer.text
        verifier = Ed25519Verifier.from_vkey(terminal.enrolled.vkeys["feed"])
        read = decode_answer(open_note(answer.content, [verifier]).text)
        assert (read.origin, read.question) == (terminal.enrolled.origin, digest(body))
        return read

    async def hold(
        self, terminal: Terminal, who: int, nonce: str, offer: str = "ticket", **more: Any
    ) -> Answer:
        fields: dict[str, Any] = {
            "offer_version": 1,
            "quantity": 1,
            "companions": 0,
            "venue": "M01",
            "ts_ms": self.time(),
        } | more
        question = HoldQuestion(nonce=nonce, card=card(who), offer=offer, **fields)
        body = encode_hold(question)
        return self._read(
            terminal, body, await self.post(terminal, holds_path(terminal.ledger), body)
        )

    async def lease(self, terminal: Terminal, units: int = 1, **more: Any) -> Word:
        fields: dict[str, Any] = {"venue": "M01", "lease": "", "left": 0, "after": 0} | more
        question = LeaseQuestion(offer="drop", units=units, ts_ms=self.time(), **fields)
        body = encode_lease(question)
        path = leases_path(terminal.ledger)
        return self._read(terminal, body, await self.post(terminal, path, body)).word

    async def told(self, terminal: Terminal) -> list[Any]:
        statement = select(feed.c.record).order_by(feed.c.number)
        async with self.core.database.reading() as connection:
            return [canonical.decode(bytes(one)) for one in await connection.scalars(statement)]


Play = Callable[[Counter8], Awaitable[None]]


def at_counters(scenario: Play, home: Path, database: str = "", *, terminals: int = 2) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await core.publish_offers(
            json.dumps([*OFFERS, TICKET, FAMILY, FAIR, COURSE, DROP]).encode()
        )
        app = create_app(core, judging=False)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            place = Counter8(core, time, client)
            for number in range(terminals):
                venues = ("M01", "S0201")[: number + 1]
                place.terminals.append(await enrol(core, f"t{number}", time, venues=venues))
            await scenario(place)

    play(run, home, database)


def test_eight_terminals_race_for_the_last_units(home: Path, database_url: str) -> None:
    """10 units, 16 members, each at two terminals at once, every question sent twice."""

    async def run(place: Counter8) -> None:
        async def twice(number: int, who: int) -> list[tuple[int, str, Answer]]:
            terminal = place.terminals[number]
            nonce = f"{number}-{who}"
            found = await asyncio.gather(
                place.hold(terminal, who, nonce), place.hold(terminal, who, nonce)
            )
            return [(who, nonce, one) for one in found]

        asked = [(who % 8, who) for who in range(16)] + [((who + 3) % 8, who) for who in range(16)]
        answers = [
            one for some in await asyncio.gather(*(twice(*a) for a in asked)) for one in some
        ]
        held = {(who, nonce) for who, nonce, one in answers if one.word is Word.HELD}
        assert len(held) == 10
        assert max(Counter(who for who, _ in held).values()) == 1
        for who, nonce in held:
            mine = [one.word for _, name, one in answers if name == nonce]
            assert mine == [Word.HELD, Word.HELD], (who, nonce)
        codes = {one.code for _, _, one in answers if one.word is Word.REFUSED}
        assert codes <= {"L01", "L05"}
        # All are redeemed and come up: nothing is oversold, nothing is left, nobody had two.
        for who, nonce in held:
            place.terminals[int(nonce[0])].redeem(who, nonce, "ticket", code="A00", mode="online")
        for terminal in place.terminals:
            if terminal.stored:
                await push(place.core, terminal)
        await place.core.judge()
        place.time.pass_(HOLD_MS)
        state = await place.core.stock_of("ticket")
        assert (state.redeemed, state.stock_left, state.oversold) == (10, 0, 0)
        assert await place.core.cases() == []
        assert (await place.hold(place.terminals[0], 17, "late")).code == "L05"

    at_counters(run, home, database_url, terminals=8)


def test_an_entry_that_waits_to_be_judged_keeps_its_hold(home: Path, database_url: str) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert (await place.hold(first, 1, "n1", "family", quantity=10)).word is Word.HELD
        first.redeem(1, "n1", "family", code="A00", mode="online", quantity=10)
        await push(place.core, first)
        place.time.pass_(2 * HOLD_MS)
        # Stored and not judged: the hold is over by its time, the units are not free.
        state = await place.core.stock_of("family")
        assert (state.redeemed, state.leased, state.stock_left) == (0, 10, 0)
        assert (await place.hold(second, 2, "n2", "family")).code == "L05"
        # The refusal had it judged; the unit is counted once, by its entry.
        state = await place.core.stock_of("family")
        assert (state.redeemed, state.leased, state.stock_left) == (10, 0, 0)

    at_counters(run, home, database_url)


def test_a_void_that_has_just_come_up_gives_its_unit_to_the_next(
    home: Path, database_url: str
) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert (await place.hold(first, 1, "n1", "family", quantity=10)).word is Word.HELD
        seq = first.redeem(1, "n1", "family", code="A00", mode="online", quantity=10)
        await push(place.core, first)
        assert (await place.hold(second, 1, "n2", "family")).code == "L01"
        assert (await place.hold(second, 2, "n3", "family")).code == "L05"
        first.void(seq, "v1")
        await push(place.core, first, 1)
        assert (await place.hold(second, 1, "n4", "family")).word is Word.HELD
        assert (await place.hold(second, 2, "n5", "family", quantity=9)).word is Word.HELD
        # A nonce whose entry was voided holds nothing any more.
        assert (await place.hold(first, 1, "n1", "family", quantity=10)).code == "L01"

    at_counters(run, home, database_url)


def test_a_hold_falls_away_and_lasts_longer_when_asked_again(home: Path, database_url: str) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        held = await place.hold(first, 1, "n1", "family", quantity=10)
        assert held.until_ms == place.time() + HOLD_MS
        place.time.pass_(HOLD_MS - 1)
        again = await place.hold(first, 1, "n1", "family", quantity=10)
        assert (again.word, again.until_ms) == (Word.HELD, place.time() + HOLD_MS)
        place.time.pass_(HOLD_MS - 1)
        assert (await place.hold(second, 2, "n2", "family")).code == "L05"
        place.time.pass_(1)
        assert (await place.hold(second, 2, "n2", "family", quantity=10)).word is Word.HELD
        # Over and taken by another: the first nonce decides anew.
        assert (await place.hold(first, 1, "n1", "family", quantity=10)).code == "L05"

    at_counters(run, home, database_url)


def test_a_nonce_is_bound_to_what_was_asked(home: Path) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert (await place.hold(first, 1, "n1", companions=1)).word is Word.HELD
        for changes in ({"quantity": 2}, {"companions": 2}, {"companions": 1, "agent": card(5)}):
            assert (await place.hold(first, 1, "n1", **changes)).code == "T07"
        assert (await place.hold(first, 2, "n1", companions=1)).code == "T07"
        assert (await place.hold(first, 1, "n1", offer="course", companions=1)).code == "T07"
        assert (await place.hold(first, 1, "n1", companions=1)).word is Word.HELD
        # Nonces belong to their ledger.
        assert (await place.hold(second, 2, "n1")).word is Word.HELD
        async with place.core.database.reading() as connection:
            assert await connection.scalar(select(func.count()).select_from(holds)) == 2

    at_counters(run, home)


def test_the_rules_are_asked_with_all_of_the_tap(home: Path) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert (await place.hold(first, 1, "n1", companions=3)).code == "M02"
        assert (await place.hold(first, 1, "n2", assurance="identified")).code == "C02"
        assert (await place.hold(first, 1, "n3", offer="course")).word is Word.HELD
        # Within the re-entry time another terminal lets in again and takes nothing.
        assert (await place.hold(second, 1, "n4", offer="course")).code == "A03"
        place.time.pass_(HOLD_MS - 1)
        assert (await place.hold(first, 1, "n3", offer="course")).word is Word.HELD
        assert (await place.hold(first, 2, "n5")).word is Word.HELD
        assert (await place.hold(second, 2, "n6")).code == "L01"
        lifted = await place.hold(second, 2, "n6", supervisor="s1", reason="other")
        assert lifted.word is Word.HELD

    at_counters(run, home)


def test_stock_of_another_venue_is_told_apart(home: Path, database_url: str) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert (await place.hold(first, 1, "n1", offer="fair")).word is Word.HELD
        assert (await place.hold(first, 2, "n2", offer="fair")).code == "L06"
        assert (await place.hold(second, 2, "n2", offer="fair", venue="S0201")).word is Word.HELD
        assert (await place.hold(first, 3, "n3", offer="fair")).code == "L05"

    at_counters(run, home, database_url)


def test_who_may_not_ask(home: Path) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        question = HoldQuestion(
            nonce="n1",
            card=card(1),
            offer="ticket",
            offer_version=1,
            quantity=1,
            companions=0,
            venue="M01",
            ts_ms=place.time(),
        )
        body, path = encode_hold(question), holds_path(first.ledger)
        header = authorize(first.ledger, path, place.time(), first.sign, body)

        async def status(target: str, data: bytes, authorization: str) -> tuple[int, str]:
            answer = await place.client.post(
                target, content=data, headers={"Authorization": authorization}
            )
            return answer.status_code, answer.json()["status_word"]

        assert await status(path, body, "") == (403, "unsigned")
        assert await status(path, body.replace(b'"n1"', b'"n2"'), header) == (403, "unsigned")
        assert await status(holds_path(second.ledger), body, header) == (403, "unsigned")
        assert await status(leases_path(first.ledger), body, header) == (403, "unsigned")
        other = authorize(first.ledger, path, place.time(), second.sign, body)
        assert await status(path, body, other) == (403, "unsigned")
        assert await status(holds_path("a" * 26), body, header) == (404, "unknown_ledger")
        assert await status(path, b"x" * 5000, header) == (413, "malformed")
        for data in (b"{}", b"", body + b" "):
            good = authorize(first.ledger, path, place.time(), first.sign, data)
            assert await status(path, data, good) == (400, "malformed")
        museum = body.replace(b'"ticket"', b'"museum"')
        good = authorize(first.ledger, path, place.time(), first.sign, museum)
        assert await status(path, museum, good) == (400, "malformed")
        place.time.pass_(600_001)
        assert await status(path, body, header) == (401, "stale_request")
        await place.core.revoke(first.ledger, "lost")
        answer = await place.post(first, path, body)
        assert (answer.status_code, answer.json()["status_word"]) == (403, "revoked")
        async with place.core.database.reading() as connection:
            assert await connection.scalar(select(func.count()).select_from(holds)) == 0

    at_counters(run, home)


def test_a_refill_is_small_granted_once_and_ends_with_the_pool(
    home: Path, database_url: str
) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert await place.lease(first) is Word.GRANTED
        assert await place.lease(first) is Word.GRANTED  # the answer was lost
        (record,) = await place.told(first)
        assert (record["kind"], record["units"], record["lease_epoch"]) == ("lease", 8, 1)
        # The same lease is filled up, so that one tap never needs two.
        more = {"lease": record["lease"], "left": 1, "after": record["number"]}
        assert await place.lease(first, 3, **more) is Word.GRANTED
        (_, renewed) = await place.told(first)
        assert (renewed["lease"], renewed["units"], renewed["lease_epoch"]) == (
            record["lease"],
            16,
            2,
        )
        assert await place.lease(second, 5) is Word.POOL_EMPTY
        assert await place.lease(second, 4) is Word.GRANTED
        assert (
            await place.lease(first, 4, **(more | {"after": renewed["number"]})) is Word.POOL_EMPTY
        )
        state = await place.core.stock_of("drop")
        assert (state.leased, state.stock_left, state.oversold) == (20, 0, 0)

    at_counters(run, home, database_url)


def test_an_empty_pool_calls_idle_units_back_once(home: Path, database_url: str) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert await place.lease(first, 20) is Word.GRANTED
        (lease,) = await place.told(first)
        for _ in range(2):
            assert await place.lease(second) is Word.POOL_EMPTY
        (_, recall) = await place.told(first)
        assert (recall["kind"], recall["lease"]) == ("recall", lease["lease"])
        assert len(await place.told(second)) == 2, "called back once, and nothing else was told"
        # The terminal gives back what it did not spend, and the next tap elsewhere can have it.
        granted = {name: lease[name] for name in ("lease", "offer", "lease_epoch")}
        first.append("lease", **granted, units=20, expires_ms=lease["expires_ms"])
        first.append("lease_close", **granted, spent=0)
        await push(place.core, first)
        await place.core.judge()
        assert await place.lease(second) is Word.GRANTED

    at_counters(run, home, database_url)


def test_a_lease_of_another_terminal_or_a_closed_one_is_never_filled_up(home: Path) -> None:
    async def run(place: Counter8) -> None:
        first, second = place.terminals
        assert await place.lease(first, 2) is Word.GRANTED
        (record,) = await place.told(first)
        name = str(record["lease"])
        assert await place.lease(second, 2, lease=name, left=2) is Word.GRANTED
        first.append(
            "lease",
            lease=name,
            offer="drop",
            units=8,
            lease_epoch=1,
            expires_ms=record["expires_ms"],
        )
        first.append("lease_close", lease=name, offer="drop", lease_epoch=1, spent=0)
        await push(place.core, first)
        await place.core.judge()
        after = record["number"]
        assert await place.lease(first, 2, lease=name, left=2, after=after) is Word.GRANTED
        async with place.core.database.reading() as connection:
            rows = (await connection.execute(select(leases))).all()
        assert sorted((row.units, row.closed_ms is None) for row in rows) == [
            (8, False),
            (8, True),
            (8, True),
        ]
        assert (await place.core.stock_of("drop")).leased == 16

    at_counters(run, home)


def test_eight_terminals_drain_a_pool_by_refills(home: Path, database_url: str) -> None:
    async def run(place: Counter8) -> None:
        async def drain(terminal: Terminal) -> int:
            taken = 0
            for tap in range(6):
                units = tap % 3 + 1
                word = await place.lease(terminal, units, after=10_000)
                taken += units if word is Word.GRANTED else 0
            return taken

        taken = sum(await asyncio.gather(*(drain(one) for one in place.terminals)))
        state = await place.core.stock_of("drop")
        assert taken <= state.leased <= 20
        assert state.leased == 20
        assert state.stock_left == 0

    at_counters(run, home, database_url, terminals=8)


@pytest.mark.parametrize("offer", ["museum", "ticket", "nothing"])
def test_what_is_not_leased_is_refused(home: Path, offer: str) -> None:
    async def run(place: Counter8) -> None:
        terminal = place.terminals[0]
        body = encode_lease(
            LeaseQuestion(offer=offer, venue="M01", units=1, lease="", left=0, after=0, ts_ms=0)
        )
        answer = await place.post(terminal, leases_path(terminal.ledger), body)
        assert answer.status_code == 400
        assert "not leased" in answer.json()["detail"]

    at_counters(run, home, terminals=1)


def test_case_35_a_terminal_without_right_to_the_venue_gets_403_and_no_data(home: Path) -> None:
    async def run(place: Counter8) -> None:
        first = place.terminals[0]
        hold: dict[str, Any] = {
            "offer_version": 1,
            "quantity": 1,
            "companions": 0,
            "ts_ms": place.time(),
        }
        questions = (
            (
                holds_path(first.ledger),
                encode_hold(
                    HoldQuestion(nonce="n", card=card(1), offer="ticket", venue="S0201", **hold)
                ),
            ),
            (
                leases_path(first.ledger),
                encode_lease(
                    LeaseQuestion(
                        offer="drop",
                        venue="S0201",
                        units=1,
                        lease="",
                        left=0,
                        after=0,
                        ts_ms=place.time(),
                    )
                ),
            ),
        )
        for path, body in questions:
            answer = await place.post(first, path, body)
            problem = answer.json()
            assert (answer.status_code, problem["status_word"]) == (403, "activation")
            assert "S0201" not in answer.text, "what the venue has is not told"
        for offer in ("ticket", "drop"):
            state = await place.core.stock_of(offer)
            assert (state.redeemed, state.leased) == (0, 0)

    at_counters(run, home)
