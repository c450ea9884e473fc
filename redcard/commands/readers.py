"""``redcard readers``, ``cards`` and ``profiles``: drivers, cards, and what is known of readers."""

from __future__ import annotations

import json
import os
import queue
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from redcard.cli import pass_session, shared_options
from redcard.commands.certify import certify
from redcard.console import EXIT_NO, Session, emit, note, table
from redcard.errors import AnswerIsNo, SurroundingsMissing, UsageInvalid

if TYPE_CHECKING:
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
    from firmware_profiles.model import version_text
    from readers.discovery import discover, discover_ports
    from readers.errors import ServiceMissing
    from terminal.reader_profiles import profiles_of

    catalogue = profiles_of(session.home_or("terminal"))
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
                "firmware": one.sighting.firmware,
                "device_version": ""
                if (held := one.sighting.device_version) is None
                else version_text(held),
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


@cards.command()
@shared_options
@pass_session
def schemes(session: Session) -> int:
    """The card schemes: what each proves, what a stolen terminal reveals, who judged it."""
    from redcard.inspection import all_schemes

    document = {
        "schemes": [
            {
                "name": one.name,
                "strength": one.strength,
                "stolen_terminal": one.stolen_terminal,
                "vectors": list(one.vectors),
            }
            for one in all_schemes()
        ]
    }
    lines = []
    for one in document["schemes"]:
        said = [("proves", one["strength"]), ("stolen terminal", one["stolen_terminal"])]
        said += [("judged by", name) for name in one["vectors"]] or [("judged by", "-")]
        lines += [str(one["name"]), *(f"  {what}: {text}" for what, text in said)]
    emit(session, document, "\n".join(lines))
    return 0


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
