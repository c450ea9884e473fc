"""Ledgers to measure on: a key of their own, and redemptions like a member's of the demo city."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.entry import Entry
from ledger.log.note import KeySigner
from ledger.log.store import BootFacts, LogStore
from redcard.bench.raw import Step

ORIGIN: Final = f"bench.redcard.example/redcard/{'a' * 26}"
#: Entries of a commit while a ledger is filled.
FILLING_ENTRIES: Final = 500
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_START_MS: Final = 1_401_415_200_000


class Machine:
    """What a terminal is to its ledger: one key, and one start of the system."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.generate()
        self.sign = private.sign
        self._signer = KeySigner(ORIGIN, private.sign, private.public_key().public_bytes_raw())
        self._boot = BootFacts("0" * 16, _START_MS, 0, "bench")

    def create(self, path: Path) -> LogStore:
        """Makes a ledger."""
        return LogStore.create(
            path, origin=ORIGIN, signer=self._signer, genesis={}, boot=self._boot
        )

    def open(self, path: Path) -> LogStore:
        """Opens a ledger through recovery."""
        return LogStore.open(path, signer=self._signer, boot=self._boot)


class Taps:
    """Taps on one ledger, one after the other."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._number = 0
        self._made: list[Entry] = []

    def step(self, entries: int) -> Step:
        """A step that appends ``entries`` taps in one commit.

        As in the terminal, what is appended was made just before; only the append is timed.
        """

        def make() -> None:
            first = self._number + 1
            self._number += entries
            self._made = [tap(first + at) for at in range(entries)]

        return Step(lambda: self._store.append(self._made), make)

    def fill(self, size: int, progress: Callable[[int], object] = bool) -> None:
        """Appends taps until the ledger has ``size`` entries."""
        while self._store.size < size:
            step = self.step(min(FILLING_ENTRIES, size - self._store.size))
            step.prepare()
            step.act()
            progress(self._store.size)


def tap(number: int) -> Entry:
    """A redemption of the usual size, like a member's of the demo city."""
    digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    moment = _START_MS + number * 37
    ulid = moment << 80 | int(digest[:20], 16)
    return {
        "kind": "redeem",
        "ts_ms": moment,
        "mono_ms": number * 37,
        "nonce": "".join(_CROCKFORD[ulid >> 5 * place & 31] for place in range(25, -1, -1)),
        "card": "".join("abcdefghijklmnopqrstuvwxyz234567"[int(one, 16)] for one in digest[:26]),
        "member": digest[26:42],
        "offer": "BJ-T-005",
        "offer_version": 3,
        "venue": "M01",
        "operator": "kiosk",
        "position": "kiosk",
        "code": "A00",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "quantity": 1,
        "mode": "online",
    }
