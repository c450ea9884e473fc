"""Number ranges, shelves, holds and representatives as folds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import EntryInvalid
from ledger.rules.agents import BATCHES_MAX, AgentBook
from ledger.rules.goods import GoodsBook
from ledger.rules.numbers import NumberRange, overlap, parse_range, parse_ranges, without

RANGES = st.builds(
    lambda prefix, width, first, count: NumberRange(prefix, width, first, first + count),
    st.sampled_from(["", "A", "BJ", "X-"]),
    st.just(6),
    st.integers(0, 900_000),
    st.integers(0, 99_000),
)


@pytest.mark.parametrize(
    ("text", "shown", "count"),
    [
        ("A00001-A00100", "A00001-A00100", 100),
        ("a00001-00100", "A00001-A00100", 100),
        (" 001 ", "001", 1),
        ("BJ-0001-BJ-0002", "BJ-0001-BJ-0002", 2),
        ("0001～0009", "0001-0009", 9),
    ],
)
def test_ranges_as_they_are_printed(text: str, shown: str, count: int) -> None:
    found = parse_range(text)
    assert (str(found), found.count) == (shown, count)


@pytest.mark.parametrize("text", ["", "A", "A2-A1", "A01-B02", "A1-A10", "1-2-3", "٣-٤", "A" * 99])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(EntryInvalid):
        parse_range(text)


@given(RANGES)
def test_a_range_is_read_as_it_is_written(one: NumberRange) -> None:
    assert parse_range(str(one)) == one


@given(st.text(max_size=60))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        found = parse_range(text)
    except EntryInvalid:
        return
    assert parse_range(str(found)) == found


@given(st.lists(RANGES, max_size=5), RANGES)
def test_what_leaves_a_shelf_is_not_there_any_more(
    held: list[NumberRange], gone: NumberRange
) -> None:
    rest = without(held, gone)
    whole = [one for one in held if one.overlaps(gone) and one.first <= gone.first]
    if rest is None:
        assert not any(one.last >= gone.last for one in whole)
        return
    assert sum(one.count for one in rest) == sum(one.count for one in held) - gone.count


def test_too_many_ranges_and_ranges_that_overlap_are_refused() -> None:
    with pytest.raises(EntryInvalid, match="at most"):
        parse_ranges([f"A{n:04}" for n in range(65)])
    with pytest.raises(EntryInvalid, match="overlap"):
        parse_ranges(["A01-A05", "A05-A09"])
    assert overlap(parse_ranges(["A01-A05"]), parse_range("B01-B05")) is None


class Ledger:
    """Entries numbered as the log would number them, folded by every book."""

    def __init__(self) -> None:
        self.goods, self.agents, self.seq = GoodsBook(), AgentBook(), 0

    def add(self, kind: str, **fields: Any) -> int:
        entry = {"kind": kind, "seq": self.seq, "ts_ms": self.seq, **fields}
        self.goods.apply(entry)
        self.agents.apply(entry)
        self.seq += 1
        return self.seq - 1

    def move(self, movement: str, quantity: int, **more: Any) -> int:
        return self.add("goods", offer="pack", movement=movement, quantity=quantity, **more)

    def redeem(self, quantity: int = 1, **more: Any) -> int:
        return self.add("redeem", offer="pack", quantity=quantity, **more)


def on_hand(ledger: Ledger) -> int:
    shelf = ledger.goods.shelf("pack")
    assert shelf is not None
    return shelf.on_hand


def test_a_shelf_counts_what_came_and_went_since_its_first_parcel() -> None:
    ledger = Ledger()
    ledger.redeem()
    assert ledger.goods.shelf("pack") is None
    ledger.move("received", 10, numbers=["A01-A10"], nonce="n")
    use = ledger.redeem(2)
    ledger.add("manual", offer="pack", quantity=1, sheet="S/01")
    ledger.move("transferred", 3, numbers=["A04-A06"])
    assert on_hand(ledger) == 4
    ledger.add("void", orig_seq=use, offer="pack")
    ledger.add("void", orig_seq=use, offer="pack")
    ledger.add("void", orig_seq=use, orig_ledger="other", offer="pack")
    assert on_hand(ledger) == 6
    ledger.add("close", offers=["pack", "none"], differences=[-1, 5])
    assert on_hand(ledger) == 5
    shelf = ledger.goods.shelves()["pack"]
    assert [str(one) for one in shelf.numbers] == ["A01-A03", "A07-A10"]
    assert (ledger.goods.by_nonce("n"), ledger.goods.by_sheet("S/01")) == (1, 3)


def test_a_hold_ends_by_use_by_release_or_by_itself() -> None:
    ledger = Ledger()
    for name in ("h1", "h2"):
        ledger.move("held", 5, hold=name, until_ms=100)
    use = ledger.redeem(2, hold="h1")
    assert ledger.goods.held("pack", 50) == 8
    assert ledger.goods.held("pack", 50, but="h1") == 5
    ledger.add("void", orig_seq=use, offer="pack")
    assert ledger.goods.held("pack", 50) == 10
    ledger.move("released", 5, hold="h2")
    ledger.move("released", 5, hold="unknown")
    assert ledger.goods.held("pack", 50) == 5
    assert ledger.goods.held("pack", 100) == 0


def test_a_representative_is_counted_by_day_and_offer_without_voids() -> None:
    ledger = Ledger()
    first = ledger.redeem(agent="a", batch="b1", ts_ms=10)
    ledger.redeem(agent="a", batch="b1", ts_ms=20)
    ledger.add("decline", agent="a", batch="b1", offer="pack", ts_ms=20)
    ledger.redeem(agent="b", ts_ms=20)
    assert (ledger.agents.cards("a", "pack", 0), ledger.agents.cards("a", "pack", 15)) == (2, 1)
    ledger.add("void", orig_seq=first, offer="pack")
    assert ledger.agents.cards("a", "pack", 0) == 1
    assert ledger.agents.batch("b1") == (0, 1, 2)
    for number in range(BATCHES_MAX):
        ledger.redeem(agent="a", batch=f"more-{number}")
    assert ledger.agents.batch("b1") == ()
    assert ledger.agents.batches()[0] == f"more-{BATCHES_MAX - 1}"
