"""``redcard server draft``, ``split``, ``transfer``, ``write-off``: offers on their way; stock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import UsageInvalid

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DRAFT_COLUMNS = ["id", "offer", "state", "author", "decided_by", "remark"]
_TRANSFER_COLUMNS = ["id", "offer", "source", "target", "units", "state", "requested_by"]


@click.group()
def draft() -> None:
    """Offers on their way to publication: write, submit, return, pass, withdraw."""


@draft.command("list")
@click.option("--state", default="", help="draft, review, returned, published or withdrawn.")
@shared_options
@pass_session
def list_drafts(session: Session, state: str) -> int:
    """Drafts, the newest first."""
    answer = ask_server(session, "draft_list", state=state)
    rows = [[one[name] for name in _DRAFT_COLUMNS] for one in answer["drafts"]]
    emit(session, answer, table("", _DRAFT_COLUMNS, rows))
    return EXIT_DONE


@draft.command()
@click.argument("file", type=_FILE)
@click.option("--draft", "number", type=int, default=0, help="The draft that it replaces.")
@shared_options
@pass_session
def write(session: Session, file: Path, number: int) -> int:
    """Keep the offer of FILE (one JSON object) as a draft."""
    try:
        document = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UsageInvalid(f"{file}: {error}", next_step="redcard offers check FILE") from None
    if not isinstance(document, dict):
        raise UsageInvalid(f"{file}: one offer as a JSON object", next_step="docs/offers.md")
    _step(session, ask_server(session, "draft_write", document=document, draft=number))
    return EXIT_DONE


@draft.command()
@click.argument("number", type=int)
@shared_options
@pass_session
def submit(session: Session, number: int) -> int:
    """Send draft NUMBER to review; it must be a sound offer."""
    _step(session, ask_server(session, "draft_step", draft=number, step="submit"))
    return EXIT_DONE


@draft.command("return")
@click.argument("number", type=int)
@click.argument("remark")
@shared_options
@pass_session
def give_back(session: Session, number: int, remark: str) -> int:
    """Return draft NUMBER to its author with a REMARK."""
    answer = ask_server(session, "draft_step", draft=number, step="return", remark=remark)
    _step(session, answer)
    return EXIT_DONE


@draft.command("pass")
@click.argument("number", type=int)
@shared_options
@pass_session
def pass_(session: Session, number: int) -> int:
    """Pass draft NUMBER and publish it."""
    _step(session, ask_server(session, "draft_step", draft=number, step="pass"))
    return EXIT_DONE


@draft.command()
@click.argument("number", type=int)
@shared_options
@pass_session
def withdraw(session: Session, number: int) -> int:
    """Take draft NUMBER back for good."""
    _step(session, ask_server(session, "draft_step", draft=number, step="withdraw"))
    return EXIT_DONE


@click.command("end-offer")
@click.argument("offer")
@shared_options
@pass_session
def end_offer(session: Session, offer: str) -> int:
    """End OFFER now; what was redeemed stays as it is."""
    answer = ask_server(session, "offer_end", offer=offer)
    emit(session, answer, f"{offer} v{answer['version']}: ended")
    return EXIT_DONE


@click.command()
@click.argument("offer")
@click.argument("units", nargs=-1, required=True, metavar="VENUE=UNITS...")
@shared_options
@pass_session
def split(session: Session, offer: str, units: tuple[str, ...]) -> int:
    """Divide the stock of OFFER among venues; none gets less than is given out there."""
    wished: dict[str, int] = {}
    for one in units:
        venue, _, count = one.partition("=")
        if not venue or not count.isdigit():
            raise UsageInvalid(f"{one!r} is not VENUE=UNITS", next_step="S0201=500")
        wished[venue] = int(count)
    answer = ask_server(session, "stock_split", offer=offer, units=wished)
    emit(session, answer, f"{offer} v{answer['version']}")
    return EXIT_DONE


@click.group()
def transfer() -> None:
    """Units moved between venues: request, list, do, refuse."""


@transfer.command()
@click.argument("offer")
@click.argument("source")
@click.argument("target")
@click.argument("units", type=click.IntRange(1))
@shared_options
@pass_session
def request(session: Session, offer: str, source: str, target: str, units: int) -> int:
    """Ask that UNITS of OFFER be moved from SOURCE to TARGET."""
    given: dict[str, Any] = {"offer": offer, "source": source, "target": target, "units": units}
    answer = ask_server(session, "transfer_request", **given)
    emit(session, answer, str(answer["transfer"]))
    return EXIT_DONE


@transfer.command("list")
@click.option("--state", default="", help="requested, done or refused.")
@shared_options
@pass_session
def list_transfers(session: Session, state: str) -> int:
    """Requests, the newest first."""
    answer = ask_server(session, "transfer_list", state=state)
    rows = [[one[name] for name in _TRANSFER_COLUMNS] for one in answer["transfers"]]
    emit(session, answer, table("", _TRANSFER_COLUMNS, rows))
    return EXIT_DONE


@transfer.command()
@click.argument("number", type=int)
@click.option("--do/--refuse", "do", required=True)
@shared_options
@pass_session
def decide(session: Session, number: int, do: bool) -> int:
    """Move the units of request NUMBER, or refuse to."""
    answer = ask_server(session, "transfer_decide", transfer=number, do=do)
    emit(session, answer, f"{number}: {answer['state']}")
    return EXIT_DONE


@click.command("write-off")
@click.argument("lease")
@click.option(
    "--reason",
    type=click.Choice(["terminal_lost", "terminal_broken", "ledger_compromised", "other"]),
    required=True,
)
@shared_options
@pass_session
def write_off(session: Session, lease: str, reason: str) -> int:
    """Return the unused units of a LEASE that no terminal will give back; they are at risk."""
    answer = ask_server(session, "stock_write_off", lease=lease, reason=reason)
    text = session.say(
        f"{answer['units']} 份回到库存，计入风险", f"{answer['units']} units returned, at risk"
    )
    emit(session, answer, text)
    return EXIT_DONE


def _step(session: Session, answer: dict[str, Any]) -> None:
    emit(session, answer, f"{answer['id']} {answer['offer']}: {answer['state']}")
