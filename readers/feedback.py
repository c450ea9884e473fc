"""Light and sound on the reader itself, where its profile says how.

Pseudo-APDUs go through ``transmit`` while a card is present: no privilege and no driver option is
needed for that. Other commands go by the driver's escape, where it offers one. A reader without a
profile of its own, or without feedback in it, stays silent; the page is what people look at.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum, unique
from typing import Final

from firmware_profiles.catalogue import Catalogue
from firmware_profiles.match import NAME
from firmware_profiles.model import ReaderProfile, Sighting
from readers.apdu import StatusWord
from readers.connection import CardConnection, Interface
from readers.errors import ReaderError

#: Class byte that PC/SC keeps for commands to the reader (part 3, 3.2.2.1).
PSEUDO_APDU: Final = 0xFF


@unique
class Signal(StrEnum):
    """What the reader shows."""

    APPROVE = "approve"
    DECLINE = "decline"
    BUSY = "busy"
    SILENCE = "silence"


class ReaderFeedback:
    """Shows signals on readers.

    Args:
        catalogue: the reader profiles.
        look: asks a reader for what it shows of itself; ``readers.pcsc.look_at``.
    """

    def __init__(self, catalogue: Catalogue, look: Callable[[str], Sighting]) -> None:
        self._catalogue = catalogue
        self._look = look
        self._profiles: dict[str, ReaderProfile | None] = {}

    def show(self, reader: str, connection: CardConnection, signal: Signal) -> bool:
        """Shows a signal on a reader whose card is being served.

        Never raises: feedback that fails must not change what becomes of a tap.

        Returns:
            Whether the reader confirmed it.
        """
        command = self.command(reader, signal)
        if command is None or connection.interface is not Interface.CONTACTLESS:
            return False  # in a contact slot the command would reach the card
        try:
            if command[0] != PSEUDO_APDU:
                escape = getattr(connection, "escape", None)
                return escape is not None and bool(escape(command))
            _, sw = connection.transmit(command)
        except ReaderError:
            return False
        # some readers answer with the state of their lights in the second byte
        return sw >> 8 == StatusWord.SUCCESS >> 8

    def command(self, reader: str, signal: Signal) -> bytes | None:
        """The command for a signal on a reader, or ``None``."""
        if reader not in self._profiles:
            self._profiles[reader] = self._profile_of(reader)
        profile = self._profiles[reader]
        if profile is None:
            return None
        digits: str = getattr(profile.feedback, signal.value)
        command = bytes.fromhex(digits)
        if not command or (command[0] == PSEUDO_APDU and not profile.escape.via_transmit):
            return None
        return command

    def _profile_of(self, reader: str) -> ReaderProfile | None:
        try:
            sighting = self._look(reader)
        except ReaderError:
            sighting = Sighting(name=reader)
        match = self._catalogue.match(sighting)
        return match.profile if match.score >= NAME else None
