from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terminal.clock import ShiftedClock, SystemClock, TimeFloor, boot_id_of, moment
from tests.terminal.clocks import HandClock


def test_system_clock_reads_both_clocks_and_a_stable_boot_id() -> None:
    clock = SystemClock()
    assert clock.boot_ms() <= clock.boot_ms()
    assert clock.wall_ms() > 1_700_000_000_000
    assert clock.boot_id() == SystemClock().boot_id()
    assert len(clock.boot_id()) == 16
    assert set(clock.boot_id()) <= set("0123456789abcdef")


def test_boot_id_does_not_reveal_the_kernels_id() -> None:
    text = "7f3c2d10-8a56-4b1e-9c3f-2f6d5d1f0a11\n"
    assert boot_id_of(text) not in text.replace("-", "")


def test_shifted_clock_moves_the_wall_only() -> None:
    base = HandClock()
    clock = ShiftedClock(base, -5_000)
    assert (clock.wall_ms(), clock.boot_ms()) == (base.wall - 5_000, base.boot)
    assert clock.boot_id() == base.name


def test_floor_advances_with_boot_time_and_makes_a_set_back_clock_a_fault() -> None:
    clock = HandClock()
    floor = TimeFloor(0, "", 0).raised(clock.wall, clock)
    clock.pass_ms(600_000)
    clock.wall -= 120_000
    assert moment(clock, floor).behind_ms == 120_000
    assert moment(clock, floor).clock_ok
    clock.wall -= 1
    seen = moment(clock, floor)
    assert not seen.clock_ok
    assert seen.now_ms == floor.signed_ms + 600_000


def test_after_a_reboot_only_the_noted_time_holds() -> None:
    clock = HandClock()
    floor = TimeFloor(0, "", 0).raised(clock.wall, clock)
    clock.name, clock.boot = "f" * 16, 10
    assert floor.at(clock) == floor.signed_ms


def test_no_signed_time_means_no_floor() -> None:
    clock = HandClock(wall=5)
    assert moment(clock, TimeFloor(0, clock.name, 0)).clock_ok


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2 * 10**12)), max_size=20))
def test_floor_never_goes_down(steps: list[tuple[int, int]]) -> None:
    clock = HandClock()
    floor = TimeFloor(0, clock.name, clock.boot)
    last = floor.at(clock)
    for elapsed, signed in steps:
        clock.boot += elapsed
        floor = floor.raised(signed, clock)
        assert floor.at(clock) >= max(last, signed)
        last = floor.at(clock)
