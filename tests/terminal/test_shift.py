from __future__ import annotations

import pytest

from terminal.errors import RequestInvalid, ShiftState
from tests.terminal.rig import Rig


def test_a_shift_is_opened_counted_and_closed_in_the_ledger(rig: Rig) -> None:
    shift = rig.service.open_shift("counter", "1001")
    assert rig.service.snapshot_view("counter").shift == shift
    rig.counter(rig.member(1), "film", "n1")
    rig.counter(rig.member(1), "film", "n2")
    rig.counter(rig.member(2), "film", "n3")
    rig.service.void("counter", "n3", reason="other")
    rig.kiosk(rig.member(3))  # another position's
    totals = rig.service.totals("counter")
    assert (totals.redeemed, totals.voided, totals.declined) == (2, 1, 1)
    assert [(line.offer, line.count, line.voids) for line in totals.lines] == [("film", 2, 1)]
    assert rig.service.close_shift("counter") == totals
    close = rig.entries()[-1]
    assert (close["kind"], close["shift"], close["operator"]) == ("close", shift.id, "1001")
    assert (close["offers"], close["counts"], close["voids"]) == (["film"], [2], [1])
    assert {entry.get("operator") for entry in rig.entries() if entry.get("offer") == "film"} == {
        "1001"
    }
    assert rig.service.snapshot_view("counter").shift is None


def test_a_shift_survives_a_restart(rig: Rig) -> None:
    shift = rig.service.open_shift("counter", "1001")
    rig.counter(rig.member(1), "film", "n1")
    rig.restart()
    assert rig.service.snapshot_view("counter").shift == shift
    assert rig.service.totals("counter").redeemed == 1


def test_two_shifts_at_once_and_none_are_refused(rig: Rig) -> None:
    with pytest.raises(ShiftState, match="no open shift"):
        rig.service.close_shift("counter")
    rig.service.open_shift("counter", "1001")
    with pytest.raises(ShiftState, match="close it first"):
        rig.service.open_shift("counter", "1002")
    assert rig.kinds().count("open") == 1


def test_a_name_is_no_staff_number(rig: Rig) -> None:
    with pytest.raises(RequestInvalid, match="staff number"):
        rig.service.open_shift("counter", "王老师")


def test_without_a_shift_totals_are_of_the_local_day(rig: Rig) -> None:
    rig.counter(rig.member(1), "film", "n1")
    assert rig.service.totals("counter").redeemed == 1
    rig.clock.pass_ms(14 * 3_600_000)
    assert rig.service.totals("counter").redeemed == 0
    rig.counter(rig.member(2), "film", "n2")
    assert rig.service.totals("counter").redeemed == 1
