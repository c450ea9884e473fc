"""What ``redcard kiosk`` weighs: the command itself in a process of its own, with cards and a page.

At full size its home is the one that ``redcard demo --once`` leaves, with the whole city in its
roster, and its taps come from virtual cards behind a real pcscd, where this machine has one. The
least size starts the same command on the campaign's own home.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b32encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from keys.passphrase import PassphraseKeyStore
from readers.virtual.vpcd import Pcscd, VpcdSlot, pcscd_available
from sync.roster import Roster, RosterEntry
from tests.campaigns.paint_child import resident_bytes

TAPS: Final = 24
_ROSTER: Final = "status/roster.bin"
_NO_RESULT: Final = ("idle", "reading", "confirming", "fault", "cut")
_RESULT: Final = "body" + "".join(f":not([data-state={name}])" for name in _NO_RESULT)
_POSITION: Final = re.compile(r"(?=^\[\[position\]\])", re.MULTILINE)


def demo_home(place: Path, cards: int, reader: str) -> Path:
    """The demo's terminal as a kiosk alone, with so many cards in its roster."""
    command = [sys.executable, "-m", "redcard", "demo", "--once", "--dir", str(place)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    home = place / "terminal"
    settings = home / "terminal.toml"
    head, kiosk, *_ = _POSITION.split(settings.read_text("utf-8"))
    kiosk = re.sub(r"(?m)^reader = .*$", lambda _found: f"reader = '^{re.escape(reader)}$'", kiosk)
    # An https address: a kiosk in the field holds what checks its server, too.
    head = re.sub(r"(?m)^server = .*$", 'server = "https://127.0.0.1:9"', head)
    settings.write_text(head + kiosk, "utf-8")
    current = home / "snapshot" / "current"
    _fill(current / "targets" / _ROSTER, cards)
    _sign(current / "metadata" / "status.json", current / "targets" / _ROSTER, place / "server")
    return home


def _fill(path: Path, cards: int) -> None:
    from sync.roster_build import build_roster

    with Roster.open(path) as roster:
        count = len(roster)
        known = {
            number.to_bytes(8): roster.entry(index)
            for index, number in enumerate(roster._read(0, count))
        }
        facts = (roster.version, roster.as_of_ms, roster.card_key_id)
    step = (1 << 64) // cards
    for index in range(cards):
        known.setdefault(
            (index * step).to_bytes(8),
            RosterEntry("active", f"{index + 1:016x}", district="110102"),
        )
    records = (
        (b32encode(known_bytes + bytes(8)).decode("ascii").rstrip("=").lower(), known[known_bytes])
        for known_bytes in sorted(known)
    )
    # The kept copy is a link to the same file: a new one takes the name.
    version, as_of_ms, key = facts
    build_roster(path, records, version=version, as_of_ms=as_of_ms, card_key_id=key)


def _sign(metadata: Path, roster: Path, server: Path) -> None:
    """The server's key of card status signs the larger roster in place of the demo's."""
    from tuf.api.metadata import Metadata, TargetFile
    from tuf.api.serialization.json import CanonicalJSONSerializer

    from server.metadata_signer import StoreSigner
    from server.publish import key_name

    passphrase = (server / "passphrase").read_bytes().strip()
    keys = PassphraseKeyStore(server / "keys", passphrase)
    status: Metadata[Any] = Metadata.from_file(str(metadata))
    status.signed.targets[_ROSTER] = TargetFile.from_file(_ROSTER, str(roster))
    status.signatures.clear()
    signer = StoreSigner(keys, key_name("status"))
    status.sign(signer, signed_serializer=CanonicalJSONSerializer())
    status.to_file(str(metadata))


class Kiosk:
    """``redcard kiosk`` in a process of its own, until :meth:`close`."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redcard", "kiosk", "--home", str(home)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().strip()
        assert self.url.startswith("http://"), self.url + self.process.stderr.read()

    def resident(self) -> int:
        """Resident bytes without the roster's pages."""
        return resident_bytes("roster.bin", self.process.pid)

    def close(self) -> None:
        """Ends it in order."""
        assert self.process.stderr is not None
        self.process.terminate()
        self.process.wait(60)
        self.process.stderr.close()


@contextmanager
def city_kiosk(place: Path, cards: int) -> Iterator[tuple[Kiosk, list[Any], VpcdSlot | None]]:
    """A kiosk of the whole city, its good cards, and where they are laid."""
    with ExitStack() as undo:
        service = None if pcscd_available() else undo.enter_context(Pcscd("Weight"))
        reader = service.reader_names[0] if service is not None else "none"
        home = demo_home(place, cards, reader)
        kiosk = Kiosk(home, service.environment if service is not None else {})
        undo.callback(kiosk.close)
        slot = undo.enter_context(VpcdSlot(service.ports[0])) if service is not None else None
        yield kiosk, _good_cards(place), slot


def _good_cards(place: Path) -> list[Any]:
    from ledger.rules.terms import VENUE_ZONE
    from ledger.rules.windows import local_day
    from redcard.demo_clock import clock_of
    from redcard.demo_world import Folders, fill_box

    folders = Folders(place)
    today = local_day(clock_of(folders.terminal).wall_ms(), VENUE_ZONE)
    box = fill_box(folders, today)
    return [card.contactless for name, card in sorted(box.items()) if name.startswith("good-")]


def taps(page: Any, cards: list[Any], slot: VpcdSlot, count: int) -> dict[str, int]:
    """Lays card after card; how often each result was shown."""
    seen: dict[str, int] = {}
    for number in range(count):
        slot.insert(cards[number % len(cards)])
        page.wait_for_selector(_RESULT, state="attached")
        state = page.evaluate("document.body.dataset.state")
        seen[state] = seen.get(state, 0) + 1
        slot.remove()
        page.wait_for_selector("body[data-state=idle]", state="attached")
    return seen
