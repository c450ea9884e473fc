"""What must hold at every moment, whatever members, clerks, cables, power and clocks do."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.entry import Kind
from ledger.log import canonical
from ledger.rules.leases import LeaseBook
from ledger.rules.offer import Offer
from ledger.rules.usage import Usage
from ledger.rules.voids import VoidRequest
from redcard.scenario import till, wire
from redcard.scenario.books import card_hash, card_view, member_ref
from redcard.scenario.document import read_scenarios
from redcard.scenario.known import TapOrder
from redcard.scenario.machine import Machine
from redcard.scenario.world import World, opened

STOCK = 7
DAILY = 2
CAP = 2
SCENARIO = f"""\
scenario: anything may happen
start: 2026-06-01T09:00:00+08:00
members: {{m1: {{}}, m2: {{}}, m3: {{}}}}
cards: {{a: {{member: m1}}, b: {{member: m1}}, c: {{member: m2}}, d: {{member: m3}}}}
terminals: {{t1: {{venue: east}}, t2: {{venue: west}}, t3: {{venue: west, online: false}}}}
supervisors: [s1]
offers:
  museum:
    kind: entry
    from: 2026-06-01T00:00:00+08:00
    until: 2026-07-01T00:00:00+08:00
    limits: [{{count: {DAILY}, per: day}}]
    offline: open
  pack:
    kind: coupon
    from: 2026-06-01T00:00:00+08:00
    until: 2026-07-01T00:00:00+08:00
    limits: [{{count: 3, per: offer}}]
    stock: {{pool: {STOCK}, leases: {{t1: 2, t2: 1}}, lease_ttl: 6h}}
    offline: leased
  course:
    kind: enrolment
    from: 2026-06-01T00:00:00+08:00
    until: 2026-07-01T00:00:00+08:00
    limits: [{{count: 1, per: offer}}]
    stock: {{pool: 2}}
    offline: online
  film:
    kind: coupon
    from: 2026-06-01T00:00:00+08:00
    until: 2026-07-01T00:00:00+08:00
    cap: {CAP}
    offline: capped
  tour:
    kind: ticket
    from: 2026-06-01T00:00:00+08:00
    until: 2026-07-01T00:00:00+08:00
    stock: {{pool: 3}}
    offline: reserved
reservations:
  r1: {{member: m1, offer: tour, venue: east}}
  r2: {{member: m2, offer: tour, venue: west, units: 2, until: 2026-06-02T00:00:00+08:00}}
