"""``redcard init``, ``status`` and ``doctor``: a terminal's home, its state, and remedies."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit
from redcard.errors import UsageInvalid

if TYPE_CHECKING:
    from terminal.home import Home

_PLACE = ZoneInfo("Asia/Shanghai")
_CONFIGURATION = """\
# Configuration of this terminal; `redcard doctor` checks it. See docs/terminal.md.
[terminal]
name = "{name}"
server = "{server}"

[[position]]
id = "{profile}"
profile = "{profile}"
venue = "{venue}"
"""


@click.command()
@click.option("--server", required=True, help="Address of the central server, https://…")
@click.option("--venue", required=True, help="Venue at which it stands, for example S0201.")
@click.option("--profile", type=click.Choice(["counter", "kiosk"]), default="counter")
@click.option("--offer", default="", help="A kiosk's offer.")
@click.option("--reader", default="", help="Regular expression on reader names; empty takes all.")
@click.option("--name", default="terminal", help="Name on pages and in reports.")
@click.option(
    "--code-file",
    type=click.File("r"),
    help="File with the one-time activation code, - for standard input; asked for if absent.",
)
@shared_options
@pass_session
def init(
    session: Session,
    server: str,
    venue: str,
    profile: str,
    offer: str,
    reader: str,
    name: str,
    code_file: Any,
) -> int:
    """Set up this terminal's home and enrol it with a one-time activation code.

    The code comes from `redcard server enrol`. The terminal makes its own key; an interrupted
    enrolment is finished by the same command with the same code.
    """
    from redcard.demo_clock import clock_of
    from sync.transport import HttpTransport
    from terminal.enrolment import enrol
    from terminal.home import Home

    path = session.home_or("terminal")
    home = Home.create(path, _configured(server, venue, profile, offer, reader, name))
    transport = HttpTransport(home.config.server)
    try:
        enrolment = enrol(home, _code(session, code_file), transport, clock_of(path))
    finally:
        transport.close()
    text = session.say(
        f"已激活：账本 {enrolment.ledger}。下一步：redcard sync pull，然后 redcard {profile}",
        f"Enrolled: ledger {enrolment.ledger}. Next: redcard sync pull, then redcard {profile}",
    )
    emit(session, {"ledger": enrolment.ledger, "origin": enrolment.origin}, text)
    return 0


@click.command()
@shared_options
@pass_session
def status(session: Session) -> int:
    """This terminal's state on one screen; it asks nobody outside this machine."""
    from terminal.home import Home
    from terminal.remote import running

    home = Home.open(session.home_or("terminal"))
    desk = running(home) if home.read_api() is not None else None
    document = _live(desk.ask("status")) if desk is not None else _resting(home)
    emit(session, document, _screen(session, document))
    return 0


@click.command()
@shared_options
@pass_session
def doctor(session: Session) -> int:
    """Check this terminal and its surroundings; one remedy for each fault found."""
    from redcard.demo_clock import clock_of
    from terminal.doctor import examine

    path = session.home_or("terminal")
    findings = examine(path, clock_of(path))
    document = {
        "ok": all(finding.ok for finding in findings),
        "findings": [
            {
                "check": finding.check,
                "ok": finding.ok,
                "detail": session.say(finding.detail_zh, finding.detail_en),
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }
    lines = []
    for finding in findings:
        detail = session.say(finding.detail_zh, finding.detail_en)
        lines.append(f"{'✓' if finding.ok else '✕'} {detail}")
        if finding.remedy:
            lines.append(f"    → {finding.remedy}")
    emit(session, document, "\n".join(lines))
    return 0 if document["ok"] else EXIT_NO


def _configured(server: str, venue: str, profile: str, offer: str, reader: str, name: str) -> str:
    for value in (server, venue, offer, reader, name):
        if '"' in value or "\n" in value or "\\" in value:
            raise UsageInvalid(f"{value!r} may hold no quotes, backslashes or line ends")
    text = _CONFIGURATION.format(name=name, server=server, profile=profile, venue=venue)
    if offer:
        text += f'offer = "{offer}"\n'
    if reader:
        text += f'reader = "{reader}"\n'
    return text


def _code(session: Session, code_file: Any) -> str:
    if code_file is not None:
        return str(code_file.read()).strip()
    if not sys.stdin.isatty():
        raise UsageInvalid(
            "the activation code is missing", next_step="give --code-file FILE, or - to read it"
        )
    prompt = session.say("一次性激活码", "One-time activation code")
    return str(click.prompt(prompt, err=True)).strip()


def _resting(home: Home) -> dict[str, Any]:
    """State of a terminal whose service does not run, read without writing."""
    from ledger.log.reading import LogReader
    from sync.state import SyncState

    enrolment = home.enrolment()
    with LogReader.open(home.ledger_path) as reader:
        size = reader.size
    acknowledged, last_sync, state = 0, 0, "never"
    if home.sync_path.exists():
        with SyncState.open(home.sync_path, origin=enrolment.origin) as sync:
            acknowledged = sync.acknowledged().size
            last_sync = sync.number("last_sync_ms")
            state = (sync.fact("state") or b"never").decode()
    return {
        "running": False,
        "terminal": home.config.name,
        "ledger": enrolment.ledger,
        "origin": enrolment.origin,
        "size": size,
        "pending": size - acknowledged,
        "acknowledged": acknowledged,
        "last_sync": _local(last_sync),
        "sync": state,
        "positions": [position.id for position in home.config.positions],
        "readers": [],
        "fault": "",
    }


def _live(told: dict[str, Any]) -> dict[str, Any]:
    link = told["link"]
    return {
        "running": True,
        "terminal": told["terminal"],
        "ledger": told["ledger"],
        "origin": told["origin"],
        "size": told["size"],
        "pending": link["pending"],
        "acknowledged": link["acknowledged"],
        "last_sync": _local(link["last_sync_ms"] or 0),
        "sync": "connected" if link["connected"] else "offline",
        "snapshot": link["snapshot"],
        "offers": told["offers"],
        "cards": told["cards"],
        "positions": list(told["positions"]),
        "readers": told["readers"],
        "fault": told["fault"],
    }


def _local(at_ms: int) -> str | None:
    return (
        datetime.fromtimestamp(at_ms / 1000, _PLACE).isoformat(timespec="seconds")
        if at_ms
        else None
    )


def _screen(session: Session, told: dict[str, Any]) -> str:
    service = (
        session.say("服务运行中", "service running")
        if told["running"]
        else session.say("服务未运行（redcard counter 或 kiosk 启动）", "service not running")
    )
    last = told["last_sync"] or session.say("从未", "never")
    size, pending, confirmed = told["size"], told["pending"], told["acknowledged"]
    lines = [
        f"{session.say('终端', 'terminal')} {told['terminal']} · {service}",
        session.say(
            f"账本 {told['ledger']} · {size} 笔", f"ledger {told['ledger']} · {size} entries"
        ),
        session.say(
            f"待上传 {pending} · 已确认 {confirmed} · 最近同步 {last} · {told['sync']}",
            f"{pending} pending · {confirmed} confirmed · last sync {last} · {told['sync']}",
        ),
    ]
    lines += [
        f"{session.say('读卡器', 'reader')} {reader['name']}: {reader['state']}"
        + (f" — {reader['detail']}" if reader["detail"] else "")
        for reader in told["readers"]
    ]
    if told["fault"]:
        lines.append(f"{session.say('账本故障', 'ledger fault')}: {told['fault']}")
    return "\n".join(lines)
