"""nfcpy's own simulation as the reader, and its card, not ours, at the other end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import nfc
import nfc.clf
import pytest
from nfc.clf import udp

from readers.nfc import NfcReader
from readers.supervision import ReaderState
from readers.virtual.isodep import IsoDepTarget
from tests.readers.stack import Recorder, TestCard


class SimulatedCard:
    """A card of type 4A that listens on a port."""

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated card")
        self._thread.start()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        frontend = nfc.ContactlessFrontend()
        frontend.device = udp.init("127.0.0.1", self.port)
        own = nfc.clf.LocalTarget(
            "106A",
            sens_res=bytearray.fromhex("0400"),
            sdd_res=bytearray.fromhex("01020304"),
            sel_res=bytearray.fromhex("20"),
        )
        while not self._over.is_set():
            found = frontend.listen(own, timeout=0.3)
            if found is not None and found.tt4_cmd is not None:
                self._serve(frontend, found.tt4_cmd)
        frontend.close()

    def _serve(self, frontend: nfc.ContactlessFrontend, command: bytearray) -> None:
        target = IsoDepTarget(TestCard())
        while not self._over.is_set():
            answer = target.answer(bytes(command))
            try:
                command = frontend.exchange(bytearray(answer or b""), timeout=1.0)
            except nfc.clf.CommunicationError:
                return


@pytest.fixture
def card() -> Iterator[SimulatedCard]:
    made = SimulatedCard()
    yield made
    made.leave()


def test_a_simulated_card_is_read_and_leaves(card: SimulatedCard) -> None:
    reader, seen = NfcReader(f"udp:127.0.0.1:{card.port}", "N"), Recorder()
    reader.start(seen)
    try:
        seen.wait(lambda: (b"", 0x9000) in seen.results)
        assert seen.events[0] == ("inserted", "N")
        card.leave()
        seen.wait_event("removed")
        seen.wait_state("N", ReaderState.READY)
    finally:
        reader.stop()


def test_a_usb_reader_that_is_not_there() -> None:
    reader, seen = NfcReader("usb:054c:06c3", "N"), Recorder()
    reader.start(seen)
    try:
        seen.wait(lambda: "usb:054c:06c3" in seen.healths[-1].detail)
        assert seen.healths[-1].state in {ReaderState.ABSENT, ReaderState.FAULT}
        assert seen.results == []
    finally:
        reader.stop()
