"""``redcard server profiles``, ``messages`` and ``notice``: what the federation tells terminals."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.at_server import ask_server, instant_of, send_bytes, send_file
from redcard.console import EXIT_DONE, Session, emit, table
from redcard.errors import AnswerIsNo

if TYPE_CHECKING:
    from firmware_profiles.catalogue import Catalogue

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_custodians = click.option(
    "--custodians",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the custodians' keys; absent, `offline` in the server's home.",
)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@shared_options
@pass_session
def snapshot(session: Session, folder: Path) -> int:
    """Write what terminals fetch into FOLDER, for a stick: redcard sync pull --from FOLDER.

    Offers, messages, roster with its deltas, used-set, keys and profiles, all signed: the stick
    needs no trust. What was on it from an earlier time is replaced.
    """
    answer = ask_server(session, "stick", folder=str(folder.resolve()))
    text = session.say(
        f"已写入 {folder}（{answer['files']} 个文件，{answer['bytes'] / 1e6:.1f} MB）；"
        f"在终端上：redcard sync pull --from {folder}",
        f"{answer['files']} files, {answer['bytes'] / 1e6:.1f} MB in {folder}; "
        f"at the terminal: redcard sync pull --from {folder}",
    )
    emit(session, answer, text)
    return EXIT_DONE


@click.command("used")
@shared_options
@pass_session
def publish_used(session: Session) -> int:
    """Judge what has come in and publish the used-set now; a running server does so by itself.

    It tells every terminal what members have used elsewhere; it is new only if something changed.
    """
    answer = ask_server(session, "publish_used")
    text = (
        session.say("已发布新的使用记录", "a new used-set is published")
        if answer["changed"]
        else session.say("使用记录没有变化", "nothing was used since the last one")
    )
    emit(session, answer, text)
    return EXIT_DONE


@click.group("profiles")
def reader_profiles() -> None:
    """Send terminals profiles of reader models that the product does not know yet."""


@reader_profiles.command("list")
@shared_options
@pass_session
def list_profiles(session: Session) -> int:
    """The published profiles."""
    files, _ = _published(session)
    known = _checked(files)
    found = [known.profiles[name.removesuffix(".toml")] for name in sorted(files)]
    document = {"profiles": [{"id": one.id, "title": one.title} for one in found]}
    rows = [[one.id, one.title] for one in found]
    emit(session, document, table("", ["id", "title"], rows))
    return EXIT_DONE


@reader_profiles.command("add")
@click.argument("files", type=_FILE, nargs=-1, required=True)
@_custodians
@shared_options
@pass_session
def add_profiles(session: Session, files: tuple[Path, ...], custodians: Path | None) -> int:
    """Publish profile FILES, signed by two of three custodians.

    They go before the product's own at every terminal; one of the same id is replaced. If one of
    them is wrong, or two claim one reader, none is published.
    """
    held, state = _published(session)
    fresh = {file.name: file.read_text("utf-8") for file in files}
    return _publish(session, {**held, **fresh}, state, custodians)


@reader_profiles.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@_custodians
@shared_options
@pass_session
def remove_profiles(session: Session, names: tuple[str, ...], custodians: Path | None) -> int:
    """Take published profiles back; readers go to the product's own again."""
    held, state = _published(session)
    for name in names:
        if held.pop(f"{name}.toml", None) is None:
            raise AnswerIsNo(
                f"no profile {name} is published; nothing was changed",
                next_step="redcard server profiles list",
            )
    return _publish(session, held, state, custodians)


def _published(session: Session) -> tuple[dict[str, str], str]:
    """Texts of the published profiles by file name, and what names this state."""
    from firmware_profiles.published import decode

    answer = ask_server(session, "profiles")
    data = b64decode(answer["data"])
    return (decode(data) if data else {}), answer["state"]


def _checked(files: dict[str, str]) -> Catalogue:
    from firmware_profiles.catalogue import load
    from firmware_profiles.published import in_front

    return in_front(load(), files)


