"""Reports of a month and a year, each figure defined, as a page, on paper and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from screens.language import Language, local, wording
from server.definitions import DEFINITIONS
from server.office_acts import plain
from server.pages.charts import Charts, Point, Titles
from server.pages.office import Office, Visit
from server.pages.places import name_of
from server.pages.words import WORDS, in_language
from server.report_lines import Line
from server.roles import Right
from server.tables import as_csv, as_xlsx, report_tables

#: Media type of a workbook.
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_VENUES_MAX: Final = 20
_BARS_MAX: Final = 16
_MONTHS_MAX: Final = 36


def mount(office: Office) -> None:
    """Adds the pages."""
    office.page("/reports", Right.REPORTS, _month)
    office.page("/reports/year", Right.REPORTS, _year)
    office.page("/reports/file/{name}", Right.REPORTS, _file)
    office.act("/reports/state", Right.REPORTS, _state)


async def _month(visit: Visit) -> Response:
    month = visit.query("month") or f"{local(visit.now_ms):%Y-%m}"
    report = await visit.core.month_report(month)
    year, number = (int(part) for part in month.split("-"))
    return visit.draw(
        "report_month.html",
        period=month,
        title=wording(visit.language).month(year, number),
        report=report,
        offers=[line for line in report.offers if line.person_times],
        unused=sum(not line.person_times for line in report.offers),
        venues=report.venues[:_VENUES_MAX],
        charts=_by(visit, report.categories, report.districts),
        name=_namer(visit),
        define=_definer(visit),
        growth=growth_text,
        months=months_back(visit, month),
    )


async def _year(visit: Visit) -> Response:
    year = visit.query("year") or f"{local(visit.now_ms):%Y}"
    report = await visit.core.year_report(year)
    return visit.draw(
        "report_year.html",
        period=year,
        report=report,
        offers=sorted(report.offers, key=lambda line: -line.person_times)[:_VENUES_MAX],
        charts=_by(visit, report.categories, report.districts),
        months=_months(visit, report.months),
        month_name=lambda period: wording(visit.language).month(
            *(int(part) for part in period.split("-"))
        ),
        name=_namer(visit),
        define=_definer(visit),
        growth=growth_text,
    )


async def _file(visit: Visit) -> Response:
    """``2014-05.csv``, ``2014.xlsx`` and the like."""
    period, _, ending = visit.path("name").rpartition(".")
    if ending not in {"csv", "xlsx"}:
        raise HTTPException(404)
    core = visit.core
    report: Any = await (core.month_report(period) if "-" in period else core.year_report(period))
    words = wording(visit.language)
    as_of = f"{words.full_date(report.as_of_ms)} {words.clock(report.as_of_ms)}"
    tables = report_tables(plain(report), visit.language.value, as_of)
    name = f"redcard-{period}.{ending}"
    if ending == "csv":
        return visit.file(as_csv(tables), name, "text/csv; charset=utf-8")
    return visit.file(as_xlsx(tables), name, XLSX)


async def _state(visit: Visit) -> Response:
    """Keeps the figures as they are stated now, so that a later report tells what changed."""
    visit.actor.need(Right.SETTLEMENT_CLOSE)
    period = visit.form.get("period", "")
    await visit.core.state_period(period, visit.actor.person)
    target = f"/reports?month={period}" if "-" in period else f"/reports/year?year={period}"
    return visit.go(target, "figures")


def _by(visit: Visit, categories: Sequence[Line], districts: Sequence[Line]) -> list[Markup]:
    _, charts = visit.gettext, Charts(visit.language)
    name = _namer(visit)
    parts = (
        ("categories", _("By category"), _("Category"), categories),
        ("districts", _("By district or county of the venue"), _("District"), districts),
    )
    drawn = []
    for key, title, label, lines in parts:
        points = [Point(name(line), line.person_times) for line in lines[:_BARS_MAX]]
        says = "; ".join(f"{point.label} {point.value}" for point in points[:3])
        if points:
            drawn.append(charts.bars(Titles(key, title, says, label, _("person-times")), points))
    return drawn


def _months(visit: Visit, months: Sequence[Line]) -> list[Markup]:
    _, charts = visit.gettext, Charts(visit.language)
    labels = [str(int(line.key[-2:])) for line in months]
    if visit.language is Language.ZH:
        labels = [f"{label}月" for label in labels]
    figures = (
        ("times", _("Person-times by the month"), "person_times", _("person-times")),
        ("running", _("Offers running by the month"), "offers_running", _("offers")),
    )
    drawn = []
    for key, title, figure, unit in figures:
        values = [int(getattr(line, figure)) for line in months]
        points = [Point(label, value) for label, value in zip(labels, values, strict=True)]
        top = max(points, key=lambda point: point.value)
        says = _("Most in %(month)s: %(n)s.") % {"month": top.label, "n": top.value}
        drawn.append(charts.columns(Titles(key, title, says, _("Month"), unit), points))
    return drawn


def _namer(visit: Visit) -> Any:
    """What a line is called in the page's language."""
    chinese = visit.language is Language.ZH
    word = in_language(wording(visit.language))

    def name(line: Line) -> str:
        if line.key in WORDS:
            return word(line.key)
        if line.title and (line.title != line.key or line.level):
            return line.title if chinese else line.title_en or line.title
        known = name_of(line.key, visit.language.value)
        _ = visit.gettext
        return _(known) if known else _("Not told")

    return name


def _definer(visit: Visit) -> Any:
    """The definition of a figure without its heading."""
    at = 0 if visit.language is Language.ZH else 1

    def define(figure: str) -> str:
        text = DEFINITIONS.get(figure, ("", ""))[at]
        for mark in ("：", ": "):
            _, found, rest = text.partition(mark)
            if found:
                return rest[:1].upper() + rest[1:] if at else rest
        return text

    return define


def months_back(visit: Visit, shown: str, *, over: bool = False) -> list[tuple[str, str]]:
    """The last three years' months with their names, newest first, and the one that is shown.

    Args:
        visit: whose language and time.
        shown: a month to be among them.
        over: only months that are over.
    """
    now = local(visit.now_ms)
    count = now.year * 12 + now.month - 1 - over
    found = [f"{at // 12:04}-{at % 12 + 1:02}" for at in range(count, count - _MONTHS_MAX, -1)]
    names = sorted({*found, shown} - {""}, reverse=True)
    words = wording(visit.language)
    return [(name, words.month(*(int(part) for part in name.split("-")))) for name in names]


def growth_text(percent: int | None) -> str:
    """``+12%``, or a dash where there is nothing to compare with."""
    return "–" if percent is None else f"{percent:+d}%"
