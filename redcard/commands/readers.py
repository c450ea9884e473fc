"""``redcard readers``, ``cards`` and ``profiles``: drivers, cards, and what is known of readers."""

from __future__ import annotations

import json
import os
import queue
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.certify import certify
from redcard.console import EXIT_NO, Session, emit, note, table
from redcard.errors import AnswerIsNo, SurroundingsMissing, UsageInvalid

if TYPE_CHECKING:
    from firmware_profiles.match import Match
    from readers.connection import CardConnection
    from readers.supervision import CardReader, ReaderHealth
    from terminal.configuration import TerminalConfig


_nfc_option = click.option(
    "--nfc",
    multiple=True,
    metavar="PATH",
    help="Also a reader that nfcpy reaches: /dev/..., usb:VVVV:PPPP or usb:BUS:DEV.",
)


@click.group()
def readers() -> None:
    """List, watch and certify card readers."""


@readers.command("list")
@shared_options
@pass_session
def list_readers(session: Session) -> int:
    """All readers of this machine, each with the profile that fits it."""
    from firmware_profiles.catalogue import load
    from readers.discovery import discover, discover_ports
    from readers.errors import ServiceMissing

    catalogue = load()
    config = _config_of(session)
    found = discover_ports(
        catalogue,
        nfc={one.port: one.name for one in config.nfc} if config else {},
        serial={one.port: one.name for one in config.scanners} if config else {},
    )
    try:
        found = [*discover(catalogue), *found]
    except ServiceMissing:
        if not found:  # nothing without the card service either
            raise
    document = {
        "readers": [
            {
                "name": one.name,
                "driver": str(one.driver),
                "role": str(one.role),
                "profile": one.match.profile.id,
                "score": one.match.score,
                "why": list(one.match.why),
                "remark": one.remark,
            }
            for one in found
        ]
    }
    rows = [[one.name, str(one.role), one.match.profile.title, one.remark] for one in found]
    headers = [
        session.say("读卡器", "reader"),
        session.say("卡槽", "slot"),
        session.say("型号档案", "profile"),
        session.say("备注", "remark"),
    ]
    if not found:
        raise SurroundingsMissing(
            session.say("没有读卡器", "no reader"),
            next_step=session.say("插上读卡器；redcard doctor", "plug one in; redcard doctor"),
        )
    emit(session, document, table("", headers, rows))
    return 0


@readers.command()
@click.option("--reader", default="", help="Only readers whose name matches this expression.")
@click.option("--seconds", type=click.IntRange(1), help="End after so long; else with Ctrl-C.")
@_nfc_option
@shared_options
@pass_session
def watch(session: Session, reader: str, seconds: int | None, nfc: tuple[str, ...]) -> int:
    """Show readers and cards as they come and go; one line, or JSON document, for each event."""
    events: queue.Queue[dict[str, str]] = queue.Queue()
    drivers = _drivers(reader, nfc)
    for driver in drivers:
        driver.start(_Watcher(events))
    end = time.monotonic() + seconds if seconds else None
    try:
        while end is None or time.monotonic() < end:
            try:
                event = events.get(timeout=0.2)
            except queue.Empty:
                continue
            if session.as_json:
                click.echo(json.dumps(event, ensure_ascii=False))
            else:
                click.echo(" · ".join(value for value in event.values() if value))
    except KeyboardInterrupt:
        pass
    finally:
        for driver in drivers:
            driver.stop()
    return 0


readers.add_command(certify)


def _drivers(pattern: str, nfc: tuple[str, ...]) -> list[CardReader]:
    from readers.errors import ReaderMissing
    from readers.nfc import NfcReader
    from readers.pcsc import PcscReaders

    try:
        return [PcscReaders(pattern or None), *(NfcReader(path) for path in nfc)]
    except ReaderMissing as error:
        raise UsageInvalid(str(error)) from error
    except re.error as error:
        raise UsageInvalid(f"--reader is no regular expression: {error}") from error


def _config_of(session: Session) -> TerminalConfig | None:
    """The configuration of this home, where it is a terminal's."""
    from terminal.errors import TerminalError
    from terminal.home import Home

    try:
        return Home.open(session.home_or("terminal")).config
    except TerminalError:
        return None


class _Watcher:
    """A listener that turns everything into events."""

    def __init__(self, events: queue.Queue[dict[str, str]]) -> None:
        self._events = events

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        """A card came."""
        self._put("card", reader, str(connection.interface))

    def card_removed(self, reader: str) -> None:
        """It left."""
        self._put("removed", reader, "")

    def several_cards(self, reader: str) -> None:
        """More than one."""
        self._put("several", reader, "")

    def health_changed(self, health: ReaderHealth) -> None:
        """The reader's state."""
        self._put(str(health.state), health.name, health.detail)

    def _put(self, event: str, reader: str, detail: str) -> None:
        self._events.put({"event": event, "reader": reader, "detail": detail})


