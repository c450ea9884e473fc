"""``redcard server fleet`` and ``configure``: how terminals are, and what they are set to."""

from __future__ import annotations

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

_COLUMNS = ["terminal", "venue", "state", "queue", "snapshot", "offset_ms", "version"]


@click.command()
@click.option("--worried", is_flag=True, help="Only those about which there is a worry.")
@shared_options
@pass_session
def fleet(session: Session, worried: bool) -> int:
    """Terminals: last seen, queue, oldest unsent entry, snapshot, clock, readers, version."""
    answer = ask_server(session, "fleet", worried=worried)
    rows = [
        [*(one[name] for name in _COLUMNS), " ".join(one["worries"])] for one in answer["terminals"]
    ]
    emit(session, answer, table("", [*_COLUMNS, "worries"], rows))
    return EXIT_DONE


@click.command()
@click.argument("settings", nargs=-1, metavar="[SETTING=VALUE]...")
@click.option("--terminal", default="", help="Only this one; absent, all.")
@click.option("--roll-back", type=int, default=0, help="Put this number in force again.")
@shared_options
@pass_session
def configure(session: Session, settings: tuple[str, ...], terminal: str, roll_back: int) -> int:
    """Set terminals from afar: sync_every_ms, offline_cap, snapshot_max_age_ms.

    They learn of it at their next sync and report the number in force. Without a setting, the
    numbered sets there were.
    """
    if roll_back:
        answer = ask_server(session, "roll_back", version=roll_back, terminal=terminal)
        emit(session, answer, f"{answer['version']} (= {roll_back}): {answer['settings']}")
        return EXIT_DONE
    if not settings:
        answer = ask_server(session, "configurations", terminal=terminal)
        columns = ["version", "settings", "rolled_back_to", "person"]
        rows = [[one[name] for name in columns] for one in answer["configurations"]]
        emit(session, answer, table("", columns, rows))
        return EXIT_DONE
    wished: dict[str, int] = {}
    for one in settings:
        name, _, value = one.partition("=")
        if not value.isdigit():
            raise UsageInvalid(f"{one!r} is not SETTING=VALUE", next_step="sync_every_ms=60000")
        wished[name] = int(value)
    answer = ask_server(session, "configure", settings=wished, terminal=terminal)
    emit(session, answer, f"{answer['version']}: {answer['settings']}")
    return EXIT_DONE
