"""Each of the 82 behaviour cases stands in a scenario file or a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
CASES = 82
NUMBERED = re.compile(r"case_(\d+)((?:_(?:to_|and_)?\d+)*)(?:_|\b)")
TEST = re.compile(r"^\s*(?:async )?def test_(case_\d+\w*)", re.MULTILINE)


def numbers_of(name: str) -> set[int]:
    """``case_14_to_16_and_18_card_status`` says 14, 15, 16 and 18."""
    found = NUMBERED.match(name)
    if found is None:
        return set()
    numbers = {int(found[1])}
    for join, number in re.findall(r"_(to_|and_)?(\d+)", found[2]):
        first = max(numbers) if join == "to_" else int(number)
        numbers |= set(range(first, int(number) + 1))
    return numbers


def where() -> dict[int, list[str]]:
    """Files and tests by the number of the case that they pin."""
    names = [(path.stem, path.name) for path in sorted((TESTS / "scenarios").glob("*.yaml"))]
    for path in sorted(TESTS.rglob("test_*.py")):
        names += [(name, path.name) for name in TEST.findall(path.read_text("utf-8"))]
    found: dict[int, list[str]] = {}
    for name, place in names:
        for number in numbers_of(name):
            found.setdefault(number, []).append(f"{place}: {name}")
    return found


def test_no_case_is_missing() -> None:
    found = where()
    assert [number for number in range(1, CASES + 1) if number not in found] == []
    assert max(found) <= CASES


def test_names_are_read_as_people_read_them() -> None:
    assert numbers_of("case_14_to_16_and_18_card_status") == {14, 15, 16, 18}
    assert numbers_of("case_27_28_start_and_end") == {27, 28}
    assert numbers_of("case_82_a_redemption_is_one_commit") == {82}
    assert numbers_of("case_39_server_and_terminal_agree_on_200_taps") == {39}
    assert numbers_of("reentry") == set()
