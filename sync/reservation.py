"""Reservation tokens: one claim of one member at one venue, signed by the server, checked offline.

A token is a signed note of its own key. It reaches its terminal by the terminal's feed, and the
member may carry it too, as a file or a QR code; the terminal needs nothing but the key to check it.
Signing and opening are the caller's (``ledger.log.note``): this module is pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sync.errors import Malformed
from sync.protocol import integer

FORMAT: Final = "redcard-reservation/v1"
#: A whole note with one signature; it must fit a QR code.
TOKEN_BYTES_MAX: Final = 1_024
UNITS_MAX: Final = 1_000

_TEXT: Final = re.compile(
    rf"{FORMAT}\n"
    r"id ([a-z2-7]{26})\n"
    r"member ([0-9a-f]{16})\n"
    r"offer ([^\x00-\x20\x7f]{1,64})\n"
    r"venue ([^\x00-\x20\x7f]{1,64})\n"
    r"ledger ([a-z2-7]{26})\n"
    r"units ([1-9][0-9]{0,3})\n"
    r"from_ms ([0-9]{1,16})\n"
    r"until_ms ([0-9]{1,16})\n\Z"
)


@dataclass(frozen=True, slots=True)
class ReservationClaims:
    """What the server signs.

    Attributes:
        id: of the token, 26 characters a-z2-7, random.
        member: whose, 16 lower-case hexadecimal digits.
        offer: of what.
        venue: where it can be used.
        ledger: the ledger of the one terminal that can take it.
        units: how many, all in one tap.
        from_ms: from when, milliseconds since the epoch.
        until_ms: until when, not included.
    """

    id: str
    member: str
    offer: str
    venue: str
    ledger: str
    units: int
    from_ms: int
    until_ms: int


def encode_claims(claims: ReservationClaims) -> str:
    """Returns the text to sign; ``decode_claims`` of it is ``claims`` again.

    Raises:
        Malformed: a claim breaks the format.
    """
    text = (
        f"{FORMAT}\nid {claims.id}\nmember {claims.member}\noffer {claims.offer}\n"
        f"venue {claims.venue}\nledger {claims.ledger}\nunits {claims.units}\n"
        f"from_ms {claims.from_ms}\nuntil_ms {claims.until_ms}\n"
    )
    if decode_claims(text) != claims:
        raise Malformed("a reservation's claims must have one spelling")
    return text


def decode_claims(text: str) -> ReservationClaims:
    """Reads the text of an opened token.

    Raises:
        Malformed: not one reservation.
    """
    found = _TEXT.match(text) if len(text) <= TOKEN_BYTES_MAX else None
    if found is None:
        raise Malformed(f"a reservation has the nine lines of {FORMAT}")
    name, member, offer, venue, ledger = found.group(1, 2, 3, 4, 5)
    claims = ReservationClaims(
        name,
        member,
        offer,
        venue,
        ledger,
        integer(found.group(6), "units"),
        integer(found.group(7), "from_ms"),
        integer(found.group(8), "until_ms"),
    )
    if not claims.from_ms < claims.until_ms or claims.units > UNITS_MAX:
        raise Malformed(f"a reservation ends after it begins and is for at most {UNITS_MAX} units")
    return claims