@click.group()
def cards() -> None:
    """Say what a card is; insert virtual cards into a running demo."""


@cards.command()
@click.option("--reader", default="", help="Only readers whose name matches this expression.")
@click.option("--wait", type=click.IntRange(1, 300), default=30, metavar="S")
@_nfc_option
@shared_options
@pass_session
def inspect(session: Session, reader: str, wait: int, nfc: tuple[str, ...]) -> int:
    """Say what the next card is, without its secrets: no number, no identifier."""
    from redcard.inspection import inspect_next

    note(session.say("请放卡…", "Lay a card on the reader…"))
    found = inspect_next(session.home_or("terminal"), _drivers(reader, nfc), wait)
    if found is None:
        raise SurroundingsMissing(
            session.say(f"{wait} 秒内没有卡", f"no card within {wait} s"),
            next_step="redcard readers list",
        )
    lines = [f"{name}: {value}" for name, value in found.items() if value not in ("", None)]
    emit(session, found, "\n".join(lines))
    return 0 if found["verdict"] in {"authenticated", "identified"} else EXIT_NO


@cards.group()
def virtual() -> None:
    """The card box of a running demo."""


@virtual.command("list")
@shared_options
@pass_session
def list_virtual(session: Session) -> int:
    """The cards in the box."""
    from redcard.demo_world import GOOD_CARDS

    names = [f"good-{number}" for number in range(1, GOOD_CARDS + 1)]
    names += ["blocked", "replaced", "expired", "unknown", "forged", "bundle"]
    emit(session, {"cards": names}, "\n".join(names))
    return 0


@virtual.command()
@click.argument("card")
@click.option("--slot", type=click.Choice(["kiosk", "counter"]), default="kiosk")
@click.option("--hold", type=click.FloatRange(0.1, 60), default=1.5, metavar="S")
@shared_options
@pass_session
def insert(session: Session, card: str, slot: str, hold: float) -> int:
    """Lay a CARD on a reader of the running demo and take it off after --hold seconds."""
    box = _box(session)
    _ask(box, {"action": "lay", "card": card, "slot": slot})
    time.sleep(hold)
    _ask(box, {"action": "lift", "slot": slot})
    done = session.say(f"{card} 已在 {slot} 刷过", f"{card} was tapped at {slot}")
    emit(session, {"card": card, "slot": slot}, done)
    return 0


@virtual.command()
@click.option("--slot", type=click.Choice(["kiosk", "counter"]), default="kiosk")
@shared_options
@pass_session
def remove(session: Session, slot: str) -> int:
    """Take the card off a reader of the running demo."""
    _ask(_box(session), {"action": "lift", "slot": slot})
    emit(session, {"slot": slot}, session.say("已取下", "taken off"))
    return 0


@click.group()
def profiles() -> None:
    """What is known of reader models."""


@profiles.command("list")
@shared_options
@pass_session
def list_profiles(session: Session) -> int:
    """All profiles."""
    from firmware_profiles.catalogue import load

    found = sorted(load().profiles.values(), key=lambda one: one.id)
    document = {"profiles": [{"id": one.id, "title": one.title} for one in found]}
    rows = [[one.id, one.title, str(one.driver), str(one.apdu.exchange)] for one in found]
    emit(session, document, table("", ["id", "title", "driver", "exchange"], rows))
    return 0


@profiles.command()
@click.argument("name")
@shared_options
@pass_session
def show(session: Session, name: str) -> int:
    """One profile, whole."""
    import msgspec

    from firmware_profiles.catalogue import load

    profile = load().profiles.get(name)
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
    from firmware_profiles.catalogue import load
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
    catalogue = load()
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


def _box(session: Session) -> dict[str, str]:
    """How to reach the running demo's card box."""
    from redcard.demo_running import ADDRESS_FILE

    named = session.home or Path(os.environ.get("REDCARD_HOME", Path.home() / ".redcard" / "demo"))
    for place in (named, named.parent):
        file = place / ADDRESS_FILE
        if file.exists():
            return dict(json.loads(file.read_bytes()))
    raise SurroundingsMissing(f"no demo runs in {named}", next_step="script/demo")


def _ask(box: dict[str, str], document: dict[str, str]) -> None:
    import httpx

    headers = {"authorization": f"Bearer {box['token']}"}
    try:
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.post(f"{box['url']}/act", json=document, headers=headers)
    except httpx.HTTPError as error:
        raise SurroundingsMissing(
            "the demo does not answer", next_step="start it again: script/demo"
        ) from error
    if answer.status_code >= 400:
        raise AnswerIsNo("there is no such card in the box", next_step="redcard cards virtual list")
