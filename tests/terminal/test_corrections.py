"""Voids by the rules of DESIGN section 3: V01 to V05, T05, replays, and what they give back."""

from __future__ import annotations

import pytest

from terminal.errors import RequestInvalid
from tests.terminal.rig import Rig

MINUTE_MS = 60_000


@pytest.fixture
def taken(rig: Rig) -> Rig:
    rig.service.parts.supervisors.add("s1", "2468")
    assert rig.counter(rig.member(1), "film", "n1").code == "A01"
    return rig


def test_case_61_a_void_reverses_keeps_its_reason_and_gives_the_use_back(taken: Rig) -> None:
    answer = taken.service.void("counter", "n1", reason="wrong_offer", void_nonce="v1")
    assert (answer.outcome, answer.code, answer.usage) == ("approve", "A01", 0)
    assert answer.message.zh.big == "已撤销"
    last = taken.entries()[-1]
    assert (last["kind"], last["orig_nonce"], last["reason_code"]) == ("void", "n1", "wrong_offer")
    assert last["orig_seq"] == answer.entry - 1 if answer.entry else False
    assert taken.counter(taken.member(1), "film", "n2").code == "A01"


def test_a_replay_of_a_voided_tap_is_the_same_and_shows_no_green(taken: Rig) -> None:
    taken.service.void("counter", "n1", reason="other")
    for answer in (taken.service.tap("counter", "film", "n1"), taken.service.outcome_of("n1")):
        assert answer is not None
        assert (answer.outcome, answer.code, answer.replay) == ("approve", "A01", True)
        assert answer.reversed
        assert not answer.green


def test_a_void_answers_its_own_nonce_again_and_once_only(taken: Rig) -> None:
    first = taken.service.void("counter", "n1", reason="other", void_nonce="v1")
    again = taken.service.void("counter", "n1", reason="other", void_nonce="v1")
    assert (again.code, again.entry, again.replay) == (first.code, first.entry, True)
    other = taken.service.void("counter", "n2", reason="other", void_nonce="v1")
    assert (other.outcome, other.code) == ("error", "T07")
    second = taken.service.void("counter", "n1", reason="other", void_nonce="v2")
    assert (second.outcome, second.code) == ("decline", "V03")
    assert taken.kinds().count("void") == 1
    tap = taken.counter(taken.member(1), "film", "v1")
    assert (tap.outcome, tap.code) == ("error", "T07")


def test_the_window_is_15_minutes_of_the_machines_own_time(taken: Rig) -> None:
    taken.clock.wall += 60 * MINUTE_MS  # the wall clock alone does not count
    taken.clock.boot += 15 * MINUTE_MS - 1
    assert taken.service.recent("counter")[0].voidable_ms == 1
    taken.clock.boot += 1
    assert taken.service.recent("counter")[0].voidable_ms == 0
    late = taken.service.void("counter", "n1", reason="other")
    assert (late.outcome, late.code) == ("decline", "V01")
    assert taken.entries()[-1]["kind"] == "decline"
    answer = taken.service.void(
        "counter", "n1", reason="other", supervisor="s1", supervisor_pin="2468"
    )
    assert answer.code == "A01"
    assert taken.entries()[-1]["supervisor"] == "s1"


def test_one_millisecond_before_the_end_is_in_time(taken: Rig) -> None:
    taken.clock.boot += 15 * MINUTE_MS - 1
    assert taken.service.void("counter", "n1", reason="other").code == "A01"


def test_a_jump_of_the_wall_clock_does_not_end_the_window(taken: Rig) -> None:
    taken.clock.wall += 60 * MINUTE_MS
    taken.clock.boot += MINUTE_MS
    assert taken.service.void("counter", "n1", reason="other").code == "A01"
    recent = taken.service.recent("counter")
    assert [(one.kind, one.reversed, one.voidable_ms) for one in recent] == [
        ("void", False, 0),
        ("redeem", True, 0),
    ]


def test_a_restart_of_the_machine_ends_the_window(taken: Rig) -> None:
    taken.close()
    taken.clock.name = "f" * 16
    taken.clock.boot = 60_000
    taken.start()
    assert taken.service.void("counter", "n1", reason="other").code == "V01"


