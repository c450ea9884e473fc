"""A machine's first start with the real server, by what its page asks of the host."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from readers.virtual.authority import TestCa
from readers.virtual.box import InProcessReader
from redcard.first_start import FirstStartHost, is_new
from sync.errors import Unreachable
from sync.transport import MemoryTransport, Request, Response
from terminal.home import Home
from terminal.setup_text import SetupText
from tests.terminal.clocks import HandClock
from tests.terminal.federation import Federation
from tests.terminal.rig import CONFIG, Rig


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return TestCa.in_folder(tmp_path_factory.mktemp("first-start-ca"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, ca: TestCa) -> Path:
    path = tmp_path_factory.mktemp("first-start") / "server"
    Federation.found(path, ca, HandClock())
    return path


@pytest.fixture
def federation(tmp_path: Path, base: Path) -> Iterator[Federation]:
    made = Federation(shutil.copytree(base, tmp_path / "server"), HandClock())
    made.members(1)
    yield made
    made.close()


class Machine:
    """A new machine with its reader."""

    def __init__(self, path: Path, federation: Federation) -> None:
        self.path = path
        self.reader = InProcessReader("kiosk reader")
        self.host = FirstStartHost(
            path,
            federation.clock,
            lambda _home: [self.reader],
            lambda _home: federation.transport,
        )


def test_a_code_a_pin_and_a_practice_tap_that_records_nothing(
    tmp_path: Path, ca: TestCa, federation: Federation
) -> None:
    path = tmp_path / "machine"
    Home.create(path, CONFIG.format(extra='sync_every = "1h"'))
    machine = Machine(path, federation)
    assert is_new(path)
    assert machine.host.activate("NO-CODE") == "invalid"
    assert machine.host.activate("ABCDE-FGHJK-MNPQR-STVWX") == "refused"
    assert machine.host.reader().state == "absent"
    assert machine.host.activate(federation.code()) == ""
    assert not is_new(path)
    try:
        assert machine.host.set_pin("2468")
        assert not machine.host.set_pin("24")
        rig = Rig.__new__(Rig)
        rig.world = ca
        machine.reader.insert(rig.card(1))
        answer = machine.host.practise()
        assert answer is not None
        assert (answer.code, answer.simulate, answer.entry) == ("A00", True, None)
        assert not answer.green
    finally:
        machine.host.finish()
    assert machine.host.done


def test_the_qr_sets_the_machine_up_and_a_lost_network_can_be_tried_again(
    tmp_path: Path, federation: Federation
) -> None:
    path = tmp_path / "machine"
    setup = SetupText("http://127.0.0.1:1", "M01", "kiosk", ("museum",), federation.code())

    def gone(_request: Request) -> Response:
        raise Unreachable("no network")

    cut = FirstStartHost(
        path, federation.clock, lambda _home: [], lambda _home: MemoryTransport(gone)
    )
    assert cut.activate(setup.text()) == "unreachable"
    assert is_new(path)
    machine = Machine(path, federation)
    assert machine.host.activate(setup.text()) == ""
    machine.host.close()
    assert Home.open(path).config.positions[0].offer == "museum"
