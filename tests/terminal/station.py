"""A terminal in the field: everything that it has comes from a real server."""

from __future__ import annotations

from pathlib import Path

from keys.keystore import MemoryKeyStore
from readers.virtual.authority import TestCa
from readers.virtual.box import InProcessReader
from terminal.composition import open_terminal
from terminal.enrolment import enrol
from terminal.flow import no_probe
from terminal.home import Home
from tests.terminal.clocks import HandClock
from tests.terminal.federation import TERMINAL, Federation
from tests.terminal.rig import CONFIG, Rig


class Station(Rig):
    """A rig whose home, keys, roster and card schemes come from the server, as in the field."""

    def __init__(
        self,
        path: Path,
        world: TestCa,
        federation: Federation,
        clock: HandClock,
        terminal: str = TERMINAL,
        code: str = "",
    ) -> None:
        self.federation = federation
        self.world, self.clock = world, clock
        self.keys = MemoryKeyStore()
        self.probe = no_probe
        self.home = Home.create(path, CONFIG.format(extra='sync_every = "1h"'))
        code = code or federation.code(terminal)
        enrol(self.home, code, federation.transport, clock, keys=self.keys)
        self.start()

    def start(self, **more: object) -> None:
        self.readers = {name: InProcessReader(f"{name} reader") for name in ("kiosk", "counter")}
        self.service = open_terminal(
            self.home,
            self.clock,
            tuple(self.readers.values()),
            keys=self.keys,
            transport=self.federation.transport,
            probe=lambda step: self.probe(step),  # noqa: PLW0108 - tests exchange it later
        )
        self.service.parts.courier.stop()  # tests say when to travel
        self.service.start()
