"""``redcard server people`` and ``audit``: who works at the back office, and what they did."""

from __future__ import annotations

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server
from redcard.console import EXIT_DONE, Session, emit, table

_ROLES = ["federation", "district", "street", "merchant", "auditor", "hotline"]
_COLUMNS = ["person", "name", "role", "scope", "active", "second_factor"]


@click.group()
def people() -> None:
    """People of the back office: add, change, reset, list."""


@people.command("list")
@shared_options
@pass_session
def list_people(session: Session) -> int:
    """Everybody who may sign in, and who no longer may."""
    answer = ask_server(session, "people")
    rows = [[one[name] for name in _COLUMNS] for one in answer["people"]]
    emit(session, answer, table("", _COLUMNS, rows))
    return EXIT_DONE


@people.command()
@click.argument("person")
@click.option("--name", required=True, help="What people call them.")
@click.option("--role", type=click.Choice(_ROLES), required=True)
@click.option("--scope", default="", help="District, district/street, or merchant.")
@shared_options
@pass_session
def add(session: Session, person: str, name: str, role: str, scope: str) -> int:
    """Add PERSON; the password for the first sign-in is shown once.

    At the first sign-in a second factor is set up and the password changed.
    """
    made = ask_server(session, "person_add", person=person, name=name, role=role, scope=scope)
    _show(session, made)
    return EXIT_DONE


@people.command()
@click.argument("person")
@click.option("--role", type=click.Choice(_ROLES), default=None)
@click.option("--scope", default=None)
@click.option("--active/--inactive", default=None, help="Whether they may sign in.")
@shared_options
@pass_session
def change(
    session: Session, person: str, role: str | None, scope: str | None, active: bool | None
) -> int:
    """Give PERSON another role or place, or let them in no more; ends their sessions."""
    answer = ask_server(
        session, "person_change", person=person, role=role, scope=scope, active=active
    )
    emit(session, answer, f"{answer['person']}: {answer['role']} {answer['scope']}")
    return EXIT_DONE


@people.command()
@click.argument("person")
@click.option("--second-factor", is_flag=True, help="Take the second factor away too.")
@shared_options
@pass_session
def reset(session: Session, person: str, second_factor: bool) -> int:
    """Give PERSON a new first password, and unlock the account."""
    made = ask_server(session, "person_reset", person=person, second_factor=second_factor)
    _show(session, made)
    return EXIT_DONE


def _show(session: Session, made: dict[str, str]) -> None:
    text = session.say(
        f"{made['person']} 的首次登录密码：{made['password']}（只显示一次，首次登录后须改）",
        f"first password of {made['person']}: {made['password']} (shown once; must be changed)",
    )
    emit(session, made, text)


@click.command()
@click.option("--person", default="", help="Only of this person.")
@click.option("--act", default="", help="Only acts whose name begins so, such as identity.")
@shared_options
@pass_session
def audit(session: Session, person: str, act: str) -> int:
    """What people did, the newest first: sign-ins, looks at members, decisions, changes."""
    answer = ask_server(session, "records", person=person, acts=act)
    columns = ["at_ms", "person", "role", "act", "subject", "result"]
    rows = [[one[name] for name in columns] for one in answer["records"]]
    emit(session, answer, table("", columns, rows))
    return EXIT_DONE


@click.command()
@click.argument("member")
@shared_options
@pass_session
def erase(session: Session, member: str) -> int:
    """Erase who MEMBER is, for good: name, phone, last digits of cards; no ledger is touched."""
    answer = ask_server(session, "identity_erase", member=member)
    gone = session.say("已删除", "erased"), session.say("没有可删的", "there was nothing to erase")
    emit(session, answer, gone[0] if answer["erased"] else gone[1])
    return EXIT_DONE
