"""What small faults in leases and usage changed without any other test seeing it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.entry import Entry
from ledger.rules.leases import LeaseBook, StockPool, refill_units
from ledger.rules.offer import Stock, StockMode
from tests.ledger.rules.builders import HOUR, MINUTE, NOW, offer, redeem

ZONE = "Asia/Shanghai"


def granted(name: str, epoch: int = 1, units: int = 2, expires: int = NOW + HOUR) -> Entry:
    return {
        "kind": "lease",
        "offer": "museum",
        "lease": name,
        "lease_epoch": epoch,
        "units": units,
        "expires_ms": expires,
    }


def book(*entries: Entry) -> LeaseBook:
    made = LeaseBook()
    for entry in entries:
        made.apply(entry)
    return made


@pytest.mark.parametrize(
    ("wanted", "free", "units"),
    [(1, 10_000, 8), (1, 8, 8), (1, 7, 7), (9, 10_000, 9), (3, 2, 2), (8, 9, 8)],
)
def test_a_refill_is_eight_or_what_the_tap_needs_as_far_as_there_are_any(
    wanted: int, free: int, units: int
) -> None:
    assert refill_units(wanted, free) == units


def test_a_spent_lease_is_not_taken_from() -> None:
    first, second = granted("l1", expires=NOW + 1), granted("l2")
    spent = redeem(1, NOW, lease="l1", quantity=2)
    found = book(first, second, spent, redeem(2, NOW, lease="l2")).view("museum", NOW, 2)
    assert found is not None
    assert (found.lease, found.left) == ("l2", 1)
    both = book(first, second, spent, redeem(2, NOW, lease="l2", quantity=2)).view("museum", NOW)
    assert both is not None
    assert (both.lease, both.left) == ("l2", 0)


def test_the_same_epoch_again_changes_nothing() -> None:
    (held,) = book(granted("l1"), granted("l1", units=9)).opens("museum")
    assert held.units == 2


def test_what_an_old_entry_leaves_out_is_one_unit_and_no_position() -> None:
    bare = {name: value for name, value in redeem(1, NOW, lease="l1").items() if name != "quantity"}
    (held,) = book(granted("l1"), bare).opens("museum")
    assert held.spent == 1
    (held,) = book(granted("l1"), bare, {"kind": "void"}).opens("museum")
    assert held.spent == 1


def test_what_a_closed_lease_spent_and_nobody_has_seen_is_outstanding() -> None:
    one = replace(offer(), stock=Stock(StockMode.POOL, 10))
    pool = StockPool(one)
    pool.grant("l1", "t1", "", 5, NOW)
    pool.close("l1", 3)
    pool.apply(redeem(1, NOW, lease="l1"), "t1", "")
    found = pool.lease("l1")
    assert found is not None
    assert (found.outstanding, pool.leased(), pool.free("")) == (2, 2, 7)


def test_units_may_be_given_out_to_the_end_of_the_tolerance() -> None:
    one = replace(offer(), stock=Stock(StockMode.POOL, 10), tolerance_ms=MINUTE)
    assert StockPool(one).part_end(ZONE, NOW) == one.until_ms + MINUTE


def test_a_venue_that_was_given_nothing_has_nothing() -> None:
    one = replace(offer(), stock=Stock(StockMode.PER_VENUE, 5, per_venue={"v1": 5}))
    assert (StockPool(one).total("v1"), StockPool(one).total("v2")) == (5, 0)
