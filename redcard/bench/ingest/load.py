"""What terminals send: ledgers of redemptions, cut into batches and signed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert

from ledger.log import canonical
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import KeySigner, vkey
from redcard.bench.ledgers import tap
from server.database import Database
from server.schema import ledgers, terminals
from sync.admission import LedgerState
from sync.protocol import Batch, encode_batch

START_MS: Final = 1_401_415_200_000
#: Entries that a fleet may record: no two fleets have a tap in common.
ENTRIES_MAX: Final = 2_000_000
_TERMINALS_MAX: Final = 1 << 16
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Post:
    """One batch on its way: its ledger, its bytes as sent, and its entries."""

    ledger: str
    body: bytes
    old_size: int
    entries: tuple[bytes, ...]


class Fleet:
    """Terminals with keys of their own, enrolled in a server's database."""

    def __init__(self, domain: str, number: int, count: int) -> None:
        """Makes keys and names of at most 65,536 terminals; ``number`` tells fleets apart."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._signers: dict[str, KeySigner] = {}
        self._privates: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._frontiers: dict[str, Frontier] = {}
        for one in range(number * _TERMINALS_MAX, number * _TERMINALS_MAX + count):
            ledger = "".join(_LETTERS[one >> 5 * place & 31] for place in range(25, -1, -1))
            private = Ed25519PrivateKey.generate()
            public = private.public_key().public_bytes_raw()
            origin = f"{domain}/redcard/{ledger}"
            self._signers[ledger] = KeySigner(origin, private.sign, public)
            self._sizes[ledger] = 0
            self._frontiers[ledger] = Frontier()
        self._next = number * ENTRIES_MAX

    @property
    def ledgers(self) -> list[str]:
        """Ledger ids."""
        return list(self._signers)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of ``ledgers`` for all of them, empty."""
        empty = Frontier()
        return [
            {
                "ledger": ledger,
                "terminal": ledger,
                "origin": signer.name,
                "vkeys": vkey(signer.name, signer.public_key),
                "state": LedgerState.OK.value,
                "size": 0,
                "root": empty.root(),
                "frontier": empty.to_bytes(),
                "revoked_reason": "",
                "created_ms": START_MS,
                "revision": 0,
                "feed_number": 0,
            }
            for ledger, signer in self._signers.items()
        ]

    async def enrol(self, database: Database) -> None:
        """Writes them into the database as if each had been enrolled."""
        station = {"name": "", "venues": "M01", "profile": "counter", "created_ms": START_MS}
        async with database.writing() as connection:
            await connection.execute(
                insert(terminals), [{"terminal": ledger, **station} for ledger in self.ledgers]
            )
            await connection.execute(insert(ledgers), self.rows())

    def sign(self, ledger: str, message: bytes) -> bytes:
        """A signature by a terminal's key."""
        return self._signers[ledger].sign(message)

    def batches(self, ledger: str, count: int, entries: int) -> Iterator[Post]:
        """The next batches of a ledger, each ending at a signed head."""
        signer = self._signers[ledger]
        for _ in range(count):
            old = self._sizes[ledger]
            bodies = tuple(self._entry(old + at) for at in range(entries))
            frontier = self._frontiers[ledger].extend(map(leaf_hash, bodies))
            note = Checkpoint(signer.name, frontier.size, frontier.root()).sign([signer])
            self._sizes[ledger], self._frontiers[ledger] = frontier.size, frontier
            yield Post(ledger, encode_batch(Batch(ledger, old, bodies, note)), old, bodies)

    def _entry(self, seq: int) -> bytes:
        self._next += 1
        return canonical.encode({**tap(self._next), "v": 1, "seq": seq, "boot": "0" * 16})


def in_turn(lanes: Sequence[Sequence[Post]]) -> list[Post]:
    """Batches of several ledgers, one of each in turn."""
    return [post for row in zip(*lanes, strict=True) for post in row]
