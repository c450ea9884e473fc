"""``redcard profiles``: what is known of reader models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.console import EXIT_NO, Session, emit, table
from redcard.errors import AnswerIsNo, UsageInvalid

if TYPE_CHECKING:
    from firmware_profiles.catalogue import Catalogue
    from firmware_profiles.match import Match


@click.group()
def profiles() -> None:
    """What is known of reader models."""


@profiles.command("list")
@shared_options
@pass_session
def list_profiles(session: Session) -> int:
    """All profiles: those of the product, and those that the federation sent this terminal."""
    known = _known(session)
    found = sorted(known.profiles.values(), key=lambda one: one.id)
    document = {
        "profiles": [
            {"id": one.id, "title": one.title, "published": one.id in known.published}
            for one in found
        ]
    }
    rows = [
        [one.id, one.title, str(one.driver), str(one.apdu.exchange), _origin(known, one.id)]
        for one in found
    ]
    emit(session, document, table("", ["id", "title", "driver", "exchange", "from"], rows))
    return 0


@profiles.command()
@click.argument("name")
@shared_options
@pass_session
def show(session: Session, name: str) -> int:
    """One profile, whole."""
    import msgspec

    profile = _known(session).profiles.get(name)
    if profile is None:
        raise AnswerIsNo(f"no profile is called {name}", next_step="redcard profiles list")
    document = msgspec.to_builtins(profile)
    emit(session, document, json.dumps(document, ensure_ascii=False, indent=2))
    return 0


@profiles.command()
@click.argument(
    "directory",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@shared_options
@pass_session
def check(session: Session, directory: Path | None) -> int:
    """Lint the profiles of DIRECTORY, or those that come with the product."""
    from firmware_profiles.catalogue import load
    from firmware_profiles.errors import ProfileError

    try:
        count = len(load(directory).profiles)
    except ProfileError as error:
        faults = str(error).splitlines()
        emit(session, {"ok": False, "faults": faults}, "\n".join(faults))
        return EXIT_NO
    text = session.say(f"{count} 个档案，无差错", f"{count} profiles, no fault")
    emit(session, {"ok": True, "profiles": count, "faults": []}, text)
    return 0


@profiles.command()
@click.option("--name", default="", help="Name under which the service lists the reader.")
@click.option("--vid", default="", help="USB vendor, four hexadecimal digits.")
@click.option("--pid", default="", help="USB product, four hexadecimal digits.")
@click.option("--device-version", default="", help="For example 2.07.")
@click.option("--firmware", default="", help="The firmware's own name.")
@shared_options
@pass_session
def match(
    session: Session, name: str, vid: str, pid: str, device_version: str, firmware: str
) -> int:
    """Which profile fits a reader, with its score and the reasons."""
    from firmware_profiles.model import Sighting, version_number
    from readers.identity import parse_reader_name

    if not (name or vid or firmware):
        raise UsageInvalid("say something of the reader", next_step="--name, or --vid and --pid")
    try:
        version = version_number(device_version) if device_version else None
    except ValueError:
        raise UsageInvalid(f"{device_version!r} is no device version such as 2.07") from None
    sighting = Sighting(
        name=name,
        interface=parse_reader_name(name).interface,
        vid=_hexadecimal(vid, "--vid"),
        pid=_hexadecimal(pid, "--pid"),
        device_version=version,
        firmware=firmware,
    )
    catalogue = _known(session)
    found: Match = catalogue.match(sighting)
    document: dict[str, Any] = {
        "profile": found.profile.id,
        "score": found.score,
        "why": list(found.why),
    }
    lines = [f"{found.profile.id} ({found.profile.title}), {found.score}", *found.why]
    if found.profile.generic or not found.score:
        document["draft"] = catalogue.draft(sighting)
        lines += ["", session.say("新型号的档案草稿：", "draft of a profile to send back:")]
        lines.append(document["draft"])
    emit(session, document, "\n".join(lines))
    return 0


def _known(session: Session) -> Catalogue:
    """The profiles of this home's terminal, or those of the product where there is none."""
    from terminal.reader_profiles import profiles_of

    return profiles_of(session.home_or("terminal"))


def _origin(known: Catalogue, name: str) -> str:
    return "federation" if name in known.published else "product"


def _hexadecimal(text: str, option: str) -> int | None:
    if not text:
        return None
    try:
        value = int(text.removeprefix("0x"), 16)
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF:
        raise UsageInvalid(f"{option} {text!r} is not four hexadecimal digits")
    return value
