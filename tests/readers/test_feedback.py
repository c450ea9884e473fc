from __future__ import annotations

import pytest

from firmware_profiles.catalogue import load
from firmware_profiles.model import Sighting
from readers.connection import Interface
from readers.errors import CardRemoved, ReaderBusy
from readers.feedback import ReaderFeedback, Signal

ACR122U = "ACS ACR122U PICC Interface 00 00"
CATALOGUE = load()


class Connection:
    def __init__(self, interface: Interface, sw: int | None = 0x9000) -> None:
        self.interface = interface
        self.sw = sw
        self.commands: list[bytes] = []

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        self.commands.append(command)
        if self.sw is None:
            raise CardRemoved("gone")
        return b"", self.sw


def _named(name: str) -> Sighting:
    return Sighting(name=name)


@pytest.mark.parametrize(
    ("signal", "command"),
    [
        (Signal.APPROVE, "FF00400E0402000101"),
        (Signal.DECLINE, "FF00400D0401010201"),
        (Signal.SILENCE, "FF00520000"),
    ],
)
def test_a_reader_that_knows_how(signal: Signal, command: str) -> None:
    card = Connection(Interface.CONTACTLESS, 0x9003)
    assert ReaderFeedback(CATALOGUE, _named).show(ACR122U, card, signal)
    assert card.commands == [bytes.fromhex(command)]


def test_no_command_reaches_a_card_or_an_unknown_reader() -> None:
    feedback = ReaderFeedback(CATALOGUE, _named)
    contact, other = Connection(Interface.CONTACT), Connection(Interface.CONTACTLESS)
    assert not feedback.show(ACR122U, contact, Signal.APPROVE)
    assert not feedback.show("Something 00 00", other, Signal.APPROVE)
    assert not feedback.show("Identiv uTrust 3720 Contactless 00 00", other, Signal.APPROVE)
    assert not feedback.show(ACR122U, other, Signal.BUSY)  # the profile knows none
    assert contact.commands == other.commands == []


def test_feedback_that_fails_changes_nothing() -> None:
    feedback = ReaderFeedback(CATALOGUE, _named)
    assert not feedback.show(ACR122U, Connection(Interface.CONTACTLESS, None), Signal.APPROVE)
    assert not feedback.show(ACR122U, Connection(Interface.CONTACTLESS, 0x6D00), Signal.APPROVE)


def test_a_reader_that_cannot_be_asked_is_known_by_its_name_and_asked_once() -> None:
    asked: list[str] = []

    def busy(name: str) -> Sighting:
        asked.append(name)
        raise ReaderBusy("held")

    feedback = ReaderFeedback(CATALOGUE, busy)
    assert feedback.command(ACR122U, Signal.SILENCE) == bytes.fromhex("FF00520000")
    assert feedback.command(ACR122U, Signal.APPROVE)
    assert asked == [ACR122U]
