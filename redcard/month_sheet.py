"""The month's report on paper: a table with definitions, or comma-separated."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from redcard.console import Session, table
from server.reports import DEFINITIONS

_FIGURES = ("persons", "person_times", "quantity", "companions", "flagged")


def as_table(session: Session, answer: Mapping[str, Any]) -> str:
    """The report as text, with the definition of each figure below it."""
    chinese = session.language() == "zh"
    names = {
        "persons": session.say("人", "persons"),
        "person_times": session.say("人次", "person-times"),
        "quantity": session.say("份数", "units"),
        "companions": session.say("同行", "companions"),
        "flagged": session.say("待核", "flagged"),
    }

    def row(line: Mapping[str, Any], label: str) -> list[object]:
        return [line["key"] or "", label, line["level"], *(line[name] for name in _FIGURES)]

    lines = [one for one in answer["offers"] if one["person_times"]]
    rows = [row(one, one["title"] if chinese else one["title_en"] or one["title"]) for one in lines]
    rows += [row(one, "—") for one in answer["levels"]]
    rows.append(row(answer["total"], session.say("合计", "in all")))
    headers = ["", session.say("项目", "offer"), session.say("级别", "level"), *names.values()]
    counts, total = answer["counts"], answer["total"]
    definitions = [f"  {zh if chinese else en}" for zh, en in DEFINITIONS.values()]
    return "\n".join(
        [
            table(f"{answer['month']}", headers, rows),
            session.say(
                f"在办项目 {total['offers_running']}，新上 {total['offers_new']}",
                f"{total['offers_running']} offers running, {total['offers_new']} new",
            ),
            session.say(
                f"登记 {counts['recorded']}，确认 {counts['confirmed']}，丢失 {counts['lost']}，"
                f"重复 {counts['twice']}",
                f"{counts['recorded']} recorded, {counts['confirmed']} confirmed, "
                f"{counts['lost']} lost, {counts['twice']} twice",
            ),
            session.say("口径：", "Definitions:"),
            *definitions,
        ]
    )


def as_csv(answer: Mapping[str, Any]) -> str:
    """The report for a spreadsheet: offers, then levels, then the whole."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["month", "offer", "title", "title_en", "level", *_FIGURES])
    for line in (*answer["offers"], *answer["levels"], answer["total"]):
        texts = [line[name] for name in ("key", "title", "title_en", "level")]
        writer.writerow([answer["month"], *texts, *(line[name] for name in _FIGURES)])
    return sheet.getvalue()
