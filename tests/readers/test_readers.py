"""What every reader does, on every stack: in the process, behind a socket,
behind nfcpy and a PN532, behind pcscd."""

from __future__ import annotations

import threading

import pytest

from readers.apdu import CommandApdu
from readers.chaining import ResponseChaining
from readers.connection import CardConnection, Interface
from readers.errors import CardMute, CardRemoved, ProtocolViolation, ReaderError
from readers.supervision import ReaderState
from readers.virtual.box import Faults, FaultyCard
from tests.readers.stack import (
    CONTACT_ATR,
    HASTY_MS,
    PATIENCE_S,
    SELECT,
    Recorder,
    Stack,
    TestCard,
    echo,
    in_parts,
)


def test_a_card_comes_answers_and_leaves(stack: Stack) -> None:
    left, name = stack.places[0], stack.names[0]
    with stack.watched() as seen:
        for turn in (1, 2):
            left.insert(TestCard())
            assert seen.wait_results(turn)[-1] == (b"", 0x9000)
            seen.wait_state(name, ReaderState.CARD)
            left.remove()
            seen.wait_event("removed", turn)
            seen.wait_state(name, ReaderState.READY)
    assert seen.events == [("inserted", name), ("removed", name)] * 2
    assert not any(health.faults for health in seen.healths)


def test_a_card_that_lies_there_at_the_start_is_seen(stack: Stack) -> None:
    stack.places[0].insert(TestCard())
    with stack.watched() as seen:
        assert seen.wait_results() == [(b"", 0x9000)]


@pytest.mark.parametrize(
    ("atr", "interface"),
    [(TestCard().atr, Interface.CONTACTLESS), (CONTACT_ATR, Interface.CONTACT)],
)
def test_the_interface_is_known(stack: Stack, atr: bytes, interface: Interface) -> None:
    with stack.watched(Recorder(lambda connection: connection.interface)) as seen:
        stack.places[0].insert(TestCard(atr))
        field = stack.kind == "nfc"  # which has no contacts
        assert seen.wait_results() == [Interface.CONTACTLESS if field else interface]


@pytest.mark.parametrize("size", [1, 255, 256, 4096])
def test_bytes_go_through_unchanged(stack: Stack, size: int) -> None:
    data = bytes(at * 7 & 0xFF for at in range(size))
    with stack.watched(Recorder(lambda connection: connection.transmit(echo(data)))) as seen:
        stack.places[0].insert(TestCard())
        assert seen.wait_results() == [(data, 0x9000)]


def test_an_answer_in_parts_is_collected(stack: Stack) -> None:
    script = Recorder(lambda connection: ResponseChaining(connection).transmit(in_parts(1000)))
    with stack.watched(script) as seen:
        card = TestCard()
        stack.places[0].insert(card)
        assert seen.wait_results() == [(bytes(at & 0xFF for at in range(1000)), 0x9000)]
    asked = [one for one in map(CommandApdu.parse, card.commands) if one.ins == 0xC0]
    assert [one.le for one in asked] == [256, 256, 256, 232]


def test_an_endless_answer_ends(stack: Stack) -> None:
    with stack.watched(Recorder(lambda card: ResponseChaining(card).transmit(SELECT))) as seen:
        stack.places[0].insert(FaultyCard(TestCard(), Faults(endless_at=1)))
        assert isinstance(seen.wait_results()[0], ProtocolViolation)


@pytest.mark.parametrize("acted", [False, True])
def test_a_card_torn_off_during_an_exchange(stack: Stack, acted: bool) -> None:
    def script(connection: CardConnection) -> object:
        connection.transmit(SELECT)
        return connection.transmit(echo(b"x"))

    card = TestCard()
    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(FaultyCard(card, Faults(tear_at=2, tear_after_acting=acted)))
        assert isinstance(seen.wait_results()[0], CardRemoved)
        assert len(card.commands) == (2 if acted else 1)
        seen.wait_event("removed")
        seen.wait_state(stack.names[0], ReaderState.READY)
        stack.places[0].remove()
        stack.places[0].insert(TestCard())
        assert seen.wait_results(2)[-1] == (b"x", 0x9000)


