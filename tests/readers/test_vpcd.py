"""The card's wire, the socket reader, and a pcscd of our own, judged by OpenSC's client."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.errors import CardMute, CardRemoved, ReaderFault, ReaderMissing, ServiceMissing
from readers.supervision import ReaderState
from readers.virtual import vpcd, wire
from readers.virtual.socket_reader import CARDS_MAX, SocketReader
from readers.virtual.vpcd import Pcscd, VpcdSlot, pcscd_available
from tests.readers.stack import PATIENCE_S, Recorder, TestCard, demand_pcscd


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_frames_arrive_as_they_were_sent(payloads: list[bytes]) -> None:
    left, right = _tcp_pair()
    with left, right:
        for payload in payloads:
            wire.send(left, payload)
        left.shutdown(socket.SHUT_WR)
        assert [wire.receive(right) for _ in payloads] == payloads
        assert wire.receive(right) is None


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server((wire.LOOPBACK, 0)) as server:
        left = socket.create_connection(server.getsockname())
        right, _ = server.accept()
    return left, right


def test_half_a_frame_is_none_and_a_long_one_is_refused() -> None:
    left, right = _tcp_pair()
    with left, right:
        left.sendall(b"\x00\x05abc")
        left.close()
        assert wire.receive(right) is None
        with pytest.raises(ValueError, match="65536"):
            wire.send(right, bytes(65_536))


def test_nobody_listens() -> None:
    with socket.create_server((wire.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ReaderMissing, match=f"port {port}"):
        VpcdSlot(port).insert(TestCard())


def test_a_port_that_is_taken() -> None:
    reader = SocketReader()
    try:
        with pytest.raises(ReaderFault, match=f"port {reader.port}"):
            SocketReader(port=reader.port)
    finally:
        reader.stop()


def test_several_cards_on_a_socket_reader() -> None:
    reader, seen = SocketReader("S"), Recorder()
    reader.start(seen)
    crowd = [VpcdSlot(reader.port) for _ in range(CARDS_MAX + 1)]
    try:
        crowd[0].insert(TestCard())
        seen.wait_results()
        for slot in crowd[1:]:
            slot.insert(TestCard())
        seen.wait_event("several")
        assert len(reader._slot._cards) <= CARDS_MAX
        assert "more than one" in seen.wait_state("S", ReaderState.CARD).detail
        for slot in crowd:
            slot.remove()
        seen.wait_state("S", ReaderState.READY)
        assert reader.health.state is ReaderState.READY
    finally:
        for slot in crowd:
            slot.remove()
        reader.stop()


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_card_without_answer_to_reset(hangs_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readers.virtual.socket_reader.ATR_TIMEOUT_MS", 50)
    reader, seen = SocketReader("S"), Recorder()
    reader.start(seen)
    card = socket.create_connection((wire.LOOPBACK, reader.port))
    try:
        if hangs_up:
            assert wire.receive(card) == bytes((wire.POWER_ON,))
            assert wire.receive(card) == bytes((wire.GET_ATR,))
            card.close()
            seen.wait_state("S", ReaderState.READY)
            assert not any(isinstance(one, CardMute) for one in seen.results)
        else:
            assert isinstance(seen.wait_results()[0], CardMute)
            seen.wait_state("S", ReaderState.FAULT)
    finally:
        card.close()
        reader.stop()


def test_a_card_that_hangs_up_instead_of_answering() -> None:
    class Shy(TestCard):
        def process(self, command: bytes) -> bytes:
            raise CardRemoved("shy")

    reader, seen = SocketReader("S"), Recorder()
    reader.start(seen)
    try:
        with VpcdSlot(reader.port) as slot:
            slot.insert(Shy())
            assert isinstance(seen.wait_results()[0], CardRemoved)
            seen.wait_state("S", ReaderState.READY)
            slot.insert(TestCard())
            assert seen.wait_results(2)[1] == (b"", 0x9000)
    finally:
        reader.stop()


def test_a_card_that_lies_there_returns_with_the_reader() -> None:
    reader, seen = SocketReader("S"), Recorder()
    with VpcdSlot(reader.port) as slot:
        try:
            slot.insert(TestCard())
            for turn in (1, 2):
                reader.start(seen)
                seen.wait_results(turn)
                reader.stop()
        finally:
            reader.stop()


def test_reasons_why_pcscd_cannot_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vpcd, "_SBIN", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install pcscd" in (pcscd_available() or "")
    (tmp_path / "pcscd").write_text("#!/bin/sh\n")
    (tmp_path / "pcscd").chmod(0o755)
    monkeypatch.setattr(vpcd, "DRIVER", tmp_path / "driver.so")
    assert "vsmartcard-vpcd" in (pcscd_available() or "")
    (tmp_path / "driver.so").touch()
    assert "unshare is not installed" in (pcscd_available() or "")
    (tmp_path / "unshare").write_text(
        "#!/bin/sh\necho unshare: Operation not permitted >&2\nexit 1\n"
    )
    (tmp_path / "unshare").chmod(0o755)
    (tmp_path / "sh").symlink_to("/bin/sh")
    assert (pcscd_available() or "").endswith("Operation not permitted")
    with (
        pytest.raises(ServiceMissing, match="Operation not permitted"),
        Pcscd(),
    ):
        raise AssertionError


def test_a_path_that_is_too_long_for_a_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(vpcd, "_short_directory", lambda: str(deep))
    with pytest.raises(ServiceMissing, match="too long"):
        Pcscd()
    assert list(deep.iterdir()) == []


def _opensc(service: Pcscd, *arguments: str) -> str:
    tool = shutil.which("opensc-tool")
    if tool is None:
        pytest.skip("NOT TESTED against OpenSC: apt-get install opensc")
    done = subprocess.run(
        [tool, *arguments],
        env={**os.environ, **service.environment},
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


@pytest.mark.pcscd
def test_two_services_beside_each_other_and_a_client_that_is_not_ours() -> None:
    demand_pcscd()
    with Pcscd("Museum") as museum, Pcscd("Station") as station:
        assert museum.socket != station.socket
        assert set(museum.ports).isdisjoint(station.ports)
        assert "Museum 00 01" in _opensc(museum, "--list-readers")
        assert "Station 00 00" in _opensc(station, "--list-readers")
        card = TestCard()
        with VpcdSlot(museum.ports[1]) as slot:
            slot.insert(card)
            said = _opensc(
                museum, "--reader", "1", "--wait", "--send-apdu", "80:EE:00:00:03:0A:0B:0C:00"
            )
        assert "0A 0B 0C" in said
        assert "SW1=0x90, SW2=0x00" in said
        processes = [museum._pid, station._pid]
        directories = [museum.socket.parent.parent, station.socket.parent.parent]
    assert not any(directory.exists() for directory in directories)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


@pytest.mark.pcscd
def test_the_service_ends_with_the_process_that_started_it() -> None:
    demand_pcscd()
    program = (
        "import time\nfrom readers.virtual.vpcd import Pcscd\n"
        "service = Pcscd()\nservice.start()\nprint(service._pid, service._base, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, base = parent.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    ended = threading.Event()
    end = time.monotonic() + PATIENCE_S
    while (Path(f"/proc/{pid}").exists() or Path(base).exists()) and time.monotonic() < end:
        ended.wait(0.01)
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(base).exists()


@pytest.mark.pcscd
def test_a_user_without_privileges_may_start_it() -> None:
    demand_pcscd()
    program = (
        "from readers.virtual.vpcd import Pcscd, pcscd_available\n"
        "reason = pcscd_available()\nprint(reason)\n"
        "if reason is None:\n    with Pcscd() as service:\n        print(service.running)\n"
    )
    drop = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    done = subprocess.run(
        [*(drop if os.geteuid() == 0 else []), sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout.split() == ["None", "True"], done.stderr
