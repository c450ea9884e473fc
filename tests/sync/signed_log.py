"""A signed log in memory with everything that sync reads of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.note import COSIGNATURE, ED25519, Ed25519Verifier, KeySigner

DOMAIN = "test.redcard.example"


def key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signer(name: str, seed: str, note_type: int = ED25519) -> KeySigner:
    private = key(seed)
    return KeySigner(name, private.sign, public(private), note_type)


def ledger_name(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(letters[(number >> (5 * place)) & 31] for place in range(26))


WITNESS = signer(f"{DOMAIN}/redcard/witness", "witness", COSIGNATURE)
JUDGE = signer(f"{DOMAIN}/redcard/judgements", "judgements")
FEED = signer(f"{DOMAIN}/redcard/feed", "feed")


@dataclass
class SignedLog:
    """A log that keeps a checkpoint per commit; satisfies ``EntrySource``."""

    ledger: str
    seed: str
    stored: list[bytes] = field(default_factory=list)
    notes: dict[int, bytes] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)

    @property
    def origin(self) -> str:
        return f"{DOMAIN}/redcard/{self.ledger}"

    @property
    def signer(self) -> KeySigner:
        return signer(self.origin, self.seed)

    @property
    def verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier.of(self.signer)

    @property
    def size(self) -> int:
        return len(self.stored)

    def commit(self, *entries: bytes) -> bytes:
        self.stored.extend(entries)
        self.frontier = self.frontier.extend(map(leaf_hash, entries))
        note = Checkpoint(self.origin, self.size, self.frontier.root()).sign([self.signer])
        self.notes[self.size] = note
        return note

    def grow(self, count: int, *, word: str = "e", per_commit: int = 1) -> None:
        for start in range(0, count, per_commit):
            self.commit(
                *(
                    f'{{"n":"{word}","seq":{self.size + place}}}'.encode()
                    for place in range(min(per_commit, count - start))
                )
            )

    def copy_at(self, size: int) -> SignedLog:
        copy = SignedLog(self.ledger, self.seed)
        previous = 0
        for end in sorted(self.notes):
            if end > size:
                break
            copy.commit(*self.stored[previous:end])
            previous = end
        assert copy.size == size
        return copy

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        return iter(self.stored[start:stop])

    def checkpoint(self, at_least: int | None = None) -> tuple[int, bytes]:
        sizes = [size for size in self.notes if at_least is None or size >= at_least]
        size = max(sizes) if at_least is None else min(sizes)
        return size, self.notes[size]

    def checkpoint_for_batch(self, start: int, limit: int) -> tuple[int, bytes]:
        size = max(size for size in self.notes if start < size <= start + limit)
        return size, self.notes[size]

    def by_nonce(self, nonce: str) -> None:
        return None

    def leaves(self) -> Sequence[bytes]:
        return [leaf_hash(entry) for entry in self.stored]
