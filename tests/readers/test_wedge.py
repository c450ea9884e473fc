"""A wedge is told from a person by its pace."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.lines import LINE_BYTES_MAX
from readers.wedge import CHARACTERS_MIN, GAP_MS_MAX, Scan, WedgeParser

STRIPE = ";6200000000000000=49122200000000000?"


def _keys(
    text: Iterable[str], gap_ms: int, parser: WedgeParser, start_ms: int = 0
) -> list[Scan | None]:
    return [parser.key(key, start_ms + gap_ms * at) for at, key in enumerate(text)]


@pytest.mark.parametrize("gap_ms", [0, 1, 20, GAP_MS_MAX])
def test_a_stripe_typed_by_a_reader(gap_ms: int) -> None:
    parser = WedgeParser()
    answers = _keys([*STRIPE, "Enter"], gap_ms, parser)
    assert answers[-1] == Scan(STRIPE, gap_ms * len(STRIPE))
    assert not any(answers[:-1])
    assert not parser.held


def test_a_person_is_no_wedge() -> None:
    assert not any(_keys([*STRIPE, "Enter"], GAP_MS_MAX + 1, WedgeParser()))
    assert not any(_keys([*"1234567", "Enter"], 5, WedgeParser()))


def test_what_a_person_typed_before_is_no_part_of_the_scan() -> None:
    parser = WedgeParser()
    _keys("abc", 200, parser)
    assert _keys([*STRIPE, "Enter"], 2, parser, 1_000)[-1] == Scan(STRIPE, 2 * len(STRIPE))


def test_shift_is_typed_along_and_other_keys_end_the_burst() -> None:
    parser = WedgeParser()
    assert _keys(["Shift", *"ABCDEFGH", "Shift", "Enter"], 1, parser)[-1] == Scan("ABCDEFGH", 9)
    assert not any(_keys([*"ABCDEFGH", "Backspace", "Enter"], 1, parser, 1_000))


def test_from_the_eighth_key_on_the_page_holds_back() -> None:
    parser = WedgeParser()
    held = []
    _keys("x" * (CHARACTERS_MIN - 1), 1, parser)
    held.append(parser.held)
    parser.key("x", CHARACTERS_MIN)
    held.append(parser.held)
    parser.reset()
    held.append(parser.held)
    assert held == [False, True, False]


def test_a_clock_that_steps_back_and_an_endless_burst_are_no_scan() -> None:
    parser = WedgeParser()
    _keys("ABCDEFGH", 1, parser, 1_000)
    assert parser.key("Enter", 10) is None
    assert not any(_keys([*("x" * (LINE_BYTES_MAX + 1)), "Enter"], 1, parser, 5_000))
    longest = "x" * LINE_BYTES_MAX
    scan = _keys([*longest, "Enter"], 1, parser, 9_000)[-1]
    assert scan is not None
    assert scan.line == longest


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(-5, 100)), max_size=60))
def test_any_keys_at_any_pace(keys: list[tuple[str, int]]) -> None:
    parser = WedgeParser()
    now_ms = 0
    for key, step_ms in keys:
        now_ms += step_ms
        scan = parser.key(key, now_ms)
        assert scan is None or CHARACTERS_MIN <= len(scan.line) <= LINE_BYTES_MAX
