"""``redcard server hotline``: what an agent of 12351 asks, and what to say."""

from __future__ import annotations

from typing import Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, EXIT_NO, Session, emit, table
from screens.language import local


@click.group()
def hotline() -> None:
    """The hotline's look-up; every look is recorded."""


@hotline.command()
@click.argument("query")
@click.option("--district", default="", help="Whose venues are named first.")
@click.option("--venue", default="", help="Only this venue.")
@shared_options
@pass_session
def search(session: Session, query: str, district: str, venue: str) -> int:
    """Is there any left, where, until when, what to bring: offers that fit QUERY.

    QUERY is words of title, keywords, owner or venue, or initials in pinyin.
    """
    answer = ask_server(session, "hotline_search", query=query, district=district, venue=venue)
    found = answer["offers"]
    nothing = session.say("没有找到", "nothing was found")
    emit(session, answer, "\n\n".join(_offer(session, one) for one in found) or nothing)
    return EXIT_DONE if found else EXIT_NO


@hotline.command()
@click.argument("last4")
@click.option("--day", default="", help="YYYY-MM-DD; absent, today and yesterday.")
@click.option("--venue", default="", help="Only there.")
@click.option("--declined", is_flag=True, help="Only what was declined.")
@shared_options
@pass_session
def card(session: Session, last4: str, day: str, venue: str, declined: bool) -> int:
    """Why a card that ends in LAST4 was declined, with the words to say; whose it is is hidden."""
    answer = ask_server(
        session, "hotline_card", last4=last4, day=day, venue=venue, declined=declined
    )
    say = "say" if session.language() == "zh" else "say_en"
    columns = ["card", "venue_name", "title", "code", say]
    rows = [
        [f"{local(one['at_ms']):%m-%d %H:%M}", *(one[name] for name in columns)]
        for one in answer["taps"]
    ]
    emit(session, answer, table("", ["at", *columns], rows))
    return EXIT_DONE if rows else EXIT_NO


def _offer(session: Session, one: dict[str, Any]) -> str:
    chinese = session.language() == "zh"
    left = "—" if one["left"] is None else str(one["left"])
    places = "、".join(
        venue["name"] + ("" if venue["left"] is None else f"（{venue['left']}）")
        for venue in one["venues"][:10]
    )
    lines = [
        f"{one['offer']} {one['title'] if chinese else one['title_en']} [{one['state']}]",
        session.say(f"  还有：{left}", f"  left: {left}"),
        session.say(f"  地点（{one['venues_in_all']} 处）：{places}", f"  where: {places}"),
        *(f"  {line}" for line in one["bring" if chinese else "bring_en"]),
    ]
    if one["phone"]:
        lines.append(session.say(f"  电话：{one['phone']}", f"  phone: {one['phone']}"))
    return "\n".join(lines)
