"""The port between drivers and card schemes: bytes in, bytes and status word out."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Protocol


@unique
class Interface(StrEnum):
    """How the card is coupled to the reader."""

    CONTACT = "contact"
    CONTACTLESS = "contactless"
    #: No card at all: a stripe or code reader sent a line of text (``readers.lines``).
    LINE = "line"


class CardConnection(Protocol):
    """One powered card in one reader.

    A driver, a virtual card and a layer such as response chaining all have this shape, so they
    stack. A connection belongs to one thread at a time.
    """

    @property
    def interface(self) -> Interface:
        """How the card is coupled; schemes choose their flow by it."""

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Sends one command APDU and returns its response (ISO/IEC 7816-4, 5.1).

        Args:
            command: a whole command APDU, 4 to 65,544 bytes.

        Returns:
            Response data without the status word, and the status word as an integer, 0x9000 for
            success.

        Raises:
            CardRemoved: the card left; whether it acted on the command is unknown.
            CardMute: no answer within the driver's time limit.
            ReaderFault: the reader failed.
        """


class ResettableConnection(CardConnection, Protocol):
    """A connection whose card can be powered anew while it lies there, as if tapped again."""

    def reset(self) -> None:
        """Takes the card's power away and gives it back; whatever was selected is gone.

        Raises:
            CardRemoved: the card left.
            CardMute: it does not come back.
            ReaderFault: the reader failed, or its driver cannot do this.
        """
