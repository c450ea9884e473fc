"""``redcard server``: the central server and what its operator and back office do from a shell.

Each act goes to the running server of this home, or opens the home itself when none runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import DEFAULT_HOME, ask_server, clock_at, send_file
from redcard.commands.backup import backup, restore
from redcard.commands.bookings import bookings
from redcard.commands.card_list import hash_cards
from redcard.commands.office import OFFICE
from redcard.commands.reports import report
from redcard.commands.reservations import reserve
from redcard.commands.signals import signals, what_of
from redcard.commands.supervisors import supervisor
from redcard.console import EXIT_DONE, Session, emit, note, table
from redcard.errors import AnswerIsNo, UsageInvalid

DAY_MS = 24 * 3600 * 1000
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def server() -> None:
    """The central server: set up, run, enrol terminals, publish, report."""


server.add_command(hash_cards)
server.add_command(backup)
server.add_command(restore)
for _command in OFFICE:
    server.add_command(_command)
server.add_command(report)
server.add_command(signals)


@server.command()
@click.option("--domain", required=True, help="The federation's domain, part of every origin.")
@click.option("--listen", default="", help="Address and port; absent, 127.0.0.1:8440.")
@click.option("--database", default="", help="postgresql://…; absent, SQLite in the home.")
@shared_options
@pass_session
def init(session: Session, domain: str, listen: str, database: str) -> int:
    """Make a server's home with new keys and an empty publication.

    The custodians' keys are in `offline/`: carry them away; two of three sign CA keys and roots.
    """
    from server.core import ServerCore
    from server.home import LISTEN_DEFAULT, Configuration, ServerHome

    path = session.home_or(DEFAULT_HOME)
    home = ServerHome.create(path, Configuration(domain, database, listen or LISTEN_DEFAULT))

    async def publish() -> None:
        async with await ServerCore.open(home, clock_at(path)) as core:
            await core.publications.create(home.custodians())

    asyncio.run(publish())
    text = session.say(
        f"已建立 {path}。把 {path}/offline 里的三份保管人密钥分别带走，再运行 redcard server run",
        f"{path} is ready. Carry the three custodians' keys in {path}/offline away, each to its "
        "own place, then: redcard server run",
    )
    emit(session, {"home": str(path), "domain": domain, "vkeys": home.vkeys()}, text)
    return EXIT_DONE


@server.command()
@click.option("--listen", default="", help="Address and port instead of the configured ones.")
@click.option("--database", default="", help="postgresql://… instead of the configured one.")
@click.option("--verbose", is_flag=True, help="One line a request on standard error.")
@shared_options
@pass_session
def run(session: Session, listen: str, database: str, verbose: bool) -> int:
    """Serve until Ctrl-C or SIGTERM; requests under way end first."""
    import logging

    from server.app import serve
    from server.core import ServerCore

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(name)s %(message)s"
    )
    host, port = _address(listen)
    path = session.home_or(DEFAULT_HOME)

    async def serving() -> None:
        core = await ServerCore.open(path, clock_at(path), database_url=database)
        await serve(core, host=host, port=port, ready=note)

    try:
        asyncio.run(serving())
    except KeyboardInterrupt:
        return EXIT_DONE
    return EXIT_DONE


@server.command()
@click.argument("terminal")
@click.option("--venue", "venues", multiple=True, required=True, help="May repeat.")
@click.option("--profile", type=click.Choice(["counter", "kiosk"]), default="counter")
@click.option("--name", default="", help="What people call it.")
@click.option("--days", type=click.IntRange(1, 90), default=7, help="How long the code works.")
@shared_options
@pass_session
def enrol(
    session: Session, terminal: str, venues: tuple[str, ...], profile: str, name: str, days: int
) -> int:
    """Make a one-time activation code for TERMINAL; it is shown once and kept only as a hash."""
    made = ask_server(
        session,
        "enrol",
        terminal=terminal,
        venues=list(venues),
        profile=profile,
        name=name,
        life_ms=days * DAY_MS,
    )
    text = session.say(
        f"激活码 {made['code']}（{days} 天内一次有效）\n在终端上：redcard init --server … "
        f"--venue {venues[0]} --profile {profile}",
        f"code {made['code']} (once, within {days} days)\nat the terminal: redcard init "
        f"--server … --venue {venues[0]} --profile {profile}",
    )
    emit(session, made, text)
    return EXIT_DONE


@server.command()
@click.argument("ledger")
@click.option("--reason", type=click.Choice(["retired", "lost", "compromised"]), required=True)
@shared_options
@pass_session
def revoke(session: Session, ledger: str, reason: str) -> int:
    """Revoke a LEDGER: what it signed before is still taken in, a compromised one as evidence."""
    answer = ask_server(session, "revoke", ledger=ledger, reason=reason)
    emit(session, answer, f"{ledger}: {answer['state']}")
    return EXIT_DONE


server.add_command(supervisor)
server.add_command(reserve)
server.add_command(bookings)


@server.command()
@click.option(
    "--keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the signed list of their keys to this file, for whoever checks receipts.",
)
@shared_options
@pass_session
def terminals(session: Session, keys: Path | None) -> int:
    """Every terminal's ledger: state, size, last seen."""
    if keys is not None:
        note = ask_server(session, "terminal_keys")["note"]
        keys.write_text(note, encoding="utf-8")
        emit(session, {"keys": str(keys), "note": note}, str(keys))
        return EXIT_DONE
    answer = ask_server(session, "terminals")
    rows = [[str(row.get(name, "")) for name in _LEDGER_COLUMNS] for row in answer["ledgers"]]
    emit(session, answer, table("", _LEDGER_COLUMNS, rows))
    return EXIT_DONE


