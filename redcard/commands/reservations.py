"""``redcard server reserve``: places promised to one member at one venue."""

from __future__ import annotations

from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server, instant_of
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

_COLUMNS = ["reservation", "offer", "venue", "terminal", "units", "state"]


@click.command()
@click.option("--offer", default="", help="Of what; needs a reservation by its mode or booking.")
@click.option("--card", default="", help="Hash of a card of the member.")
@click.option("--venue", default="", help="The only place where it can be used.")
@click.option("--from", "from_", default="", metavar="TIME", help="RFC 3339; absent, from now.")
@click.option("--until", default="", metavar="TIME", help="Absent, the end of its first day.")
@click.option("--terminal", default="", help="Which takes it; absent, the venue's first.")
@click.option("--units", type=click.IntRange(1, 1000), default=1)
@click.option(
    "--token", type=click.Path(dir_okay=False, path_type=Path), help="Write the token here."
)
@click.option("--cancel", default="", metavar="ID", help="Withdraw a reservation instead.")
@shared_options
@pass_session
def reserve(
    session: Session,
    offer: str,
    card: str,
    venue: str,
    from_: str,
    until: str,
    terminal: str,
    units: int,
    token: Path | None,
    cancel: str,
) -> int:
    """Promise a place to the member of --card, or --cancel one; without --card, list them.

    Its terminal hears of it at its next sync; the member may carry the token as well.
    """
    if cancel:
        answer = ask_server(session, "cancel_reservation", reservation=cancel)
        emit(session, answer, session.say(f"{cancel}：已取消", f"{cancel}: cancelled"))
        return EXIT_DONE
    if not card:
        answer = ask_server(session, "reservations", offer=offer, venue=venue)
        rows = [[str(row[name]) for name in _COLUMNS] for row in answer["reservations"]]
        emit(session, answer, table("", _COLUMNS, rows))
        return EXIT_DONE
    if not offer or not venue:
        raise UsageInvalid("--card needs --offer and --venue too")
    answer = ask_server(
        session,
        "reserve",
        card=card,
        offer=offer,
        venue=venue,
        from_ms=instant_of(from_, "--from"),
        until_ms=instant_of(until, "--until"),
        terminal=terminal,
        units=units,
    )
    if token is not None:
        token.write_text(answer["token"], encoding="utf-8")
    text = session.say(
        f"已预约 {answer['reservation']}，{answer['terminal']} 下次同步后可用",
        f"reserved {answer['reservation']}: good at {answer['terminal']} after its next sync",
    )
    emit(session, answer, text)
    return EXIT_DONE