def _publish(session: Session, files: dict[str, str], state: str, custodians: Path | None) -> int:
    from firmware_profiles.catalogue import load
    from firmware_profiles.errors import ProfileError
    from firmware_profiles.published import encode, taken_over

    try:
        known = _checked(files)
    except ProfileError as fault:
        raise AnswerIsNo(
            f"{fault}; nothing was published", next_step="redcard profiles check DIRECTORY"
        ) from None
    answer = send_bytes(
        session,
        "publish_profiles",
        encode(files),
        instead_of=state,
        custodians=str(custodians.resolve()) if custodians else None,
    )
    lost = taken_over(load(), known)
    document = {
        **answer,
        "profiles": sorted(known.published),
        "instead_of": {name: list(ids) for name, ids in lost.items()},
    }
    lines = [
        session.say(
            f"已发布读卡器档案 {len(files)} 个，各终端下次同步后生效",
            f"{len(files)} reader profiles are published; terminals have them after their "
            "next sync",
        )
    ]
    lines += [f"{name} ← {', '.join(ids)}" for name, ids in lost.items()]
    emit(session, document, "\n".join(lines))
    return EXIT_DONE


@click.group()
def messages() -> None:
    """Put the federation's own words in the place of those that cards are answered with."""


@messages.command("list")
@shared_options
@pass_session
def list_messages(session: Session) -> int:
    """Texts and notices in force; with --json as a file of them is written."""
    answer = ask_server(session, "messages")
    rows = [
        [code, audience, *lines["zh"], *lines["en"]]
        for code, said in sorted(answer["texts"].items())
        for audience, lines in said.items()
    ]
    rows += [["notice", one["id"], one["zh"], "", one["en"], ""] for one in answer["notices"]]
    emit(session, answer, table("", ["code", "for", "zh", "", "en", ""], rows))
    return EXIT_DONE


@messages.command("put")
@click.argument("file", type=_FILE)
@shared_options
@pass_session
def put_messages(session: Session, file: Path) -> int:
    """Publish the texts and notices of FILE (docs/back-office.md); a faulty one changes nothing.

    Both languages are needed, lines fit the pages, place holders stay, and the code must be known.
    """
    answer = send_file(session, "put_messages", file)
    return _told(session, answer)


@messages.command("reset")
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
@shared_options
@pass_session
def reset_messages(session: Session, codes: tuple[str, ...]) -> int:
    """Put the product's own texts of CODEs in force again."""
    return _told(session, ask_server(session, "take_back_messages", codes=list(codes)))


@click.group()
def notice() -> None:
    """Tell the people at counters something: on the counter page, in a kiosk's staff corner."""


@notice.command("post")
@click.argument("name", metavar="ID")
@click.option("--zh", required=True, help="At most 60 characters.")
@click.option("--en", required=True, help="At most 160 letters.")
@click.option("--from", "from_", default="", metavar="TIME", help="RFC 3339; absent, now.")
@click.option("--until", required=True, metavar="TIME", help="When it is no longer shown.")
@click.option("--venue", "venues", multiple=True, help="Only there; may repeat.")
@click.option("--district", "districts", multiple=True, help="Only there; may repeat.")
@shared_options
@pass_session
def post_notice(
    session: Session,
    name: str,
    zh: str,
    en: str,
    from_: str,
    until: str,
    venues: tuple[str, ...],
    districts: tuple[str, ...],
) -> int:
    """Post a notice under an ID; one of the same ID is replaced."""
    from ledger.rules.published_words import FORMAT

    said: dict[str, Any] = {
        "id": name,
        "zh": zh,
        "en": en,
        "from_ms": instant_of(from_, "--from"),
        "until_ms": instant_of(until, "--until"),
        "districts": list(districts),
        "venues": list(venues),
    }
    document = {"format": FORMAT, "notices": [said]}
    return _told(session, send_bytes(session, "put_messages", json.dumps(document).encode("utf-8")))


@notice.command("withdraw")
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@shared_options
@pass_session
def withdraw_notice(session: Session, names: tuple[str, ...]) -> int:
    """Show notices no longer."""
    return _told(session, ask_server(session, "take_back_messages", notices=list(names)))


def _told(session: Session, answer: dict[str, Any]) -> int:
    texts, notices = len(answer["texts"]), len(answer["notices"])
    text = session.say(
        f"生效的自定文案 {texts} 条、通知 {notices} 条，各终端下次同步后可见",
        f"{texts} codes with own texts and {notices} notices are in force; terminals have them "
        "after their next sync",
    )
    emit(session, answer, text)
    return EXIT_DONE
