"""Cards as they arrive: which position they belong to, and what happens to them there.

A kiosk redeems its offer at once. A counter keeps the card at hand for the clerk's choice. A tap
that waits for a card, asked for by the API or the command line, takes the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ledger.rules.terms import CardStatus, Profile
from readers.connection import CardConnection
from readers.supervision import ReaderHealth
from terminal.answers import Phase
from terminal.position import CARD_SESSION_MS, CardSession, Position
from terminal.presenting import SEVERAL, Presented
from terminal.state import TerminalTime

_LOG: Final = logging.getLogger("redcard.reception")


class Desk(Protocol):
    """What the service does with a card that has arrived."""

    def present(self, connection: CardConnection) -> Presented:
        """Authenticates a powered card."""

    def begin_kiosk(self, position: Position) -> str:
        """Makes and notes the nonce of a kiosk's tap, before the card is read."""

    def finish_kiosk(self, position: Position, nonce: str, presented: Presented) -> None:
        """Decides, records and shows a kiosk's tap."""

    def card_came(self, position: Position, presented: Presented) -> str:
        """A counter has a card; returns the supervisor's id if it is a supervisor's own."""

    def failed(self, position: Position, nonce: str) -> None:
        """Our own code failed; shows that, and never green."""


class Reception:
    """The listener of all readers of a terminal (``readers.supervision.CardListener``)."""

    def __init__(self, positions: Sequence[Position], desk: Desk, time: TerminalTime) -> None:
        self._positions = positions
        self._desk = desk
        self._time = time
        #: Where a position is in practice mode: the reception of its room.
        self.rooms: dict[str, Reception] = {}

    def position_of(self, reader: str) -> Position | None:
        """The position that a reader belongs to: by name first, then one that takes any."""
        named = [one for one in self._positions if one.config.reader and one.serves(reader)]
        others = [one for one in self._positions if not one.config.reader]
        return next(iter([*named, *others]), None)

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        """Reads the card and serves it; returns when the card may go."""
        position = self.position_of(reader)
        if position is None:
            _LOG.warning("reader %s belongs to no position; its card was not read", reader)
            return
        if position.id in self.rooms:
            self.rooms[position.id].card_inserted(reader, connection)
            return
        self._serve(position, lambda: self._desk.present(connection), present=True)

    def typed(self, position_id: str, connection: CardConnection) -> None:
        """A line that a keyboard wedge typed into the page of a position; over once served."""
        position = next((one for one in self._positions if one.id == position_id), None)
        if position is None:
            return
        if position.id in self.rooms:
            self.rooms[position.id].typed(position.id, connection)
            return
        self._serve(position, lambda: self._desk.present(connection), present=True)
        position.card_left()

    def several_cards(self, reader: str) -> None:
        """Two cards at once: nothing is read, the member is asked for one (C07)."""
        position = self.position_of(reader)
        if position is None:
            return
        if position.id in self.rooms:
            self.rooms[position.id].several_cards(reader)
        else:
            self._serve(position, lambda: SEVERAL, present=False)

    def card_removed(self, reader: str) -> None:
        """The card has left; a counter keeps its session for a while."""
        position = self.position_of(reader)
        if position is not None:
            position.card_left()
            if position.id in self.rooms:
                self.rooms[position.id].card_removed(reader)

    def health_changed(self, health: ReaderHealth) -> None:
        """A reader came, went or failed."""
        position = self.position_of(health.name)
        if position is not None:
            position.set_health(health)
            if position.id in self.rooms:
                self.rooms[position.id].health_changed(health)

    def _serve(self, position: Position, read: Callable[[], Presented], *, present: bool) -> None:
        kiosk = position.profile is Profile.KIOSK
        nonce = ""
        try:
            position.move(Phase.READING, self._time.now().now_ms)
            if kiosk and not position.armed():
                nonce = self._desk.begin_kiosk(position)
            presented = read()
            if position.hand_over(presented):
                return
            if kiosk:
                # Who waited for this card may have given up while it was read.
                nonce = nonce or self._desk.begin_kiosk(position)
                self._desk.finish_kiosk(position, nonce, presented)
            else:
                self._keep(position, presented, present=present)
        except Exception:
            # Whatever went wrong in our own code must reach the member as a fault, not as silence.
            self._desk.failed(position, nonce)
            raise

    def _keep(self, position: Position, presented: Presented, *, present: bool) -> None:
        now = self._time.now()
        supervisor = self._desk.card_came(position, presented)
        readable = presented.status not in {CardStatus.UNREADABLE, CardStatus.SEVERAL}
        session = CardSession(
            presented, present and readable, now.boot_ms + CARD_SESSION_MS, supervisor
        )
        position.take_card(session, now.now_ms)