_LEDGER_COLUMNS = ["terminal", "ledger", "state", "size"]


@server.group()
def offers() -> None:
    """Publish offers, list them, suspend one."""


@offers.command("list")
@shared_options
@pass_session
def list_offers(session: Session) -> int:
    """What is published."""
    answer = ask_server(session, "offers")
    rows = [[one["offer"], one["version"], one["title"]] for one in answer["offers"]]
    emit(session, answer, table("", ["offer", "version", "title"], rows))
    return EXIT_DONE


@offers.command()
@click.argument("file", type=_FILE)
@shared_options
@pass_session
def publish(session: Session, file: Path) -> int:
    """Publish an offers FILE; a faulty one changes nothing."""
    answer = send_file(session, "publish_offers", file)
    changed = answer["published"]
    text = session.say(f"已发布 {len(changed)} 个项目", f"{len(changed)} offers published")
    emit(session, answer, text)
    return EXIT_DONE


@offers.command()
@click.argument("offer")
@click.option("--resume", is_flag=True, help="Put it in force again.")
@shared_options
@pass_session
def suspend(session: Session, offer: str, resume: bool) -> int:
    """Suspend OFFER from now on, or resume it."""
    changes = {"status": "active" if resume else "suspended"}
    answer = ask_server(session, "change_offer", offer=offer, changes=changes)
    emit(session, answer, f"{offer} v{answer['version']}: {changes['status']}")
    return EXIT_DONE


@server.command()
@click.argument("file", type=_FILE)
@shared_options
@pass_session
def venues(session: Session, file: Path) -> int:
    """Take a FILE of venues, JSON or CSV; those of the same id are replaced."""
    answer = send_file(session, "import_venues", file)
    text = session.say(f"点位 {answer['venues']} 个", f"{answer['venues']} venues")
    emit(session, answer, text)
    return EXIT_DONE


@server.command("card")
@click.argument("card")
@click.argument("status")
@shared_options
@pass_session
def card_status(session: Session, card: str, status: str) -> int:
    """Give a CARD (its hash) another STATUS: active, blocked, replaced, expired, not_active."""
    answer = ask_server(session, "set_card", card=card, status=status)
    emit(session, answer, f"{card}: {status}")
    return EXIT_DONE


@server.command("member")
@click.argument("member")
@click.argument("status", type=click.Choice(["active", "suspended"]))
@shared_options
@pass_session
def member_status(session: Session, member: str, status: str) -> int:
    """Suspend a MEMBER (the reference), or let them use offers again."""
    answer = ask_server(session, "set_member", member=member, status=status)
    emit(session, answer, f"{member}: {status}")
    return EXIT_DONE


