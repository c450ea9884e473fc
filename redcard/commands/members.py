"""``redcard server members`` and ``feed``: lists of members and cards, signed by who sends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import DEFAULT_HOME, ask_server, clock_at
from redcard.console import EXIT_DONE, Session, emit, progress, table
from redcard.errors import UsageInvalid

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW: Final = click.Path(dir_okay=False, path_type=Path)
_KEY: Final = "feed"


@click.command()
@click.argument("file", type=_FILE)
@click.option("--note", "note_file", type=_FILE, help="Signed note of its sender; see `feed sign`.")
@shared_options
@pass_session
def members(session: Session, file: Path, note_file: Path | None) -> int:
    """Take a CSV FILE of members and cards, each card by its keyed hash; only differences count.

    What looks like a card number is refused with its line, and the whole file with it. A row that
    is faulty in another way is told with its line and stops nothing else.
    """
    from server.administration import ask_with_progress

    path = session.home_or(DEFAULT_HOME)
    arguments: dict[str, Any] = {"path": str(file.resolve())}
    if note_file is not None:
        arguments["note"] = note_file.read_text("utf-8")
    with progress(session, session.say("会员名单", "members")) as advance:
        answer = ask_with_progress(path, "import_members", arguments, clock_at(path), advance)
    lines = [
        session.say(
            f"{answer['rows']} 行：卡 {answer['cards']}、会员 {answer['members']} 有变化",
            f"{answer['rows']} rows: {answer['cards']} cards, {answer['members']} members changed",
        )
    ]
    lines += [f"  line {line}: {fault}" for line, fault in answer["faults"]]
    more = answer["faulty"] - len(answer["faults"])
    if more > 0:
        lines.append(session.say(f"  另有 {more} 行有误", f"  and {more} more faulty rows"))
    emit(session, answer, "\n".join(lines))
    return EXIT_DONE


@click.group()
def feed() -> None:
    """The member feed: who may send lists, and how they sign them."""


@feed.command()
@click.argument("source")
@click.argument("vkey")
@click.option("--stop", is_flag=True, help="Take no more lists of it.")
@shared_options
@pass_session
def trust(session: Session, source: str, vkey: str, stop: bool) -> int:
    """Take lists of SOURCE that are signed with the key of VKEY."""
    answer = ask_server(session, "feed_source", source=source, vkey=vkey, active=not stop)
    emit(session, answer, f"{source}: {'stopped' if stop else 'trusted'}")
    return EXIT_DONE


@feed.command("list")
@shared_options
@pass_session
def list_sources(session: Session) -> int:
    """Who may send lists, and the number of the last one taken."""
    answer = ask_server(session, "feed_sources")
    columns = ["source", "active", "number", "vkey"]
    emit(session, answer, table("", columns, [[s[c] for c in columns] for s in answer["sources"]]))
    return EXIT_DONE


@feed.command()
@click.argument("source")
@click.argument("keys", type=_NEW)
@shared_options
@pass_session
def key(session: Session, source: str, keys: Path) -> int:
    """Make the key with which SOURCE signs, in a new file KEYS, and print its verifier key.

    The passphrase goes into KEYS.passphrase; keep the two apart.
    """
    import secrets

    from keys.keystore import KeyKind
    from keys.passphrase import PassphraseKeyStore
    from ledger.log.note import vkey
    from server.home import write_private

    if keys.exists():
        raise UsageInvalid(f"{keys} is there already; it was left as it is")
    passphrase = secrets.token_urlsafe(32).encode("ascii")
    write_private(keys.with_name(keys.name + ".passphrase"), passphrase)
    store = PassphraseKeyStore(keys, passphrase)
    store.generate(_KEY, KeyKind.ED25519)
    shown = vkey(source, store.public_key(_KEY))
    emit(session, {"source": source, "vkey": shown, "keys": str(keys)}, shown)
    return EXIT_DONE


@feed.command()
@click.argument("file", type=_FILE)
@click.argument("note_file", metavar="NOTE", type=_NEW)
@click.option("--source", required=True)
@click.option("--keys", type=_FILE, required=True, help="Made by `feed key`.")
@click.option("--number", type=click.IntRange(1), required=True, help="Rises with every list.")
@shared_options
@pass_session
def sign(
    session: Session, file: Path, note_file: Path, source: str, keys: Path, number: int
) -> int:
    """Sign the list FILE, at its sender's; NOTE goes along with it."""
    import hashlib

    from keys.passphrase import PassphraseKeyStore
    from ledger.log.note import KeySigner, sign_note
    from server.member_feed import FeedStatement

    passphrase = keys.with_name(keys.name + ".passphrase").read_bytes().strip()
    store = PassphraseKeyStore(keys, passphrase)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    signer = KeySigner(source, lambda data: store.sign(_KEY, data), store.public_key(_KEY))
    note_file.write_bytes(sign_note(FeedStatement(source, number, digest).text(), [signer]))
    document = {"source": source, "number": number, "sha256": digest, "note": str(note_file)}
    emit(session, document, str(note_file))
    return EXIT_DONE
