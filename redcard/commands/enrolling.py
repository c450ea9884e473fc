"""``redcard server enrol-many``, ``waiting``, ``approve``, ``replace``: terminals in hundreds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import DEFAULT_HOME, ask_server, send_file
from redcard.console import EXIT_DONE, EXIT_NO, Session, emit, table
from redcard.errors import UsageInvalid

DAY_MS: Final = 24 * 3600 * 1000
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("enrol-many")
@click.argument("file", type=_FILE)
@click.argument("sheets", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--server", "address", default="", help="As terminals reach it; absent, the home's.")
@click.option("--approval", is_flag=True, help="Each machine must be approved by `approve`.")
@click.option("--days", type=click.IntRange(1, 90), default=14, help="How long the codes work.")
@shared_options
@pass_session
def enrol_many(
    session: Session, file: Path, sheets: Path, address: str, approval: bool, days: int
) -> int:
    """Make a code for every terminal of FILE, and write printable SHEETS (HTML) with their QR.

    FILE is a CSV with terminal, venue and, if wished, name, profile, offers (of a kiosk, separated
    by spaces). A faulty row is told with its line. The codes are on the sheets alone.
    """
    from redcard.activation_sheets import activation_sheets
    from server.home import read_configuration, write_private

    if sheets.exists():
        raise UsageInvalid(f"{sheets} is there already; it was left as it is")
    home = session.home_or(DEFAULT_HOME)
    server = address or f"http://{read_configuration(home).listen}"
    answer = send_file(session, "enrol_many", file, approval=approval, life_ms=days * DAY_MS)
    made = answer.pop("sheets")
    write_private(sheets, activation_sheets(made, server).encode("utf-8"))
    answer |= {"made": [one["terminal"] for one in made], "written": str(sheets)}
    lines = [
        session.say(
            f"{len(made)} 台终端的激活单已写入 {sheets}，打印后请删除",
            f"activation sheets of {len(made)} terminals are in {sheets}; print and delete it",
        )
    ]
    lines += [f"  line {line}: {fault}" for line, fault in answer["faults"]]
    emit(session, answer, "\n".join(lines))
    return EXIT_DONE if made else EXIT_NO


@click.command()
@shared_options
@pass_session
def waiting(session: Session) -> int:
    """Machines that wait for approval, with the fingerprint of their key."""
    answer = ask_server(session, "waiting")
    rows = [[one["terminal"], one["fingerprint"]] for one in answer["waiting"]]
    emit(session, answer, table("", ["terminal", "fingerprint"], rows))
    return EXIT_DONE


@click.command()
@click.argument("terminal")
@click.argument("fingerprint")
@shared_options
@pass_session
def approve(session: Session, terminal: str, fingerprint: str) -> int:
    """Let the machine in that waits as TERMINAL, if its key has this FINGERPRINT."""
    answer = ask_server(session, "approve", terminal=terminal, fingerprint=fingerprint)
    emit(session, answer, session.say("已批准", "approved"))
    return EXIT_DONE


@click.command()
@click.argument("terminal")
@click.option("--reason", type=click.Choice(["retired", "lost", "compromised"]), required=True)
@shared_options
@pass_session
def replace(session: Session, terminal: str, reason: str) -> int:
    """Put a spare in the place of TERMINAL: revoke and wipe the old one, make a new code.

    The spare takes over venue, profile, supervisors and settings. Units that the old one still
    holds on leases return by `server write-off`.
    """
    made = ask_server(session, "replace", terminal=terminal, reason=reason)
    emit(session, made, session.say(f"新激活码 {made['code']}", f"new code {made['code']}"))
    return EXIT_DONE
