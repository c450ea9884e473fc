"""``redcard server signals``: look for patterns that a person should look at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = click.DateTime(["%Y-%m-%d"])
_NONCES_SHOWN_MAX: Final = 8


@click.command()
@click.option("--since", type=_DAY, default=None, help="First day, of the venues' calendar.")
@click.option("--until", type=_DAY, default=None, help="Last day; absent, the first alone.")
@shared_options
@pass_session
def signals(session: Session, since: datetime | None, until: datetime | None) -> int:
    """Look for signals now: collection by one representative, closed hours, one card far apart.

    Without days, at those of which something has come since the last look; a running server does
    so every hour. What is found opens a case that explains itself: `redcard server cases`.
    """
    answer = ask_server(session, "signals", days=_days(since, until))
    rows = [[name, count] for name, count in answer["found"].items()]
    text = session.say(
        f"查看 {len(answer['days'])} 天、{answer['uses']} 笔核销；新开 {answer['opened']} 件，"
        f"消除 {answer['resolved']} 件。明细：redcard server cases",
        f"looked at {len(answer['days'])} days, {answer['uses']} redemptions; opened "
        f"{answer['opened']}, resolved {answer['resolved']}. See: redcard server cases",
    )
    emit(session, answer, f"{text}\n{table('', ['signal', 'found'], rows)}")
    return EXIT_DONE


def what_of(session: Session, case: Mapping[str, Any]) -> str:
    """What a case is about: a signal's own words, or the nonces concerned."""
    if "explained" in case:
        return str(case["explained"][session.language()])
    shown, more = case["nonces"][:_NONCES_SHOWN_MAX], len(case["nonces"]) - _NONCES_SHOWN_MAX
    told = " ".join(shown) + (f" +{more}" if more > 0 else "")
    return told or f"{case.get('venue', '')} {case.get('terminal', '')}".strip()


def _days(since: datetime | None, until: datetime | None) -> list[int]:
    if since is None:
        if until is not None:
            raise UsageInvalid("--until needs --since; nothing was looked at")
        return []
    last = until or since
    if last < since:
        raise UsageInvalid("--until is before --since; nothing was looked at")
    span = (last - since).days + 1
    return [int(f"{since + timedelta(days=n):%Y%m%d}") for n in range(span)]
