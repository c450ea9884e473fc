"""What is read without a chip: a magnetic stripe or a member's code. Identified, never more.

A stripe and a printed code are copied by anyone who sees them once. Only offers that say so accept
them, and the entry is labelled. What a chip answers never comes here: the connection's interface
tells a line from a card, and no card can change it.
"""

from __future__ import annotations

import re
from typing import Final

from readers.apdu import StatusWord
from readers.cards.scheme import AuthenticatedCard, CardAssurance, SchemeContext
from readers.cards.track2 import identify_track2
from readers.connection import CardConnection, Interface
from readers.errors import CardNotSupported, CardUnreadable
from readers.lines import READ_LINE

NAME: Final = "scanned"
MEMBER_CODE: Final = "member_code"
METHOD: Final = "code"
#: Readers that read both tracks send track 1 first; it carries the holder's name and is not used.
_TRACK1: Final = re.compile(rb"%[^?;]{0,79}\?.?(?=;)")
#: At least one letter, so that the codes on goods and in payment applications are not taken.
_CODE: Final = re.compile(rb"(?=[0-9._-]*[A-Za-z])[A-Za-z0-9._-]{12,64}")


class Scanned:
    """Scheme ``scanned``: stripes of red cards, and members' codes."""

    @property
    def name(self) -> str:
        """Name of the scheme; a stripe's entry names the card's own, ``unionpay``."""
        return NAME

    @property
    def strength(self) -> str:
        """See CardScheme.strength."""
        return "a stripe or code that anyone can copy; identification, no authentication"

    @property
    def stolen_terminal(self) -> str:
        """See CardScheme.stolen_terminal."""
        return (
            "no key of a card; the key of the card hash, which every terminal holds, lets its "
            "finder try account numbers and member codes against a roster"
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """See CardScheme.vectors."""
        return ()

    def recognises(self, connection: CardConnection) -> bool:
        """Whether this is a line and no card."""
        return connection.interface is Interface.LINE

    def authenticate(self, connection: CardConnection, context: SchemeContext) -> AuthenticatedCard:
        """Identifies the card or the member.

        A member's code is hashed as it stands, under the scheme ``member_code``.

        Raises:
            CardUnreadable: a stripe that was not read whole.
            CardNotSupported: neither a red card's stripe nor a member's code.
        """
        line, sw = connection.transmit(READ_LINE)
        if sw != StatusWord.SUCCESS:
            raise CardUnreadable("nothing was read; nothing was recorded, try again")
        line = _TRACK1.sub(b"", line, count=1)
        if line[:1] in (b";", b"%"):
            return identify_track2(line.decode("ascii", "replace"), context.card_hash)
        if not _CODE.fullmatch(line):
            raise CardNotSupported("the code is not a member's; nothing was recorded")
        card = context.card_hash(MEMBER_CODE, line)
        return AuthenticatedCard(card, MEMBER_CODE, CardAssurance.IDENTIFIED, METHOD, None)
