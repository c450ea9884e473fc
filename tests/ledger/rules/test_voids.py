"""The decision on a void, and its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.codes import VOID_PRECEDENCE, Code, Outcome
from ledger.rules.offer import Decision, Prior, Profile
from ledger.rules.voids import (
    VOID_WINDOW_MS,
    Found,
    Original,
    VoidRequest,
    VoidState,
    decide_void,
)

REQUEST = VoidRequest(nonce="v1", original="n1", reason="wrong_offer")
HERE = Original(found=Found.HERE, seq=3, offer="museum", terminal="t1", age_ms=60_000)
STATE = VoidState(connected=True)
PRIOR = Prior(outcome=Outcome.APPROVE, code=Code.A00, seq=9, card="", offer_id="museum")

FAULTS: dict[Code, tuple[dict[str, Any], dict[str, Any]]] = {
    Code.T05: ({}, {"profile": Profile.KIOSK}),
    Code.V04: ({"found": Found.NOWHERE}, {}),
    Code.V02: ({"found": Found.ELSEWHERE}, {}),
    Code.V03: ({"voided_ms": 5}, {}),
    Code.V05: ({"settled": True}, {}),
    Code.V01: ({"age_ms": VOID_WINDOW_MS}, {}),
}


def answer(*codes: Code, **request: Any) -> Decision:
    original: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for code in reversed(codes):
        original |= FAULTS[code][0]
        state |= FAULTS[code][1]
    return decide_void(
        replace(REQUEST, **request), replace(HERE, **original), replace(STATE, **state)
    )


def test_a_void_in_time_is_approved_connected_and_not() -> None:
    assert answer().code is Code.A00
    assert decide_void(REQUEST, HERE, VoidState()).code is Code.A01
    assert decide_void(REQUEST, replace(HERE, age_ms=VOID_WINDOW_MS - 1), STATE).code is Code.A00


@pytest.mark.parametrize("code", FAULTS, ids=str)
def test_each_rule_gives_its_code(code: Code) -> None:
    assert answer(code).code is code


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (first, second)
        for index, first in enumerate(VOID_PRECEDENCE)
        for second in VOID_PRECEDENCE[index + 1 :]
    ],
    ids=str,
)
def test_the_first_in_the_order_is_the_answer(first: Code, second: Code) -> None:
    assert answer(first, second).code is first


@pytest.mark.parametrize(
    "late", [{"age_ms": VOID_WINDOW_MS}, {"same_boot": False}, {"same_shift": False}]
)
def test_what_comes_too_late_needs_a_proven_supervisor(late: dict[str, Any]) -> None:
    original = replace(HERE, **late)
    assert decide_void(REQUEST, original, STATE).code is Code.V01
    asked = replace(REQUEST, supervisor="s1")
    assert decide_void(asked, original, STATE).code is Code.T05
    assert decide_void(asked, original, replace(STATE, supervisor_ok=True)).code is Code.A00
    settled = replace(original, settled=True)
    assert decide_void(asked, settled, replace(STATE, supervisor_ok=True)).code is Code.V05


def test_a_void_answers_its_own_nonce_again_and_no_other() -> None:
    state = replace(STATE, prior=PRIOR, prior_original="n1")
    again = decide_void(REQUEST, Original(), state)
    assert (again.code, again.replay, again.seq) == (Code.A00, True, 9)
    other = decide_void(replace(REQUEST, original="n2"), HERE, state)
    assert (other.code, other.outcome) == (Code.T07, Outcome.ERROR)


def test_a_broken_ledger_takes_no_void() -> None:
    assert decide_void(REQUEST, HERE, replace(STATE, ledger_ok=False)).code is Code.T06
    assert decide_void(REQUEST, HERE, replace(STATE, operator_ok=False)).code is Code.T05


def test_details_name_the_counter_and_the_time() -> None:
    assert answer(Code.V02).details["terminal"] == "t1"
    assert answer(Code.V03).details["time_ms"] == 5
