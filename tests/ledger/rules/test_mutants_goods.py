"""What small faults in goods, number ranges, representatives and leases changed unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.codes import Code
from ledger.entry import Entry
from ledger.errors import EntryInvalid
from ledger.rules.agents import AGENT_CARDS_MAX, BATCHES_MAX, AgentBook
from ledger.rules.goods import HELD_UNITS_MAX, GoodsBook
from ledger.rules.leases import LeaseBook, StockPool
from ledger.rules.numbers import (
    RANGES_MAX,
    NumberRange,
    overlap,
    parse_range,
    parse_ranges,
    without,
)
from ledger.rules.reservations import TakenReservations
from ledger.rules.usage import Usage, UsageView
from tests.ledger.rules.builders import HOUR, MEMBER, NOW, STATE, ask, offer, redeem, void


def goods(seq: int, movement: str, quantity: int, **fields: object) -> Entry:
    return {
        "kind": "goods",
        "seq": seq,
        "ts_ms": NOW + seq,
        "nonce": f"g{seq}",
        "offer": "museum",
        "movement": movement,
        "quantity": quantity,
        **fields,  # type: ignore[dict-item]
    }


def book(*entries: Entry) -> GoodsBook:
    found = GoodsBook()
    for entry in entries:
        found.apply(entry)
    return found


def test_a_hold_says_who_placed_what_when_and_until_when() -> None:
    shelf = book(
        goods(1, "held", 5, hold="h1", until_ms=NOW + HOUR),
        goods(2, "held", 3, hold="h2", until_ms=NOW + HOUR),
        redeem(3, NOW, hold="h1", quantity=2),
    )
    held = shelf.hold("h1")
    assert held is not None
    assert (held.placed_ms, held.until_ms, held.units, held.used) == (NOW + 1, NOW + HOUR, 5, 2)
    assert (held.left(NOW), held.left(NOW + HOUR - 1), held.left(NOW + HOUR)) == (3, 3, 0)
    assert shelf.hold("h3") is None
    assert [one.id for one in shelf.holds()] == ["h1", "h2"]
    assert [one.id for one in shelf.holds("museum")] == ["h1", "h2"]
    assert list(shelf.holds("other")) == []
    assert (shelf.held("museum", NOW), shelf.held("museum", NOW, but="h1")) == (6, 3)
    shelf.apply(goods(4, "released", 3, hold="h2"))
    shelf.apply(goods(5, "released", 3, hold="unheard of"))
    assert shelf.held("museum", NOW) == 3
    released = shelf.hold("h2")
    assert released is not None
    assert released.left(NOW) == 0
    shelf.apply(redeem(6, NOW, hold="h1", quantity=9))
    held = shelf.hold("h1")
    assert held is not None
    assert held.left(NOW) == 0, "more given out than held is nothing left, not less than nothing"
    assert HELD_UNITS_MAX == 40


def test_a_received_parcel_that_names_a_hold_releases_nothing() -> None:
    shelf = book(
        goods(1, "held", 5, hold="h1", until_ms=NOW + HOUR),
        goods(2, "received", 9, hold="h1"),
    )
    assert shelf.held("museum", NOW) == 5
    found = shelf.shelf("museum")
    assert found is not None
    assert found.received == 9


def test_movements_sheets_and_transfers_are_found_again() -> None:
    shelf = book(
        goods(1, "received", 10, transfer="t1", numbers=["A01-A10"]),
        goods(2, "received", 10),
        {**redeem(3, NOW), "kind": "manual", "sheet": "S7-2"},
        goods(4, "transferred", 4, transfer="t9", numbers=["A01-A04"]),
    )
    assert shelf.moves() == [1, 2, 4]
    assert shelf.sheets() == {"S7-2": 3}
    assert (shelf.by_sheet("S7-2"), shelf.by_sheet("")) == (3, None)
    assert (shelf.by_nonce("g4"), shelf.by_nonce("g9")) == (4, None)
    assert (shelf.knows_transfer("t1"), shelf.knows_transfer("t9")) == (True, False)
    assert not shelf.knows_transfer(""), "a parcel that names no transfer signs for none"
    found = shelf.shelf("museum")
    assert found is not None
    assert (found.received, found.sent, found.given, found.on_hand) == (20, 4, 1, 15)
    assert [str(one) for one in found.numbers] == ["A05-A10"]


def test_what_clashes_with_a_shelf_and_what_it_lacks() -> None:
    shelf = book(goods(1, "received", 10, numbers=["A01-A10"]))
    a, b = parse_range("A10-A11"), parse_range("B01-B02")
    assert str(shelf.clash("museum", (b, a))) == "A01-A10"
    assert shelf.clash("museum", (b,)) is None
    assert shelf.clash("other", (a,)) is None
    inside, twice = parse_range("A03-A04"), parse_range("A04-A05")
    assert shelf.missing("museum", (inside,)) is None
    assert shelf.missing("museum", (inside, twice)) == twice
    assert shelf.missing("museum", (b, inside)) == b
    assert shelf.missing("other", (inside,)) == inside


def test_a_whole_range_or_one_that_was_never_there_leaves_the_shelf() -> None:
    shelf = book(
        goods(1, "received", 20, numbers=["A01-A10", "B01-B10"]),
        goods(2, "transferred", 10, numbers=["A01-A10"]),
        goods(3, "transferred", 2, numbers=["C01-C02"]),
    )
    found = shelf.shelf("museum")
    assert found is not None
    assert [str(one) for one in found.numbers] == ["B01-B10"]
    shelf.apply(goods(4, "transferred", 10, numbers=["B01-B10"]))
    found = shelf.shelf("museum")
    assert found is not None
    assert found.numbers == ()


def test_a_void_brings_goods_back_but_none_of_another_ledger() -> None:
    shelf = book(goods(0, "received", 10), redeem(1, NOW, quantity=3), redeem(2, NOW))
    shelf.apply(void(3, 1, orig_ledger="elsewhere"))
    shelf.apply({"kind": "void", "seq": 4, "ts_ms": 0, "nonce": "v"})
    found = shelf.shelf("museum")
    assert found is not None
    assert found.given == 4
    shelf.apply(void(5, 1))
    shelf.apply(void(6, 1))
    found = shelf.shelf("museum")
    assert found is not None
    assert (found.given, found.on_hand) == (1, 9)


@pytest.mark.parametrize(
    ("offers", "differences", "corrected"),
    [
        (["museum", "unknown"], [-2, 5], -2),
        (["museum"], [-2, 7], -2),
        (["museum"], ["-2"], 0),
        ("museum", [-2], 0),
        (["museum"], 3, 0),
        (["unknown", "museum"], [4], 0),
    ],
)
def test_what_closing_found_is_taken_over_if_it_can_be_read(
    offers: object, differences: object, corrected: int
) -> None:
    closing = {"kind": "close", "seq": 2, "ts_ms": 0, "offers": offers, "differences": differences}
    shelf = book(goods(1, "received", 10), closing)  # type: ignore[arg-type]
    found = shelf.shelf("museum")
    assert found is not None
    assert (found.corrected, found.on_hand) == (corrected, 10 + corrected)


def test_ranges_touch_where_their_numbers_do() -> None:
    middle = NumberRange("A", 2, 10, 20)
    assert middle.overlaps(NumberRange("A", 2, 20, 30))
    assert middle.overlaps(NumberRange("A", 2, 1, 10))
    assert not middle.overlaps(NumberRange("A", 2, 21, 30))
    assert not middle.overlaps(NumberRange("A", 2, 1, 9))
    assert not middle.overlaps(NumberRange("B", 2, 10, 20))
    assert not middle.overlaps(NumberRange("A", 3, 10, 20))
    assert overlap([NumberRange("B", 2, 1, 2), middle], middle) is middle


def test_ranges_are_read_as_people_type_them() -> None:
    assert str(parse_range(" a01—a09 ")) == "A01-A09"
    assert str(parse_range("a01～a09")) == "A01-A09"
    assert str(parse_range("A07")) == "A07"
    assert parse_range("A00001-A00100").count == 100
    many = [f"A{number:03}" for number in range(RANGES_MAX)]
    assert len(parse_ranges(many)) == RANGES_MAX == 64
    with pytest.raises(EntryInvalid, match="at most 64"):
        parse_ranges([*many, "B1"])


def test_what_is_left_of_a_shelf() -> None:
    shelf = parse_ranges(["A10-A20", "B10-B20"])

    def left(gone: str) -> list[str] | None:
        found = without(shelf, parse_range(gone))
        return None if found is None else [str(one) for one in found]

    assert left("A10-A20") == ["B10-B20"]
    assert left("A11-A19") == ["A10", "A20", "B10-B20"]
    assert left("A10") == ["A11-A20", "B10-B20"]
    assert left("B20") == ["A10-A20", "B10-B19"]
    assert left("B12-B19") == ["A10-A20", "B10-B11", "B20"]
    assert left("A09-A10") is None
    assert left("A20-A21") is None
    assert left("C10-C20") is None


def test_a_representatives_cards_are_counted_from_an_instant_and_voids_are_not() -> None:
    agents = AgentBook()
    entries: list[Entry] = [
        redeem(1, NOW - 1, agent="rep"),
        redeem(2, NOW, agent="rep"),
        redeem(3, NOW, agent="rep"),
        redeem(4, NOW, agent="other"),
        redeem(5, NOW),
        {**redeem(6, NOW, agent="rep"), "kind": "decline"},
        void(7, 3),
        void(8, 99),
        {"kind": "void", "seq": 9},
    ]
    for entry in entries:
        agents.apply(entry)
    assert agents.cards("rep", "museum", NOW) == 1
    assert agents.cards("rep", "museum", NOW - 1) == 2
    assert agents.cards("rep", "film", 0) == 0
    assert agents.cards("", "museum", 0) == 0, "who collects for himself is no representative"
    agents.apply(redeem(2, NOW, agent="rep"))
    assert agents.cards("rep", "museum", NOW) == 1
    assert AGENT_CARDS_MAX == 200


def test_the_newest_batches_are_remembered() -> None:
    agents = AgentBook()
    for seq in range(BATCHES_MAX):
        agents.apply(redeem(seq, NOW, batch=f"b{seq}"))
    agents.apply(redeem(900, NOW, batch="b0"))
    assert len(agents.batches()) == BATCHES_MAX == 500
    assert agents.batches()[0] == "b499"
    assert agents.batch("b0") == (0, 900)
    agents.apply(redeem(901, NOW, batch="one more"))
    assert (len(agents.batches()), agents.batch("b0"), agents.batch("b1")) == (500, (), (1,))
    for entry in (redeem(902, NOW, batch=""), redeem(902, NOW, batch=["a", "b"])):
        agents.apply(entry)
    assert agents.batches()[0] == "one more"
    assert agents.batch("") == ()


def test_a_representative_beyond_the_offers_cards_is_sent_to_the_supervisor() -> None:
    one = offer(proxy_collect=True, proxy_cards=3)
    below = replace(STATE, agent_cards=2)
    reached = replace(STATE, agent_cards=3)
    assert ask(one, state=below, agent="b" * 26).code is Code.A00
    refused = ask(one, state=reached, agent="b" * 26)
    assert (refused.code, refused.details["proxy_cards"]) == (Code.M03, 3)
    assert ask(one, state=reached).code is Code.A00, "who comes alone collects for nobody"


def grant(lease: str, units: int, expires_ms: int, epoch: int = 1) -> Entry:
    return {
        "kind": "lease",
        "seq": 0,
        "offer": "museum",
        "lease": lease,
        "lease_epoch": epoch,
        "units": units,
        "expires_ms": expires_ms,
    }


def test_the_lease_that_covers_the_tap_is_taken_first() -> None:
    leases = LeaseBook()
    leases.apply(grant("small", 1, NOW + HOUR))
    leases.apply(grant("large", 3, NOW + 2 * HOUR))

    def lease_for(quantity: int, **spent: int) -> str:
        found = leases.view("museum", NOW, quantity, spent)
        assert found is not None
        return found.lease

    found = leases.view("museum", NOW)
    assert found is not None
    assert (found.lease, found.left) == ("small", 1), "one unit, and the lease that ends first"
    assert lease_for(3) == "large"
    assert lease_for(4) == "small", "none covers it: the first that has any"
    assert lease_for(1, small=1) == "large", "what the same commit took before is gone"
    assert lease_for(3, large=1) == "small"


def test_a_close_of_what_is_closed_or_unknown_changes_nothing() -> None:
    pool = StockPool(offer(stock={"pool": 10}))
    held = pool.grant("l1", "t1", "", 4, NOW + HOUR)
    assert held.spent == 0
    pool.close("unknown", 3)
    pool.close("l1", 1)
    pool.close("l1", 4)
    assert (pool.free(""), pool.leased()) == (9, 1)
    assert pool.open_lease("t1", "") is None
    assert pool.open_lease("t2", "") is None


def test_a_void_reaches_the_pool_once_and_after_the_close_as_late() -> None:
    pool = StockPool(offer(stock={"pool": 10}))
    pool.grant("l1", "t1", "", 4, NOW + HOUR)
    pool.apply(redeem(0, NOW, lease="l1", quantity=2), "t1", "")
    pool.apply(redeem(1, NOW, lease="l1"), "t1", "")
    pool.apply(void(2, 0), "t1", "")
    lease = pool.lease("l1")
    assert lease is not None
    assert (lease.used, lease.late, pool.free("")) == (1, 0, 6)
    pool.apply(void(3, 0), "t1", "")
    assert pool.used("") == 1
    pool.close("l1", 1)
    pool.apply(void(4, 1, orig_ledger="t1"), "office", "")
    lease = pool.lease("l1")
    assert lease is not None
    assert (lease.used, lease.late, pool.free(""), pool.leased()) == (0, 1, 10, 0)


def test_a_void_that_comes_before_its_use_counts_once() -> None:
    usage = Usage()
    usage.apply(void(5, 4))
    usage.apply(redeem(4, NOW))
    assert (usage.units("museum"), usage.units_reversed("museum")) == (0, 1)
    assert usage.is_voided(4)
    usage.apply(redeem(4, NOW))
    assert (usage.units("museum"), usage.units_reversed("museum")) == (0, 1)
    usage.apply({**void(7, 6), "orig_nonce": "of another tap"})
    usage.apply(redeem(6, NOW))
    assert usage.units("museum") == 1
    assert not usage.is_voided(6)


def test_what_a_member_used_is_told_by_offer() -> None:
    usage = Usage()
    usage.apply(redeem(1, 0, lease="l1"))
    usage.apply(redeem(2, NOW, offer="film"))
    usage.apply(void(3, 2))
    found = usage.of_member(MEMBER.ref)
    assert list(found) == ["museum"]
    assert [one.lease for one in found["museum"]] == ["l1"]
    assert usage.of_member("somebody else") == {}
    assert (usage.units("museum"), usage.units_at("museum", "v1")) == (1, 1)
    assert (usage.units("museum", end_ms=0), usage.units("museum", end_ms=1)) == (0, 1)


def test_units_since_a_receipt_leave_out_what_it_covers() -> None:
    usage = Usage()
    for seq in range(6):
        usage.apply(redeem(seq, NOW - seq, quantity=seq + 1))
    assert usage.units_since(4) == 5 + 6
    assert usage.units_since(4, offer="museum") == 11
    assert usage.units_since(4, offer="film") == 0


def test_a_used_set_joins_what_shares_a_limit() -> None:
    one = offer(limits=[{"count": 3, "per": "day", "group": "g"}])
    mine, theirs = Usage(), Usage()
    mine.apply(redeem(1, NOW))
    theirs.apply(redeem(1, NOW - 1), ledger="t2")
    own, other = mine.view(MEMBER.ref, one), theirs.view(MEMBER.ref, one)
    both = own.joined(other)
    assert [use.ledger for use in both.grouped["g"]] == ["t2", ""]
    assert own.joined(UsageView()) is own
    half = UsageView((), {"g": other.uses, "h": ()})
    assert (
        own.joined(half).grouped["g"] == (*other.uses, *own.uses)
        or len(own.joined(half).grouped["g"]) == 2
    )


def test_only_a_void_frees_a_reservation() -> None:
    taken = TakenReservations()
    taken.apply(redeem(3, NOW, reservation="r1"))
    taken.apply({**void(4, 3), "kind": "decline"})
    assert "r1" in taken
    taken.apply(void(5, 3, orig_ledger="elsewhere"))
    assert "r1" in taken
    taken.apply(void(6, 3))
    assert "r1" not in taken
