"""Cards known by their serial number alone: identified, never authenticated.

Anyone can make a card with any UID. A terminal has this scheme in its list only where an offer
allows identification.
"""

from __future__ import annotations

from typing import Final

from readers.apdu import CommandApdu, StatusWord
from readers.cards.scheme import AuthenticatedCard, CardAssurance, SchemeContext
from readers.connection import CardConnection, Interface
from readers.errors import CardNotSupported

NAME: Final = "uid"
#: ISO/IEC 14443-3: 4, 7 or 10 bytes; ISO/IEC 15693 and FeliCa: 8.
_LENGTHS: Final = frozenset({4, 7, 8, 10})
#: ISO/IEC 14443-3, 6.5.4: a 4-byte UID that starts with 08 is random, new at every tap.
_RANDOM: Final = 0x08
#: PC/SC part 3, 3.2.2.1.3: GET DATA for the UID, answered by the reader.
_GET_UID: Final = CommandApdu(0xFF, 0xCA, 0x00, 0x00, le=256)


class Uid:
    """Scheme ``uid``."""

    @property
    def name(self) -> str:
        """Name in entries."""
        return NAME

    @property
    def strength(self) -> str:
        """See CardScheme.strength."""
        return "a serial number that anyone can copy; identification, no authentication"

    @property
    def stolen_terminal(self) -> str:
        """See CardScheme.stolen_terminal."""
        return (
            "no key of a card, for there is none; the key of the card hash, which every terminal "
            "holds, lets its finder try serial numbers against a roster"
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """See CardScheme.vectors."""
        return ()

    def recognises(self, connection: CardConnection) -> bool:
        """Whether the reader knows a UID that is the same at every tap."""
        return _read(connection) is not None

    def authenticate(self, connection: CardConnection, context: SchemeContext) -> AuthenticatedCard:
        """Reads the UID and hashes it.

        Raises:
            CardNotSupported: no UID, or a random one.
            ReaderError: as the connection raises it.
        """
        uid = _read(connection)
        if uid is None:
            raise CardNotSupported("the card has no serial number of its own; nothing was recorded")
        card = context.card_hash(NAME, uid)
        return AuthenticatedCard(card, NAME, CardAssurance.IDENTIFIED, "uid", None)


def _read(connection: CardConnection) -> bytes | None:
    if connection.interface is not Interface.CONTACTLESS:
        return None
    uid, sw = connection.transmit(_GET_UID.to_bytes())
    if sw != StatusWord.SUCCESS or len(uid) not in _LENGTHS:
        return None
    return None if len(uid) == 4 and uid[0] == _RANDOM else uid
