"""Commands to a reader itself: sent where the driver offers a way, and never otherwise."""

from __future__ import annotations

import pytest

from firmware_profiles.catalogue import load
from firmware_profiles.model import Sighting
from readers.connection import Interface
from readers.errors import EscapeOff, ReaderFault
from readers.feedback import ReaderFeedback, Signal
from readers.pcsc_escape import features_of, send_escape

WAY = 0xC00D0013


class Driver:
    """As much of smartcard.scard as it takes; offers the escape or does not."""

    def __init__(self, features: str, code: int = 0) -> None:
        self._features = bytes.fromhex(features)
        self._code = code
        self.sent: list[bytes] = []

    def SCARD_CTL_CODE(self, number: int) -> int:  # noqa: N802
        return 0x42000000 + number

    def SCardControl(self, reader: object, code: int, data: list[int]) -> tuple[int, list[int]]:  # noqa: N802
        if code == 0x42000000 + 3400:
            return self._code, list(self._features)
        assert code == WAY
        self.sent.append(bytes(data))
        return 0, [0xE1, 0, 0, 0, 0]


OFFERED = "1304C00D0013"


def test_the_way_is_the_one_that_the_driver_names() -> None:
    driver = Driver(OFFERED)
    assert send_escape(driver, None, b"\xe0\x00\x00\x18\x00")[:1] == b"\xe1"
    assert driver.sent == [bytes.fromhex("E000001800")]


@pytest.mark.parametrize(
    "driver", [Driver("1204C00D0012"), Driver(""), Driver(OFFERED, 0x80100016)]
)
def test_nothing_is_sent_where_none_is_offered(driver: Driver) -> None:
    with pytest.raises(EscapeOff, match="ifdDriverOptions"):
        send_escape(driver, None, b"\xe0\x00\x00\x18\x00")
    assert driver.sent == []
    assert 0x13 not in features_of(driver, None)


class Lights:
    """A connection whose reader has lights behind the driver's escape."""

    interface = Interface.CONTACTLESS

    def __init__(self, *, offered: bool) -> None:
        self._offered = offered
        self.escaped: list[str] = []

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        raise ReaderFault(f"{command.hex()} is not for a card")

    def escape(self, command: bytes) -> bytes:
        if not self._offered:
            raise EscapeOff("off")
        self.escaped.append(command.hex().upper())
        return b"\xe1\x00\x00\x00\x01\x02"


def test_lights_behind_the_escape() -> None:
    name = "ACS ACR1252 Reader [ACR1252 Reader PICC] 00 00"
    feedback = ReaderFeedback(load(), lambda name: Sighting(name=name))
    reader = Lights(offered=True)
    assert feedback.show(name, reader, Signal.APPROVE)
    assert feedback.show(name, reader, Signal.DECLINE)
    assert reader.escaped == ["E00000290102", "E00000290101"]
    assert not feedback.show(name, Lights(offered=False), Signal.APPROVE)