def test_a_restart_of_the_program_does_not(taken: Rig) -> None:
    taken.restart()
    assert taken.service.void("counter", "n1", reason="other").code == "A01"


def test_another_shift_ends_the_window(taken: Rig) -> None:
    taken.service.open_shift("counter", "1001")
    assert taken.service.void("counter", "n1", reason="other").code == "V01"


def test_another_position_needs_a_supervisor(rig: Rig) -> None:
    kiosk = rig.kiosk(rig.member(1))
    assert rig.service.void("counter", kiosk.nonce, reason="other").code == "V01"


def test_case_62_an_unknown_nonce_and_a_decline_are_v04(taken: Rig) -> None:
    assert taken.service.void("counter", "nothing", reason="other").code == "V04"
    assert taken.counter(taken.member(1), "film", "n2").code == "L01"
    assert taken.service.void("counter", "n2", reason="other").code == "V04"


def test_case_65_a_kiosk_never_voids_whoever_asks(taken: Rig) -> None:
    answer = taken.service.void(
        "kiosk", "n1", reason="other", supervisor="s1", supervisor_pin="2468"
    )
    assert (answer.outcome, answer.code) == ("decline", "T05")
    assert "void" not in taken.kinds()


def test_a_wrong_pin_is_t05_and_five_lock_out(taken: Rig) -> None:
    for _ in range(5):
        answer = taken.service.void(
            "counter", "n1", reason="other", supervisor="s1", supervisor_pin="0000"
        )
        assert answer.code == "T05"
    locked = taken.service.void(
        "counter", "n1", reason="other", supervisor="s1", supervisor_pin="2468"
    )
    assert locked.code == "T05"


def test_a_reason_is_a_code_and_no_free_text(taken: Rig) -> None:
    with pytest.raises(RequestInvalid):
        taken.service.void("counter", "n1", reason="张三打错了")


def test_case_59_an_override_says_what_it_overrode(taken: Rig) -> None:
    taken.lay(taken.member(1))
    refused = taken.service.tap("counter", "film", "n2", supervisor="s1", reason="goodwill")
    assert (refused.code, refused.force_sent) == ("T05", True)
    answer = taken.service.tap(
        "counter", "film", "n3", supervisor="s1", supervisor_pin="2468", reason="goodwill"
    )
    assert (answer.code, answer.forced, answer.overridden) == ("A02", True, "L01")
    last = taken.entries()[-1]
    assert (last["supervisor"], last["reason_code"], last["overridden"]) == (
        "s1",
        "goodwill",
        "L01",
    )


def test_case_58_a_force_that_was_not_needed_is_said(taken: Rig) -> None:
    taken.lay(taken.member(2))
    answer = taken.service.tap(
        "counter", "film", "n2", supervisor="s1", supervisor_pin="2468", reason="goodwill"
    )
    assert (answer.code, answer.forced, answer.force_sent) == ("A01", False, True)


def test_a_supervisors_own_card_opens_the_next_act(taken: Rig) -> None:
    from readers.virtual.unionpay import make_pan
    from tests.terminal.rig import hash_of

    taken.service.parts.supervisors.add("s2", "1357", hash_of(make_pan(77)))
    taken.lay(taken.card(77))
    taken.lift()
    taken.clock.boot += 16 * MINUTE_MS
    answer = taken.service.void("counter", "n1", reason="other", supervisor="s2")
    assert answer.code == "A01"


def test_a_void_is_told_as_a_void_and_hides_no_tap_after_a_restart(taken: Rig) -> None:
    taken.service.void("counter", "n1", reason="other", void_nonce="v1")
    answer = taken.service.outcome_of("v1")
    assert answer is not None
    assert (answer.message.zh.big, answer.replay) == ("已撤销", True)
    taken.restart()
    assert taken.service.last_unshown("counter") is None


def test_the_nonce_of_a_refused_void_is_no_taps(taken: Rig) -> None:
    taken.clock.boot += 15 * MINUTE_MS
    assert taken.service.void("counter", "n1", reason="other", void_nonce="v1").code == "V01"
    tap = taken.counter(taken.member(1), "film", "v1")
    assert (tap.outcome, tap.code, tap.replay) == ("error", "T07", False)
