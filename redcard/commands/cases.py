"""``redcard server case``: look at one case, give it to somebody, decide it."""

from __future__ import annotations

from typing import Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table


@click.group()
def case() -> None:
    """One case: list by state, show, assign, note, decide, reopen."""


@case.command("list")
@click.option("--state", type=click.Choice(["open", "closed", "resolved"]), default="open")
@click.option("--reason", default="")
@click.option("--assigned", default="", help="Only those of this person.")
@click.option("--start", type=click.IntRange(0), default=0, help="Leave out so many newer ones.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="At most so many.")
@shared_options
@pass_session
def list_cases(
    session: Session, state: str, reason: str, assigned: str, start: int, limit: int
) -> int:
    """Cases, the newest first, with the key by which the others name them, and their numbers."""
    answer = ask_server(
        session,
        "case_list",
        state=state,
        reason=reason,
        assigned=assigned,
        start=start,
        limit=limit,
    )
    columns = ["key", "reason", "state", "assigned", "decision"]
    rows = [[one[name] for name in columns] for one in answer["cases"]]
    shown, total = len(rows), answer["total"]
    counted = "  ".join(f"{name} {many}" for name, many in answer["reasons"].items())
    text = session.say(f"共 {total} 件，列出 {shown} 件", f"{shown} of {total} cases")
    emit(session, answer, "\n".join([table("", columns, rows), text, counted]).rstrip())
    return EXIT_DONE


@case.command()
@click.argument("key")
@shared_options
@pass_session
def show(session: Session, key: str) -> int:
    """Case KEY: what was seen, which entries, and what was done with it."""
    _tell(session, ask_server(session, "case_show", key=key))
    return EXIT_DONE


@case.command()
@click.argument("key")
@click.argument("person")
@shared_options
@pass_session
def assign(session: Session, key: str, person: str) -> int:
    """Give case KEY to PERSON to look at."""
    _tell(session, ask_server(session, "case_act", key=key, doing="assign", value=person))
    return EXIT_DONE


@case.command()
@click.argument("key")
@click.argument("remark")
@shared_options
@pass_session
def note(session: Session, key: str, remark: str) -> int:
    """Add a REMARK to case KEY; name no member in it."""
    _tell(session, ask_server(session, "case_act", key=key, doing="note", remark=remark))
    return EXIT_DONE


@case.command()
@click.argument("key")
@click.argument("decision", type=click.Choice(["accept", "reject", "refer"]))
@click.option("--remark", default="")
@shared_options
@pass_session
def decide(session: Session, key: str, decision: str, remark: str) -> int:
    """Close case KEY: accept, reject (its entries are not paid), refer (goes on elsewhere)."""
    answer = ask_server(session, "case_act", key=key, doing="decide", value=decision, remark=remark)
    _tell(session, answer)
    return EXIT_DONE


@case.command()
@click.argument("key")
@click.option("--remark", default="")
@shared_options
@pass_session
def reopen(session: Session, key: str, remark: str) -> int:
    """Open a closed case KEY again."""
    _tell(session, ask_server(session, "case_act", key=key, doing="reopen", remark=remark))
    return EXIT_DONE


@click.command("void")
@click.argument("entry", metavar="LEDGER/SEQ")
@click.option(
    "--reason",
    type=click.Choice(["mistake", "not_given", "wrong_offer", "fraud", "other"]),
    required=True,
)
@shared_options
@pass_session
def office_void(session: Session, entry: str, reason: str) -> int:
    """Take back one redemption that its terminal no longer can; never after its settlement."""
    from redcard.console import EXIT_NO

    answer = ask_server(session, "void", position=entry, reason=reason)
    done = answer["code"] == "A00"
    words = {
        "A00": session.say("已冲正", "voided"),
        "V03": session.say("已经冲正过", "voided already; nothing was written"),
        "V04": session.say("没有这笔核销", "no such redemption; nothing was written"),
        "V05": session.say("已结算，不能冲正", "settled; nothing was written"),
    }
    emit(session, answer, words.get(answer["code"], answer["code"]))
    return EXIT_DONE if done else EXIT_NO


def _tell(session: Session, answer: dict[str, Any]) -> None:
    lines = [f"{answer['key']}: {answer['state']} {answer['decision']}".rstrip()]
    if answer["explained"]:
        lines.append(answer["explained"][0 if session.language() == "zh" else 1])
    lines += [f"  {position}" for position in answer["positions"]]
    lines += [
        f"  {one['at_ms']} {one['person']} {one['act']} {one['value']} {one['remark']}".rstrip()
        for one in answer["acts"]
    ]
    emit(session, answer, "\n".join(lines))
