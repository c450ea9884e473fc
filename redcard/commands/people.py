"""``redcard server people`` and ``audit``: who works at the back office, and what they did."""

from __future__ import annotations

from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server, send_file
from redcard.console import EXIT_DONE, Session, emit, table
from screens.language import local

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
    columns = ["person", "role", "act", "subject", "result"]
    rows = [
        [f"{local(one['at_ms']):%Y-%m-%d %H:%M:%S}", *(one[name] for name in columns)]
        for one in answer["records"]
    ]
    emit(session, answer, table("", ["at", *columns], rows))
    return EXIT_DONE


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared_options
@pass_session
def identities(session: Session, file: Path) -> int:
    """Keep who members are from a CSV FILE: member and, as far as needed, name, phone, employer.

    They are sealed in a table of their own; delete FILE afterwards.
    """
    answer = send_file(session, "identities", file)
    lines = [session.say(f"已保存 {answer['kept']} 人", f"{answer['kept']} members kept")]
    lines += [f"  line {line}: {fault}" for line, fault in answer["faults"]]
    emit(session, answer, "\n".join(lines))
    return EXIT_DONE


@click.command("access-copy")
@click.argument("member")
@shared_options
@pass_session
def access_copy(session: Session, member: str) -> int:
    """All that is kept of MEMBER, for the member: identity, states, who looked and why."""
    import json

    answer = ask_server(session, "access_copy", member=member)
    emit(session, answer, json.dumps(answer, ensure_ascii=False, indent=2))
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
