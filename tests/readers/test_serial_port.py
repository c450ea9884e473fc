"""Scanners on real terminals of the kernel, over TCP, and behind a server of RFC 2217."""

from __future__ import annotations

import os
import pty
import re
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from readers import lines, serial_port
from readers.apdu import StatusWord
from readers.connection import CardConnection
from readers.errors import ReaderMissing
from readers.lines import LINE_BYTES_MAX, READ_LINE, LineFramer
from readers.serial_port import SerialReader
from readers.supervision import ReaderState
from tests.readers.stack import PATIENCE_S, Recorder

NAME = "scanner"


def _read(connection: CardConnection) -> bytes:
    line, sw = connection.transmit(READ_LINE)
    assert sw == StatusWord.SUCCESS
    return line


@contextmanager
def _watched(reader: SerialReader, recorder: Recorder) -> Iterator[Recorder]:
    reader.start(recorder)
    try:
        yield recorder
    finally:
        reader.stop()


class Scanner:
    """A scanner on a pseudo terminal, behind a stable path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug()

    def plug(self) -> None:
        self._scanner, self._port = pty.openpty()
        tty.setraw(self._port)
        self.path.symlink_to(os.ttyname(self._port))

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self._port)
        os.close(self._scanner)

    def send(self, data: bytes) -> None:
        os.write(self._scanner, data)


@pytest.fixture
def scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scanner]:
    device = Scanner(tmp_path / "usb-Scanner-if00")
    pattern = re.compile(r"/[A-Za-z0-9._:+/-]+")
    monkeypatch.setattr(lines, "_DEVICE", pattern)  # the stable path is not below /dev here
    yield device
    if device.path.is_symlink():
        device.unplug()


def test_a_scan_is_announced_served_and_over(scanner: Scanner) -> None:
    reader = SerialReader(str(scanner.path), NAME)
    with _watched(reader, Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
        scanner.send(b"MEMBER-0001\r")
        seen.wait_event("removed")
        scanner.send(b"MEMBER-0002\r\nMEMBER-0003\r\n")
        seen.wait_event("removed", 3)
        assert seen.results == [b"MEMBER-0001", b"MEMBER-0002", b"MEMBER-0003"]
        assert [event for event, _ in seen.events] == ["inserted", "removed"] * 3
        seen.wait_until(NAME, {ReaderState.READY})
    assert reader.health.faults == 0


def test_a_code_left_before_the_scanner_is_one_presentation(scanner: Scanner) -> None:
    with _watched(SerialReader(str(scanner.path), NAME), Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
        for _ in range(5):
            scanner.send(b"MEMBER-0001\r")
        scanner.send(b"MEMBER-0002\rMEMBER-0001\r")
        seen.wait_event("removed", 3)
        assert seen.results == [b"MEMBER-0001", b"MEMBER-0002", b"MEMBER-0001"]


def test_noise_and_endless_lines_are_dropped_and_the_next_is_read(scanner: Scanner) -> None:
    with _watched(SerialReader(str(scanner.path), NAME), Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
        scanner.send(b"\xff\x00\x80noise\r" + b"a" * (LINE_BYTES_MAX + 1) + b"\rMEMBER-0001\r")
        assert seen.wait_results() == [b"MEMBER-0001"]


def test_half_a_line_is_not_finished_by_the_next(
    scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_port, "LINE_PAUSE_MS", 150)
    dropped = threading.Event()
    abandon = LineFramer.abandon

    def told(framer: LineFramer) -> None:
        abandon(framer)
        dropped.set()

    monkeypatch.setattr(LineFramer, "abandon", told)
    with _watched(SerialReader(str(scanner.path), NAME), Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
        scanner.send(b";62000")
        assert dropped.wait(PATIENCE_S)
        scanner.send(b"MEMBER-0001\r")
        assert seen.wait_results() == [b"MEMBER-0001"]


def test_unplugged_and_plugged_in_again(scanner: Scanner) -> None:
    with _watched(SerialReader(str(scanner.path), NAME), Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
        scanner.unplug()
        absent = seen.wait_state(NAME, ReaderState.ABSENT)
        assert "not plugged in" in absent.detail
        scanner.plug()
        seen.wait_state(NAME, ReaderState.READY)
        scanner.send(b"MEMBER-0001\r")
        assert seen.wait_results() == [b"MEMBER-0001"]


def test_not_there_from_the_start(scanner: Scanner) -> None:
    scanner.unplug()
    with _watched(SerialReader(str(scanner.path), NAME), Recorder(_read)) as seen:
        seen.wait(lambda: any("not plugged in" in one.detail for one in seen.healths))
        assert seen.state_of(NAME) is ReaderState.ABSENT
        scanner.plug()
        seen.wait_state(NAME, ReaderState.READY)


def test_another_program_holds_the_port(scanner: Scanner) -> None:
    first, second = SerialReader(str(scanner.path), "first"), SerialReader(str(scanner.path), NAME)
    with _watched(first, Recorder(_read)) as holder:
        holder.wait_state("first", ReaderState.READY)
        with _watched(second, Recorder(_read)) as seen:
            fault = seen.wait_state(NAME, ReaderState.FAULT)
            assert "another program holds" in fault.detail
            first.stop()
            health = seen.wait_state(NAME, ReaderState.READY)
            assert (health.faults, health.recoveries) == (1, 1)


def test_no_scan_survives_a_stop(scanner: Scanner) -> None:
    reader = SerialReader(str(scanner.path), NAME)
    with _watched(reader, Recorder(_read)) as seen:
        seen.wait_state(NAME, ReaderState.READY)
    scanner.send(b"MEMBER-0001\r")
    assert seen.results == []


def test_a_plain_tcp_port_goes_away_and_returns() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reader = SerialReader(f"socket://127.0.0.1:{server.getsockname()[1]}", NAME)
        with _watched(reader, Recorder(_read)) as seen:
            link, _ = server.accept()
            seen.wait_state(NAME, ReaderState.READY)  # what came before is dropped
            link.sendall(b"MEMBER-0001\r")
            assert seen.wait_results() == [b"MEMBER-0001"]
            link.close()
            seen.wait_state(NAME, ReaderState.FAULT)
            link, _ = server.accept()
            seen.wait_state(NAME, ReaderState.READY)
            link.sendall(b"MEMBER-0002\r")
            assert seen.wait_results(2)[1] == b"MEMBER-0002"
            link.close()


def test_a_tcp_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with _watched(SerialReader(f"socket://127.0.0.1:{port}", NAME), Recorder(_read)) as seen:
        fault = seen.wait_state(NAME, ReaderState.FAULT)
        assert "check cable and address" in fault.detail


class RemotePort:
    """pyserial's own server of RFC 2217 before a looped port, for one connection at a time."""

    def __init__(self) -> None:
        import serial

        self.port = serial.serial_for_url("loop://", timeout=0.01)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._link: socket.socket | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._link, _ = self._server.accept()
            except OSError:
                return
            with self._link as link:
                self._serve(link)

    def _serve(self, link: socket.socket) -> None:
        from serial.rfc2217 import PortManager

        link.settimeout(0.01)
        lock = threading.Lock()

        class Connection:
            def write(self, data: bytes) -> None:
                with lock:
                    link.sendall(data)

        manager: Any = PortManager(self.port, Connection())
        while not self._closing.is_set():
            try:
                if (data := self.port.read(self.port.in_waiting)) and data:
                    Connection().write(b"".join(manager.escape(data)))
                received = link.recv(1024)
                if not received:
                    return
                b"".join(manager.filter(received))
            except TimeoutError:
                continue
            except OSError:
                return

    def hang_up(self) -> None:
        assert self._link is not None
        self._link.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENCE_S)
        self.port.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_a_counter_elsewhere_negotiates_its_line_and_comes_back() -> None:
    remote = RemotePort()
    try:
        reader = SerialReader(remote.address, NAME, baudrate=19_200)
        with _watched(reader, Recorder(_read)) as seen:
            seen.wait_state(NAME, ReaderState.READY)
            assert remote.port.baudrate == 19_200
            remote.port.write(b"MEMBER-0001\r")
            assert seen.wait_results() == [b"MEMBER-0001"]
            remote.hang_up()
            seen.wait_state(NAME, ReaderState.FAULT)
            seen.wait_state(NAME, ReaderState.READY)
            remote.port.write(b"MEMBER-0002\r")
            assert seen.wait_results(2)[1] == b"MEMBER-0002"
    finally:
        remote.close()


@pytest.mark.parametrize(
    "port",
    [
        "COM1",
        "/etc/passwd",
        "/dev/ttyACM0 ; reboot",
        "loop://",
        "spy:///dev/ttyS0?file=/tmp/log",
        "socket://host",
        "rfc2217://host:4000?logging=debug",
        "http://host:80",
    ],
)
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(ReaderMissing, match="no port such as"):
        SerialReader(port)


@pytest.mark.parametrize(
    "port",
    [
        "/dev/serial/by-id/usb-Honeywell_1450g_12-if00",
        "socket://192.0.2.1:4000",
        "rfc2217://counter-2.example:4000",
        "rfc2217://[2001:db8::1]:4000",
    ],
)
def test_what_is_a_port(port: str) -> None:
    assert SerialReader(port).name == port
