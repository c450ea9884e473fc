"""Which scheme reads this card: the first that recognises it, and then no other."""

from __future__ import annotations

from collections.abc import Sequence

from readers.cards.scheme import AuthenticatedCard, CardScheme, SchemeContext
from readers.chaining import ResponseChaining
from readers.connection import CardConnection, Interface
from readers.errors import CardNotSupported


class Rehearsal:
    """A connection that answers again what was asked a moment ago.

    A scheme that recognises a card by selecting something selects it again to authenticate.
    The card has not changed in between, so the same first commands get the same answers without
    going over the air twice. At the first command that differs the card itself is asked.
    """

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection
        self._asked: list[tuple[bytes, tuple[bytes, int]]] = []
        self._replay: list[tuple[bytes, tuple[bytes, int]]] = []

    @property
    def interface(self) -> Interface:
        """How the card is coupled."""
        return self._connection.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Sends a command, or repeats the answer that it had.

        Raises:
            ReaderError: as the connection raises it.
        """
        if self._replay and self._replay[0][0] == command:
            return self._replay.pop(0)[1]
        self._replay.clear()
        answer = self._connection.transmit(command)
        self._asked.append((command, answer))
        return answer

    def again(self) -> None:
        """From here on, what was asked so far is answered from memory, in the same order."""
        self._replay = list(self._asked)
        self._asked.clear()


def identify(
    connection: CardConnection, schemes: Sequence[CardScheme], context: SchemeContext
) -> AuthenticatedCard:
    """Finds the scheme of a card and lets it authenticate.

    A card that a scheme recognises and then refuses is refused: it never falls back to a weaker
    scheme, such as its UID.

    Args:
        connection: the powered card.
        schemes: in order of preference; a weaker one that is not allowed is not in the list.
        context: date, randomness and card hash.

    Raises:
        CardNotSupported: no scheme knows the card, or the one that does is switched off.
        CardNotGenuine, CardUnreadable, CardRemoved, CardMute, ReaderFault: as the scheme says.
    """
    chained = ResponseChaining(connection)
    for scheme in schemes:
        rehearsal = Rehearsal(chained)
        if scheme.recognises(rehearsal):
            rehearsal.again()
            return scheme.authenticate(rehearsal, context)
    raise CardNotSupported("no card scheme of this terminal knows this card; nothing was recorded")
