"""The counter's daily work, all in one place for pages, API and command line.

``TerminalService.work`` is one of these. Each part has a module of its own; this one joins them
and says what may be asked by which name (``terminal.work_paths``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from terminal.collection import Collections
from terminal.parts import Parts
from terminal.position import Position
from terminal.requests import check_name, check_number
from terminal.search import RESULTS_MAX, OfferSearch
from terminal.work_answers import CollectionShown, Found

#: Units of one offer for each colleague's card.
QUANTITY_EACH_MAX: Final = 10


class CounterWork:
    """What a counter does beside single taps. Every method may be called from any thread."""

    def __init__(self, parts: Parts, position_of: Callable[[str], Position]) -> None:
        self._parts = parts
        self._position_of = position_of
        self._search = OfferSearch()
        self._collections = Collections(parts, position_of)

    # Proxy collection (代领).

    def collection(self, position: str) -> CollectionShown | None:
        """The open list of a position, else the one recorded last."""
        return self._collections.shown(self._position_of(position).id)

    def begin_collection(
        self, position: str, offer: str, quantity: int = 1, hold: str = ""
    ) -> CollectionShown:
        """Opens a list; the card at hand is the representative's own."""
        check_number(quantity, "quantity", 1, QUANTITY_EACH_MAX)
        return self._collections.begin(
            position, check_name(offer, "offer"), quantity, check_name(hold, "hold")
        )

    def remove_card(self, position: str, number: int) -> CollectionShown:
        """Takes a card off the list."""
        return self._collections.remove(position, check_number(number, "number", 1, 10_000))

    def confirm_collection(self, position: str, batch: str) -> CollectionShown:
        """Records the list by one commit; the same batch again answers the same; *writes*."""
        return self._collections.confirm(position, check_name(batch, "batch"))

    def cancel_collection(self, position: str) -> None:
        """Closes the list without recording anything, or puts the recorded one away."""
        self._collections.cancel(position)

    def sheet(self, batch: str) -> CollectionShown | None:
        """A recorded list, for its sign-off sheet."""
        return self._collections.sheet(check_name(batch, "batch"))

    # Search.

    def search(self, query: str, limit: int = 20, position: str = "") -> list[Found]:
        """Offers by name, pinyin initials or number; those given here first.

        Args:
            query: what was typed; empty lists all.
            limit: longest answer.
            position: where it is asked, for what is left there.
        """
        parts = self._parts
        check_number(limit, "limit", 1, RESULTS_MAX)
        installed, now = parts.facts.installed, parts.facts.time.now()
        held = self._position_of(position) if position else None
        venue = installed.venue(held.config.venue) if held is not None else None
        found = self._search.find(installed.catalogue, query, venue=venue, limit=limit)
        with parts.writer.turn:
            left = {
                one.offer.id: parts.stock.left(one.offer, venue, now)
                for one in found
                if venue is not None and one.here
            }
        return [
            Found(
                id=one.offer.id,
                title=one.offer.title or one.offer.id,
                title_en=one.offer.title_en or one.offer.title or one.offer.id,
                kind=one.offer.kind.value,
                level=one.offer.level,
                category=one.offer.category,
                until_ms=one.offer.until_ms,
                here=one.here,
                rank=one.rank,
                stock_left=left.get(one.offer.id),
                phone=one.offer.phone,
            )
            for one in found
        ]
