"""A whole terminal for the bench: ledger, catalogue, card keys, and a roster of any size."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b32encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from keys.derivation import card_hash
from keys.keystore import KeyKind, MemoryKeyStore
from ledger.log.note import vkey
from ledger.log.store import LogStore
from ledger.rules.catalogue import load_offers, load_venues
from readers.cards.scheme import SchemeContext
from readers.connection import Interface
from readers.virtual.authority import TestCa
from readers.virtual.box import VirtualCard
from readers.virtual.card_box import BoxCard, demo_box
from sync.roster import RosterEntry
from sync.roster_build import build_roster
from terminal.clock import ShiftedClock, SystemClock
from terminal.composition import open_terminal
from terminal.home import Enrolment, Home
from terminal.install import red_card_schemes
from terminal.machine import LEDGER_KEY, boot_facts, ledger_signer
from terminal.presenting import Presented, present
from terminal.roster import open_roster
from terminal.service import TerminalService
from terminal.state import Installed
from terminal.wiping import CARD_KEY

OFFER: Final = "BENCH"
_TODAY: Final = date(2014, 5, 30)
_NOON_MS: Final = int(datetime(2014, 5, 30, 4, tzinfo=UTC).timestamp() * 1000)
_DOMAIN: Final = "bench.redcard.example"
_LEDGER: Final = "a" * 26
_CONFIGURATION: Final = f"""\
[terminal]
name = "bench"
demo = true
[[position]]
id = "kiosk"
profile = "kiosk"
venue = "M01"
offer = "{OFFER}"
"""
_OFFERS: Final = [
    {
        "id": OFFER,
        "kind": "service",
        "from": "2014-01-01T00:00:00+08:00",
        "until": "2100-01-01T00:00:00+08:00",
        "offline": "open",
    }
]


class Laid:
    """A virtual card as a connection, without a reader between: readers have their own bench."""

    def __init__(self, card: VirtualCard) -> None:
        """Talks to ``card`` in this process."""
        self._card = card

    @property
    def interface(self) -> Interface:
        """How it is coupled."""
        return self._card.interface

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """One exchange."""
        answer = self._card.process(command)
        return answer[:-2], int.from_bytes(answer[-2:])


def full_terminal(place: Path, cards: int) -> tuple[TerminalService, Callable[[], Presented]]:
    """A terminal that was never enrolled anywhere, and one tap of a card that it knows.

    Args:
        place: an empty folder.
        cards: cards in its roster.

    Returns:
        The service, not started, and a function that authenticates the known card once.
    """
    keys = MemoryKeyStore()
    keys.generate(LEDGER_KEY, KeyKind.ED25519)
    keys.generate("transport", KeyKind.X25519)
    keys.import_secret(CARD_KEY, KeyKind.HMAC, hashlib.sha256(b"bench").digest())
    service = _open(place, keys)
    read = _reading(place, keys)
    card = read().card
    assert card is not None
    _install(service, place, cards, card.card)
    return service, read


def _open(place: Path, keys: MemoryKeyStore) -> TerminalService:
    base = SystemClock()
    # The card is good around a fixed day, so that a bench next year measures the same.
    clock = ShiftedClock(base, _NOON_MS - base.wall_ms())
    home = Home.create(place / "home", _CONFIGURATION)
    own = vkey(f"{_DOMAIN}/witness", keys.public_key(LEDGER_KEY))
    enrolment = Enrolment(
        ledger=_LEDGER,
        domain=_DOMAIN,
        epoch=1,
        vkeys={"witness": own, "judgements": own, "feed": own},
        recipient=keys.recipient("transport"),
    )
    LogStore.create(
        home.ledger_path,
        origin=enrolment.origin,
        signer=ledger_signer(keys, enrolment.origin),
        genesis={"epoch": 1},
        boot=boot_facts(clock, clock.wall_ms(), 1),
    ).close()
    home.write_enrolment(enrolment)
    return open_terminal(home, clock, keys=keys)


def _reading(place: Path, keys: MemoryKeyStore) -> Callable[[], Presented]:
    world = TestCa.in_folder(place / "ca")
    box: dict[str, BoxCard] = {
        card.name: card for card in demo_box(world, seed=1, today=_TODAY, good=1)
    }
    chip = box["good-1"].contactless
    laid = Laid(chip)
    bundle = world.bundle(expires=datetime(2099, 1, 1, tzinfo=UTC))
    schemes = red_card_schemes(allow_test=True)(bundle, _TODAY)
    context = SchemeContext(
        today=_TODAY,
        unpredictable=os.urandom,
        card_hash=lambda scheme, identifier: card_hash(
            lambda data: keys.mac(CARD_KEY, data), scheme, identifier
        ),
    )

    def read() -> Presented:
        # The card notes every command for tests; over thousands of taps that would be weighed too.
        chip.commands.clear()
        return present(laid, schemes, context)

    return read


def _install(service: TerminalService, place: Path, cards: int, known: str) -> None:
    """Puts catalogue and roster in force as a snapshot would."""
    now_ms = service.parts.facts.time.now().now_ms
    roster = place / "roster.bin"
    build_roster(roster, _records(cards, known), version=1, as_of_ms=now_ms, card_key_id="bench")
    venues = load_venues(json.dumps([{"id": "M01"}]).encode())
    catalogue = load_offers(json.dumps(_OFFERS).encode(), venues=venues)
    installed = replace(
        Installed(), catalogue=catalogue, cards=open_roster(roster), signed_ms=now_ms, version=1
    )
    service.parts.facts.install(installed)


def _records(cards: int, known: str) -> Iterator[tuple[str, RosterEntry]]:
    """Cards spread evenly over all hashes, ascending, with the known one in its place."""
    step = (1 << 128) // cards
    mine = _number(known)
    told = False
    for index in range(cards):
        value = index * step
        if not told and value >= mine:
            told = True
            yield known, RosterEntry("active", "f" * 16, district="110102")
            if value == mine:
                continue
        status = "blocked" if index % 100 == 0 else "active"
        yield _hash(value), RosterEntry(status, f"{index + 1:016x}", district="110102")
    if not told:
        yield known, RosterEntry("active", "f" * 16, district="110102")


def _hash(value: int) -> str:
    return b32encode(value.to_bytes(16, "big")).decode("ascii").rstrip("=").lower()


def _number(card: str) -> int:
    from sync.roster import card_bytes

    return int.from_bytes(card_bytes(card), "big")
