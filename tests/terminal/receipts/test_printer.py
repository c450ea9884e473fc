"""Ways to a printer, and the desk that never lets anybody wait for paper."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal.errors import PrinterFault
from terminal.receipts.escpos import CUT, INITIALISE, PAPERS, Model
from terminal.receipts.layout import Line
from terminal.receipts.ports import (
    DevicePort,
    NetworkPort,
    PictureFolder,
    SerialPort,
    port_of,
)
from terminal.receipts.printer import ATTEMPTS_MAX, SLIPS_WAITING_MAX, PrintDesk
from tests.terminal.web.stand_in import RECEIPT

SLIP = (Line("端午优惠券套包"),)


class Jammed:
    """A printer whose paper is stuck until somebody opens it."""

    name = "jammed"

    def __init__(self) -> None:
        self.free = threading.Event()
        self.tried = 0
        self.slips: list[bytes] = []

    def send(self, slip: bytes) -> None:
        self.tried += 1
        if not self.free.is_set():
            raise PrinterFault("no paper")
        self.slips.append(slip)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def jammed() -> Jammed:
    return Jammed()


@pytest.fixture
def desk(jammed: Jammed) -> Iterator[PrintDesk]:
    desk = PrintDesk(jammed, Model(), retry_after_s=0.02)
    desk.start()
    yield desk
    desk.stop()


def test_a_slip_comes_out_whole(desk: PrintDesk, jammed: Jammed) -> None:
    jammed.free.set()
    assert desk.print(SLIP, RECEIPT)
    until(lambda: desk.shown.printed == 1)
    assert jammed.slips[0].startswith(INITIALISE)
    assert jammed.slips[0].endswith(CUT)
    assert RECEIPT.encode() in jammed.slips[0]
    assert desk.shown.state == "ready"


def test_a_jam_holds_nobody_up_and_ends_by_itself(desk: PrintDesk, jammed: Jammed) -> None:
    assert desk.print(SLIP)
    until(lambda: desk.shown.state == "fault")
    assert desk.shown.detail == "no paper"
    jammed.free.set()
    until(lambda: desk.shown.state == "ready")
    assert len(jammed.slips) == 1


def test_a_slip_is_given_up_after_a_while_and_the_lamp_stays(
    desk: PrintDesk, jammed: Jammed
) -> None:
    desk.print(SLIP)
    until(lambda: jammed.tried >= ATTEMPTS_MAX)
    jammed.free.set()
    desk.print(SLIP)
    until(lambda: desk.shown.printed == 1)
    assert len(jammed.slips) == 1


def test_the_queue_is_short_and_says_so(desk: PrintDesk) -> None:
    taken = [desk.print(SLIP) for _ in range(SLIPS_WAITING_MAX + 2)]
    assert taken[:SLIPS_WAITING_MAX] == [True] * SLIPS_WAITING_MAX
    assert not taken[-1]
    assert desk.shown.waiting <= SLIPS_WAITING_MAX


def test_the_end_does_not_wait_for_paper(jammed: Jammed) -> None:
    desk = PrintDesk(jammed, Model(), retry_after_s=60)
    desk.start()
    desk.print(SLIP)
    until(lambda: jammed.tried == 1)
    desk.stop()
    assert not desk.print(SLIP)


def test_pages_are_told_of_each_change(jammed: Jammed) -> None:
    seen: list[str] = []
    told = PrintDesk(jammed, Model())
    told.changed = lambda: seen.append(told.shown.state)
    jammed.free.set()
    told.start()
    told.print(SLIP)
    until(lambda: seen[-1:] == ["ready"] and told.shown.printed == 1)
    told.stop()
    assert "printing" in seen


def test_a_network_printer_gets_all_bytes() -> None:
    got = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                while data := link.recv(4096):
                    got.extend(data)

        thread = threading.Thread(target=serve)
        thread.start()
        NetworkPort("127.0.0.1", listener.getsockname()[1]).send(b"slip" * 5_000)
        thread.join(5)
    assert bytes(got) == b"slip" * 5_000


def test_a_network_printer_that_is_off_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PrinterFault, match="cannot be reached"):
        NetworkPort("127.0.0.1", port).send(b"slip")


def test_a_network_printer_that_never_takes_the_slip_is_a_fault() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(PrinterFault, match="does not answer"),
    ):
        NetworkPort("127.0.0.1", listener.getsockname()[1], limit_s=0.05).send(b"slip")


def test_a_device_file_gets_all_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "lp0"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    DevicePort(str(pipe)).send(b"slip")
    assert os.read(reading, 100) == b"slip"
    os.close(reading)


def test_a_device_without_paper_takes_no_bytes_and_is_a_fault(tmp_path: Path) -> None:
    pipe = tmp_path / "lp0"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(PrinterFault, match="check its paper"):
        DevicePort(str(pipe), limit_s=0.05).send(b"x" * 1_000_000)
    os.close(reading)
    with pytest.raises(PrinterFault, match="not plugged in"):
        DevicePort(str(tmp_path / "lp1")).send(b"slip")
    with pytest.raises(PrinterFault, match="cannot be opened"):
        DevicePort(str(pipe)).send(b"nobody reads")


def test_a_serial_printer_gets_all_bytes() -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    SerialPort(name).send(b"\x1b@slip")
    assert os.read(master, 100) == b"\x1b@slip"
    os.close(slave)
    os.close(master)
    with pytest.raises(PrinterFault, match="not plugged in"):
        SerialPort("/dev/nowhere").send(b"slip")


def test_a_folder_of_pictures_counts_on(tmp_path: Path) -> None:
    from terminal.receipts.escpos import encode
    from terminal.receipts.raster import draw

    folder = PictureFolder(tmp_path / "slips", PAPERS[58])
    for _ in range(2):
        folder.send(encode(SLIP, "", Model(), draw))
    names = sorted(file.name for file in (tmp_path / "slips").iterdir())
    assert names == ["slip-00000001.png", "slip-00000002.png"]
    with pytest.raises(PrinterFault):
        folder.send(b"\x1b?")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/dev/usb/lp0", DevicePort),
        ("tcp://192.0.2.9", NetworkPort),
        ("tcp://printer.lan:9101", NetworkPort),
        ("serial:/dev/ttyS0", SerialPort),
        ("png:slips", PictureFolder),
    ],
)
def test_addresses_of_printers(tmp_path: Path, address: str, kind: type) -> None:
    assert isinstance(port_of(address, PAPERS[58], base=tmp_path), kind)


@pytest.mark.parametrize("address", ["", "lp0", "tcp://a:99999", "tcp://a b", "png:", "serial:x"])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        port_of(address, PAPERS[58], base=tmp_path)
