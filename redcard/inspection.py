"""What a card is, for a person with a card in hand: its kind and how well it proves itself."""

from __future__ import annotations

import os
import queue
import secrets
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from keys.derivation import card_hash
from ledger.rules.terms import VENUE_ZONE
from ledger.rules.windows import local_day
from readers.cards.scheme import CardAssurance, CardScheme, SchemeContext
from readers.connection import CardConnection
from readers.supervision import CardReader, ReaderHealth
from redcard.demo_clock import clock_of
from terminal.home import Home
from terminal.presenting import Presented, present


class _Once:
    """A listener that reads the next card and says what it is."""

    def __init__(self, schemes: list[CardScheme], today: date) -> None:
        self._schemes = schemes
        self._context = throwaway_context(today)
        self.found: queue.Queue[dict[str, Any]] = queue.Queue()

    def card_inserted(self, reader: str, connection: CardConnection) -> None:
        """Reads the card."""
        presented = present(connection, self._schemes, self._context)
        self.found.put(_told(reader, connection, presented))

    def card_removed(self, reader: str) -> None:
        """Nothing to do."""

    def several_cards(self, reader: str) -> None:
        """Says so."""
        self.found.put({"reader": reader, "verdict": "several_cards"})

    def health_changed(self, health: ReaderHealth) -> None:
        """Nothing to do: the caller waits for a card."""


def inspect_next(home: Path, drivers: Sequence[CardReader], wait_s: int) -> dict[str, Any] | None:
    """Waits for a card and says what it is; ``None`` if none came.

    Args:
        home: a terminal's home whose CA keys are used; without one no scheme is on.
        drivers: readers to watch, not started.
        wait_s: how long to wait.
    """
    listener = _Once(schemes_of(home), today_of(home))
    for driver in drivers:
        driver.start(listener)
    try:
        return listener.found.get(timeout=wait_s)
    except queue.Empty:
        return None
    finally:
        for driver in drivers:
            driver.stop()


def throwaway_context(today: date) -> SchemeContext:
    """A context whose card hash is neither shown nor comparable with any roster."""
    secret = secrets.token_bytes(32)
    return SchemeContext(
        today=today,
        unpredictable=os.urandom,
        card_hash=lambda scheme, identifier: card_hash(
            lambda data: _mac(secret, data), scheme, identifier
        ),
    )


def today_of(home: Path) -> date:
    """The date at the venue, by the home's clock."""
    return local_day(clock_of(home).wall_ms(), VENUE_ZONE)


def all_schemes() -> list[CardScheme]:
    """Every scheme that this program has, without keys: none of them reads a card."""
    from readers.cards.piv import Piv
    from readers.cards.scanned import Scanned
    from readers.cards.uid import Uid
    from readers.cards.unionpay import UnionPay

    return [UnionPay(None), Piv(None), Scanned(), Uid()]


def schemes_of(path: Path) -> list[CardScheme]:
    """The schemes for which this home has keys, then the serial number alone."""
    from readers.cards.uid import Uid
    from sync.snapshot import SnapshotStore
    from terminal.install import CA_KEYS, PIV_ROOTS, red_card_schemes, staff_scheme

    schemes: list[CardScheme] = []
    if (path / "terminal.toml").exists():
        home = Home.open(path)
        generation = None
        if home.root_path.exists():
            generation = SnapshotStore(home.snapshot_path, home.root_path.read_bytes()).current
        files = {} if generation is None else generation.files
        today = today_of(path)
        if generation is not None and CA_KEYS in files:
            make = red_card_schemes(allow_test=home.config.demo)
            schemes += make(generation.read(CA_KEYS), today)
        if generation is not None and PIV_ROOTS in files:
            staff = staff_scheme(allow_test=home.config.demo)
            schemes.append(staff(generation.read(PIV_ROOTS), today))
    schemes.append(Uid())
    return schemes


def _told(reader: str, connection: CardConnection, presented: Presented) -> dict[str, Any]:
    card = presented.card
    return {
        "reader": reader,
        "interface": str(connection.interface),
        "verdict": str(card.assurance) if card else str(presented.status),
        "scheme": card.scheme if card else "",
        "method": card.method if card else "",
        "expires": card.expires.isoformat() if card and card.expires else None,
        "advice": card.advice if card else "",
        "fault": presented.fault,
        "proved": bool(card and card.assurance is CardAssurance.AUTHENTICATED),
    }


def _mac(secret: bytes, data: bytes) -> bytes:
    import hmac

    return hmac.digest(secret, data, "sha256")
