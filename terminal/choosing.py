"""The counter's list of choices: dry runs of the decision for the card at hand, cached."""

from __future__ import annotations

from typing import Final

from terminal import views
from terminal.answers import OfferChoice
from terminal.clock import Moment
from terminal.parts import Parts
from terminal.position import Position
from terminal.presenting import Presented
from terminal.tap_order import TapOrder

#: A list is made anew at least this often: windows open and close.
CHOICES_AGE_MS: Final = 15_000


class ChoiceList:
    """Makes each position's list, anew only when something it rests on has changed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._made: dict[str, tuple[object, tuple[OfferChoice, ...]]] = {}

    def of(self, position: Position, now: Moment) -> tuple[OfferChoice, ...]:
        """The list for the card at hand, empty without one."""
        session, facts = position.session(now.boot_ms), self._parts.facts
        if session is None:
            return ()
        rests_on = (
            session.presented,
            facts.installed.version,
            facts.link.connected(now.boot_ms),
            self._parts.writer.size,
            now.now_ms // CHOICES_AGE_MS,
        )
        made = self._made.get(position.id)
        if made is None or made[0] != rests_on:
            made = (rests_on, self._make(position, session.presented, now))
            self._made[position.id] = made
        return made[1]

    def _make(
        self, position: Position, presented: Presented, now: Moment
    ) -> tuple[OfferChoice, ...]:
        installed = self._parts.facts.installed
        venue = installed.venue(position.config.venue)
        offers = installed.catalogue.at(venue)
        order = TapOrder(
            place=self._parts.shifts.place(position.id, venue.id),
            profile=position.profile,
            offer="",
            nonce="dry-run",
            simulate=True,
        )
        previews = self._parts.flow.preview(order, presented, offers)
        with self._parts.writer.turn:
            left = {one.id: self._parts.stock.left(one, venue, now) for one in offers}
        return views.choices_shown(previews, installed, left)
