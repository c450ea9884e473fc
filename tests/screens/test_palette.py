from importlib.resources import files
from itertools import combinations

import pytest

from screens.palette import MAIN_FIELDS, PAIRS, TOKENS, Pair, contrast, stylesheet
from tests.screens.colour import VISIONS, distance

#: The ratios of the research that chose the colours, to two places.
MEASURED = {
    ("on-approve", "approve"): 6.56,
    ("on-retry", "retry"): 12.66,
    ("on-decline", "decline"): 18.8,
    ("on-fault", "fault"): 14.22,
    ("on-offline", "offline"): 10.69,
    ("on-practice", "practice"): 8.56,
    ("ink", "paper"): 16.82,
    ("on-brand", "brand"): 6.87,
    ("muted", "paper"): 6.91,
    ("border", "paper"): 3.64,
    ("focus", "paper"): 5.99,
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.front}-on-{pair.back}")
def test_every_pair_keeps_its_contrast(pair: Pair) -> None:
    assert contrast(TOKENS[pair.front], TOKENS[pair.back]) >= pair.contrast_min


@pytest.mark.parametrize(("front", "back"), list(MEASURED))
def test_contrast_agrees_with_the_measured_ratio(front: str, back: str) -> None:
    assert contrast(TOKENS[front], TOKENS[back]) == pytest.approx(MEASURED[front, back], abs=0.06)


def test_contrast_of_black_and_white_is_the_largest() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("one", "other"), list(combinations(MAIN_FIELDS, 2)))
def test_main_fields_differ_for_every_colour_vision(vision: str, one: str, other: str) -> None:
    assert distance(TOKENS[one], TOKENS[other], vision) >= 30


def test_red_is_the_brand_and_never_a_field() -> None:
    assert "brand" not in MAIN_FIELDS
    for field in MAIN_FIELDS:
        assert TOKENS[field] != TOKENS["brand"]


def test_the_shipped_style_sheet_is_the_palette() -> None:
    text = files("screens").joinpath("static/palette.css").read_text("utf-8")
    assert text.partition("\n")[2] == stylesheet()
