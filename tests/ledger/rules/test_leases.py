"""Leases from both ends: no order of messages lets all terminals together give out too much."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.entry import Entry
from ledger.rules.leases import (
    REFILL_UNITS,
    LeaseBook,
    LeaseState,
    StockPool,
    refill_units,
)
from ledger.rules.offer import ReservationState
from ledger.rules.reservations import Reservation, state_of
from tests.ledger.rules.builders import DAY, HOUR, NOW, at, offer

ZONE = "Asia/Shanghai"
PACK = offer(id="pack", stock={"pool": 10}, offline="leased")


def granted(name: str = "l1", epoch: int = 1, units: int = 4, expires: int = NOW + HOUR) -> Entry:
    return {
        "kind": "lease",
        "seq": 0,
        "lease": name,
        "offer": "pack",
        "lease_epoch": epoch,
        "units": units,
        "expires_ms": expires,
    }


def spend(seq: int, lease: str = "l1", quantity: int = 1) -> Entry:
    return {"kind": "redeem", "seq": seq, "offer": "pack", "lease": lease, "quantity": quantity}


def back(seq: int, original: int) -> Entry:
    return {"kind": "void", "seq": seq, "orig_seq": original}


def closed(name: str = "l1", spent: int = 0) -> Entry:
    return {"kind": "lease_close", "seq": 9, "lease": name, "offer": "pack", "spent": spent}


def book(*entries: Entry) -> LeaseBook:
    found = LeaseBook()
    for entry in entries:
        found.apply(entry)
    return found


def left(found: LeaseBook, now: int = NOW) -> int | None:
    view = found.view("pack", now)
    return None if view is None else view.left


def test_a_lease_is_spent_and_a_void_gives_back() -> None:
    assert left(book()) is None
    assert left(book(granted(), spend(1), spend(2, quantity=2))) == 1
    assert left(book(granted(), spend(1, quantity=2), back(2, 1))) == 4
    assert left(book(granted(), spend(1, quantity=2), back(2, 1), back(3, 1))) == 4
    assert left(book(granted(), spend(1), {**back(2, 1), "orig_ledger": "other"})) == 3


def test_a_new_epoch_adds_and_an_old_or_late_grant_does_nothing() -> None:
    assert left(book(granted(), spend(1), granted(epoch=2, units=9))) == 8
    assert left(book(granted(epoch=2, units=9), granted(epoch=1, units=4))) == 9
    assert left(book(granted(), closed(), granted(epoch=2, units=9))) is None


def test_a_closed_lease_takes_neither_units_nor_voids() -> None:
    assert left(book(granted(), spend(1), closed(), back(2, 1))) is None
    assert left(book(granted(), closed(), granted("l2", units=2), spend(3), back(4, 1))) == 2


def test_the_next_tap_takes_from_a_usable_lease_that_ends_first() -> None:
    found = book(granted("old", expires=NOW), granted("late"), granted("soon", expires=NOW + 1))
    view = found.view("pack", NOW)
    assert view is not None
    assert view.lease == "soon"
    expired = found.view("pack", NOW + DAY)
    assert expired is not None
    assert expired.lease == "late"
    assert {one.lease for one in found.opens("pack")} == {"old", "late", "soon"}


# The server's end.


def redeemed(seq: int, lease: str = "l1", quantity: int = 1) -> Entry:
    return spend(seq, lease, quantity)


def test_a_pool_grants_what_is_free_and_renews_what_is_open() -> None:
    pool = StockPool(PACK)
    assert pool.grant("l1", "t1", "", 8, NOW + HOUR).units == 8
    assert pool.grant("l2", "t2", "", 8, NOW + HOUR).units == 2
    assert pool.free("") == 0
    again = pool.grant("l1", "t1", "", 4, NOW + 2 * HOUR)
    assert (again.units, again.epoch, again.expires_ms) == (8, 2, NOW + 2 * HOUR)
    held = pool.open_lease("t1", "")
    assert held is not None
    assert held.lease == "l1"


def test_expiry_returns_nothing_and_a_close_returns_what_was_not_spent() -> None:
    pool = StockPool(PACK)
    pool.grant("l1", "t1", "", 4, NOW)
    assert pool.free("") == 6
    pool.apply(redeemed(1), "t1", "")
    pool.apply(closed(spent=2), "t1", "")
    # Two spent, one of them seen: the other is still outstanding.
    assert (pool.used(""), pool.leased(""), pool.free("")) == (1, 1, 8)
    pool.apply(redeemed(2), "t1", "")
    assert (pool.used(""), pool.leased(""), pool.free("")) == (2, 0, 8)
    pool.apply(back(3, 2), "t1", "")
    assert (pool.used(""), pool.leased(""), pool.free("")) == (1, 0, 9)
    pool.apply(closed(spent=0), "t1", "")
    assert pool.free("") == 9
    assert pool.grant("l1", "t1", "", 4, NOW).state is LeaseState.CLOSED
    assert pool.open_lease("t1", "") is None


def test_a_close_never_says_less_than_what_was_seen() -> None:
    pool = StockPool(PACK)
    pool.grant("l1", "t1", "", 4, NOW)
    pool.apply(redeemed(1, quantity=3), "t1", "")
    pool.close("l1", 1)
    assert pool.free("") == 7


def test_a_write_off_frees_units_at_risk() -> None:
    pool = StockPool(PACK)
    pool.grant("l1", "t1", "", 4, NOW)
    pool.apply(redeemed(1), "t1", "")
    assert pool.write_off("l1") == 3
    assert pool.free("") == 9
    lease = pool.lease("l1")
    assert lease is not None
    assert lease.state is LeaseState.WRITTEN_OFF


@pytest.mark.parametrize(
    ("stock", "parts", "total"),
    [
        ({"pool": 10}, ("", ""), 10),
        ({"per_venue": {"v1": 3, "v2": 5}}, ("v1", "v1"), 3),
        ({"per_day": 4}, ("2026-05-02", "2026-05-03"), 4),
    ],
)
def test_parts_of_a_stock(stock: Any, parts: tuple[str, str], total: int) -> None:
    pool = StockPool(offer(stock=stock, offline="leased"))
    assert pool.part("v1", ZONE, NOW) == parts[0]
    assert pool.part("v1", ZONE, NOW + DAY) == parts[1]
    assert pool.total(parts[0]) == total


def test_units_of_a_day_or_sitting_end_with_it() -> None:
    daily = StockPool(offer(stock={"per_day": 4}, offline="leased"))
    assert daily.part_end(ZONE, NOW) == at("2026-05-03 00:00")
    one = offer(
        stock={"per_session": 4}, sessions=["09:30-11:00"], offline="leased", tolerance_minutes=5
    )
    sitting = StockPool(one)
    assert sitting.part("v1", ZONE, NOW) == str(at("2026-05-02 09:30"))
    assert sitting.part_end(ZONE, NOW) == at("2026-05-02 11:05")
    assert sitting.part("v1", ZONE, NOW + 5 * HOUR) == ""
    assert StockPool(PACK).part_end(ZONE, NOW) == PACK.until_ms


@pytest.mark.parametrize(
    ("wanted", "free", "granted_units"),
    [(1, 0, 0), (1, 5, 5), (1, 9, 8), (1, 10_000, REFILL_UNITS), (20, 10_000, 20), (5, 3, 3)],
)
def test_refills_stay_small(wanted: int, free: int, granted_units: int) -> None:
    assert refill_units(wanted, free) == granted_units


class Partition(RuleBasedStateMachine):
    """Terminals with their own books, a server that sees their entries late, and no common time.

    Each terminal's ledger is a list; the server has taken a prefix of it. Messages at the tap
    (grant, close) pass only while a terminal is connected; entries pass whenever it syncs.
    """

    stock = 12

    @initialize()
    def start(self) -> None:
        self.offer = offer(id="pack", stock={"pool": self.stock}, offline="leased")
        self.pool = StockPool(self.offer)
        self.ledgers: dict[str, list[Entry]] = {name: [] for name in ("t1", "t2", "t3")}
        self.books = {name: LeaseBook() for name in self.ledgers}
        self.seen = dict.fromkeys(self.ledgers, 0)
        self.connected = dict.fromkeys(self.ledgers, True)
        self.count = 0

    def write(self, name: str, entry: Any) -> None:
        entry = {**entry, "seq": len(self.ledgers[name]), "offer": "pack"}
        self.ledgers[name].append(entry)
        self.books[name].apply(entry)

    @rule(name=st.sampled_from(["t1", "t2", "t3"]))
    def cut_or_join(self, name: str) -> None:
        self.connected[name] = not self.connected[name]

    @rule(name=st.sampled_from(["t1", "t2", "t3"]), units=st.integers(1, 8))
    def refill(self, name: str, units: int) -> None:
        if not self.connected[name]:
            return
        held = self.pool.open_lease(name, "")
        self.count += held is None
        lease = self.pool.grant(
            f"lease-{self.count}" if held is None else held.lease, name, "", units, NOW + HOUR
        )
        self.write(name, granted(lease.lease, lease.epoch, lease.units))

    @rule(name=st.sampled_from(["t1", "t2", "t3"]), quantity=st.integers(1, 3))
    def redeem(self, name: str, quantity: int) -> None:
        view = self.books[name].view("pack", NOW)
        if view is not None and view.left >= quantity:
            self.write(name, spend(0, view.lease, quantity))

    @rule(name=st.sampled_from(["t1", "t2", "t3"]), pick=st.integers(0, 99))
    def void(self, name: str, pick: int) -> None:
        taken = {one["orig_seq"] for one in self.ledgers[name] if one["kind"] == "void"}
        uses = [
            one["seq"]
            for one in self.ledgers[name]
            if one["kind"] == "redeem" and one["seq"] not in taken
        ]
        if uses:
            self.write(name, back(0, int(str(uses[pick % len(uses)]))))

    @rule(name=st.sampled_from(["t1", "t2", "t3"]), at_once=st.booleans())
    def close(self, name: str, at_once: bool) -> None:
        for view in self.books[name].opens("pack"):
            self.write(name, closed(view.lease, view.spent))
            if at_once and self.connected[name]:
                self.pool.close(view.lease, view.spent)

    @rule(name=st.sampled_from(["t1", "t2", "t3"]), upto=st.integers(0, 99))
    def sync(self, name: str, upto: int) -> None:
        ledger = self.ledgers[name]
        stop = self.seen[name] + min(upto, len(ledger) - self.seen[name])
        for entry in ledger[self.seen[name] : stop]:
            self.pool.apply(entry, name, "")
        self.seen[name] = stop

    @precondition(lambda self: hasattr(self, "ledgers"))
    @invariant()
    def never_oversold(self) -> None:
        live = 0
        for name, ledger in self.ledgers.items():
            voided = {one["orig_seq"] for one in ledger if one["kind"] == "void"}
            live += sum(
                int(str(one["quantity"]))
                for one in ledger
                if one["kind"] == "redeem" and one["seq"] not in voided
            )
            live += sum(view.left for view in self.books[name].opens("pack"))
        # What was given out and what could still be given out never exceed the stock.
        assert live <= self.stock
        assert self.pool.oversold() == 0

    @precondition(lambda self: hasattr(self, "ledgers"))
    @invariant()
    def sums_are_kept(self) -> None:
        outstanding = sum(one.outstanding for one in self.pool.leases())
        assert self.pool.leased() == outstanding
        assert self.pool.free("") == max(0, self.stock - self.pool.used("") - outstanding)


TestPartition = Partition.TestCase
TestPartition.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# Reservations.

TOKEN = Reservation("r1", "m1", "tour", "v1", NOW, NOW + DAY)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, ReservationState.VALID),
        ({"now_ms": NOW + DAY - 1}, ReservationState.VALID),
        ({"now_ms": NOW + DAY}, ReservationState.EXPIRED),
        ({"now_ms": NOW - 1}, ReservationState.EXPIRED),
        ({"venue": "v2"}, ReservationState.OTHER_VENUE),
        ({"member": "m2"}, ReservationState.NOT_GENUINE),
        ({"taken": {"r1"}}, ReservationState.USED),
        ({"offer": "other"}, ReservationState.NONE),
    ],
)
def test_a_reservation_is_for_one_member_venue_and_time(
    changes: dict[str, Any], state: ReservationState
) -> None:
    facts: dict[str, Any] = {
        "member": "m1",
        "offer": "tour",
        "venue": "v1",
        "taken": set(),
        "now_ms": NOW,
        **changes,
    }
    assert state_of(TOKEN, **facts) is state
    assert state_of(None, **facts) is ReservationState.NONE
