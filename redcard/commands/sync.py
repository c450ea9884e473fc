"""``redcard sync``: the ledger to the server, by network or by stick; signed data back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.sync_advice import advice
from redcard.console import EXIT_NO, EXIT_SURROUNDINGS, Session, emit, progress

if TYPE_CHECKING:
    from sync.client import Client
    from sync.uplink import PushResult

#: Ends that a later try may mend by itself.
_TRY_AGAIN = frozenset({"offline", "overloaded"})


@click.group()
def sync() -> None:
    """Move the ledger to the server, by network or on a stick; bring signed data back.

    Nothing is ever deleted here: what was sent and not confirmed is sent again.
    """


@sync.command()
@shared_options
@pass_session
def push(session: Session) -> int:
    """Send what has no receipt yet, and keep the server's receipts."""
    with _client(session) as client:
        title = session.say("上传账本", "pushing")
        with progress(session, title) as advance:

            def told(result: PushResult) -> None:
                total = result.size + result.pending
                note = f"{result.batches} · {result.sent_bytes / 1e6:.1f} MB"
                advance(result.size, total, note)

            result = client.push(told)
    document = {
        "status": str(result.status),
        "batches": result.batches,
        "entries": result.entries,
        "bytes": result.sent_bytes,
        "receipts": result.receipts,
        "acknowledged": result.size,
        "pending": result.pending,
        "detail": result.detail,
    }
    text = session.say(
        f"已发送 {result.entries} 笔（{result.batches} 批），收据 {result.receipts} 张已验签；"
        f"待上传 {result.pending}",
        f"{result.entries} entries in {result.batches} batches, {result.receipts} receipts "
        f"verified; {result.pending} pending",
    )
    return _ended(session, document, text)


@sync.command()
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="From a stick that `redcard server snapshot` filled, instead of the server.",
)
@shared_options
@pass_session
def pull(session: Session, folder: Path | None) -> int:
    """Bring signed offers, roster, card status, keys, judgements and what is for this terminal.

    Applied whole or not at all; what was in force stays if anything is wrong. A stick brings what
    is for all terminals, not judgements and leases.
    """
    if folder is not None:
        from terminal.errand import pull_from
        from terminal.home import Home

        result = pull_from(Home.open(session.home_or("terminal")), folder)
    else:
        with _client(session) as client:
            result = client.pull()
    snapshot = result.snapshot
    document = {
        "status": str(result.status),
        "judgements": result.judgements,
        "feed": result.feed,
        "snapshot": snapshot.version if snapshot else None,
        "changed": bool(snapshot and snapshot.changed),
        "detail": result.detail,
    }
    version = snapshot.version if snapshot else "-"
    text = session.say(
        f"数据版本 {version}，新判定 {result.judgements} 条，专属通知 {result.feed} 条",
        f"snapshot {version}, {result.judgements} new judgements, {result.feed} notices",
    )
    return _ended(session, document, text)


@sync.command()
@shared_options
@pass_session
def status(session: Session) -> int:
    """How sync stands and what to do about it; asks nobody."""
    with _client(session) as client:
        report = client.status()
    document = report.as_json() | {"todo": session.say(*advice(report.state, report.pending))}
    last = document["last_sync"] or session.say("从未", "never")
    lines = [
        session.say(
            f"待上传 {report.pending} · 已确认 {report.acknowledged} · 最近同步 {last}",
            f"{report.pending} pending · {report.acknowledged} confirmed · last sync {last}",
        ),
        session.say(f"状态：{report.state}", f"state: {report.state}"),
    ]
    if report.oldest_pending_ms is not None:
        oldest = instant(report.oldest_pending_ms)
        lines.append(session.say(f"最早未上传的一笔：{oldest}", f"oldest entry not sent: {oldest}"))
    if report.flagged:
        lines.append(
            session.say(
                f"服务器有疑问的 {report.flagged} 笔，已立案待处理，本机无需处理",
                f"{report.flagged} entries were flagged by the server; it has cases of them",
            )
        )
    if report.detail:
        lines.append(report.detail)
    lines.append(f"→ {document['todo']}")
    emit(session, document, "\n".join(lines))
    return 0


@sync.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@shared_options
@pass_session
def export(session: Session, file: Path) -> int:
    """Write what has no receipt to FILE, encrypted to the server, to be carried on a stick."""
    with _client(session) as client:
        result = client.export(file)
    text = session.say(
        f"已写入 {result.entries} 笔；到服务器或任一联网终端：redcard sync import {file}",
        f"{result.entries} entries in {file}; at the server or any connected terminal: "
        f"redcard sync import {file}",
    )
    return _ended(session, _carried(result), text)


@sync.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared_options
@pass_session
def import_(session: Session, file: Path) -> int:
    """Take in FILE: another terminal's batches for the server, or receipts that came back.

    Importing twice changes nothing. In a server's home the batches are admitted there.
    """
    home = session.home_or("terminal")
    if (home / "server.toml").exists():
        from redcard.commands.server import import_file

        return import_file(session, home, file)
    with _client(session) as client:
        result = client.import_(file)
    text = session.say(
        f"已确认到 {result.size} 笔，收据 {result.receipts} 张已验签；待上传 {result.pending}",
        f"confirmed up to {result.size}, {result.receipts} receipts verified; "
        f"{result.pending} pending",
    )
    if result.written is not None:
        text += session.say(
            f"\n收据文件 {result.written}：带回原终端，redcard sync import",
            f"\nreceipts in {result.written}: carry them back, redcard sync import",
        )
    return _ended(session, _carried(result), text)


@contextmanager
def _client(session: Session) -> Iterator[Client]:
    from redcard.demo_clock import clock_of
    from terminal.errand import open_client
    from terminal.home import Home

    home = Home.open(session.home_or("terminal"))
    with open_client(home, clock_of(home.path)) as client:
        yield client


def instant(moment_ms: int) -> str:
    """Local time to the minute, as people write it."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    local = datetime.fromtimestamp(moment_ms / 1_000, ZoneInfo("Asia/Shanghai"))
    return local.strftime("%Y-%m-%d %H:%M")


def _carried(result: Any) -> dict[str, Any]:
    return {
        "status": str(result.status),
        "ledger": result.ledger,
        "size": result.size,
        "pending": result.pending,
        "entries": result.entries,
        "receipts": result.receipts,
        "written": str(result.written) if result.written else None,
        "detail": result.detail,
    }


def _ended(session: Session, document: dict[str, Any], text: str) -> int:
    status = document["status"]
    if document["detail"]:
        text += f"\n{status}: {document['detail']}"
    emit(session, document, text)
    if status == "ok":
        return 0
    return EXIT_SURROUNDINGS if status in _TRY_AGAIN else EXIT_NO
