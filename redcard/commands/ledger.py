"""``redcard ledger``: look at, verify, prove and export the signed ledger; never write it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_ledger import (
    Filter,
    ledger_path,
    local_time,
    newest,
    open_ledger,
    receipts_of,
)
from redcard.commands.auditing import audit, second_opinion, verdict
from redcard.commands.ledger_papers import check_receipt, csv_command, day_command
from redcard.commands.ledger_years import erase, prune, rotate_key, sealed
from redcard.console import EXIT_NO, Session, emit, progress, table
from redcard.errors import AnswerIsNo, UsageInvalid

SHOWN_MAX = 10_000


@click.group()
def ledger() -> None:
    """Look at, verify, prove and export the signed ledger."""


for _command in (check_receipt, csv_command, day_command, erase, prune, rotate_key, sealed):
    ledger.add_command(_command)


@ledger.command()
@shared_options
@pass_session
def status(session: Session) -> int:
    """Size, root, newest checkpoint, and what the server has confirmed."""
    from ledger.log.checkpoint import parse
    from ledger.log.note import split_note

    home, reader = open_ledger(session)
    with reader:
        size, note = reader.checkpoint()
        root = base64.b64encode(parse(split_note(note)[0]).root).decode()
        confirmed = max((receipt.size for receipt in receipts_of(home)), default=0)
        document = {
            "origin": reader.origin,
            "size": size,
            "root": root,
            "vkey": reader.vkey,
            "confirmed": confirmed,
            "pending": size - confirmed,
        }
    rows: list[tuple[str, object]] = [
        (session.say("账本", "ledger"), document["origin"]),
        (session.say("笔数", "entries"), size),
        (session.say("根", "root"), root),
        (session.say("服务器已确认", "confirmed by the server"), confirmed),
        (session.say("待上传", "pending"), size - confirmed),
        (session.say("公钥", "verifier key"), document["vkey"]),
    ]
    emit(session, document, "\n".join(f"{name}: {value}" for name, value in rows))
    return 0


@ledger.command()
@click.option("--day", default="", help="Only this local day, YYYY-MM-DD.")
@click.option("--offer", default="", help="Only this offer.")
@click.option("--code", default="", help="Only this code, for example A00.")
@click.option("--member", default="", help="Only this member reference, 16 hexadecimal digits.")
@click.option("--kind", default="", help="Only this kind, for example redeem.")
@click.option("--limit", default=100, type=click.IntRange(1, SHOWN_MAX), help="At most so many.")
@shared_options
@pass_session
def show(
    session: Session, day: str, offer: str, code: str, member: str, kind: str, limit: int
) -> int:
    """Entries, newest last; filters may be combined."""
    wanted = Filter.of(day, offer=offer, code=code, member=member, kind=kind)
    _, reader = open_ledger(session)
    with reader:
        found = newest(reader, wanted.takes, limit)
    headers = ["seq", "kind", "time", "code", "offer", "venue", "quantity", "nonce"]
    rows = [
        [
            entry["seq"],
            entry["kind"],
            local_time(entry["ts_ms"]),
            *(entry.get(name, "") for name in headers[3:]),
        ]
        for entry in found
    ]
    emit(session, {"entries": found}, table("", headers, rows))
    return 0


@ledger.command()
@click.argument("directory", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--vkeys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trusted verifier keys, one a line, instead of the ledger's own word.",
)
@click.option(
    "--tree", is_flag=True, help="Only roots, signatures and order: several times faster."
)
@click.option(
    "--processes",
    default=1,
    type=click.IntRange(1, 8),
    help="So many share the work on a database.",
)
@click.option("--auditor", is_flag=True, help="Use the auditor's file, the second opinion.")
@shared_options
@pass_session
def verify(
    session: Session,
    directory: Path | None,
    vkeys: Path | None,
    tree: bool,
    processes: int,
    auditor: bool,
) -> int:
    """Check a ledger and list all faults: an export DIRECTORY, or this terminal's own ledger."""
    from ledger.log.shards import keys_of

    if auditor and directory is not None and (directory / "tile").is_dir():
        raise UsageInvalid(
            "the auditor's file reads databases and plain exports, not tiles",
            next_step="leave out --auditor",
        )
    if auditor and (tree or processes > 1):
        raise UsageInvalid(
            "the auditor's file checks everything, alone",
            next_step="leave out --tree and --processes, or --auditor",
        )
    keys = vkeys.read_text(encoding="utf-8").splitlines() if vkeys else []
    cosigned: list[bytes] = []
    place = directory
    if place is None:
        home, reader = open_ledger(session)
        reader.close()
        server = list(home.enrolment().vkeys.values()) if home is not None else []
        keys = keys or [*keys_of(ledger_path(session)), *server]
        cosigned = [receipt.note for receipt in receipts_of(home)]
        place = ledger_path(session)
    with progress(session, session.say("校验账本", "verifying")) as advance:
        if auditor:
            report = second_opinion(place, keys, cosigned, advance)
        else:
            report = audit(place, keys, cosigned, advance, tree=tree, processes=processes)
    emit(session, asdict(report), verdict(session, report))
    return 0 if report.ok else EXIT_NO


