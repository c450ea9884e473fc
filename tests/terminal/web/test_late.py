"""The form for lines from paper: with the member's card, or without it."""

from __future__ import annotations

import json

import pytest

from terminal.web.late import LatePanel

LINE = {
    "sheet": "B-7",
    "line": "3",
    "offer": "BJ-T-005",
    "day": "2014-05-29",
    "quantity": "1",
    "reason": "power_cut",
    "supervisor": "li",
    "pin": "4821",
}


@pytest.mark.parametrize(("card", "with_card"), [("here", True), ("", False), ("else", False)])
def test_the_card_at_hand_goes_with_the_line_only_when_the_form_says_so(
    card: str, with_card: bool
) -> None:
    job = LatePanel().press("late-send", json.dumps({**LINE, "card": card}))
    assert job is not None
    assert job.method == "add_manual"
    assert job.arguments["with_card"] is with_card
    assert job.arguments["line"] == 3


def test_without_its_card_a_line_stays_in_the_form_and_the_next_line_begins_without_one() -> None:
    panel = LatePanel()
    panel.press("late-send", json.dumps({**LINE, "card": "here"}))
    panel.refused("no_card")
    again = panel.press("late-send", json.dumps(LINE))
    assert again is not None
    assert again.arguments["with_card"] is False
