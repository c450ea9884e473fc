"""Reservations at the terminal: tokens from its feed or from the member's hand, checked offline.

The feed is kept by sync and read again at each start, so nothing is stored here. A token counts
only with the server's signature on it; which ones were taken is a fold over the own ledger.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.entry import Value
from ledger.errors import NoteInvalid
from ledger.log import canonical
from ledger.log.note import Ed25519Verifier, Verifier, open_note
from ledger.rules.offer import Booking, Offer
from ledger.rules.request import RedemptionRequest
from ledger.rules.reservations import Reservation, best, state_of
from ledger.rules.terms import OfflineMode, ReservationState, Venue
from sync.errors import Malformed
from sync.reservation import TOKEN_BYTES_MAX, decode_claims
from sync.state import SyncState
from terminal.clock import Moment
from terminal.replay import text
from terminal.writer import LedgerWriter

_LOG: Final = logging.getLogger("redcard.reservations")
RESERVATION: Final = "reservation"
KEY: Final = "reservation_key"
ENDED: Final = "reservation_ended"
#: Kinds of feed items that are read here.
KINDS: Final = frozenset({RESERVATION, KEY, ENDED})
#: A shown token that no key of ours has signed, or that is no token at all.
_NOT_GENUINE: Final = Reservation("", "", "", "", 0, 0)


class ReservationDesk:
    """The tokens of one terminal."""

    def __init__(self, state: SyncState, writer: LedgerWriter, ledger: str, vkey: str = "") -> None:
        """``vkey`` is the key of reservations as enrolment gave it; the feed may bring it later."""
        self._state = state
        self._writer = writer
        self._ledger = ledger
        self._keys: list[Verifier] = [Ed25519Verifier.from_vkey(vkey)] if vkey else []
        self._held: dict[tuple[str, str], dict[str, Reservation]] = {}
        self._ended: set[str] = set()
        self._number = 0
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Reads what is new in the stored feed."""
        with self._lock:
            for number, data in self._state.feed(self._number):
                self._read(canonical.decode(data), number)
                self._number = number

    def at(self, venue: str) -> list[Reservation]:
        """Tokens that wait to be used at a venue, by their time."""
        with self._lock:
            found = [one for held in self._held.values() for one in held.values()]
        taken = self._writer.reservations
        waiting = [one for one in found if one.venue == venue and one.id not in taken]
        return sorted(waiting, key=lambda one: (one.from_ms, one.id))

    def known(self, venue: str) -> list[Reservation]:
        """All tokens of a venue that were not withdrawn, used ones too, by their time."""
        with self._lock:
            found = [one for held in self._held.values() for one in held.values()]
        mine = [one for one in found if one.venue == venue]
        return sorted(mine, key=lambda one: (one.from_ms, one.id))

    def look(
        self, request: RedemptionRequest, offer: Offer | None, venue: Venue, shown: str, now: Moment
    ) -> tuple[ReservationState, str]:
        """The state of the member's reservation for this tap, and the token that a use takes.

        Args:
            request: the tap.
            offer: asked for, if it is sound.
            venue: of the terminal.
            shown: the token that the member brought, or empty.
            now: the moment of the tap.
        """
        if offer is None or (
            offer.offline is not OfflineMode.RESERVED and offer.booking is Booking.NONE
        ):
            return ReservationState.NONE, ""
        member = request.card.member.ref if request.card.member is not None else ""
        taken = self._writer.reservations
        found: Reservation | None
        if shown:
            found = self._opened(shown) or _NOT_GENUINE
        else:
            with self._lock:
                mine = list(self._held.get((member, offer.id), {}).values())
            found = best(mine, taken, now.now_ms)
        if found is _NOT_GENUINE or (found is not None and found.id in self._ended):
            return ReservationState.NOT_GENUINE, ""
        state = state_of(
            found,
            member=member,
            offer=offer.id,
            venue=venue.id,
            taken=taken,
            now_ms=now.now_ms,
            ledger=self._ledger,
            quantity=request.quantity,
        )
        valid = state is ReservationState.VALID and found is not None
        return state, found.id if valid and found is not None else ""

    def _read(self, record: Mapping[str, Value], number: int) -> None:
        kind = text(record, "kind")
        if kind == KEY:
            key = Ed25519Verifier.from_vkey(text(record, "vkey"))
            if all((key.name, key.key_id) != (one.name, one.key_id) for one in self._keys):
                self._keys.append(key)
        elif kind == ENDED:
            name = text(record, "reservation")
            self._ended.add(name)
            for held in self._held.values():
                held.pop(name, None)
        elif kind == RESERVATION:
            found = self._opened(text(record, "token"))
            if found is None:
                _LOG.warning("feed item %d holds no reservation that can be verified", number)
            else:
                self._held.setdefault((found.member, found.offer), {})[found.id] = found

    def _opened(self, token: str) -> Reservation | None:
        """The claims of a token with the server's signature, ``None`` for anything else."""
        if len(token) > TOKEN_BYTES_MAX:
            return None
        try:
            return opened(token.encode("utf-8"), self._keys)
        except (NoteInvalid, Malformed, UnicodeEncodeError):
            return None


def opened(token: bytes, keys: Sequence[Verifier]) -> Reservation:
    """What a token claims, once its signature holds.

    Raises:
        NoteInvalid: not signed by one of the keys.
        Malformed: signed, but no claims.
    """
    claims = decode_claims(open_note(token, keys).text)
    return Reservation(
        claims.id,
        claims.member,
        claims.offer,
        claims.venue,
        claims.from_ms,
        claims.until_ms,
        claims.units,
        claims.ledger,
    )
