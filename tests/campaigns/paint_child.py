"""A kiosk service by itself, for the campaign ``paint``: a whole terminal, taps on demand.

The virtual card lives in a process of its own (``card FOLDER``), as a real one lies outside the
kiosk: neither its chip nor its test authority is weighed with the service.

``build FOLDER CARDS`` makes home and roster in a process of its own, since the making costs memory
that a kiosk never uses. ``serve FOLDER`` then takes commands on standard input, one a line: ``tap
N`` takes N taps with the page's frames between them, ``watch N`` takes N one after the other and
prints for each when the service said so, ``floor N`` does the same with the empty page, ``rss``
prints the resident bytes without the roster's pages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from keys.derivation import card_hash
from keys.keystore import KeyStore
from keys.passphrase import Argon2Cost, PassphraseKeyStore
from ledger.rules.catalogue import load_offers, load_venues
from readers.cards.scheme import SchemeContext
from readers.connection import Interface
from screens.serving import LocalServer
from sync.errors import Unreachable
from sync.transport import HttpTransport, Request
from terminal.clock import ShiftedClock, SystemClock
from terminal.composition import open_terminal
from terminal.home import Home
from terminal.install import red_card_schemes
from terminal.presenting import Presented, present
from terminal.roster import open_roster
from terminal.service import TerminalService
from terminal.state import Installed
from terminal.tapdesk import TapDesk
from terminal.web.app import create_app
from terminal.wiping import CARD_KEY
from tests.campaigns.paint_floor import Floor

TOKEN = "b" * 43
POSITION = "kiosk"
#: Longer than the field's wipe takes: a tap finds a quiet page, as in life.
PAUSE_S = 0.25
PASSPHRASE = b"paint"
#: About one frame of a page: taps that follow faster would never be drawn.
FRAME_S = 1 / 60
CHEAP = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)


def build(folder: str, cards: int) -> None:
    """Makes a home with its ledger, its keys and the roster of so many cards."""
    import redcard.bench.terminal as bench
    from readers.virtual.authority import TestCa

    place = Path(folder)
    # A key store on disk in place of the bench's own, so that another process can open the home.
    vars(bench)["MemoryKeyStore"] = lambda: PassphraseKeyStore(
        place / "keys", PASSPHRASE, cost=CHEAP
    )
    service, _ = bench.full_terminal(place, cards)
    service.close()
    # So that the command itself opens this home as well.
    (place / "home" / "passphrase").write_bytes(PASSPHRASE + b"\n")
    shutil.copy(place / "keys", place / "home" / "keys")
    bundle = TestCa.in_folder(place / "ca").bundle(expires=datetime(2099, 1, 1, tzinfo=UTC))
    facts = {
        "noon_ms": bench._NOON_MS,
        "today": bench._TODAY.isoformat(),
        "offers": bench._OFFERS,
        "bundle": b64encode(bundle).decode(),
    }
    (place / "facts.json").write_text(json.dumps(facts), "utf-8")


def card(folder: str) -> None:
    """Answers commands on standard input, a line of hexadecimal digits each, until it ends."""
    import redcard.bench.terminal as bench
    from readers.virtual.authority import TestCa
    from readers.virtual.card_box import demo_box

    world = TestCa.in_folder(Path(folder) / "ca")
    box = {one.name: one for one in demo_box(world, seed=1, today=bench._TODAY, good=1)}
    chip = box["good-1"].contactless
    for line in sys.stdin:
        _say(chip.process(bytes.fromhex(line)).hex())


class OutsideCard:
    """The card of the other process as a connection."""

    interface = Interface.CONTACTLESS

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.paint_child", "card", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """One exchange."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command.hex() + "\n")
        self.process.stdin.flush()
        answer = bytes.fromhex(self.process.stdout.readline())
        return answer[:-2], int.from_bytes(answer[-2:])

    def close(self) -> None:
        """Takes it away."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def reading(laid: OutsideCard, keys: KeyStore, today: str, bundle: str) -> Callable[[], Presented]:
    """One tap of the card, checked as a kiosk checks it."""
    day = date.fromisoformat(today)
    schemes = red_card_schemes(allow_test=True)(b64decode(bundle), day)
    context = SchemeContext(
        today=day,
        unpredictable=os.urandom,
        card_hash=lambda scheme, identifier: card_hash(
            lambda data: keys.mac(CARD_KEY, data), scheme, identifier
        ),
    )
    return lambda: present(laid, schemes, context)


def opened(place: Path, laid: OutsideCard) -> tuple[TerminalService, Callable[[], Presented]]:
    """The home as a kiosk opens it, and one tap of the card that it knows."""
    facts = json.loads((place / "facts.json").read_text("utf-8"))
    keys = PassphraseKeyStore(place / "keys", PASSPHRASE, cost=CHEAP)
    base = SystemClock()
    clock = ShiftedClock(base, facts["noon_ms"] - base.wall_ms())
    service = open_terminal(Home.open(place / "home"), clock, keys=keys)
    now_ms = service.parts.facts.time.now().now_ms
    venues = load_venues(json.dumps([{"id": "M01"}]).encode())
    service.parts.facts.install(
        replace(
            Installed(),
            catalogue=load_offers(json.dumps(facts["offers"]).encode(), venues=venues),
            cards=open_roster(place / "roster.bin"),
            signed_ms=now_ms,
            version=1,
        )
    )
    # A kiosk in the field also holds its line to the server.
    with suppress(Unreachable):
        HttpTransport("https://127.0.0.1:9").exchange(Request("GET", "/"))
    return service, reading(laid, keys, facts["today"], facts["bundle"])


def serve(folder: str) -> None:
    """Serves until standard input ends; prints the page's address first."""
    laid = OutsideCard(Path(folder))
    service, read = opened(Path(folder), laid)
    server = LocalServer(
        lambda port: create_app(
            service, token=TOKEN, port=port, monotonic_ms=lambda: time.monotonic_ns() // 1_000_000
        )
    )
    floor = Floor()
    _say(f"{server.origin}/kiosk?key={TOKEN}")
    _say(floor.server.origin)
    try:
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "rss":
                _say(str(resident_bytes("roster.bin")))
            elif word == "tap":
                for _ in range(int(number)):
                    tap(service, read())
                    time.sleep(FRAME_S)
                _say("done")
            elif word == "floor":
                for _ in range(int(number)):
                    time.sleep(PAUSE_S)
                    _say(f"{floor.say():.3f}")
                _say("done")
            elif word == "watch":
                presented = read()
                for _ in range(int(number)):
                    _say(f"{watched(service, presented):.3f}")
                _say("done")
    finally:
        floor.close()
        server.stop()
        service.close()
        laid.close()


def tap(service: TerminalService, presented: Presented) -> None:
    """One tap of the kiosk, as the reader's thread brings it."""
    position, desk = service.position(POSITION), TapDesk(service.parts)
    desk.finish_kiosk(position, desk.begin_kiosk(position), presented)


def watched(service: TerminalService, presented: Presented) -> float:
    """Takes the answer away, taps again, and tells when the service said green (s since 1970)."""
    service.dismiss(POSITION)
    time.sleep(PAUSE_S)
    told: list[float] = []
    end = service.subscribe(lambda _position: told.append(time.time()))
    tap(service, presented)
    end()
    time.sleep(PAUSE_S)
    return told[-1] * 1_000


def resident_bytes(mapped: str, process: int | str = "self") -> int:
    """Resident memory of a process without the pages of the mapped file."""
    total = ours = 0
    of_file = False
    for line in Path(f"/proc/{process}/smaps").read_text("utf-8").splitlines():
        if line.startswith("Rss:"):
            amount = int(line.split()[1]) * 1_024
            total += amount
            ours += 0 if of_file else amount
        elif "-" in line.split(" ")[0]:
            of_file = line.endswith(mapped)
    return ours


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "card":
        card(sys.argv[2])
    else:
        serve(sys.argv[2])
