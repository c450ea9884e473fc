"""A ledger's life of years: a new key, a file that may go, a detail that must be erased."""

from __future__ import annotations

from pathlib import Path

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_ledger import entries_of, ledger_path, open_ledger, receipts_of
from redcard.console import EXIT_NO, Session, emit, table
from redcard.errors import UsageInvalid


@click.command("rotate-key")
@shared_options
@pass_session
def rotate_key(session: Session) -> int:
    """Replace the ledger's key; the terminal must be stopped. Sync afterwards."""
    from redcard.demo_clock import clock_of
    from terminal.home import Home
    from terminal.rotation import rotate_ledger_key

    home = Home.open(session.home_or("terminal"))
    made = rotate_ledger_key(home, clock_of(home.path), [one.note for one in receipts_of(home)])
    text = session.say(
        f"新公钥自第 {made.size} 笔起生效；请立即同步：redcard sync push\n{made.vkey}",
        f"the new key signs from size {made.size} on; sync now: redcard sync push\n{made.vkey}",
    )
    emit(session, {"size": made.size, "vkey": made.vkey, "key": made.name}, text)
    return 0


@click.command()
@click.argument("ledger_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--archive",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Its export, which is read in full first.",
)
@click.option("--yes", is_flag=True, help="Remove it; without this only the reasons are shown.")
@shared_options
@pass_session
def prune(session: Session, ledger_file: Path, archive: Path, yes: bool) -> int:
    """Remove a closed LEDGER_FILE that this home's ledger follows, if nothing speaks against it."""
    from ledger.log.export import split_cosignatures
    from ledger.log.note import COSIGNATURE, Ed25519Verifier
    from ledger.log.shards import keys_of, why_not_prune
    from ledger.log.shards import prune as remove
    from redcard.demo_clock import clock_of

    home, reader = open_ledger(session)
    reader.close()
    server = list(home.enrolment().vkeys.values())
    cosigners = [
        key for key in map(Ed25519Verifier.from_vkey, server) if key.note_type == COSIGNATURE
    ]
    kept = archive / "cosignatures"
    notes = split_cosignatures(kept.read_bytes()) if kept.exists() else []
    facts = {
        "archive": archive,
        "successor": home.ledger_path,
        "cosigned": notes,
        "cosigners": cosigners,
        "vkeys": [*keys_of(ledger_file), *server],
        "now_ms": clock_of(home.path).wall_ms(),
    }
    reasons = why_not_prune(ledger_file, **facts)  # type: ignore[arg-type]
    if not reasons and yes:
        remove(ledger_file, **facts)  # type: ignore[arg-type]
    if reasons:
        text = session.say("须保留：", "it stays:") + "".join(f"\n  {one}" for one in reasons)
    elif yes:
        text = session.say(f"已删除 {ledger_file}", f"removed {ledger_file}")
    else:
        text = session.say("可以删除；加 --yes 执行", "it may go; --yes removes it")
    emit(session, {"removed": not reasons and yes, "reasons": reasons}, text)
    return EXIT_NO if reasons else 0


@click.command()
@shared_options
@pass_session
def sealed(session: Session) -> int:
    """Sealed details: which entries commit to one, and what is left of it."""
    from ledger.log.sealed import FIELD, SealedDetails

    _, reader = open_ledger(session)
    details = SealedDetails(ledger_path(session))
    with reader:
        found = [
            {
                "seq": entry["seq"],
                "kind": entry["kind"],
                "sealed": entry[FIELD],
                "state": details.state(str(entry[FIELD])).value,
            }
            for entry in entries_of(reader)
            if FIELD in entry
        ]
    headers = ["seq", "kind", "state", "sealed"]
    rows = [[one[name] for name in headers] for one in found]
    emit(session, {"sealed": found}, table("", headers, rows))
    return 0


@click.command()
@click.argument("commitment")
@click.option("--yes", is_flag=True, help="Really erase it; nothing brings it back.")
@shared_options
@pass_session
def erase(session: Session, commitment: str, yes: bool) -> int:
    """Erase the sealed detail behind a COMMITMENT; the entry and every proof stay as they are."""
    from ledger.log.sealed import SealedDetails

    if not yes:
        raise UsageInvalid("nothing was erased", next_step="add --yes: nothing brings it back")
    done = SealedDetails(ledger_path(session)).erase(commitment)
    text = (
        session.say("已销毁", "erased") if done else session.say("本来就没有", "nothing was there")
    )
    emit(session, {"sealed": commitment, "erased": done}, text)
    return 0
