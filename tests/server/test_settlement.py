"""What is owed to whom: stated once, corrected later, disputed, and proved entry by entry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.log.checkpoint import parse
from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.note import split_note
from ledger.log.proof import parse_proof
from server.core import ServerCore
from server.errors import ImportRefused, NotAllowed
from server.roles import CONSOLE_ACTOR, Actor, Role
from server.settlement import is_settled
from tests.server.world import DAY_MS, MINUTE_MS, START_MS, Terminal, Time, enrol, play, push

SHOP = {"id": "shop", "name": "便民超市", "kind": "merchant", "owner": "chaoshi"}
OFFER = {
    "id": "discount",
    "title": "购物优惠",
    "kind": "discount",
    "level": "city",
    "from": "2014-05-01T00:00:00+08:00",
    "until": "2014-12-01T00:00:00+08:00",
    "list_price_fen": 6000,
    "member_price_fen": 1000,
    "offline": "open",
}
MERCHANT = Actor("shen", Role.MERCHANT, "chaoshi")


async def _shop(core: ServerCore, time: Time) -> Terminal:
    await core.import_venues(json.dumps([SHOP]).encode())
    await core.publish_offers(json.dumps([OFFER]).encode())
    return await enrol(core, "till", time, venues=["shop"])


def test_a_month_is_stated_and_late_entries_correct_the_next(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        shop = await _shop(core, time)
        museum = await enrol(core, "kiosk", time)
        for n in range(3):
            shop.redeem(n, f"d{n}", offer="discount", quantity=n + 1)
        late = shop.redeem(4, "late", offer="discount", at_ms=START_MS + MINUTE_MS)
        museum.redeem(1, "m1")
        await push(core, museum)
        await core.ingest.take(shop.ledger, shop.body(0, late))
        await core.judge()
        with pytest.raises(ImportRefused, match="not over"):
            await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        time.pass_(3 * DAY_MS)
        made = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        assert [(one.merchant, one.units, one.fen) for one in made] == [
            ("M01", 1, 0),
            ("chaoshi", 6, 6 * 5000),
        ]
        assert await core.settlement.state_month(CONSOLE_ACTOR, "2014-05") == []
        may = made[1]
        entries = await core.statements.entries(MERCHANT, may.id)
        assert [one.units for one in entries] == [1, 2, 3]
        assert entries[2].leaf == leaf_hash(shop.stored[2]).hex()

        # What came later: one late entry, one that was voided before it was paid.
        await push(core, shop, late)
        shop.void(1, "back")
        shop.redeem(5, "june", offer="discount", at_ms=time())
        await push(core, shop, late + 1)
        await core.judge()
        time.pass_(31 * DAY_MS)
        await core.settlement.set_tariff(CONSOLE_ACTOR, "chaoshi", "discount", 4000)
        (june,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-06", merchant="chaoshi")
        lines = {(line.kind, line.offer): line for line in june.lines}
        use, back = lines["use", "discount"], lines["back", "discount"]
        assert (use.redemptions, use.late_redemptions, use.fen) == (2, 1, 8000)
        assert (back.units, back.fen) == (-2, -10_000), "at the price at which it was stated"
        assert june.fen == -2000
        assert sorted(one.month for one in await core.statements.all(MERCHANT)) == [
            "2014-05",
            "2014-06",
        ]

    play(run, home, database_url)


def test_disputes_hold_up_and_adjustments_follow(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        shop = await _shop(core, time)
        shop.redeem(1, "d1", offer="discount")
        await push(core, shop)
        await core.judge()
        time.pass_(3 * DAY_MS)
        (may,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        with pytest.raises(NotAllowed):
            await core.statements.one(Actor("x", Role.MERCHANT, "other"), may.id)
        number = await core.disputes.open(MERCHANT, may.id, reason="missing")
        assert (await core.statements.one(MERCHANT, may.id)).state == "disputed"
        with pytest.raises(ImportRefused, match="dispute"):
            await core.settlement.settle(CONSOLE_ACTOR, may.id)
        with pytest.raises(NotAllowed):
            await core.disputes.decide(MERCHANT, number, upheld=True)
        await core.disputes.decide(CONSOLE_ACTOR, number, upheld=True)
        await core.settlement.adjust(
            CONSOLE_ACTOR,
            may.id,
            offer="discount",
            units=2,
            fen=9000,
            reason="paper_sheet",
            dispute=number,
        )
        settled = await core.settlement.settle(CONSOLE_ACTOR, may.id)
        assert (settled.state, settled.fen) == ("settled", 5000)
        with pytest.raises(ImportRefused, match="settled"):
            await core.disputes.open(MERCHANT, may.id, reason="amount")
        shop.redeem(2, "d2", offer="discount", at_ms=time())
        await push(core, shop, 1)
        await core.judge()
        time.pass_(31 * DAY_MS)
        (june,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-06")
        assert (june.units, june.fen) == (3, 14_000)
        assert [line.kind for line in june.lines] == ["use", "adjustment"]
        (held,) = await core.disputes.all(MERCHANT)
        assert (held.state, held.decided_by) == ("upheld", "console")

    play(run, home, database_url)


def test_what_stands_in_a_case_waits(home: Path) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        await _shop(core, time)
        first = await enrol(core, "kiosk", time)
        second = await enrol(core, "kiosk2", time)
        first.redeem(1, "a")
        second.redeem(1, "b", at_ms=START_MS + MINUTE_MS)
        await push(core, first)
        await push(core, second)
        await core.judge()
        assert len(await core.cases()) == 1, "over the member's limit of one a day"
        time.pass_(3 * DAY_MS)
        (may,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        assert (may.merchant, may.units) == ("M01", 1)

    play(run, home)


def test_an_entry_proves_itself(home: Path, database_url: str) -> None:
    async def run(core: ServerCore, time: Time) -> None:
        shop = await _shop(core, time)
        for n in range(5):
            shop.redeem(n, f"d{n}", offer="discount")
        await push(core, shop)
        shop.redeem(7, "later", offer="discount")
        await push(core, shop, 5)
        await core.judge()
        time.pass_(3 * DAY_MS)
        (may,) = await core.settlement.state_month(CONSOLE_ACTOR, "2014-05")
        await core.settlement.settle(CONSOLE_ACTOR, may.id)
        position = f"{shop.ledger}/3"
        with pytest.raises(NotAllowed):
            await core.evidence.of(Actor("x", Role.MERCHANT, "other"), position)
        found = await core.evidence.of(MERCHANT, position)
        assert found.entry == shop.stored[3]
        proof = parse_proof(found.proof)
        head = parse(split_note(proof.note)[0])
        leaf = leaf_hash(found.entry)
        assert head.size == 5
        verify_inclusion(3, head.size, leaf, proof.hashes, head.root)
        with pytest.raises(ImportRefused):
            await core.evidence.of(CONSOLE_ACTOR, f"{shop.ledger}/99")
        async with core.database.reading() as connection:
            from sqlalchemy import select

            from server.schema import ledgers

            log = await connection.scalar(
                select(ledgers.c.log).where(ledgers.c.ledger == shop.ledger)
            )
            assert log is not None
            assert await is_settled(connection, log, 3)
            assert not await is_settled(connection, log, 9)

    play(run, home, database_url)
