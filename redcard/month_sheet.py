"""The report of a month or year on paper: a table with definitions, or comma-separated."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from redcard.console import Session, table
from server.definitions import DEFINITIONS, FURTHER
from server.tables import plain, word

_FIGURES: Final = ("persons", "person_times", "quantity", "companions", "flagged")


def as_table(session: Session, answer: Mapping[str, Any]) -> str:
    """The report as text, with the definition of each figure below it."""
    lang = session.language()
    parts = [_offers(answer, lang), _whole(session, answer)]
    told = dict(DEFINITIONS)
    if "months" in answer:
        parts = [_months(answer, lang), *parts, _year(session, answer)]
        told |= FURTHER
    if "counts" in answer:
        counts = answer["counts"]
        parts.append(
            session.say(
                f"登记 {counts['recorded']}，确认 {counts['confirmed']}，丢失 {counts['lost']}，"
                f"重复 {counts['twice']}",
                f"{counts['recorded']} recorded, {counts['confirmed']} confirmed, "
                f"{counts['lost']} lost, {counts['twice']} twice",
            )
        )
    parts += _restated(session, answer)
    definitions = [f"  {zh if lang == 'zh' else en}" for zh, en in told.values()]
    return "\n".join([*parts, session.say("口径：", "Definitions:"), *definitions])


def _offers(answer: Mapping[str, Any], lang: str) -> str:
    def row(line: Mapping[str, Any], label: str) -> list[object]:
        level = word(line["level"], lang)
        return [line["key"] or "", label, level, *(line[name] for name in _FIGURES)]

    lines = [one for one in answer["offers"] if one["person_times"]]
    rows = [row(one, one["title"] if lang == "zh" else one["title_en"]) for one in lines]
    rows += [row(one, "—") for one in answer["levels"]]
    rows.append(row(answer["total"], word("total", lang)))
    names = [word("title", lang), word("level", lang), *(word(name, lang) for name in _FIGURES)]
    return table(_period(answer), ["", *names], rows)


def _months(answer: Mapping[str, Any], lang: str) -> str:
    names = ("offers_running", "offers_new", *_FIGURES)
    rows = [[one["key"], *(one[name] for name in names)] for one in answer["months"]]
    return table("", [word("month", lang), *(word(name, lang) for name in names)], rows)


def _whole(session: Session, answer: Mapping[str, Any]) -> str:
    total = answer["total"]
    told = session.say(
        f"在办项目 {total['offers_running']}，新上 {total['offers_new']}",
        f"{total['offers_running']} offers running, {total['offers_new']} new",
    )
    for name in ("last_month", "last_year"):
        for figure in ("offers_running", "person_times") if name in answer else ():
            percent = answer[name]["growth"][figure]
            if percent is not None:
                lang = session.language()
                told += f"\n{word(name, lang)} {word(figure, lang)} {percent:+}%"
                told += f" ({answer[name]['period']}: {answer[name][figure]})"
    return told


def _year(session: Session, answer: Mapping[str, Any]) -> str:
    offers, times = (" ".join(answer[name]) for name in ("peak_offers", "peak_person_times"))
    return session.say(
        f"项目月数 {answer['offer_months']}，月均搭载 {answer['mean_offers']} 项，"
        f"月均 {answer['mean_person_times']} 人次；项目高峰月 {offers}，人次高峰月 {times}",
        f"{answer['offer_months']} offer-months, {answer['mean_offers']} offers and "
        f"{answer['mean_person_times']} person-times a month; peak months by offers {offers}, "
        f"by person-times {times}",
    )


def _restated(session: Session, answer: Mapping[str, Any]) -> list[str]:
    stated, lang = answer.get("stated"), session.language()
    if not stated or not stated["changed"]:
        return []
    changes = "，".join(f"{word(name, lang)} {by:+}" for name, by in stated["changed"].items())
    return [f"{word('stated', lang)}: {changes}"]


def as_csv(answer: Mapping[str, Any]) -> str:
    """The report for a spreadsheet: offers, then levels, then the whole."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    period = "year" if "year" in answer else "month"
    writer.writerow([period, "offer", "title", "title_en", "level", *_FIGURES])
    for line in (*answer["offers"], *answer["levels"], answer["total"]):
        texts = [plain(line[name]) for name in ("key", "title", "title_en", "level")]
        writer.writerow([_period(answer), *texts, *(line[name] for name in _FIGURES)])
    return sheet.getvalue()


def _period(answer: Mapping[str, Any]) -> str:
    return str(answer.get("year") or answer["month"])