_custodians = click.option(
    "--custodians", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@server.command("ca-keys")
@click.argument("file", type=_FILE)
@_custodians
@shared_options
@pass_session
def ca_keys(session: Session, file: Path, custodians: Path | None) -> int:
    """Publish a bundle of card CA keys, signed by two of three custodians."""
    return _publish(session, "ca_keys", file, custodians)


@server.command("piv-roots")
@click.argument("file", type=_FILE)
@_custodians
@shared_options
@pass_session
def piv_roots(session: Session, file: Path, custodians: Path | None) -> int:
    """Publish the authorities of staff cards (PIV), signed by two of three custodians."""
    return _publish(session, "piv_roots", file, custodians)


def _publish(session: Session, act: str, file: Path, custodians: Path | None) -> int:
    folder = str(custodians.resolve()) if custodians else None
    answer = send_file(session, act, file, custodians=folder)
    emit(session, answer, f"targets v{answer['targets_version']}")
    return EXIT_DONE


@server.command()
@click.option("--offer", default="", help="Only this offer.")
@shared_options
@pass_session
def stock(session: Session, offer: str) -> int:
    """Stock, leases and what was redeemed, by offer."""
    answer = ask_server(session, "stock", offer=offer)
    rows = [list(row.values()) for row in answer["stock"]]
    headers = list(answer["stock"][0]) if answer["stock"] else ["offer"]
    emit(session, answer, table("", headers, rows))
    return EXIT_DONE


@server.command()
@click.argument("ledger")
@click.argument("offer")
@click.argument("units", type=click.IntRange(1))
@click.option("--bucket", default="", help="Day or session, for stock that is divided by it.")
@shared_options
@pass_session
def lease(session: Session, ledger: str, offer: str, units: int, bucket: str) -> int:
    """Lease UNITS of OFFER to LEDGER; it learns of them at its next sync."""
    answer = ask_server(session, "lease", ledger=ledger, offer=offer, units=units, bucket=bucket)
    if answer["lease"] is None:
        raise AnswerIsNo("the pool is empty; nothing was leased", next_step="redcard server stock")
    emit(session, answer, f"{answer['lease']}")
    return EXIT_DONE


@server.command()
@click.argument("ledger")
@click.argument("offer")
@shared_options
@pass_session
def recall(session: Session, ledger: str, offer: str) -> int:
    """Ask LEDGER for its unused units of OFFER; they return by its signed word."""
    answer = ask_server(session, "recall", ledger=ledger, offer=offer)
    emit(session, answer, session.say("已要求收回", "asked for"))
    return EXIT_DONE


@server.command()
@shared_options
@pass_session
def cases(session: Session) -> int:
    """Open cases: what the judge flagged, and what was reported, for a person to look at."""
    answer = ask_server(session, "cases")
    rows = [[case["reason"], what_of(session, case)] for case in answer["cases"]]
    emit(session, answer, table("", ["reason", "what"], rows))
    return EXIT_DONE


@server.command("rebuild")
@shared_options
@pass_session
def rebuild(session: Session) -> int:
    """Judge everything anew from the stored entries; receipts stay as they are."""
    answer = ask_server(session, "rebuild")
    text = session.say(f"已重判 {answer['judged']} 笔", f"{answer['judged']} entries judged anew")
    emit(session, answer, text)
    return EXIT_DONE


@server.command("import")
@click.argument("file", type=_FILE)
@shared_options
@pass_session
def import_command(session: Session, file: Path) -> int:
    """Admit a batch FILE from a stick, and write the receipts beside it."""
    return import_file(session, session.home_or(DEFAULT_HOME), file)


def import_file(session: Session, home: Path, file: Path) -> int:
    """Admits a batch file at a server's home; importing twice gives the same receipts."""
    from base64 import b64decode

    session.home = home
    answer = send_file(session, "import_batches", file)
    receipts = file.with_suffix(".receipts")
    receipts.write_bytes(b64decode(answer.pop("data")))
    answer["written"] = str(receipts)
    text = session.say(
        f"账本 {answer['ledger']}：{answer['status']}，已到 {answer['size']} 笔；收据 {receipts}",
        f"ledger {answer['ledger']}: {answer['status']}, up to {answer['size']}; "
        f"receipts in {receipts}",
    )
    emit(session, answer, text)
    return EXIT_DONE


def _address(listen: str) -> tuple[str, int | None]:
    if not listen:
        return "", None
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise UsageInvalid(f"{listen!r} is not host:port", next_step="--listen 127.0.0.1:8440")
    return host.strip("[]"), int(port)
