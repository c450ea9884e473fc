"""``redcard server bookings``: by telephone, from a file, moved, and the day's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from redcard.at_terminal import local_text
from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server, send_file
from redcard.console import EXIT_DONE, EXIT_NO, Session, emit, table

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def bookings() -> None:
    """Bookings: each becomes a token of the venue's terminal; who stays away returns to stock."""


@bookings.command()
@click.option("--offer", required=True)
@click.option("--venue", required=True)
@click.option("--session", "at", required=True, metavar="TIME", help="2014-06-02T09:00")
@click.option("--last4", required=True, help="Last four digits of the card.")
@click.option("--name", default="", help="Only compared, where several cards end alike.")
@click.option("--units", type=click.IntRange(1, 1000), default=1)
@shared_options
@pass_session
def add(session: Session, /, at: str, **given: Any) -> int:
    """Book one session for a caller."""
    answer = ask_server(session, "book", at=at, **given)
    text = session.say(
        f"已预约 {local_text(answer['from_ms'])}，编号 {answer['reservation'][:8]}",
        f"booked {local_text(answer['from_ms'])}, number {answer['reservation'][:8]}",
    )
    emit(session, answer, text)
    return EXIT_DONE


@bookings.command("import")
@click.argument("file", type=_FILE)
@shared_options
@pass_session
def import_(session: Session, file: Path) -> int:
    """Book every line of a CSV FILE (offer,venue,session,last4,name,units).

    A line that cannot be booked is named with its reason and keeps no other from it.
    """
    answer = send_file(session, "book_all", file)
    head = session.say(
        f"已预约 {answer['booked']}，未预约 {answer['refused']}",
        f"{answer['booked']} booked, {answer['refused']} not",
    )
    faults = [f"{file}:{row['line']}: {row['fault']}" for row in answer["lines"] if row["fault"]]
    emit(session, answer, "\n".join([head, *faults]))
    return EXIT_DONE if not answer["refused"] else EXIT_NO


@bookings.command("list")
@click.argument("venue")
@click.argument("day")
@shared_options
@pass_session
def list_(session: Session, venue: str, day: str) -> int:
    """Bookings at VENUE on DAY (2014-06-02)."""
    answer = ask_server(session, "bookings", venue=venue, day=day)
    headers = ["from", "offer", "last4", "units", "state", "reservation"]
    rows = [
        [local_text(row["from_ms"]), *(row[name] for name in headers[1:])]
        for row in answer["bookings"]
    ]
    emit(session, answer, table("", headers, rows))
    return EXIT_DONE


@bookings.command()
@click.option("--offer", required=True)
@click.option("--venue", required=True)
@click.option("--session", "at", required=True, metavar="TIME", help="As it was booked.")
@click.option("--to", required=True, metavar="TIME", help="Its new beginning.")
@shared_options
@pass_session
def move(session: Session, /, at: str, **given: Any) -> int:
    """Move every waiting booking of a session; one that cannot be moved keeps its old place."""
    answer = ask_server(session, "move_bookings", at=at, **given)
    left = [row for row in answer["bookings"] if "fault" in row]
    head = session.say(
        f"已改期 {answer['moved']}，需电话通知 {len(left)}",
        f"{answer['moved']} moved, {len(left)} to be called",
    )
    told = [f"  {row['reservation']}: {row['fault']}" for row in left]
    emit(session, answer, "\n".join([head, *told]))
    return EXIT_DONE if not left else EXIT_NO
