"""The first page: the day's pulse, what needs a look, the month so far."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from starlette.responses import Response

from ledger.codes import Code
from ledger.rules.messages import message
from screens.language import Language, local
from server.pages.cases import reason_word
from server.pages.charts import Charts, Point, Series, Titles, percent
from server.pages.navigation import first_page
from server.pages.office import STEPS, Office, Visit
from server.pages.terminals import seen_of
from server.pulse import HOURS, Pulse, pulse_of
from server.roles import Right
from server.sign_in import Step

_TOP_MAX: Final = 8


def mount(office: Office) -> None:
    """Adds the page."""
    office.open_page("/", _overview)


async def _overview(visit: Visit) -> Response:
    """Whoever may not see it goes to where they begin."""
    if visit.session is None or visit.session.step is not Step.DONE:
        return visit.go(STEPS[visit.session.step] if visit.session else "/sign-in")
    if not visit.actor.may(Right.OVERVIEW):
        return visit.go(first_page(visit.actor))
    core = visit.core
    pulse = await pulse_of(core, visit.actor)
    month = f"{local(visit.now_ms):%Y-%m}"
    report = await core.month_report(month)
    fleet = await seen_of(visit) if visit.actor.may(Right.FLEET_VIEW) else []
    cases = await core.case_desk.page(visit.actor, limit=0)
    charts = Charts(visit.language)
    lines = sorted(report.offers, key=lambda line: -line.person_times)
    return visit.draw(
        "overview.html",
        pulse=pulse,
        change=_change(pulse),
        report=report,
        month=month,
        fleet=fleet,
        online=sum(one.state == "online" for one in fleet),
        in_use=sum(one.state not in {"new", "revoked_retired"} for one in fleet),
        to_judge=sum(one.view.to_judge for one in fleet),
        queue=sum(one.view.queue or 0 for one in fleet),
        of_reason=reason_word,
        reasons=list(cases.reasons.items()),
        open_cases=cases.total,
        curve=_curve(visit, charts, pulse),
        refusals=_refusals(visit, charts, pulse),
        offers=_offers(visit, charts, [line for line in lines if line.person_times][:_TOP_MAX]),
        troubled=[one for one in fleet if one.tone == "stop"][:_TOP_MAX],
    )


def _change(pulse: Pulse) -> str:
    """Today until now against a week ago until the same time, as ``+12%``."""
    if not pulse.week_ago_by_now:
        return ""
    return f"{round(100 * pulse.person_times / pulse.week_ago_by_now - 100):+d}%"


def _curve(visit: Visit, charts: Charts, pulse: Pulse) -> Any:
    _ = visit.gettext
    full = [value or 0 for value in pulse.hours]
    most = full.index(max(full))
    says = _("%(n)s person-times today; the busiest hour began at %(hour)s.") % {
        "n": pulse.person_times,
        "hour": f"{most}:00",
    }
    titles = Titles("curve", _("Person-times by the hour"), says, _("Hour"), _("person-times"))
    hours = [value if at < pulse.hour else None for at, value in enumerate(pulse.hours)]
    series = [
        Series(_("today"), hours),  # the running hour is not over
        Series(_("same weekday last week"), pulse.week_ago),
    ]
    return charts.lines(titles, [f"{hour}:00" for hour in range(HOURS)], series, every=3)


def _refusals(visit: Visit, charts: Charts, pulse: Pulse) -> Any:
    _ = visit.gettext
    lang = "zh" if visit.language is Language.ZH else "en"
    whole = sum(pulse.refusals.values())
    points = [
        Point(
            f"{message(Code(code), lang, 'member').big.strip()} {code}",  # type: ignore[arg-type]
            times,
            percent(times, whole),
        )
        for code, times in Counter(pulse.refusals).most_common(_TOP_MAX)
        if code in set(Code)
    ]
    says = _("%(n)s taps were declined today, by reason.") % {"n": whole}
    titles = Titles("refusals", _("Declined today"), says, _("Reason"), _("taps"))
    return charts.bars(titles, points) if points else None


def _offers(visit: Visit, charts: Charts, lines: list[Any]) -> Any:
    _ = visit.gettext
    chinese = visit.language is Language.ZH
    points = [Point(line.title if chinese else line.title_en, line.person_times) for line in lines]
    says = _("The offers used most this month.")
    titles = Titles("offers", _("Most used this month"), says, _("Offer"), _("person-times"))
    return charts.bars(titles, points) if points else None
