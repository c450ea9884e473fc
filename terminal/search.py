"""Search in the catalogue: by name, by pinyin initials, by number, by keyword.

The index is made once for each snapshot; a search of 1,029 offers then walks ready strings.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from ledger.rules.catalogue import Catalogue, held_at
from ledger.rules.offer import Offer
from ledger.rules.terms import Venue
from terminal.pinyin import spellings
from terminal.work_answers import Found

QUERY_CHARACTERS_MAX: Final = 64
RESULTS_MAX: Final = 100
#: Ranks, best first: the number itself, its beginning, its end, title, initials, anything else.
_NONE: Final = 99


@dataclass(frozen=True, slots=True)
class _Line:
    """What one offer is found by, all in lower case; each title and spelling begins a line."""

    offer: Offer
    number: str
    titles: str
    ways: str
    words: str


@dataclass(frozen=True, slots=True)
class Match:
    """One offer that was found; ``rank`` 0 is the best."""

    offer: Offer
    rank: int
    here: bool


class OfferSearch:
    """Searches the catalogue in force. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Catalogue | None = None
        self._lines: tuple[_Line, ...] = ()

    def find(
        self, catalogue: Catalogue, query: str, *, venue: Venue | None = None, limit: int = 20
    ) -> list[Match]:
        """Offers that a query finds, best first; those given at the venue before others.

        Args:
            catalogue: the snapshot's.
            query: a part of the title, pinyin initials, or a part of the number; empty finds all.
            venue: where it is asked.
            limit: longest answer.
        """
        wanted = "".join(query.split())[:QUERY_CHARACTERS_MAX].lower()
        found = []
        for line in self._index(catalogue):
            rank = _rank(line, wanted)
            if rank < _NONE:
                here = venue is None or held_at(line.offer, venue)
                found.append(Match(line.offer, rank, here))
        found.sort(key=lambda one: (one.rank, not one.here, one.offer.until_ms, one.offer.id))
        return found[: min(limit, RESULTS_MAX)]

    def warm(self, catalogue: Catalogue) -> None:
        """Makes the index of a snapshot before anybody types."""
        self._index(catalogue)

    def _index(self, catalogue: Catalogue) -> tuple[_Line, ...]:
        with self._lock:
            if self._of is not catalogue:
                offers = catalogue.offers.values()
                self._lines = tuple(_line(one) for one in offers if isinstance(one, Offer))
                self._of = catalogue
            return self._lines


def _line(offer: Offer) -> _Line:
    names = [offer.title, offer.title_en, *offer.keywords]
    words = [offer.category, offer.brand, offer.owner, offer.campaign, offer.programme]
    return _Line(
        offer=offer,
        number=offer.id.lower(),
        titles="".join(f"\n{''.join(one.split()).lower()}" for one in names if one),
        ways="".join(f"\n{way}" for name in names if name for way in spellings(name)),
        words="".join(words).lower(),
    )


def _rank(line: _Line, wanted: str) -> int:
    number = line.number
    if not wanted or wanted == number:
        return 0
    if number.startswith(wanted):
        return 1
    if wanted.isdigit() and number.rpartition("-")[2].lstrip("0") == wanted.lstrip("0"):
        return 2
    if wanted in line.titles:
        return 3 if f"\n{wanted}" in line.titles else 5
    if wanted in line.ways:
        return 4 if f"\n{wanted}" in line.ways else 6
    if wanted in number:
        return 7
    return 8 if wanted in line.words else _NONE


def shown(match: Match, stock_left: int | None) -> Found:
    """A match as pages and programs see it; ``stock_left`` is counted by whoever has the stock."""
    offer = match.offer
    return Found(
        id=offer.id,
        title=offer.title or offer.id,
        title_en=offer.title_en or offer.title or offer.id,
        kind=offer.kind.value,
        level=offer.level,
        category=offer.category,
        until_ms=offer.until_ms,
        here=match.here,
        rank=match.rank,
        stock_left=stock_left,
        phone=offer.phone,
        offline=offer.offline.value,
    )
