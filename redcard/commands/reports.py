"""``redcard server report``: the figures of a month or a year, on screen or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit
from redcard.errors import UsageInvalid

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--month", default="", help="YYYY-MM, of the venues' calendar.")
@click.option("--year", default="", help="YYYY, of the venues' calendar.")
@click.option("--csv", "as_csv_", is_flag=True, help="Comma-separated, on standard output.")
@click.option("--out", type=_FILE, default=None, help="Write all tables to FILE.xlsx or FILE.csv.")
@click.option(
    "--state", is_flag=True, help="Keep the figures as stated now; later reports compare."
)
@shared_options
@pass_session
def report(
    session: Session, month: str, year: str, as_csv_: bool, out: Path | None, state: bool
) -> int:
    """Persons and person-times of a month or year, by offer, level, district, venue and category.

    Every figure has its definition. Late ledgers restate what was reported: figures count when
    something happened, not when it arrived.
    """
    from redcard.month_sheet import as_csv, as_table

    if bool(month) == bool(year):
        raise UsageInvalid(
            "name a month or a year", next_step="redcard server report --month 2014-05"
        )
    if out is not None and out.suffix not in {".xlsx", ".csv"}:
        raise UsageInvalid(f"{out} ends neither in .xlsx nor in .csv; nothing was written")
    if state:
        ask_server(session, "state_period", period=month or year)
    answer = ask_server(session, "report", month=month, year=year)
    text = as_csv(answer) if as_csv_ else as_table(session, answer)
    if out is not None:
        out.write_bytes(_tables(session, answer, out.suffix))
        text = session.say(f"已写入 {out}", f"written to {out}")
    emit(session, answer, text)
    return EXIT_DONE


def _tables(session: Session, answer: dict[str, Any], suffix: str) -> bytes:
    from screens.language import Language, wording
    from server.tables import as_csv, as_xlsx, report_tables

    words = wording(Language(session.language()))
    as_of = f"{words.full_date(answer['as_of_ms'])} {words.clock(answer['as_of_ms'])}"
    tables = report_tables(answer, session.language(), as_of)
    return as_xlsx(tables) if suffix == ".xlsx" else as_csv(tables)
