"""Faults that only a real PC/SC service has."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

import pytest
from smartcard import scard

from readers.connection import CardConnection
from readers.errors import ReaderFault, ServiceMissing
from readers.pcsc import PcscReaders, reader_names
from readers.supervision import ReaderState
from readers.virtual.vpcd import Pcscd, VpcdSlot
from tests.readers.stack import (
    SELECT,
    Recorder,
    TestCard,
    behind_pcscd,
)

pytestmark = pytest.mark.pcscd


def test_a_killed_service_returns_and_so_do_the_readers(pcscd: Pcscd) -> None:
    stack = behind_pcscd(pcscd)
    first, second = stack.names
    with stack.watched() as seen:
        stack.places[0].insert(TestCard())
        seen.wait_results()
        pcscd.kill()
        seen.wait_event("removed", reader=first)
        for name in (first, second, "PC/SC"):
            # the moment it dies, its library may take the end of the line for a refusal
            seen.wait(partial(_named, seen, name, "8010001"))
        pcscd.start()
        assert seen.wait_results(2)[-1] == (b"", 0x9000)  # the card still lies there
        health = seen.wait_state(second, ReaderState.READY)
        assert (health.faults, health.recoveries) == (1, 1)
        assert seen.wait_state("PC/SC", ReaderState.READY).recoveries == 1


def _named(seen: Recorder, reader: str, code: str) -> bool:
    return any(code in detail for detail in seen.faults_of(reader))


def test_a_service_that_was_stopped_in_order_returns(pcscd: Pcscd) -> None:
    stack = behind_pcscd(pcscd)
    with stack.watched() as seen:
        pcscd.stop()
        seen.wait_state(stack.names[0], ReaderState.FAULT)
        pcscd.start()
        seen.wait_state(stack.names[0], ReaderState.READY)
        stack.places[0].insert(TestCard())
        assert seen.wait_results() == [(b"", 0x9000)]


def test_a_service_that_dies_during_an_exchange(pcscd: Pcscd) -> None:
    class Killer(TestCard):
        def process(self, command: bytes) -> bytes:
            if not self.commands:
                pcscd.kill()
            return super().process(command)

    stack = behind_pcscd(pcscd)
    with stack.watched() as seen:
        stack.places[0].insert(Killer())
        assert isinstance(seen.wait_results()[0], ReaderFault)
        seen.wait_state(stack.names[0], ReaderState.FAULT)
        pcscd.start()
        assert seen.wait_results(2)[-1] == (b"", 0x9000)


def test_a_service_that_comes_late(pcscd: Pcscd) -> None:
    pcscd.stop()
    with pytest.raises(ServiceMissing, match="start pcscd"):
        reader_names()
    seen = Recorder()
    driver = PcscReaders(apdu_timeout_ms=1000)
    driver.start(seen)
    try:
        seen.wait_state("PC/SC", ReaderState.FAULT)
        pcscd.start()
        assert tuple(reader_names()) == pcscd.reader_names
        for name in ("PC/SC", *pcscd.reader_names):
            seen.wait_state(name, ReaderState.READY)
        assert set(driver.readers) == set(pcscd.reader_names)
    finally:
        driver.stop()


def test_a_pattern_that_matches_no_reader(pcscd: Pcscd) -> None:
    seen = Recorder()
    driver = PcscReaders("ACR122")
    driver.start(seen)
    try:
        assert "plug one in" in seen.wait_state("PC/SC", ReaderState.ABSENT).detail
        assert driver.readers == {}
    finally:
        driver.stop()


def test_a_service_that_hangs_is_noticed_and_leaves_nobody_hanging(
    pcscd: Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pcsc", "pcsc_slot", "pcsc_context"):
        monkeypatch.setattr(f"readers.{module}.SERVICE_TIMEOUT_MS", 200)
    monkeypatch.setattr("readers.attendance.WAIT_MS", 300)
    stack = behind_pcscd(pcscd)
    with stack.watched() as seen:
        pcscd._signal(signal.SIGSTOP)
        try:
            for name in (stack.names[0], "PC/SC"):
                assert "restart pcscd" in seen.wait_state(name, ReaderState.FAULT).detail
            with pytest.raises(ServiceMissing, match="does not answer"):
                reader_names()
            late = PcscReaders()
            late.start(Recorder())
            late.stop()
            hanging = sum("PC/SC" in thread.name for thread in threading.enumerate())
            assert hanging < 30
        finally:
            pcscd._signal(signal.SIGCONT)
        for name in (*stack.names, "PC/SC"):
            seen.wait_state(name, ReaderState.READY)
        stack.places[0].insert(TestCard())
        assert seen.wait_results() == [(b"", 0x9000)]


def _connect(name: str, share: int) -> tuple[Any, Any]:
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    while True:
        code, card, _ = scard.SCardConnect(
            context, name, share, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        if code == 0:
            return context, card
        assert code & 0xFFFFFFFF in (0x8010000C, 0x80100069), hex(code)


@pytest.mark.parametrize("exclusive", [True, False])
def test_another_program_holds_the_card_and_lets_go(pcscd: Pcscd, exclusive: bool) -> None:
    stack = behind_pcscd(pcscd)
    name = stack.names[0]
    stack.places[0].insert(TestCard())
    share = scard.SCARD_SHARE_EXCLUSIVE if exclusive else scard.SCARD_SHARE_SHARED
    context, card = _connect(name, share)
    if not exclusive:
        assert scard.SCardBeginTransaction(card) == 0
    with stack.watched() as seen:
        assert "another program" in seen.wait_state(name, ReaderState.FAULT).detail
        assert seen.events == []
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
        scard.SCardReleaseContext(context)
        assert seen.wait_results() == [(b"", 0x9000)]
        health = seen.wait_state(name, ReaderState.CARD)
        assert (health.faults, health.recoveries) == (1, 1)


def test_exclusive_access_shuts_others_out(pcscd: Pcscd) -> None:
    codes: list[int] = []

    def script(connection: CardConnection) -> object:
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        code, _, _ = scard.SCardConnect(
            context, pcscd.reader_names[0], scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T1
        )
        codes.append(code & 0xFFFFFFFF)
        scard.SCardReleaseContext(context)
        return connection.transmit(SELECT)

    seen = Recorder(script)
    driver = PcscReaders(pcscd.reader_name, exclusive=True)
    driver.start(seen)
    try:
        with VpcdSlot(pcscd.ports[0]) as place:
            place.insert(TestCard())
            assert seen.wait_results() == [(b"", 0x9000)]
        seen.wait_event("removed")
    finally:
        driver.stop()
    assert codes == [0x8010000B]
