"""Reservations: claims of a single-use token that the server signed for one member and venue.

The signature is checked where the token is unpacked; here only its claims are judged, so that an
offer in ``reserved`` mode is exact per member: the token names the one venue, and the one ledger
of it, where it can be used, and that ledger knows which ones it has taken.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from ledger.entry import Entry, Kind
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
        units: how many it is good for, all in one tap.
        ledger: the one ledger at that place that can take it, or empty for a place with one.
    """

    id: str
    member: str
    offer: str
    venue: str
    from_ms: int
    until_ms: int
    units: int = 1
    ledger: str = ""


class TakenReservations:
    """Which tokens a ledger has taken: a fold over its own entries. A void gives a token back."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._at: dict[int, str] = {}

    def apply(self, entry: Entry) -> None:
        """Takes one entry of the ledger."""
        kind = entry.get("kind")
        if kind == Kind.REDEEM and entry.get("reservation"):
            seq, name = entry.get("seq"), str(entry["reservation"])
            assert isinstance(seq, int), "the log stamps every entry"
            self._taken[name] = seq
            self._at[seq] = name
        elif kind == Kind.VOID and not entry.get("orig_ledger"):
            seq = entry.get("orig_seq")
            name = self._at.pop(seq, "") if isinstance(seq, int) else ""
            if name and self._taken[name] == seq:
                del self._taken[name]

    def __contains__(self, name: object) -> bool:
        return name in self._taken


def best(found: Iterable[Reservation], taken: Container[str], now_ms: int) -> Reservation | None:
    """The token to judge of those that one member holds for one offer.

    One that can be used now, else one not used yet, the next by its end first; else the last used.
    """
    ordered = sorted(
        found,
        key=lambda one: (one.id in taken, not one.from_ms <= now_ms < one.until_ms, one.until_ms),
    )
    return ordered[0] if ordered else None


def state_of(
    found: Reservation | None,
    *,
    member: str,
    offer: str,
    venue: str,
    taken: Container[str],
    now_ms: int,
    ledger: str = "",
    quantity: int = 1,
) -> ReservationState:
    """Judges a reservation for a tap.

    Args:
        found: the token that the member showed or that the terminal's feed holds for the member.
        member: of the card in the field.
        offer: asked for.
        venue: of the terminal.
        taken: identifiers already used.
        now_ms: instant of the tap.
        ledger: of the terminal.
        quantity: units asked for.
    """
    if found is None or found.offer != offer:
        return ReservationState.NONE
    if found.member != member:
        return ReservationState.NOT_GENUINE
    if found.id in taken:
        return ReservationState.USED
    if found.venue != venue:
        return ReservationState.OTHER_VENUE
    if found.ledger and found.ledger != ledger:
        return ReservationState.OTHER_TERMINAL
    if not found.from_ms <= now_ms < found.until_ms:
        return ReservationState.EXPIRED
    return ReservationState.VALID if quantity <= found.units else ReservationState.TOO_MANY