@pytest.mark.parametrize("apdu_timeout_ms", [HASTY_MS], ids=["hasty"])
def test_a_mute_card_holds_nothing_for_long(stack: Stack) -> None:
    def script(connection: CardConnection) -> object:
        connection.transmit(SELECT)
        try:
            connection.transmit(echo(b"x"))
        except CardMute:
            return connection.transmit(echo(b"y"))  # must not get the answer to x
        return None

    name = stack.names[0]
    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(FaultyCard(TestCard(), Faults(mute_at=2)))
        assert isinstance(seen.wait_results()[0], CardMute)
        assert "take it off" in seen.wait_state(name, ReaderState.FAULT).detail
        stack.places[0].remove()
        health = seen.wait_state(name, ReaderState.READY)
        assert (health.faults, health.recoveries) == (1, 1)
        seen.script = lambda connection: connection.transmit(SELECT)
        stack.places[0].insert(TestCard())
        assert seen.wait_results(2)[-1] == (b"", 0x9000)


def test_a_slow_card_is_waited_for(stack: Stack) -> None:
    with stack.watched() as seen:
        stack.places[0].insert(FaultyCard(TestCard(), Faults(slow_ms=150)))
        assert seen.wait_results() == [(b"", 0x9000)]


def test_one_reader_does_not_wait_for_another(stack: Stack) -> None:
    release = threading.Event()
    seen = Recorder()

    def script(connection: CardConnection) -> object:
        if seen.events == [("inserted", stack.names[0])]:
            release.wait(PATIENCE_S)
        return connection.transmit(SELECT)

    seen.script = script
    with stack.watched(seen):
        stack.places[0].insert(TestCard())
        seen.wait_event("inserted")
        stack.places[1].insert(TestCard())
        assert seen.wait_results() == [(b"", 0x9000)]
        stack.places[1].remove()
        seen.wait_event("removed", reader=stack.names[1])
        release.set()
        assert seen.wait_results(2)[-1] == (b"", 0x9000)


def test_a_card_removed_while_the_listener_works(stack: Stack) -> None:
    go_on = threading.Event()

    def script(connection: CardConnection) -> object:
        go_on.wait(PATIENCE_S)
        return connection.transmit(SELECT)

    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(TestCard())
        seen.wait_event("inserted")
        stack.places[0].remove()
        go_on.set()
        assert isinstance(seen.wait_results()[0], CardRemoved)
        seen.wait_event("removed")
        seen.wait_state(stack.names[0], ReaderState.READY)


def test_a_listener_that_fails_does_not_end_the_reader(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    def script(connection: CardConnection) -> object:
        raise RuntimeError("622202 secret")

    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(TestCard())
        seen.wait_event("inserted")
        stack.places[0].remove()
        seen.wait_event("removed")
        seen.script = lambda connection: connection.transmit(SELECT)
        stack.places[0].insert(TestCard())
        assert seen.wait_results() == [(b"", 0x9000)]
    assert "RuntimeError" in caplog.text
    assert "622202" not in caplog.text


def test_nothing_is_told_after_stop(stack: Stack) -> None:
    with stack.watched() as seen:
        pass
    told = len(seen.events), len(seen.healths)
    if stack.kind != "socket":  # whose port is closed now
        stack.places[0].insert(TestCard())
        stack.places[0].remove()
    assert (len(seen.events), len(seen.healths)) == told


def test_drivers_start_again_after_stop(stack: Stack) -> None:
    for _ in range(2):
        with stack.watched() as seen:
            stack.places[0].insert(TestCard())
            assert seen.wait_results() == [(b"", 0x9000)]


def test_a_card_that_stays_is_powered_anew(stack: Stack) -> None:
    card = TestCard()

    def script(connection: CardConnection) -> object:
        connection.transmit(in_parts(300))
        connection.reset()  # type: ignore[attr-defined]
        return connection.transmit(CommandApdu(0, 0xC0, 0, 0, le=44).to_bytes()), card.power_offs

    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(card)
        (answer, sw), power_offs = seen.wait_results()[0]
        assert (answer, sw) == (b"", 0x9000)  # nothing is left of the answer in parts
        assert power_offs >= 1


def test_a_card_that_leaves_is_not_powered_anew(stack: Stack) -> None:
    laid = threading.Event()

    def script(connection: CardConnection) -> object:
        laid.wait(PATIENCE_S)  # what is not yet laid cannot be taken away
        stack.places[0].remove()
        while True:  # until the reader has noticed
            connection.reset()  # type: ignore[attr-defined]
            connection.transmit(SELECT)

    with stack.watched(Recorder(script)) as seen:
        stack.places[0].insert(TestCard())
        laid.set()
        assert isinstance(seen.wait_results()[0], ReaderError)
