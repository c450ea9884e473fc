"""Charts as SVG, drawn here: readable on paper, by a screen reader, and without a script.

Every chart is a figure with a caption, an image with a title and a sentence that says what it
shows, and the same numbers as a table below it. Series differ by stroke and by a label beside
them, never by colour alone. Sizes are in the units of the ``viewBox``; a page scales them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from screens.language import Language, wording

WIDE: Final = 940
HALF: Final = 440
_TEXT: Final = 14
_ROW: Final = 30
_AXIS_LEFT: Final = 64
_AXIS_BELOW: Final = 26
_TOP: Final = 26
_TICKS: Final = 4
_STEPS: Final = (1, 2, 2.5, 5, 10)
#: Below ten a step is whole.
_SMALL_STEPS: Final = (1, 2, 3, 4, 5, 10)

_SPARK: Final = Markup(
    '<svg class="spark" viewBox="0 0 96 24" role="img" aria-label="{}"><path d="{}"/></svg>'
)
_METER: Final = Markup(
    '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
    '<rect class="back" width="100" height="8"/>{}{}</svg>'
)
_FIGURE: Final = Markup(
    '<figure class="chart {klass}"><figcaption>{title}<small>{unit}</small></figcaption>{legend}'
    '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}-t {name}-d">'
    '<title id="{name}-t">{title}</title><desc id="{name}-d">{says}</desc>{drawn}</svg>'
    "<details><summary>{numbers}</summary>{table}</details></figure>"
)
_RECT: Final = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
_LINE: Final = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
_TEXT_AT: Final = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
_KEY: Final = Markup('<li><svg viewBox="0 0 28 10" aria-hidden="true">{}</svg><span>{}</span></li>')
_STROKE: Final = Markup('<path class="{}" d="M0 5H28"/>')


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a chart.

    Attributes:
        label: what it is of.
        value: how much, not negative.
        note: a word beside the number, such as a share.
        rest: what is still free of a whole, drawn as an empty bar behind it.
    """

    label: str
    value: int
    note: str = ""
    rest: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: its name, and a value or nothing for each place of the axis."""

    name: str
    values: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Titles:
    """What a chart says of itself.

    Attributes:
        name: unique on its page, ``[a-z-]``.
        title: of the figure.
        says: one sentence with what is to be seen.
        label: heading of the first column of the table.
        unit: heading of the numbers.
    """

    name: str
    title: str
    says: str
    label: str
    unit: str


class Charts:
    """Draws charts in one language."""

    def __init__(self, language: Language) -> None:
        """Takes the language of headings and numbers."""
        self._words = wording(language)

    def bars(self, titles: Titles, points: Sequence[Point], *, width: int = HALF) -> Markup:
        """Lying bars, longest label first at the left, its number at the end of each bar."""
        left = min(190, 24 + max((_letters(point.label) for point in points), default=0))
        room = width - left - 90
        most = max((point.value + point.rest for point in points), default=0) or 1
        parts = []
        for row, point in enumerate(points):
            y = row * _ROW + 6
            long = room * point.value / most
            number = self._number(point)
            if point.rest:
                whole = room * (point.value + point.rest) / most
                parts.append(_rect("bar rest", left, y, whole, 18))
            parts.append(_rect("bar", left, y, long, 18))
            end = left + room * (point.value + point.rest) / most
            parts.append(_text(left - 12, y + 14, _cut(point.label, left - 20), anchor="end"))
            parts.append(_text(end + 8, y + 14, number, klass="strong"))
        drawn = _joined(parts) + _line("base", left, 0, left, len(points) * _ROW)
        return self._figure(titles, drawn, width, max(1, len(points)) * _ROW, points)

    def columns(self, titles: Titles, points: Sequence[Point], *, width: int = WIDE) -> Markup:
        """Standing bars along an axis, each with its number above it."""
        height = 230
        most, ticks = scale(max((point.value for point in points), default=0))
        step = (width - _AXIS_LEFT - 8) / max(1, len(points))
        parts = [self._grid(ticks, most, width, height)]
        for place, point in enumerate(points):
            x = _AXIS_LEFT + place * step
            tall = _plot(height) * point.value / most
            bar = min(48.0, step * 0.62)
            y = _TOP + _plot(height) - tall
            parts.append(_rect("bar", x + (step - bar) / 2, y, bar, tall))
            middle = x + step / 2
            parts.append(_text(middle, height - 6, point.label, anchor="middle", klass="axis"))
            if point.value:
                parts.append(_text(middle, y - 6, self._number(point), anchor="middle"))
        return self._figure(titles, _joined(parts), width, height, points)

    def lines(
        self,
        titles: Titles,
        labels: Sequence[str],
        series: Sequence[Series],
        *,
        width: int = WIDE,
        every: int = 1,
    ) -> Markup:
        """Lines along an axis; the first is drawn full, the others dashed.

        Args:
            titles: of the chart.
            labels: of all places of the axis.
            series: the first is what the page is about.
            width: of the drawing.
            every: which labels are written: each, each third, and so on.
        """
        height = 250
        most, ticks = scale(max((v for one in series for v in one.values if v), default=0))
        step = (width - _AXIS_LEFT - 16) / max(1, len(labels) - 1)
        parts = [self._grid(ticks, most, width, height)]
        for place, label in enumerate(labels):
            if place % every == 0:
                x = _AXIS_LEFT + place * step
                parts.append(_text(x, height - 6, label, anchor="middle", klass="axis"))
        for rank, one in reversed(list(enumerate(series))):
            parts.append(self._path(one, rank, step, most, height))
        legend = _legend([one.name for one in series])
        table = _many_table(titles, labels, series, self._words.number)
        return self._whole(titles, _joined(parts), (width, height), legend, table)

    def share(self, titles: Titles, points: Sequence[Point], *, width: int = HALF) -> Markup:
        """One bar for a whole, divided into at most three parts."""
        whole = sum(point.value for point in points) or 1
        x = 0.0
        parts = []
        for point, klass in zip(points, ("part", "part two", "part three"), strict=False):
            long = width * point.value / whole
            parts.append(_rect(klass, x, 0, long, 26))
            x += long
        legend = _share_legend(
            [
                f"{point.label} {self._number(point)} · {percent(point.value, whole)}"
                for point in points
            ]
        )
        return self._whole(
            titles, _joined(parts), (width, 28), legend, self._table(titles, points), "half"
        )

    def sparkline(self, values: Sequence[int], says: str) -> Markup:
        """A word-sized line, without axes; ``says`` is what a screen reader reads."""
        most = max(values, default=0) or 1
        step = 92 / max(1, len(values) - 1)
        spots = " ".join(
            f"{'M' if at == 0 else 'L'}{2 + at * step:.1f} {21 - 18 * value / most:.1f}"
            for at, value in enumerate(values)
        )
        return _SPARK.format(says, spots)

    def meter(self, given: int, out: int, whole: int) -> Markup:
        """A thin bar of a stock: given, out on leases, left; the numbers stand beside it."""
        total = max(1, whole, given + out)
        first = 100 * given / total
        return _METER.format(
            _rect("given", 0, 0, first, 8), _rect("out", first, 0, 100 * out / total, 8)
        )

    def _path(self, one: Series, rank: int, step: float, most: float, height: int) -> Markup:
        spots: list[str] = []
        last: tuple[float, float] | None = None
        for place, value in enumerate(one.values):
            if value is None:
                last = None
                continue
            x = _AXIS_LEFT + place * step
            y = _TOP + _plot(height) * (1 - value / most)
            spots.append(f"{'M' if last is None else 'L'}{x:.1f} {y:.1f}")
            last = (x, y)
        drawn = Markup('<path class="{}" d="{}"/>').format(
            "line" if rank == 0 else "line past", " ".join(spots)
        )
        if rank == 0 and last is not None:
            drawn += Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(*last)
        return drawn

    def _grid(self, ticks: Sequence[float], most: float, width: int, height: int) -> Markup:
        parts = []
        for tick in ticks:
            y = _TOP + _plot(height) * (1 - tick / most)
            parts.append(_line("base" if tick == 0 else "grid", _AXIS_LEFT, y, width - 8, y))
            text = self._words.number(round(tick))
            parts.append(_text(_AXIS_LEFT - 10, y + 5, text, anchor="end", klass="axis"))
        return _joined(parts)

    def _number(self, point: Point) -> str:
        number = self._words.number(point.value)
        return f"{number} {point.note}" if point.note else number

    def _figure(
        self, titles: Titles, drawn: Markup, width: int, height: int, points: Sequence[Point]
    ) -> Markup:
        klass = "half" if width < WIDE else ""
        table = self._table(titles, points)
        return self._whole(titles, drawn, (width, height), Markup(), table, klass)

    def _whole(
        self,
        titles: Titles,
        drawn: Markup,
        size: tuple[int, int],
        legend: Markup,
        table: Markup,
        klass: str = "",
    ) -> Markup:
        return _FIGURE.format(
            klass=klass,
            title=titles.title,
            unit=titles.unit,
            legend=legend,
            w=size[0],
            h=size[1],
            name=titles.name,
            says=titles.says,
            drawn=drawn,
            numbers=self._words.gettext("The numbers as a table"),
            table=table,
        )

    def _table(self, titles: Titles, points: Sequence[Point]) -> Markup:
        rows = Markup().join(
            Markup('<tr><th scope="row">{}</th><td class="n">{}</td></tr>').format(
                point.label, self._number(point)
            )
            for point in points
        )
        return _table_of([titles.label, titles.unit], rows)


def scale(most: int) -> tuple[float, list[float]]:
    """A round top for an axis, and where its lines stand; counts are never cut into fractions."""
    if most <= _TICKS:
        return float(_TICKS), [float(tick) for tick in range(_TICKS + 1)]
    rough = most / _TICKS
    power = 10 ** (len(str(int(rough))) - 1)
    steps = _STEPS if power > 1 else _SMALL_STEPS
    step = next(power * one for one in steps if power * one >= rough)
    count = -(-most // step)
    return float(step * count), [float(step * at) for at in range(int(count) + 1)]


def percent(part: int, whole: int) -> str:
    """A share in whole per cent."""
    return f"{round(100 * part / whole)}%" if whole else "0%"


def _plot(height: int) -> int:
    return height - _TOP - _AXIS_BELOW


def _letters(text: str) -> int:
    """Width of a text: a Chinese letter is as wide as it is high, a Latin one about half."""
    return sum(_TEXT if ord(letter) > 0x2E7F else _TEXT * 9 // 16 + 1 for letter in text)


def _cut(text: str, room: float) -> str:
    if _letters(text) <= room:
        return text
    while text and _letters(text) > room - _TEXT:
        text = text[:-1]
    return text.rstrip() + "…"


def _rect(klass: str, x: float, y: float, width: float, height: float) -> Markup:
    return _RECT.format(klass, x, y, max(0.0, width), max(0.0, height))


def _line(klass: str, x: float, y: float, to_x: float, to_y: float) -> Markup:
    return _LINE.format(klass, x, y, to_x, to_y)


def _text(x: float, y: float, text: str, *, anchor: str = "start", klass: str = "") -> Markup:
    return _TEXT_AT.format(klass, x, y, anchor, text)


def _joined(parts: Sequence[Markup]) -> Markup:
    return Markup().join(parts)


def _legend(names: Sequence[str]) -> Markup:
    items = [
        _KEY.format(_STROKE.format("line" if rank == 0 else "line past"), name)
        for rank, name in enumerate(names)
    ]
    return Markup('<ul class="legend">{}</ul>').format(_joined(items))


def _share_legend(names: Sequence[str]) -> Markup:
    items = [
        _KEY.format(_rect(klass, 1, 0, 26, 10), name)
        for name, klass in zip(names, ("part", "part two", "part three"), strict=False)
    ]
    return Markup('<ul class="legend">{}</ul>').format(_joined(items))


def _many_table(
    titles: Titles,
    labels: Sequence[str],
    series: Sequence[Series],
    number: Callable[[int], str],
) -> Markup:
    rows = []
    for place, label in enumerate(labels):
        cells = [
            Markup('<td class="n">{}</td>').format("–" if value is None else number(value))
            for value in (one.values[place] for one in series)
        ]
        rows.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(label, _joined(cells)))
    return _table_of([titles.label, *(one.name for one in series)], _joined(rows))


def _table_of(heads: Sequence[str], rows: Markup) -> Markup:
    cells = [
        Markup('<th scope="col"{}>{}</th>').format(
            Markup(' class="n"') if at else Markup(), escape(head)
        )
        for at, head in enumerate(heads)
    ]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        _joined(cells), rows
    )
