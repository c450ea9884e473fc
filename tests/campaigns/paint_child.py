"""A kiosk service by itself, for the campaign ``paint``: a whole terminal, taps on demand.

``build FOLDER CARDS`` makes home and roster in a process of its own, since the making costs memory
that a kiosk never uses. ``serve FOLDER`` then takes commands on standard input, one a line: ``tap
N`` takes N taps as fast as they go, ``watch N`` takes N one after the other and prints for each
when the service said so, ``rss`` prints the resident bytes without the roster's pages.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import redcard.bench.terminal as bench
from keys.passphrase import Argon2Cost, PassphraseKeyStore
from ledger.rules.catalogue import load_offers, load_venues
from screens.serving import LocalServer
from sync.transport import HttpTransport
from terminal.clock import ShiftedClock, SystemClock
from terminal.composition import open_terminal
from terminal.home import Home
from terminal.presenting import Presented
from terminal.roster import open_roster
from terminal.service import TerminalService
from terminal.state import Installed
from terminal.tapdesk import TapDesk
from terminal.web.app import create_app

TOKEN = "b" * 43
POSITION = "kiosk"
PAUSE_S = 0.12
PASSPHRASE = b"paint"
CHEAP = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)


def build(folder: str, cards: int) -> None:
    """Makes a home with its ledger, its keys and the roster of so many cards."""
    place = Path(folder)
    # A key store on disk in place of the bench's own, so that another process can open the home.
    vars(bench)["MemoryKeyStore"] = lambda: PassphraseKeyStore(
        place / "keys", PASSPHRASE, cost=CHEAP
    )
    service, _ = bench.full_terminal(place, cards)
    service.close()


def opened(place: Path) -> tuple[TerminalService, Callable[[], Presented]]:
    """The home as a kiosk opens it, and one tap of the card that it knows."""
    keys = PassphraseKeyStore(place / "keys", PASSPHRASE, cost=CHEAP)
    base = SystemClock()
    clock = ShiftedClock(base, bench._NOON_MS - base.wall_ms())
    service = open_terminal(Home.open(place / "home"), clock, keys=keys)
    now_ms = service.parts.facts.time.now().now_ms
    venues = load_venues(json.dumps([{"id": "M01"}]).encode())
    service.parts.facts.install(
        replace(
            Installed(),
            catalogue=load_offers(json.dumps(bench._OFFERS).encode(), venues=venues),
            cards=open_roster(place / "roster.bin"),
            signed_ms=now_ms,
            version=1,
        )
    )
    # A kiosk in the field also holds its line to the server.
    HttpTransport("https://sync.example")._open()
    return service, bench._reading(place, keys)


def serve(folder: str) -> None:
    """Serves until standard input ends; prints the page's address first."""
    service, read = opened(Path(folder))
    server = LocalServer(
        lambda port: create_app(
            service, token=TOKEN, port=port, monotonic_ms=lambda: time.monotonic_ns() // 1_000_000
        )
    )
    _say(f"{server.origin}/kiosk?key={TOKEN}")
    try:
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "rss":
                _say(str(resident_bytes("roster.bin")))
            elif word == "tap":
                for _ in range(int(number)):
                    tap(service, read())
                _say("done")
            elif word == "watch":
                presented = read()
                for _ in range(int(number)):
                    _say(f"{watched(service, presented):.3f}")
                _say("done")
    finally:
        server.stop()
        service.close()


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


def resident_bytes(mapped: str) -> int:
    """Resident memory of this process without the pages of the mapped file."""
    total = ours = 0
    of_file = False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
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
    else:
        serve(sys.argv[2])
