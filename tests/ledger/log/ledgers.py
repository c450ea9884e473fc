"""Ledgers to try things on: keys from seeds, taps by number, one machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.entry import Entry
from ledger.log.counter import MonotonicCounter
from ledger.log.disk import RESERVE_BYTES
from ledger.log.note import COSIGNATURE, ED25519, KeySigner
from ledger.log.store import BootFacts, LogStore

DOMAIN = "test.redcard.example"
ORIGIN = f"{DOMAIN}/redcard/abcdefghijklmnopqrstuvwxyz"
START_MS = 1_401_415_200_000
BOOT = BootFacts("00112233445566aa", START_MS, 1_000, "0.1.0")
REBOOT = BootFacts("ffeeddccbbaa9988", START_MS + 3_600_000, 500, "0.1.0")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def signer(name: str = ORIGIN, seed: str = "ledger", note_type: int = ED25519) -> KeySigner:
    private = key(seed)
    return KeySigner(name, private.sign, private.public_key().public_bytes_raw(), note_type)


SIGNER = signer()
SERVER = signer(f"{DOMAIN}/redcard/witness", "witness", COSIGNATURE)


def nonce(number: int, at_ms: int = START_MS) -> str:
    """A ULID with the time of its tap and a number for its random part."""
    value = (at_ms + number) << 80 | int.from_bytes(
        hashlib.sha256(number.to_bytes(8, "big")).digest()[:10], "big"
    )
    return "".join(CROCKFORD[value >> 5 * place & 31] for place in reversed(range(26)))


def tap(number: int, **more: str | int | Sequence[str] | Sequence[int]) -> Entry:
    """A redemption like those of the field, distinct for each number."""
    hashed = hashlib.sha256(b"card %d" % number).hexdigest()
    card = "".join("abcdefghijklmnopqrstuvwxyz234567"[int(char, 16)] for char in hashed[:26])
    return {
        "kind": "redeem",
        "ts_ms": START_MS + number,
        "mono_ms": 2_000 + number,
        "nonce": nonce(number),
        "card": card,
        "member": hashed[:16],
        "offer": "BJ-T-005",
        "offer_version": 3,
        "venue": "M01",
        "operator": "kiosk",
        "code": "A00",
        "scheme": "unionpay",
        "assurance": "authenticated",
        "quantity": 1,
        "mode": "online",
        **more,
    }


def create(
    path: str | Path = ":memory:",
    *,
    reserve_bytes: int = RESERVE_BYTES,
    counter: MonotonicCounter | None = None,
) -> LogStore:
    return LogStore.create(
        path,
        origin=ORIGIN,
        signer=SIGNER,
        genesis={},
        boot=BOOT,
        reserve_bytes=reserve_bytes,
        counter=counter,
    )


def reopen(
    path: Path,
    boot: BootFacts = BOOT,
    cosigned: Sequence[bytes] = (),
    reserve_bytes: int = RESERVE_BYTES,
    counter: MonotonicCounter | None = None,
) -> LogStore:
    return LogStore.open(
        path,
        signer=SIGNER,
        boot=boot,
        cosigned=cosigned,
        reserve_bytes=reserve_bytes,
        counter=counter,
    )
