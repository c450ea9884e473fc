"""Reservations: claims of a single-use token that the server signed for one member and venue.

The signature is checked where the token is unpacked; here only its claims are judged, so that an
offer in ``reserved`` mode is exact per member: the token names the one venue where it can be used,
and that venue's terminals know which ones they have taken.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ledger.rules.offer import ReservationState


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a reservation token claims.

    Attributes:
        id: of the token; a use records it, so that it is taken once.
        member: whose, 16 hexadecimal digits.
        offer: of what.
        venue: the only place where it can be used.
        from_ms: from when.
        until_ms: until when, not included.
    """

    id: str
    member: str
    offer: str
    venue: str
    from_ms: int
    until_ms: int


def state_of(
    found: Reservation | None,
    *,
    member: str,
    offer: str,
    venue: str,
    taken: Collection[str],
    now_ms: int,
) -> ReservationState:
    """Judges a reservation for a tap.

    Args:
        found: the token that the member showed or that the terminal's feed holds for the member.
        member: of the card in the field.
        offer: asked for.
        venue: of the terminal.
        taken: identifiers already used.
        now_ms: instant of the tap.
    """
    if found is None or found.offer != offer:
        return ReservationState.NONE
    if found.member != member:
        return ReservationState.NOT_GENUINE
    if found.id in taken:
        return ReservationState.USED
    if found.venue != venue:
        return ReservationState.OTHER_VENUE
    if not found.from_ms <= now_ms < found.until_ms:
        return ReservationState.EXPIRED
    return ReservationState.VALID
