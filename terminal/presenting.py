"""From a powered card to what a decision may know of it: errors of card and reader get codes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.rules.terms import CardStatus
from readers.cards.detect import identify
from readers.cards.errors import AuthenticationFailed
from readers.cards.scheme import AuthenticatedCard, CardScheme, SchemeContext
from readers.connection import CardConnection, Interface
from readers.errors import (
    CardNotGenuine,
    CardNotSupported,
    ProtocolViolation,
    ReaderError,
    SeveralCards,
)

#: Exchanges with one card in one attempt, all schemes together; a real card needs under 40.
EXCHANGES_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Presented:
    """One card as it was presented.

    Attributes:
        status: ``active`` when a scheme proved or read it (the roster is asked later), else
            ``fake`` (C02), ``unreadable`` (C01), ``several`` (C07) or ``unknown`` (C03).
        card: what the scheme says of it, ``None`` unless ``status`` is ``active``.
        answered_ns: performance counter at the card's last answer; own code is measured from it.
        fault: class name of the error, for the diagnosis log.
        claimed: card hash that a card without proof claims to have (C02), or empty.
    """

    status: CardStatus
    card: AuthenticatedCard | None = None
    answered_ns: int = 0
    fault: str = ""
    claimed: str = ""


SEVERAL: Final = Presented(CardStatus.SEVERAL, fault="SeveralCards")


def present(
    connection: CardConnection, schemes: Sequence[CardScheme], context: SchemeContext
) -> Presented:
    """Lets the first scheme that recognises the card authenticate it.

    A scheme that fails does not hand the card to the next: a card that claims to be of one scheme
    and does not prove it is not genuine, whatever else it can do (case 23).

    Args:
        connection: the powered card.
        schemes: in order of preference; none at all reads every card as unknown.
        context: date, challenge source and card hash.
    """
    timed = _Timed(connection)
    try:
        card = identify(timed, schemes, context)
    except CardNotGenuine as error:
        return _failed(CardStatus.FAKE, error, timed)
    except SeveralCards as error:
        return _failed(CardStatus.SEVERAL, error, timed)
    except CardNotSupported as error:
        return _failed(CardStatus.UNKNOWN, error, timed)
    except ReaderError as error:
        # Torn, mute, malformed, or the reader itself: the member is asked to tap again.
        return _failed(CardStatus.UNREADABLE, error, timed)
    return Presented(CardStatus.ACTIVE, card, timed.answered_ns)


def _failed(status: CardStatus, error: ReaderError, timed: _Timed) -> Presented:
    claimed = error.card if isinstance(error, AuthenticationFailed) else ""
    return Presented(status, None, timed.answered_ns, type(error).__name__, claimed)


class _Timed:
    """Notes when the card answered last, and ends an attempt that never would."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection
        self._exchanges = 0
        self.answered_ns = time.perf_counter_ns()

    @property
    def interface(self) -> Interface:
        return self._connection.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        self._exchanges += 1
        if self._exchanges > EXCHANGES_MAX:
            raise ProtocolViolation(f"no card needs more than {EXCHANGES_MAX} exchanges")
        try:
            return self._connection.transmit(command)
        finally:
            self.answered_ns = time.perf_counter_ns()
