"""A station's day: parcels, transfers, holds, shifts, late entries, a member's own account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readers.virtual.authority import TestCa
from terminal.answers import TapAnswer
from terminal.errors import GoodsRefused, NoCard, RequestInvalid, ShiftState
from tests.terminal.rig import Rig
from tests.terminal.test_collection import begin, lease, put, with_proxies


@pytest.fixture
def rig(tmp_path: Path, world: TestCa) -> Iterator[Rig]:
    made = with_proxies(Rig(tmp_path / "home", world))
    yield made
    made.close()


def word_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.word)


def test_a_parcel_is_signed_for_with_its_numbers(rig: Rig) -> None:
    done = rig.service.work.receive_goods(
        "counter", "pack", 100, numbers=["A00001-A00060", "A00101-A00140"], parcel="P-7", nonce="n1"
    )
    again = rig.service.work.receive_goods(
        "counter", "pack", 100, numbers=["A00001-A00060", "A00101-A00140"], nonce="n1"
    )
    assert again.seq == done.seq
    (line,) = rig.service.work.goods("counter")
    assert (line.received, line.on_hand, line.numbers) == (
        100, 100, ("A00001-A00060", "A00101-A00140"),
    )  # fmt: skip
    entry = rig.entries()[-1]
    assert (entry["kind"], entry["movement"], entry["parcel"]) == ("goods", "received", "P-7")


def test_a_parcel_with_a_difference_needs_a_reason_and_counts_what_came(rig: Rig) -> None:
    with pytest.raises(RequestInvalid, match="97 arrived, the papers say 100") as error:
        rig.service.work.receive_goods("counter", "pack", 97, expected=100)
    assert word_of(error) == "reason_required"
    assert "goods" not in rig.kinds()
    rig.service.work.receive_goods("counter", "pack", 97, expected=100, reason="short")
    entry = rig.entries()[-1]
    assert (entry["quantity"], entry["expected"], entry["reason_code"]) == (97, 100, "short")
    assert rig.service.work.goods("counter")[0].on_hand == 97


def test_numbers_that_overlap_are_refused_and_name_what_lies_there(rig: Rig) -> None:
    rig.service.work.receive_goods("counter", "pack", 50, numbers=["A00001-A00050"])
    with pytest.raises(GoodsRefused, match="A00001-A00050 lie on the shelf") as error:
        rig.service.work.receive_goods("counter", "pack", 20, numbers=["A00050-A00069"])
    assert word_of(error) == "numbers_overlap"
    with pytest.raises(RequestInvalid, match="overlap"):
        rig.service.work.receive_goods("counter", "pack", 20, numbers=["B01-B10", "B05-B14"])
    with pytest.raises(RequestInvalid, match="hold 10 units, but 20"):
        rig.service.work.receive_goods("counter", "pack", 20, numbers=["B01-B10"])
    assert rig.kinds().count("goods") == 1


def test_a_lease_gives_out_no_more_than_lies_on_the_shelf(rig: Rig) -> None:
    lease(rig, 60)
    rig.service.work.receive_goods("counter", "pack", 2)
    codes = [rig.counter(rig.member(one), "pack", f"tap-{one}").code for one in (1, 2, 3)]
    assert codes == ["A01", "A01", "L07"]
    rig.service.work.receive_goods("counter", "pack", 1)
    assert rig.counter(rig.member(3), "pack", "tap-4").code == "A01"


def test_a_transfer_is_signed_by_both_stations(rig: Rig, tmp_path: Path, world: TestCa) -> None:
    rig.service.work.receive_goods("counter", "pack", 50, numbers=["A00001-A00050"])
    with pytest.raises(GoodsRefused, match="50 of pack can leave"):
        rig.service.work.send_goods("counter", "pack", 51, "S02")
    with pytest.raises(GoodsRefused, match="A00060-A00069 do not lie here"):
        rig.service.work.send_goods("counter", "pack", 10, "S02", ["A00060-A00069"])
    sent = rig.service.work.send_goods("counter", "pack", 10, "M01", ["A00011-A00020"])
    assert sent.slip.startswith(f"redcard-transfer/v1 {sent.transfer} pack S01 M01 10 ")
    (line,) = rig.service.work.goods("counter")
    assert (line.on_hand, line.numbers) == (40, ("A00001-A00010", "A00021-A00050"))
    # The other station has a terminal of its own; here its kiosk at M01 stands in for it.
    other = with_proxies(Rig(tmp_path / "other", world))
    try:
        work = other.service.work
        with pytest.raises(GoodsRefused, match="to M01; send it on"):
            work.receive_goods("counter", "pack", 10, slip=sent.slip)
        got = work.receive_goods("kiosk", "pack", 9, expected=10, reason="damaged", slip=sent.slip)
        assert (got.transfer, got.other_venue, got.reason) == (sent.transfer, "S01", "damaged")
        with pytest.raises(GoodsRefused, match="signed for before"):
            work.receive_goods("kiosk", "pack", 10, slip=sent.slip)
    finally:
        other.close()


def test_a_hold_is_kept_for_its_caller_and_ends_by_itself(rig: Rig) -> None:
    lease(rig, 12)
    with pytest.raises(RequestInvalid):
        rig.service.work.place_hold("counter", "pack", 41)
    with pytest.raises(GoodsRefused, match="12 can be held here, not 13") as error:
        rig.service.work.place_hold("counter", "pack", 13)
    assert word_of(error) == "beyond_lease"
    held = rig.service.work.place_hold("counter", "pack", 10, 60, "第一中学")
    assert (held.left, held.label, held.code) == (10, "第一中学", held.hold[-4:])
    assert "第一中学" not in str(rig.entries())
    taps = [rig.counter(rig.member(one), "pack", f"tap-{one}").code for one in (1, 2, 3)]
    assert taps == ["A01", "A01", "L07"]
    shown = begin(rig, "pack", hold=held.hold)
    assert put(rig, rig.member(10), rig.member(11)).takable == 2
    rig.service.work.confirm_collection("counter", shown.batch)
    assert [one.left for one in rig.service.work.holds("counter")] == [8]
    rig.clock.pass_ms(61 * 60_000)
    assert rig.service.work.holds("counter") == []
    assert rig.service.parts.journal.fact(f"hold.{held.hold}") == ""
    assert rig.counter(rig.member(3), "pack", "tap-9").code == "A01"


def test_one_tap_takes_from_the_hold_that_it_names(rig: Rig) -> None:
    lease(rig, 4)
    held = rig.service.work.place_hold("counter", "pack", 3)
    rig.counter(rig.member(1), "pack", "tap-1")

    def taps(member: int, nonce: str, hold: str) -> TapAnswer:
        return rig.counter(rig.member(member), "pack", nonce, hold=hold)

    assert rig.counter(rig.member(2), "pack", "tap-2").code == "L07"
    assert taps(2, "tap-3", held.hold).code == "A01"
    assert rig.entries()[-1]["hold"] == held.hold
    assert [one.left for one in rig.service.work.holds("counter")] == [2]
    with pytest.raises(RequestInvalid, match="hold"):
        taps(3, "tap-4", "unheard-of")
    rig.service.work.release_hold("counter", held.hold)
    with pytest.raises(RequestInvalid, match="is over") as error:
        taps(3, "tap-4", held.hold)
    assert error.value.field == "hold"
    assert taps(2, "tap-3", held.hold).replay, "what was answered is answered again"


def test_a_released_hold_is_free_at_once(rig: Rig) -> None:
    lease(rig, 4)
    held = rig.service.work.place_hold("counter", "pack", 4)
    rig.service.work.release_hold("counter", held.hold)
    rig.service.work.release_hold("counter", held.hold)
    assert rig.kinds().count("goods") == 2
    assert rig.counter(rig.member(1), "pack", "tap-1").code == "A01"


def test_a_shift_opens_with_a_self_test_and_closes_against_counted_goods(rig: Rig) -> None:
    lease(rig, 20)
    work = rig.service.work
    work.receive_goods("counter", "pack", 20)
    opened = work.open_shift("counter", "wang")
    assert {lamp.name: lamp.ok for lamp in opened.selftest} == {
        "reader": True, "printer": True, "clock": True, "ledger": True,
    }  # fmt: skip
    rig.counter(rig.member(1), "pack", "tap-1")
    assert [(one.offer, one.expected) for one in work.closing("counter")] == [("pack", 19)]
    with pytest.raises(RequestInvalid, match="pack 18 instead of 19") as error:
        work.close_shift("counter", {"pack": 18})
    assert word_of(error) == "reason_required"
    assert rig.service.snapshot_view("counter").shift is not None
    closed = work.close_shift("counter", {"pack": 18}, "damaged")
    assert (closed.redeemed, closed.goods[0].difference, closed.reason) == (1, -1, "damaged")
    assert closed.pending > 0
    entry = rig.entries()[-1]
    assert (entry["offers"], entry["counted"], entry["differences"]) == (["pack"], [18], [-1])
    assert work.closing("counter")[0].expected == 18


def test_a_broken_reader_is_recorded_and_does_not_stop_the_opening(rig: Rig) -> None:
    rig.service.work.printer_fault = lambda: "no paper"
    rig.readers["counter"].stop()
    rig.watch("counter", lambda view: view.reader.state not in {"ready", "card"})
    rig.service.work.open_shift("counter", "wang")
    assert rig.entries()[-1]["selftest"] == ["reader", "printer"]


def test_a_shift_that_was_never_closed_is_taken_over(rig: Rig) -> None:
    work = rig.service.work
    work.open_shift("counter", "wang")
    rig.counter(rig.member(1), "film", "tap-1")
    with pytest.raises(ShiftState, match="open shift of wang, never closed"):
        work.open_shift("counter", "li")
    opened = work.open_shift("counter", "li", take_over=True)
    assert opened.taken_over == "wang"
    close, new = rig.entries()[-2:]
    assert (close["kind"], close["operator"], close["closed_by"]) == ("close", "wang", "li")
    assert (close["reason_code"], close["counts"], new["operator"]) == ("left_open", [1], "li")


def test_a_shift_of_more_offers_than_an_entry_holds_closes_in_several(rig: Rig) -> None:
    work = rig.service.work
    work.open_shift("counter", "wang")
    tally = rig.service.parts.writer.daybook.tally("counter", rig.clock.wall)
    for one in range(150):
        tally.count(f"offer-with-a-long-name-{one:04}").redeemed = 1
    assert work.close_shift("counter").redeemed == 150
    closes = [one for one in rig.entries() if one["kind"] == "close"]
    assert [(one["part"], one["parts"]) for one in closes] == [(1, 3), (2, 3), (3, 3)]
    assert sum(len(one["offers"]) for one in closes) == 150


def test_late_entries_come_from_a_sheet_that_was_printed_here(rig: Rig) -> None:
    work, sup = rig.service.work, {"supervisor": "chief", "supervisor_pin": "4711"}
    rig.service.parts.supervisors.add("chief", "4711")
    sheet = work.issue_sheet("counter")
    assert sheet == "T-1-P00001"

    def add(**changes: Any) -> Any:
        fields = {
            "sheet": sheet, "line": 1, "offer": "film", "day": "2014-05-29", "quantity": 2,
            "reason": "power_cut", **sup, **changes,
        }  # fmt: skip
        return work.add_manual("counter", **fields)

    for changes, said in (
        ({"sheet": "T-1-P00002"}, "sheet_unknown"),
        ({"supervisor_pin": "0000"}, "supervisor_needed"),
        ({"offer": "clinic"}, "manual_not_allowed"),
        ({"day": "2014-05-31"}, "invalid"),
        ({"day": "2014-04-30"}, "invalid"),
        ({"line": 21}, "invalid"),
        ({"reason": ""}, "invalid"),
    ):
        with pytest.raises(RequestInvalid) as error:
            add(**changes)
        assert word_of(error) == said, changes
    assert "manual" not in rig.kinds()
    line = add()
    entry = rig.entries()[-1]
    assert (line.sheet, entry["assurance"], entry["day"]) == (
        "T-1-P00001/01", "claimed", "2014-05-29",
    )  # fmt: skip
    with pytest.raises(RequestInvalid) as error:
        add(quantity=1)
    assert word_of(error) == "line_entered"
    rig.restart()
    assert [one.sheet for one in rig.service.work.manual_lines("counter")] == ["T-1-P00001/01"]


def test_a_member_sees_what_was_used_and_what_is_possible(rig: Rig) -> None:
    card = rig.member(1)
    rig.counter(card, "film", "tap-1")
    with pytest.raises(NoCard):
        rig.service.work.account("counter")
    rig.lay(card)
    size = rig.service.status().size
    shown = rig.service.work.account("counter")
    assert [(one.offer, one.used, one.code, one.last_place) for one in shown.used] == [
        ("film", 1, "L01", "德胜")
    ]
    assert shown.year_units == 1
    assert "museum" in [one.offer for one in shown.possible]
    assert rig.service.status().size == size
