"""A kiosk service by itself, for the campaign ``paint``: a whole terminal, taps on demand.

``build FOLDER CARDS`` makes the roster in a process of its own, since the making costs memory
that a kiosk never uses. ``serve FOLDER`` then takes commands on standard input, one a line: ``tap
N`` takes N taps as fast as they go, ``watch N`` takes N one after the other and prints for each
when the service said so, ``rss`` prints the resident bytes without the roster's pages.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from redcard.bench.terminal import full_terminal
from screens.serving import LocalServer
from terminal.presenting import Presented
from terminal.roster import open_roster
from terminal.service import TerminalService
from terminal.tapdesk import TapDesk
from terminal.web.app import create_app

TOKEN = "b" * 43
POSITION = "kiosk"
PAUSE_S = 0.12


def build(folder: str, cards: int) -> None:
    """Makes the roster of so many cards; the card that taps is among them."""
    place = Path(folder) / "making"
    place.mkdir()
    service, _ = full_terminal(place, cards)
    service.close()
    (place / "roster.bin").rename(Path(folder) / "city.bin")
    shutil.rmtree(place)


def serve(folder: str) -> None:
    """Serves until standard input ends; prints the page's address first."""
    place = Path(folder) / "kiosk"
    place.mkdir()
    service, read = full_terminal(place, 1)
    facts = service.parts.facts
    facts.install(replace(facts.installed, cards=open_roster(Path(folder) / "city.bin")))
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
                _say(str(resident_bytes("city.bin")))
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
