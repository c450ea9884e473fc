"""Which reader's record a position shows."""

from __future__ import annotations

from readers.supervision import ReaderHealth, ReaderState
from terminal.configuration import PositionConfig
from terminal.position import Position


def position() -> Position:
    return Position(PositionConfig("kiosk", "kiosk", "M01", "BJ-T-005"), lambda _name: None)


def test_a_stuck_reader_is_not_hidden_behind_its_service() -> None:
    held = position()
    held.set_health(ReaderHealth("PC/SC", ReaderState.READY, 0))
    assert held.reader().state == "ready", "alone, the service speaks for its readers"
    held.set_health(ReaderHealth("ACR122U", ReaderState.FAULT, 1, "the card does not answer"))
    shown = held.reader()
    assert (shown.name, shown.state) == ("ACR122U", "fault")
    assert shown.detail == "the card does not answer"


def test_the_best_of_several_readers_is_shown() -> None:
    held = position()
    held.set_health(ReaderHealth("one", ReaderState.FAULT, 0))
    held.set_health(ReaderHealth("two", ReaderState.READY, 0))
    assert held.reader().name == "two"
