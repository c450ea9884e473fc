"""Reads cards with the card key of one ledger: identifiers go no further than their MAC."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from keys.derivation import card_hash
from keys.keystore import KeyStore
from ledger.rules.terms import VENUE_ZONE
from ledger.rules.windows import local_day
from readers.cards.scheme import CardScheme, SchemeContext
from readers.connection import CardConnection
from terminal.presenting import Presented, present
from terminal.state import TerminalFacts
from terminal.wiping import CARD_KEY


def presenter(
    keys: KeyStore, schemes: Callable[[], Sequence[CardScheme]], facts: TerminalFacts
) -> Callable[[CardConnection], Presented]:
    """Authenticates powered cards with a card key, by the schemes in force.

    Args:
        keys: holds the card key; identifiers go no further than its MAC.
        schemes: those in force at each card.
        facts: for the date.
    """

    def hashed(scheme: str, identifier: bytes) -> str:
        return card_hash(lambda data: keys.mac(CARD_KEY, data), scheme, identifier)

    def present_card(connection: CardConnection) -> Presented:
        today = local_day(facts.time.now().now_ms, VENUE_ZONE)
        context = SchemeContext(today=today, unpredictable=os.urandom, card_hash=hashed)
        return present(connection, schemes(), context)

    return present_card