@ledger.command()
@click.argument("seq", type=click.IntRange(0))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File.")
@shared_options
@pass_session
def prove(session: Session, seq: int, output: Path | None) -> int:
    """A tlog-proof that entry SEQ is in the ledger, against a head the server has confirmed."""
    from ledger.log.proof import prove as make_proof

    home, reader = open_ledger(session)
    with reader:
        if seq >= reader.size:
            raise AnswerIsNo(
                f"there is no entry {seq}; the ledger has {reader.size}",
                next_step="redcard ledger show",
            )
        covering = [receipt for receipt in receipts_of(home) if receipt.size > seq]
        note = covering[0].note if covering else None
        proof = make_proof(reader, seq, note)
        entry = next(iter(reader.entries(seq, seq + 1)))
    if output is not None:
        output.write_bytes(proof)
    document = {
        "seq": seq,
        "confirmed": bool(covering),
        "proof": proof.decode(),
        "entry": entry.decode(),
    }
    warning = (
        ""
        if covering
        else session.say(
            "\n（服务器尚未确认此笔：证明只到本机签名）",
            "\n(not confirmed by the server yet: the proof rests on this terminal's word)",
        )
    )
    emit(session, document, (str(output) if output else proof.decode()) + warning)
    return 0


@ledger.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--tiles", is_flag=True, help="As tiles, for tools that read tiled logs.")
@click.option(
    "--minimum-index",
    default=0,
    type=click.IntRange(0),
    help="Leave out entries below; only with --tiles, and only what the server has confirmed.",
)
@shared_options
@pass_session
def export(session: Session, directory: Path, tiles: bool, minimum_index: int) -> int:
    """Write the ledger as plain files that anybody's tools can verify."""
    from ledger.log.export import export as write
    from ledger.log.shards import keys_of
    from ledger.log.tiles_export import export_tiles

    home, reader = open_ledger(session)
    server = list(home.enrolment().vkeys.values()) if home is not None else []
    server += keys_of(ledger_path(session))
    with reader, progress(session, session.say("导出", "exporting")) as advance:
        receipts = receipts_of(home)
        confirmed = max((receipt.size for receipt in receipts), default=0)
        if minimum_index and (not tiles or minimum_index > confirmed):
            raise UsageInvalid(
                f"entries below {minimum_index} are left out only of tiles, and only if the server"
                f" has confirmed them; it has {confirmed}",
                next_step="redcard sync push, or leave out --minimum-index",
            )
        cosigned = [receipt.note for receipt in receipts]
        if tiles:
            size = export_tiles(reader, directory, server, advance, minimum_index)
        else:
            size = write(reader, directory, cosigned, server, advance)
    text = session.say(
        f"已导出 {size} 笔到 {directory}；校验：redcard ledger verify {directory}",
        f"{size} entries in {directory}; check with: redcard ledger verify {directory}",
    )
    emit(session, {"directory": str(directory), "size": size}, text)
    return 0
