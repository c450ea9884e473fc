"""The state machine, its backoff, the watchdog and the loop, without any driver."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.attendance import AttendedReader, PoweredCard, Presence, Sight
from readers.connection import Interface
from readers.errors import CardMute, CardRemoved, ReaderError, ReaderFault, ReaderMissing
from readers.supervision import Backoff, ReaderHealth, ReaderMachine, ReaderState
from readers.virtual.box import InProcessReader
from readers.watchdog import Watchdog
from tests.readers.stack import Recorder, TestCard


def test_faults_and_recoveries_are_counted() -> None:
    clock = iter(range(0, 1000, 10))
    told: list[ReaderHealth] = []
    machine = ReaderMachine("R", lambda: next(clock), told.append)
    machine.opening()
    machine.ready()
    machine.card()
    machine.fault("the card does not answer")
    machine.fault("the card does not answer")  # nothing new
    machine.fault("the service is gone")  # the same fault, told anew
    machine.absent("unplugged")
    machine.opening()  # what is said stays
    machine.ready()
    machine.ready()
    assert [(one.state.value, one.faults, one.recoveries) for one in told] == [
        ("opening", 0, 0),
        ("ready", 0, 0),
        ("card", 0, 0),
        ("fault", 1, 0),
        ("fault", 1, 0),
        ("absent", 1, 0),
        ("ready", 1, 1),
    ]
    assert told[3].since_ms == told[4].since_ms
    assert told[-1] == machine.health


@given(st.lists(st.sampled_from(["opening", "ready", "card", "absent", "fault"]), max_size=40))
def test_no_order_of_events_breaks_the_machine(events: list[str]) -> None:
    told: list[ReaderHealth] = []
    machine = ReaderMachine("R", lambda: 0, told.append)
    for event in events:
        getattr(machine, event)(*(["why"] if event in ("absent", "fault") else []))
        health = machine.health
        assert 0 <= health.recoveries <= health.faults <= health.recoveries + 1
        if health.state in (ReaderState.READY, ReaderState.CARD):
            assert health.faults == health.recoveries
    assert all(one != other for one, other in pairwise(told))


def test_backoff_doubles_up_to_a_second() -> None:
    backoff = Backoff()
    assert [backoff.next_ms() for _ in range(7)] == [50, 100, 200, 400, 800, 1000, 1000]
    backoff.reset()
    assert backoff.next_ms() == 50


def test_a_watchdog_returns_raises_and_walks_away() -> None:
    dog = Watchdog("test")
    assert dog.call(lambda a, b: a + b, 1, 2, limit_ms=5000) == 3
    with pytest.raises(ZeroDivisionError):
        dog.call(lambda: 1 // 0, limit_ms=5000)
    release, cleaned = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError, match="no answer in 10 ms"):
        dog.call(release.wait, limit_ms=10)
    with pytest.raises(TimeoutError, match="earlier call"):
        dog.call(lambda: 1, limit_ms=5000)
    dog.end(cleaned.set)
    assert not cleaned.is_set()
    release.set()
    assert cleaned.wait(10)
    unused, done = Watchdog("unused"), threading.Event()
    unused.end(done.set)
    assert done.is_set()


class ScriptedSlot:
    """A slot that plays a list of sights and errors, then stays with the last sight."""

    name = "Scripted"

    def __init__(
        self, *script: Sight | ReaderError, cards: list[PoweredCard | ReaderError]
    ) -> None:
        self.script = list(script)
        self.cards = cards
        self.opened = self.closed = self.connected = 0
        self.awake = threading.Event()

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def wake(self) -> None:
        self.awake.set()

    def wait(self, seen: Sight | None, limit_ms: int) -> Sight:
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, ReaderError):
                raise step
            return step
        self.awake.wait(limit_ms / 1000)
        return seen or Sight(Presence.EMPTY, 0)

    def connect(self) -> PoweredCard:
        self.connected += 1
        step = self.cards.pop(0) if self.cards else CardRemoved("gone")
        if isinstance(step, ReaderError):
            raise step
        return step


class Card:
    interface = Interface.CONTACT

    def __init__(self, *answers: tuple[bytes, int] | ReaderError) -> None:
        self.answers = list(answers)
        self.closes = 0

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        step = self.answers.pop(0)
        if isinstance(step, ReaderError):
            raise step
        return step

    def close(self) -> None:
        self.closes += 1


EMPTY, FIRST, SECOND = Sight(Presence.EMPTY, 0), Sight(Presence.CARD, 1), Sight(Presence.CARD, 3)
OK = (b"", 0x9000)


def _play(slot: ScriptedSlot, results: int) -> Recorder:
    seen = Recorder()
    reader = AttendedReader(slot)
    reader.start(seen)
    try:
        seen.wait_results(results)
        with pytest.raises(RuntimeError, match="already started"):
            reader.start(seen)
    finally:
        reader.stop()
        reader.stop()
    assert slot.opened == slot.closed
    return seen


def test_a_swap_that_nobody_saw_is_two_cards() -> None:
    seen = _play(ScriptedSlot(FIRST, SECOND, cards=[Card(OK), Card(OK)]), 2)
    assert [event for event, _ in seen.events] == ["inserted", "removed", "inserted", "removed"]


def test_a_card_that_is_still_there_after_a_torn_exchange_is_served_again() -> None:
    torn = Card(CardRemoved("torn"))
    slot = ScriptedSlot(FIRST, cards=[torn, Card(OK)])
    seen = _play(slot, 2)
    assert isinstance(seen.results[0], CardRemoved)
    assert seen.results[1] == OK
    assert [event for event, _ in seen.events] == ["inserted", "removed", "inserted", "removed"]
    assert torn.closes == 1


def test_a_card_without_answer_to_reset_is_announced_as_mute() -> None:
    seen = _play(ScriptedSlot(FIRST, cards=[CardMute("no answer to reset")]), 1)
    assert isinstance(seen.results[0], CardMute)
    fault = next(one for one in seen.healths if one.state is ReaderState.FAULT)
    assert "take it off" in fault.detail


def test_a_reader_fault_during_an_exchange_opens_the_reader_again() -> None:
    slot = ScriptedSlot(FIRST, FIRST, cards=[Card(ReaderFault("broken")), Card(OK)])
    seen = _play(slot, 2)
    assert slot.opened == 2
    assert [event for event, _ in seen.events] == ["inserted", "removed", "inserted", "removed"]
    assert seen.healths[-1].faults == 1


def test_a_reader_that_is_unplugged_is_absent_not_faulty() -> None:
    slot = ScriptedSlot(EMPTY, ReaderMissing("unplugged"), FIRST, cards=[Card(OK)])
    seen = _play(slot, 1)
    states = [one.state.value for one in seen.healths]
    assert states == ["opening", "ready", "absent", "card", "absent"]
    assert seen.healths[-1].faults == 0


def test_several_cards_are_told_and_none_is_powered() -> None:
    reader = InProcessReader("Box")
    seen = Recorder()
    first, second = TestCard(), TestCard()
    reader.insert(first)
    reader.insert(second)
    reader.start(seen)
    try:
        seen.wait_event("several")
        assert seen.wait_state("Box", ReaderState.CARD).detail.startswith("more than one card")
        assert first.commands == second.commands == []
        reader.remove(second)
        seen.wait_results()
        assert len(first.commands) == 1
        reader.remove()
        seen.wait_state("Box", ReaderState.READY)
    finally:
        reader.stop()
    assert [event for event, _ in seen.events] == ["several", "removed", "inserted", "removed"]
    assert (reader.name, reader.health.state) == ("Box", ReaderState.ABSENT)
