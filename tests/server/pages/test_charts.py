"""Charts: well-formed, within their frame, with words for who cannot see them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.language import Language
from server.pages.charts import WIDE, Charts, Point, Series, Titles, percent, scale

TITLES = Titles("one", "Title <b>", "Says & means", "Label", "unit")
NUMBERS = st.integers(0, 10**9)
LABELS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40)


def parsed(figure: object) -> ET.Element:
    return ET.fromstring(str(figure))


def numbers_of(figure: ET.Element) -> list[str]:
    return ["".join(cell.itertext()) for cell in figure.iter("td")]


@given(st.lists(st.tuples(LABELS, NUMBERS), max_size=20), st.sampled_from(list(Language)))
def test_any_bars_are_sound_and_told_as_a_table(
    pairs: list[tuple[str, int]], language: Language
) -> None:
    points = [Point(label, value) for label, value in pairs]
    charts = Charts(language)
    for drawn in (charts.bars(TITLES, points), charts.columns(TITLES, points)):
        figure = parsed(drawn)
        assert numbers_of(figure) == [f"{value:,}" for _, value in pairs]
        image = next(figure.iter("svg"))
        assert image.get("role") == "img"
        said = {one.get("id") for one in image if one.tag in {"title", "desc"}}
        assert said == set(str(image.get("aria-labelledby")).split())
        width = float(str(image.get("viewBox")).split()[2])
        for bar in image.iter("rect"):
            right = float(str(bar.get("x"))) + float(str(bar.get("width")))
            assert -0.1 <= right <= width + 0.1


@given(st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=24))
def test_any_line_is_sound_and_breaks_where_nothing_is_known(values: list[int | None]) -> None:
    labels = [str(at) for at in range(len(values))]
    whole = [value or 0 for value in values]
    figure = parsed(
        Charts(Language.EN).lines(TITLES, labels, [Series("now", values), Series("then", whole)])
    )
    paths = [one for one in figure.iter("path") if one.get("class") == "line"]
    drawn = str(paths[1].get("d"))  # the first is the legend's own
    assert drawn.count("M") + drawn.count("L") == sum(value is not None for value in values)
    for dot in figure.iter("circle"):
        assert 0 <= float(str(dot.get("cx"))) <= WIDE
    cells = numbers_of(figure)
    assert cells[::2] == ["–" if value is None else f"{value:,}" for value in values]


@given(NUMBERS)
def test_an_axis_ends_round_and_above_the_most(most: int) -> None:
    top, ticks = scale(most)
    assert ticks[0] == 0
    assert ticks[-1] == top >= most
    assert 4 <= len(ticks) <= 6
    assert all(tick == int(tick) for tick in ticks)


def test_parts_of_a_whole_fill_it() -> None:
    points = [Point("a", 1), Point("b", 2), Point("c", 1)]
    figure = parsed(Charts(Language.ZH).share(TITLES, points))
    bars = list(list(figure.iter("svg"))[-1].iter("rect"))
    assert sum(float(str(bar.get("width"))) for bar in bars) == pytest.approx(440, abs=0.5)
    assert "50%" in "".join(figure.itertext())
    assert percent(0, 0) == "0%"


def test_nothing_that_is_said_becomes_markup() -> None:
    drawn = str(Charts(Language.EN).bars(TITLES, [Point("<script>", 1, "<i>")]))
    assert "<script>" not in drawn
    assert "<i>" not in drawn
    assert "&lt;script&gt;" in drawn
    spark = Charts(Language.EN).sparkline([1, 2, 0], '"><x>')
    assert "<x>" not in spark
