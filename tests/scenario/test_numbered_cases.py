"""Cases that a scenario file cannot say, by their number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import OfferInvalid
from ledger.log import canonical
from ledger.rules.catalogue import load_offers
from redcard.scenario import wire
from redcard.scenario.books import card_view
from redcard.scenario.document import read_scenarios
from redcard.scenario.known import TapOrder
from redcard.scenario.till import tap
from redcard.scenario.world import World, opened
from server.facts import Event, Facts
from server.judge import judge_member
from sync.batch import next_batch
from sync.protocol import encode_batch, entries_path
from sync.transport import Request
from tests.ledger.rules.builders import NOW, redeem, void

SCENARIO = """\
start: 2026-05-02T09:00:00+08:00
members: {zhang: {}, li: {}}
cards: {c1: {member: zhang}, c2: {member: li}}
terminals: {t1: {venue: desheng}}
offers:
  free: {kind: discount, from: 2026-05-01T00:00:00+08:00, until: 2026-11-01T00:00:00+08:00}
steps: []
"""
LIFE = '"from": "2026-05-01T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"'


def taps(world: World, count: int) -> None:
    machine = world.machines["t1"]
    for number in range(count):
        order = TapOrder(
            nonce=f"n{number}",
            card=card_view(["c1"], machine.snapshot.cards, machine.snapshot.members),
            offer="free",
        )
        tap(machine, world.venue_of(machine), order, world)


def test_case_33_two_versions_of_one_offer_in_a_file_are_a_configuration_error() -> None:
    twice = f'[{{"id": "a", {LIFE}}}, {{"id": "a", "version": 2, {LIFE}}}]'.encode()
    with pytest.raises(OfferInvalid, match="a is defined twice"):
        load_offers(twice)


def test_case_34_a_file_without_offers_is_no_decline_but_an_empty_catalogue() -> None:
    assert load_offers(b"[]").offers == {}
    with pytest.raises(OfferInvalid):
        load_offers(b"null")


def test_case_69_a_batch_with_one_entry_that_nobody_understands_is_stored_whole() -> None:
    (scenario,) = read_scenarios(SCENARIO)
    with opened(scenario) as world:
        machine = world.machines["t1"]
        taps(world, 40)
        now = machine.now()
        odd: dict[str, Any] = {
            "kind": "goods",
            "ts_ms": now.now_ms,
            "mono_ms": now.boot_ms,
            "offer": "free",
            "venue": "desheng",
            "operator": "clerk",
            "quantity": 1,
            "movement": "received",
        }
        machine.append([odd])
        answer = wire.sync(machine, world)
        assert answer.status == "ok"
        assert len(answer.verdicts) == 40
        held = world.centre.ledgers[machine.ledger]
        assert held.state.size == machine.log.size
        # An entry of a kind that this server does not know is kept raw and judged unusable.
        event = Event(machine.ledger, 99, None, NOW, NOW + 1)
        (finding,) = judge_member([event], Facts())
        assert finding.verdict.value == "unusable"


def test_case_70_a_gap_is_409_with_the_servers_size_and_stores_nothing() -> None:
    (scenario,) = read_scenarios(SCENARIO)
    with opened(scenario) as world:
        machine = world.machines["t1"]
        taps(world, 3)
        size = world.centre.ledgers[machine.ledger].state.size
        batch = next_batch(machine.log, size + 1)
        assert batch is not None
        response = world.take(
            Request("POST", entries_path(machine.ledger), {}, encode_batch(batch))
        )
        assert response.status == 409
        status, held = wire.outcome_of(response, world.witness, machine.signer.name)
        assert (status.value, held) == ("need_from", size)
        assert world.centre.ledgers[machine.ledger].state.size == size
        assert wire.sync(machine, world).status == "ok"


def test_case_72_a_void_of_an_entry_that_has_not_arrived_is_flagged_until_it_does() -> None:
    first = redeem(0, NOW, code="A00", card="", scheme="unionpay", assurance="authenticated")
    office = void(0, 0, orig_ledger="one", ts_ms=NOW + 1, code="A00", card="", offer="museum")
    early = Event("office", 0, office, NOW, NOW + 5)
    (alone,) = judge_member([early], Facts())
    assert [reason.value for reason in alone.reasons] == ["original_missing"]
    late = Event("one", 0, first, NOW, NOW + 9)
    findings = {one.position.ledger: one for one in judge_member([early, late], Facts())}
    assert findings["office"].reasons == ()


def test_case_82_a_redemption_is_one_commit_and_few_statements() -> None:
    (scenario,) = read_scenarios(SCENARIO)
    with opened(scenario) as world:
        machine = world.machines["t1"]
        taps(world, 1)
        seen: list[str] = []
        machine.log._connection.set_trace_callback(seen.append)
        order = TapOrder(
            nonce="last",
            card=card_view(["c2"], machine.snapshot.cards, machine.snapshot.members),
            offer="free",
        )
        answer = tap(machine, world.venue_of(machine), order, world)
        machine.log._connection.set_trace_callback(None)
        assert answer.code == "A00"
        # A statement outside of a transaction is a commit of its own; the trace repeats it for each
        # step of its trigger.
        begun = sum(statement.startswith("COMMIT") for statement in seen)
        alone = {statement for statement in seen if statement.startswith("INSERT INTO append")}
        assert begun + len(alone) == 1, seen
        assert len(seen) <= 12


def test_a_lost_hold_is_not_lost_stock_and_a_confirmed_one_stays() -> None:
    text = SCENARIO.replace(
        "  free: {kind: discount,", "  free: {kind: discount, stock: {pool: 1}, offline: online,"
    )
    (scenario,) = read_scenarios(text)
    with opened(scenario) as world:
        machine = world.machines["t1"]
        cards, members = machine.snapshot.cards, machine.snapshot.members
        first = TapOrder(nonce="a", card=card_view(["c1"], cards, members), offer="free")
        second = replace(first, nonce="b", card=card_view(["c2"], cards, members))
        venue = world.venue_of(machine)
        machine.crash_at = "before_commit"
        assert tap(machine, venue, first, world).code == "T06"
        assert tap(machine, venue, second, world).code == "L05"
        world.time.now_ms += 11 * 60_000
        third = replace(second, nonce="c")
        assert tap(machine, venue, third, world).code == "A00"
        world.time.now_ms += 60 * 60_000
        assert tap(machine, venue, replace(first, nonce="d"), world).code == "L05"
        assert canonical.decode(next(iter(machine.log.entries(2, 3))))["kind"] != "redeem"
