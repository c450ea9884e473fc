"""``redcard server supervisor``: who may override and void late at a terminal.

The PIN is typed here, made into its verifier here, and goes nowhere else.
"""

from __future__ import annotations

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

_COLUMNS = ["terminal", "supervisor", "active", "pin", "card"]


@click.command()
@click.argument("terminal", required=False, default="")
@click.argument("supervisor", required=False, default="", metavar="[SUPERVISOR]")
@click.option("--card", default="", help="Hash of the supervisor's own card.")
@click.option("--no-pin", is_flag=True, help="The card alone; no PIN is asked for.")
@click.option("--withdraw", is_flag=True, help="Is a supervisor there no more.")
@shared_options
@pass_session
def supervisor(
    session: Session, terminal: str, supervisor: str, card: str, no_pin: bool, withdraw: bool
) -> int:
    """Make SUPERVISOR one at TERMINAL, or withdraw; without arguments, list them.

    The terminal hears of it at its next sync. The PIN, 4 to 12 digits, is asked for.
    """
    if not terminal:
        return _list(session)
    if not supervisor:
        raise UsageInvalid(
            "name the supervisor too", next_step="redcard server supervisor TERMINAL SUPERVISOR"
        )
    pin = "" if withdraw or no_pin else _verifier(session, supervisor)
    answer = ask_server(
        session,
        "supervisor",
        terminal=terminal,
        supervisor=supervisor,
        pin=pin,
        card=card,
        active=not withdraw,
    )
    text = session.say(
        f"{supervisor}@{terminal}：{'已取消' if withdraw else '已设置'}，下次同步生效",
        f"{supervisor} at {terminal}: {'withdrawn' if withdraw else 'set'}, from its next sync on",
    )
    emit(session, answer, text)
    return EXIT_DONE


def _list(session: Session) -> int:
    answer = ask_server(session, "supervisors")
    rows = [[str(row[name]) for name in _COLUMNS] for row in answer["supervisors"]]
    emit(session, answer, table("", _COLUMNS, rows))
    return EXIT_DONE


def _verifier(session: Session, supervisor: str) -> str:
    """Asks for a new PIN twice; only its verifier leaves this function."""
    from keys.errors import SecretInvalid
    from keys.pin import pin_verifier

    prompt = session.say(f"{supervisor} 的新 PIN", f"new PIN of {supervisor}")
    again = session.say("再输一次", "once more")
    pin = str(click.prompt(prompt, hide_input=True, err=True, confirmation_prompt=again))
    try:
        return pin_verifier(pin)
    except SecretInvalid as error:
        raise UsageInvalid(str(error), next_step="redcard server supervisor") from None
