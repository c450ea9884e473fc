"""Faults of readers on the real stack, one after the other, in a process of its own.

pcsc-lite remembers the first service that a process asked, so whoever starts one of its own does it
here. Writes one JSON document: seconds from the moment a cause goes away to the reader's recovery.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from readers.connection import CardConnection
from readers.nfc import NfcReader
from readers.supervision import ReaderState
from readers.virtual.box import Faults, FaultyCard
from readers.virtual.pn532 import Pn532
from readers.virtual.vpcd import Pcscd
from tests.readers.stack import HASTY_MS, SELECT, Recorder, Stack, TestCard, behind_pcscd

Fault = Callable[[Pcscd], float]
SERVED = (b"", 0x9000)


def _since(moment: float) -> float:
    return time.monotonic() - moment


@contextlib.contextmanager
def _watched(service: Pcscd) -> Iterator[tuple[Stack, Recorder]]:
    stack = behind_pcscd(service, HASTY_MS)
    with stack.watched() as seen:
        yield stack, seen


def killed(service: Pcscd) -> float:
    """pcscd is killed while a card lies there; it is started again and the card is served."""
    with _watched(service) as (stack, seen):
        stack.places[0].insert(TestCard())
        seen.wait_results()
        service.kill()
        seen.wait_state(stack.names[0], ReaderState.FAULT)
        service.start()
        moment = time.monotonic()
        seen.wait_results(2)
        return _since(moment)


def restarted(service: Pcscd) -> float:
    """The service is stopped in order and started again."""
    with _watched(service) as (stack, seen):
        service.stop()
        seen.wait_state(stack.names[0], ReaderState.FAULT)
        service.start()
        moment = time.monotonic()
        seen.wait_state(stack.names[0], ReaderState.READY)
        return _since(moment)


def hung(service: Pcscd) -> float:
    """The service stands still during an exchange and goes on."""
    pid = service.pid

    def script(connection: CardConnection) -> object:
        os.kill(pid, signal.SIGSTOP)
        return connection.transmit(SELECT)

    with _watched(service) as (stack, seen):
        seen.script = script
        stack.places[0].insert(TestCard())
        seen.wait_results()
        seen.script = lambda connection: connection.transmit(SELECT)
        before = len(seen.results)
        moment = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        # Taken off first: a card that is exchanged at once is the same card for the service.
        stack.places[0].remove()
        seen.wait_state(stack.names[0], ReaderState.READY)
        stack.lay(0, TestCard(), seen)
        seen.wait(lambda: SERVED in seen.results[before:])
        return _since(moment)


def torn(service: Pcscd) -> float:
    """A card is torn off during an exchange; the next one is served."""
    with _watched(service) as (stack, seen):
        stack.places[0].insert(FaultyCard(TestCard(), Faults(tear_at=1)))
        seen.wait_results()
        moment = time.monotonic()
        stack.places[0].insert(TestCard())
        seen.wait(lambda: SERVED in seen.results)
        return _since(moment)


def mute(service: Pcscd) -> float:
    """A card never answers; it is taken off and the reader is ready.

    The card must have been mute for the whole of an exchange's time: the same card without the
    fault, just before, is served and never a fault.
    """
    with _watched(service) as (stack, seen):
        stack.lay(0, TestCard(), seen)
        seen.wait_results()
        if seen.results != [SERVED]:
            raise AssertionError(f"a card that answers was not served: {seen.results}")
        stack.places[0].remove()
        seen.wait_state(stack.names[0], ReaderState.READY)
        laid = time.monotonic()
        stack.places[0].insert(FaultyCard(TestCard(), Faults(mute_at=1)))
        seen.wait_state(stack.names[0], ReaderState.FAULT)
        moment = time.monotonic()
        if (moment - laid) * 1000 < HASTY_MS or SERVED in seen.results[1:]:
            raise AssertionError(f"the card was not mute: a fault after {moment - laid:.2f} s")
        stack.places[0].remove()
        seen.wait_state(stack.names[0], ReaderState.READY)
        return _since(moment)


def unplugged(service: Pcscd) -> float:
    """An NFC reader is pulled out during an exchange and plugged in again at the same path."""
    del service
    chips = [Pn532()]
    path = chips[0].path

    class Puller(TestCard):
        def process(self, command: bytes) -> bytes:
            threading.Thread(target=chips[0].close).start()
            time.sleep(0.05)
            return super().process(command)

    reader, seen = NfcReader(path, "N"), Recorder()
    reader.start(seen)
    try:
        seen.wait_state("N", ReaderState.READY)
        chips[0].insert(Puller())
        seen.wait_until("N", {ReaderState.ABSENT, ReaderState.FAULT})
        chips.append(_plugged_at(path))
        moment = time.monotonic()
        seen.wait_state("N", ReaderState.READY)
        took = _since(moment)
        chips[1].insert(TestCard())
        seen.wait(lambda: SERVED in seen.results)
        return took
    finally:
        reader.stop()
        for chip in chips[1:]:
            chip.close()


def _plugged_at(path: str) -> Pn532:
    """The kernel gives the lowest free number, which is the one that was just left."""
    for _ in range(100):
        if (chip := Pn532()).path == path:
            return chip
        chip.close()
        time.sleep(0.05)
    raise AssertionError(f"{path} is still held by somebody")


def two_cards(service: Pcscd) -> float:
    """Two cards lie on an NFC reader; one is left and is served."""
    del service
    chip = Pn532()
    reader, seen = NfcReader(chip.path, "N"), Recorder()
    reader.start(seen)
    try:
        chip.insert(TestCard())
        chip.insert(TestCard())
        seen.wait_event("several")
        moment = time.monotonic()
        chip.remove()
        chip.insert(TestCard())
        seen.wait(lambda: bool(seen.results) and seen.results[-1] == SERVED)
        return _since(moment)
    finally:
        reader.stop()
        chip.close()


FAULTS: dict[str, Fault] = {
    "pcscd killed": killed,
    "service restarted": restarted,
    "service hung during an exchange": hung,
    "card torn": torn,
    "mute card": mute,
    "reader unplugged during an exchange": unplugged,
    "two cards": two_cards,
}


def main() -> None:
    """Plays every fault as often as the first argument says."""
    found: dict[str, list[float]] = {name: [] for name in FAULTS}
    with Pcscd("Counter") as service:
        os.environ.update(service.environment)
        for _ in range(int(sys.argv[1])):
            for name, fault in FAULTS.items():
                found[name].append(round(fault(service), 3))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