steps: []
"""
DAY_MS = 86_400_000
TERMINALS = st.sampled_from(["t1", "t2", "t3"])
CARDS = st.sampled_from(["a", "b", "c", "d"])
OFFERS = st.sampled_from(["museum", "pack", "course", "film", "tour"])


class Anything(RuleBasedStateMachine):
    """Random life of three terminals, a server and four cards."""

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        (scenario,) = read_scenarios(SCENARIO)
        self.world: World = self.stack.enter_context(opened(scenario))
        self.answers: dict[tuple[str, str], till.Answer] = {}
        self.orders: dict[tuple[str, str], TapOrder] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def machine(self, name: str) -> Machine:
        return self.world.machines[name]

    def tap(self, name: str, order: TapOrder) -> till.Answer:
        machine = self.machine(name)
        answer = till.tap(machine, self.world.venue_of(machine), order, self.world)
        if answer.entry is not None and not answer.replay:
            self.answers[name, order.nonce] = answer
            self.orders[name, order.nonce] = order
        return answer

    @rule(name=TERMINALS, card=CARDS, offer=OFFERS, quantity=st.sampled_from([1, 1, 2]))
    def taps(self, name: str, card: str, offer: str, quantity: int) -> None:
        self.count += 1
        snapshot = self.machine(name).snapshot
        view = card_view([card], snapshot.cards, snapshot.members)
        self.tap(name, TapOrder(nonce=f"n{self.count}", card=view, offer=offer, quantity=quantity))

    @rule(
        where=st.sampled_from(
            [("t1", "a", "tour"), ("t1", "b", "tour"), ("t2", "c", "tour"), ("t3", "c", "tour")]
            + [("t3", card, "film") for card in "abcd"]
        )
    )
    def taps_where_it_is_scarce(self, where: tuple[str, str, str]) -> None:
        name, card, offer = where
        self.taps(name, card, offer, 1)

    @rule(pick=st.integers(0, 999))
    def taps_again(self, pick: int) -> None:
        if not self.answers:
            return
        key = sorted(self.answers)[pick % len(self.answers)]
        first, order = self.answers[key], self.orders[key]
        again = self.tap(key[0], order)
        assert again.replay
        assert (again.code, again.entry, again.until_ms) == (
            first.code,
            first.entry,
            first.until_ms,
        )

    @rule(pick=st.integers(0, 999), supervisor=st.sampled_from(["", "s1"]))
    def voids(self, pick: int, supervisor: str) -> None:
        if not self.answers:
            return
        name, nonce = sorted(self.answers)[pick % len(self.answers)]
        machine = self.machine(name)
        self.count += 1
        request = VoidRequest(nonce=f"v{self.count}", original=nonce, supervisor=supervisor)
        venue = self.world.venue_of(machine)
        till.void(machine, venue, request, self.world, supervisor_ok=supervisor == "s1")

    @rule(name=TERMINALS)
    def cable(self, name: str) -> None:
        self.machine(name).online = not self.machine(name).online

    @rule(minutes=st.sampled_from([0, 1, 14, 16, 400, 1440]))
    def time_passes(self, minutes: int) -> None:
        self.world.time.now_ms += minutes * 60_000

    @rule(name=TERMINALS, lost=st.booleans())
    def syncs(self, name: str, lost: bool) -> None:
        self.machine(name).lose_answer = lost
        answer = wire.sync(self.machine(name), self.world)
        assert answer.status in {"ok", "offline"}

    @rule(name=TERMINALS)
    def sends_again(self, name: str) -> None:
        assert wire.resend(self.machine(name), self.world).status in {"ok", "offline"}

    @rule(name=TERMINALS, where=st.sampled_from(["before_commit", "after_commit"]))
    def power_fails_in_the_next_tap(self, name: str, where: str) -> None:
        self.machine(name).crash_at = where

    @rule(name=TERMINALS)
    def power_fails(self, name: str) -> None:
        self.machine(name).restart()

    @rule(name=TERMINALS, minutes=st.sampled_from([-600, -90, -1, 0, 0, 5, 90]))
    def clock_is_set(self, name: str, minutes: int) -> None:
        self.machine(name).clock.offset_ms = minutes * 60_000

    @rule(name=TERMINALS)
    def is_recalled(self, name: str) -> None:
        self.world.recall(name, "pack")

    def live(self, name: str) -> list[dict[str, Any]]:
        entries = self.machine(name).entries()
        voided = {entry["orig_seq"] for entry in entries if entry["kind"] == Kind.VOID}
        return [
            entry
            for entry in entries
            if entry["kind"] == Kind.REDEEM and entry["seq"] not in voided
        ]

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def leased_stock_is_never_oversold(self) -> None:
        given = 0
        for name, machine in self.world.machines.items():
            given += sum(entry["quantity"] for entry in self.live(name) if entry["offer"] == "pack")
            given += sum(lease.left for lease in machine.leases.opens("pack"))
        assert given <= STOCK

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def online_offers_are_exact(self) -> None:
        taken = [
            e for name in self.world.machines for e in self.live(name) if e["offer"] == "course"
        ]
        assert sum(entry["quantity"] for entry in taken) <= 2
        assert len({entry["member"] for entry in taken}) == len(taken)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def a_reservation_is_used_once_by_its_member_at_its_venue(self) -> None:
        used = [e for name in self.world.machines for e in self.live(name) if e["offer"] == "tour"]
        tokens = [entry["reservation"] for entry in used]
        assert len(set(tokens)) == len(tokens)
        places = {member_ref("m1"): ("east", 1), member_ref("m2"): ("west", 2)}
        for entry in used:
            venue, units = places[entry["member"]]
            assert entry["venue"] == venue
            assert entry["quantity"] <= units

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def cut_off_a_terminal_gives_out_no_more_than_its_cap(self) -> None:
        for name, machine in self.world.machines.items():
            held = machine.acknowledged()
            alone = [
                entry["quantity"]
                for entry in self.live(name)
                if (entry["offer"], entry["mode"]) == ("film", "offline") and entry["seq"] >= held
            ]
            assert sum(alone) <= CAP

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def no_terminal_exceeds_a_limit_that_it_can_see(self) -> None:
        for name in self.world.machines:
            days: dict[tuple[Any, int], int] = {}
            for entry in self.live(name):
                if entry["offer"] == "museum":
                    day = (int(entry["ts_ms"]) + 8 * 3_600_000) // DAY_MS
                    key = (entry["member"], day)
                    days[key] = days.get(key, 0) + int(entry["quantity"])
            assert max(days.values(), default=0) <= DAILY

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def a_fold_from_the_ledger_alone_is_what_the_terminal_holds(self) -> None:
        for machine in self.world.machines.values():
            usage, leases = Usage(), LeaseBook()
            for data in machine.log.entries(0, machine.log.size):
                usage.apply(canonical.decode(data))
                leases.apply(canonical.decode(data))
            for offer in machine.snapshot.offers.values():
                assert isinstance(offer, Offer)
                assert leases.opens(offer.id) == machine.leases.opens(offer.id)
                for member in ("m1", "m2", "m3"):
                    ref = member_ref(member)
                    assert usage.view(ref, offer).units == machine.usage.view(ref, offer).units

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def what_the_server_holds_is_the_terminals_own_history(self) -> None:
        for machine in self.world.machines.values():
            held = self.world.centre.ledgers[machine.ledger]
            assert held.bodies == list(machine.log.entries(0, len(held.bodies)))
            assert machine.acknowledged() <= len(held.bodies)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def every_disagreement_is_a_finding_with_a_reason(self) -> None:
        centre = self.world.centre
        centre.judge()
        for finding in centre.findings.values():
            assert bool(finding.reasons) is (finding.verdict.value == "accepted_flagged")
        for offer in ("museum", "pack", "course", "film", "tour"):
            assert centre.usage.units(offer) == sum(
                event.number("quantity", 1)
                for held in centre.ledgers.values()
                for event in held.events
                if event.kind == Kind.REDEEM
                and event.text("offer") == offer
                and not centre.usage.is_voided(event.seq, ledger=event.ledger)
            )


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_case_39_server_and_terminal_agree_on_200_taps_of_one_rule() -> None:
    """One rule with windows, hours, limits and re-entry; 200 vectors on one connected terminal."""
    text = SCENARIO.replace(
        f"limits: [{{count: {DAILY}, per: day}}]",
        "limits: [{count: 2, per: day}, {count: 5, per: week}]\n"
        "    hours: ['09:00-16:30']\n    re_entry_minutes: 20\n    interval: 40m",
    )
    (scenario,) = read_scenarios(text)
    with opened(scenario) as world:
        machine = world.machines["t1"]
        for number in range(200):
            world.time.now_ms += (7, 37, 61)[number % 3] * 60_000
            card = "abcd"[number % 4]
            snapshot = machine.snapshot
            order = TapOrder(
                nonce=f"n{number}",
                card=card_view([card], snapshot.cards, snapshot.members),
                offer="museum",
            )
            till.tap(machine, world.venue_of(machine), order, world)
        answer = wire.sync(machine, world)
        codes = {str(entry.get("code")) for entry in machine.entries()}
        assert {"A00", "A03", "L02", "L03", "L04", "O06"} <= codes
        assert set(answer.verdicts.values()) == {"accepted"}
        assert len(answer.verdicts) == 200


def test_names_become_references_that_entries_can_carry() -> None:
    assert len(card_hash("x")) == 26
    assert len(member_ref("x")) == 16
