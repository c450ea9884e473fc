"""``redcard inquiry``, ``search``, ``bookings`` and ``practice``: questions asked at a counter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from redcard.at_terminal import at_terminal, local_text, named
from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit, table
from redcard.errors import AnswerIsNo, SurroundingsMissing

_POSITION = click.option(
    "--position", default="", help="Position of terminal.toml; absent, the first."
)


@click.command()
@click.option("--wait", type=click.IntRange(0, 300), default=30, metavar="S")
@_POSITION
@shared_options
@pass_session
def inquiry(session: Session, wait: int, position: str) -> int:
    """Member self-query: one tap shows what was used and what can still be taken; no name."""
    with at_terminal(session, readers=True) as (desk, _now_ms):
        shown = desk.ask("inquiry", wait_ms=str(wait * 1000), **named(position))
    zh = session.language() == "zh"
    headers = ["offer", "title", "used", "code", "until"]
    rows = [
        [
            one["offer"],
            one["title"] if zh else one["title_en"],
            one["used"],
            one["code"],
            local_text(one["until_ms"]) if one["until_ms"] is not None else "",
        ]
        for one in [*shown["used"], *shown["possible"]]
    ]
    emit(session, shown, table("", headers, rows))
    return 0 if not shown["card_code"] else EXIT_NO


@click.command()
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 100), default=20)
@_POSITION
@shared_options
@pass_session
def search(session: Session, query: str, limit: int, position: str) -> int:
    """Find offers by name, pinyin initials (dwyhq) or number."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        place = position or desk.ask("positions")["positions"][0]
        found = desk.ask("search", q=query, limit=str(limit), position=place)
    zh = session.language() == "zh"
    headers = ["id", "title", "level", "here", "left", "until"]
    rows = [
        [
            one["id"],
            one["title"] if zh else one["title_en"],
            one["level"],
            one["here"],
            "" if one["stock_left"] is None else one["stock_left"],
            local_text(one["until_ms"] - 1)[:10],
        ]
        for one in found["found"]
    ]
    emit(session, found, table("", headers, rows))
    return 0 if found["found"] else EXIT_NO


@click.command()
@click.option("--day", default="", help="A date such as 2014-05-30; absent, today.")
@_POSITION
@shared_options
@pass_session
def bookings(session: Session, day: str, position: str) -> int:
    """Who is booked at this venue on a day; print it at /sheet/bookings on the counter page."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        found = desk.ask("bookings", day=day, **named(position))
    headers = ["from", "until", "offer", "quantity", "state", "booking"]
    rows = [
        [
            local_text(one["from_ms"]),
            local_text(one["until_ms"])[11:],
            one["offer"],
            one["quantity"],
            one["state"],
            one["booking"],
        ]
        for one in found["bookings"]
    ]
    emit(session, found, table("", headers, rows))
    return 0


@click.command()
@click.argument("offer")
@click.argument("at", metavar="SESSION")
@click.option("--last4", required=True, help="Last four digits of the caller's card.")
@click.option("--name", default="", help="Only compared, where several cards end alike.")
@click.option("--units", type=click.IntRange(1, 1000), default=1)
@_POSITION
@shared_options
@pass_session
def book(session: Session, /, offer: str, at: str, position: str, **given: Any) -> int:
    """Book a SESSION (2014-06-02T09:00) of OFFER at this venue for a caller.

    The server answers at once; asking twice books once. Nothing of the caller is kept here.
    """
    with at_terminal(session, readers=False) as (desk, _now_ms):
        booked = desk.act(
            "bookings/add", position=position or None, offer=offer, session=at, **given
        )
    text = session.say(
        f"已预约 {booked['title']} {local_text(booked['from_ms'])}，编号 {booked['booking'][:8]}",
        f"booked {booked['title_en']} {local_text(booked['from_ms'])}, {booked['booking'][:8]}",
    )
    emit(session, booked, text)
    return 0


@click.group()
def practice() -> None:
    """Practice mode (练习): own ledger and keys, demo cards only; never counted."""


@practice.command()
@_POSITION
@shared_options
@pass_session
def start(session: Session, position: str) -> int:
    """Let a position of the running service practise."""
    return _turn(session, "practice/start", position)


@practice.command()
@_POSITION
@shared_options
@pass_session
def end(session: Session, position: str) -> int:
    """Back to service."""
    return _turn(session, "practice/end", position)


@practice.command()
@_POSITION
@shared_options
@pass_session
def status(session: Session, position: str) -> int:
    """Whether a position practises."""
    with at_terminal(session, readers=False) as (desk, _now_ms):
        shown = desk.ask("practice", **named(position))
    return _told(session, shown)


@practice.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared_options
@pass_session
def setup(session: Session, file: Path) -> int:
    """Take the key FILE of the demo cards (a CA bundle that is marked as a test's)."""
    import json

    from terminal.home import Home, write_private
    from terminal.practice_room import BUNDLE, FOLDER

    data = file.read_bytes()
    try:
        marked = json.loads(data).get("test") is True
    except (ValueError, AttributeError):
        marked = False
    if not marked:
        raise AnswerIsNo(
            f"{file} is no key file of demo cards: nothing was changed",
            next_step="ask the federation for the file that came with the demo cards",
        )
    home = Home.open(session.home_or("terminal"))
    folder = home.path / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    write_private(folder / BUNDLE, data, replace=True)
    emit(session, {"file": str(folder / BUNDLE)}, session.say("演示卡已启用", "Demo cards set up"))
    return 0


def _turn(session: Session, path: str, position: str) -> int:
    from terminal.remote import RemoteDesk

    with at_terminal(session, readers=False) as (desk, _now_ms):
        if not isinstance(desk, RemoteDesk):
            raise SurroundingsMissing(
                "practice is for a page that runs: nothing was changed",
                next_step="redcard counter",
            )
        shown = desk.act(path, position=position or None)
    return _told(session, shown)


def _told(session: Session, shown: dict[str, Any]) -> int:
    on = session.say("练习模式 · 不计入核销", "Practice: nothing counts")
    off = session.say("正式服务", "In service")
    emit(session, shown, on if shown["on"] else off)
    return 0
