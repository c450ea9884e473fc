"""Magnetic track 2 as a keyboard wedge or a serial reader types it: identified, never more.

For red cards whose chip no longer works. Anyone can copy a magnetic stripe, so only offers that
allow identification accept it. The account number becomes the same card hash as the chip's, here,
and goes no further. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from readers.cards.emv import dates
from readers.cards.emv.pan import Pan
from readers.cards.scheme import AuthenticatedCard, CardAssurance, CardHash
from readers.cards.unionpay import NAME
from readers.errors import CardNotSupported, CardUnreadable

METHOD: Final = "track2"
#: ISO/IEC 7813, 7: start, PAN of up to 19 digits, separator, YYMM, service code, discretionary
#: data, end. At most 40 characters in all; readers may add a check character and a line end.
_TRACK2: Final = re.compile(r";([0-9]{12,19})=([0-9]{4})[0-9]{3}[0-9]{0,20}\?.?[\r\n]{0,2}")
#: UnionPay's account numbers (ISO/IEC 7812-1).
_ISSUERS: Final = ("62",)


def identify_track2(line: str, card_hash: CardHash) -> AuthenticatedCard:
    """Reads one line of a magnetic stripe reader.

    Args:
        line: what the reader sent, with start and end sentinels.
        card_hash: turns the account number into the card hash.

    Returns:
        An identified card; ``expires`` may lie in the past.

    Raises:
        CardUnreadable: not a whole track 2, or its check digit is wrong; swipe again. The
            message shows nothing of the line.
        CardNotSupported: a whole track 2, but not of a UnionPay card.
    """
    found = _TRACK2.fullmatch(line)
    if found is None:
        raise CardUnreadable("the stripe was not read whole; nothing was recorded, swipe again")
    pan = Pan(found[1].encode("ascii"))
    try:
        if not _check_digit_holds(found[1]):
            raise CardUnreadable("the stripe was read wrongly; nothing was recorded, swipe again")
        if not any(pan.starts_with(issuer) for issuer in _ISSUERS):
            raise CardNotSupported("the stripe is not that of a red card; nothing was recorded")
        month = bytes.fromhex(found[2][2:] + found[2][:2])
        card = card_hash(NAME, pan.take())
        return AuthenticatedCard(
            card, NAME, CardAssurance.IDENTIFIED, METHOD, dates.month_end(month)
        )
    finally:
        pan.wipe()


def _check_digit_holds(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: the sum of digits, every second doubled, is a multiple of ten."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
