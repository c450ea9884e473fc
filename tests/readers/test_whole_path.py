"""The whole path on real drivers: one red card on pcscd and on nfcpy ends in the same entry.

From the card on the reader to the server's receipt: driver, scheme, roster, decision, signed and
flushed entry, green light, batch, admission, judgement. Only the reader differs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from keys.keystore import MemoryKeyStore
from readers.nfc import NfcReader
from readers.pcsc import PcscReaders
from readers.supervision import CardReader
from readers.virtual.authority import TestCa
from readers.virtual.pn532 import Pn532
from readers.virtual.unionpay import make_pan
from readers.virtual.vpcd import Pcscd, VpcdSlot
from terminal.answers import Phase
from terminal.composition import open_terminal
from terminal.enrolment import enrol
from terminal.home import Home
from tests.readers.stack import PATIENCE_S, Place
from tests.terminal.clocks import HandClock
from tests.terminal.federation import TERMINAL, Federation
from tests.terminal.rig import CONFIG
from tests.terminal.station import Station

#: What differs between any two taps; everything else must not.
OF_THE_TAP = frozenset({"seq", "ts_ms", "mono_ms", "nonce", "boot"})
MEMBER = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return TestCa.in_folder(tmp_path_factory.mktemp("path-ca"))


@pytest.fixture
def federations(tmp_path: Path, world: TestCa) -> Iterator[tuple[Federation, Federation]]:
    """Two servers alike, so that neither tap counts for the other."""
    Federation.found(tmp_path / "founded", world, HandClock())
    places = [shutil.copytree(tmp_path / "founded", tmp_path / name) for name in ("one", "two")]
    made = tuple(Federation(place, HandClock()) for place in places)
    for one in made:
        one.members(MEMBER)
    yield made[0], made[1]
    for one in made:
        one.close()


class Counter(Station):
    """An enrolled terminal whose kiosk reads with a driver of the test's choice."""

    def __init__(self, path: Path, federation: Federation, driver: CardReader, name: str) -> None:
        clock = federation.clock
        assert isinstance(clock, HandClock)
        self.federation, self.clock = federation, clock
        self.keys = MemoryKeyStore()
        text = CONFIG.format(extra='sync_every = "1h"')
        text = text.replace('reader = "kiosk"', f"reader = '^{re.escape(name)}$'")
        self.home = Home.create(path, text)
        enrol(self.home, federation.code(TERMINAL), federation.transport, clock, keys=self.keys)
        self.service = open_terminal(
            self.home, clock, [driver], keys=self.keys, transport=federation.transport
        )
        self.service.parts.courier.stop()
        self.service.start()
        assert self.service.sync_now().status == "ok"

    def tapped(self, place: Place, world: TestCa) -> Mapping[str, Any]:
        """Taps the red card; returns the entry after its receipt, less what is of the tap."""
        self.watch("kiosk", lambda view: view.reader.state == "ready", PATIENCE_S)
        self.world = world
        place.insert(self.card(MEMBER))
        view = self.watch("kiosk", lambda view: view.phase is Phase.ANSWER, PATIENCE_S)
        assert (view.answer.outcome, view.answer.code) == ("approve", "A00")
        place.remove()
        (entry,) = [one for one in self.entries() if one["kind"] == "redeem"]
        assert self.service.sync_now().pending == 0
        (recent,) = self.service.recent("kiosk")
        assert (recent.confirmed, recent.verdict) == (True, "accepted")
        assert make_pan(MEMBER) not in str(entry)
        return {key: value for key, value in entry.items() if key not in OF_THE_TAP}


def _on_pcscd(path: Path, federation: Federation, world: TestCa, pcscd: Pcscd) -> Mapping[str, Any]:
    name = pcscd.reader_names[0]
    counter = Counter(path, federation, PcscReaders(), name)
    try:
        return counter.tapped(VpcdSlot(pcscd.ports[0]), world)
    finally:
        counter.close()


def _on_nfcpy(path: Path, federation: Federation, world: TestCa) -> Mapping[str, Any]:
    chip = Pn532()
    counter = Counter(path, federation, NfcReader(chip.path, "kiosk nfc"), "kiosk nfc")
    try:
        return counter.tapped(chip, world)
    finally:
        counter.close()
        chip.close()


@pytest.mark.pcscd
def test_the_same_card_is_the_same_entry_on_pcscd_and_on_nfcpy(
    tmp_path: Path, world: TestCa, federations: tuple[Federation, Federation], pcscd: Pcscd
) -> None:
    first = _on_pcscd(tmp_path / "pcscd", federations[0], world, pcscd)
    second = _on_nfcpy(tmp_path / "nfc", federations[1], world)
    assert first == second
    assert (first["scheme"], first["assurance"]) == ("unionpay", "authenticated")
    assert (first["member"], first["code"]) == (f"{MEMBER:016x}", "A00")
