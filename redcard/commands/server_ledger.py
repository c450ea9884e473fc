"""``redcard server ledger``: the server's own signed ledger, for whoever audits the back office."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_ledger import local_time
from redcard.commands.at_server import ask_server
from redcard.commands.auditing import audit, second_opinion, verdict
from redcard.console import EXIT_DONE, EXIT_NO, Session, emit, progress, table
from redcard.errors import AnswerIsNo

SHOWN_MAX: Final = 10_000
_ledger_option = click.option(
    "--ledger", "name", default="", help="A terminal's ledger, or an earlier one of the server's."
)


@click.group("ledger")
def server_ledger() -> None:
    """The server's own signed ledger: status, show, verify, export.

    Every act of the back office is an entry of it. `--ledger ID` names another that the server
    holds, for instance that of a terminal that was lost.
    """


@server_ledger.command()
@shared_options
@pass_session
def status(session: Session) -> int:
    """The server's own ledgers, the newest first: size, root, verifier key."""
    answer = ask_server(session, "own_ledgers")
    columns = ["ledger", "current", "size", "root", "vkey"]
    rows = [[one[name] for name in columns] for one in answer["ledgers"]]
    emit(session, answer, table("", columns, rows))
    return EXIT_DONE


@server_ledger.command()
@_ledger_option
@click.option("--limit", default=100, type=click.IntRange(1, SHOWN_MAX), help="At most so many.")
@shared_options
@pass_session
def show(session: Session, name: str, limit: int) -> int:
    """Entries, newest last."""
    answer = ask_server(session, "ledger_show", ledger=name, limit=limit)
    fields = ["kind", "operator", "reason_code", "offer", "subject"]
    rows = [
        [one["seq"], local_time(one["ts_ms"]), *(one.get(field, "") for field in fields)]
        for one in answer["entries"]
    ]
    emit(session, answer, table("", ["seq", "time", *fields], rows))
    return EXIT_DONE


@server_ledger.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@_ledger_option
@shared_options
@pass_session
def export(session: Session, directory: Path, name: str) -> int:
    """Write it as plain files to DIRECTORY, which anybody's tools can verify."""
    if directory.exists() and any(directory.iterdir()):
        raise AnswerIsNo(f"{directory}: the folder is not empty; nothing was written")
    answer = ask_server(session, "ledger_export", path=str(directory.resolve()), ledger=name)
    text = session.say(
        f"已导出 {answer['size']} 笔到 {directory}；校验：redcard ledger verify {directory}",
        f"{answer['size']} entries in {directory}; check with: redcard ledger verify {directory}",
    )
    emit(session, answer, text)
    return EXIT_DONE


@server_ledger.command()
@_ledger_option
@click.option("--auditor", is_flag=True, help="Use the auditor's file, the second opinion.")
@shared_options
@pass_session
def verify(session: Session, name: str, auditor: bool) -> int:
    """Check all that is stored of it against the server's key, and list all faults."""
    with tempfile.TemporaryDirectory(prefix="redcard-verify-") as folder:
        place = Path(folder) / "export"
        answer = ask_server(session, "ledger_export", path=str(place), ledger=name)
        check = second_opinion if auditor else audit
        with progress(session, session.say("校验账本", "verifying")) as advance:
            report = check(place, answer["vkeys"], [], advance)
    emit(session, asdict(report), verdict(session, report))
    return EXIT_DONE if report.ok else EXIT_NO
