"""Reservations: which token a tap takes, what is wrong with it, and which ones are gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.rules.offer import ReservationState
from ledger.rules.reservations import Reservation, TakenReservations, best, state_of
from tests.ledger.rules.builders import HOUR, NOW, redeem, void

TOKEN = Reservation("r1", "m1", "tour", "park", NOW, NOW + HOUR, 2, "ledger")


def judged(found: Reservation | None, **more: object) -> str:
    given = {
        "member": "m1",
        "offer": "tour",
        "venue": "park",
        "taken": frozenset(),
        "now_ms": NOW,
        "ledger": "ledger",
        "quantity": 2,
    }
    return str(state_of(found, **(given | more)))  # type: ignore[arg-type]


def test_a_token_is_good_for_its_member_place_counter_time_and_units() -> None:
    assert judged(TOKEN) == "valid"
    assert judged(replace(TOKEN, ledger=""), ledger="another") == "valid"
    assert judged(TOKEN, quantity=1, now_ms=NOW + HOUR - 1) == "valid"


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"offer": "other"}, "none"),
        ({"member": "m2"}, "not_genuine"),
        ({"taken": {"r1"}, "venue": "hall"}, "used"),
        ({"venue": "hall", "ledger": "x"}, "other_venue"),
        ({"ledger": "x", "now_ms": NOW - 1}, "other_terminal"),
        ({"now_ms": NOW - 1, "quantity": 3}, "expired"),
        ({"now_ms": NOW + HOUR}, "expired"),
        ({"quantity": 3}, "too_many"),
    ],
)
def test_what_is_wrong_with_it_in_this_order(more: dict[str, object], state: str) -> None:
    assert judged(TOKEN, **more) == state


def test_no_token_is_none_and_every_other_state_refuses() -> None:
    assert judged(None) == "none"
    assert {str(one) for one in ReservationState} == {
        *("none", "valid", "other_venue", "other_terminal"),
        *("used", "expired", "not_genuine", "too_many"),
    }


def test_of_several_the_one_that_can_be_used_now_and_ends_first() -> None:
    later = replace(TOKEN, id="r2", from_ms=NOW + HOUR, until_ms=NOW + 2 * HOUR)
    longer = replace(TOKEN, id="r3", until_ms=NOW + 3 * HOUR)
    all_three = [later, longer, TOKEN]
    assert best(all_three, frozenset(), NOW) == TOKEN
    assert best(all_three, {"r1"}, NOW) == longer
    assert best(all_three, {"r1", "r3"}, NOW) == later
    assert best(all_three, frozenset(), NOW + HOUR) == later
    assert best([TOKEN], {"r1"}, NOW) == TOKEN
    assert best([], frozenset(), NOW) is None


def test_a_use_takes_it_and_its_own_void_alone_gives_it_back() -> None:
    taken = TakenReservations()
    taken.apply(redeem(1, NOW))
    taken.apply({**redeem(2, NOW), "kind": "decline", "reservation": "r9"})
    taken.apply(redeem(3, NOW, reservation="r1"))
    assert "r1" in taken
    assert "r9" not in taken
    taken.apply(void(4, 1))
    taken.apply(void(5, 3, orig_ledger="another"))
    assert "r1" in taken
    taken.apply(void(6, 3))
    assert "r1" not in taken
    taken.apply(redeem(7, NOW, reservation="r1"))
    taken.apply(void(8, 3))
    assert "r1" in taken
    taken.apply(void(9, 7))
    assert "r1" not in taken
