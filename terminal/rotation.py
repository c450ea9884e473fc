"""Replaces the key of a terminal's ledger: a new key in the store, then the rotation itself.

Keys of the ledger are called ``ledger``, ``ledger.2``, ``ledger.3`` … in the key store; which of
them is in force is what the ledger says. The old ones stay: they signed what stands before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keys.keystore import KeyKind, KeyStore
from ledger.log.note import KeySigner, vkey
from ledger.log.shards import keys_of, rotate
from terminal.clock import Clock
from terminal.home import Home
from terminal.machine import LEDGER_KEY, boot_facts, hardware_counter, ledger_key, open_keys


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did.

    Attributes:
        size: from this size on the new key signs.
        vkey: its verifier key.
        name: its name in the key store.
    """

    size: int
    vkey: str
    name: str


def rotate_ledger_key(
    home: Home, clock: Clock, cosigned: Sequence[bytes] = (), keys: KeyStore | None = None
) -> Rotated:
    """Replaces the key; to be called again if it was interrupted.

    Args:
        home: a terminal that is not running.
        clock: its clock.
        cosigned: the server's receipts, as of `LogStore.open`.
        keys: a key store instead of the home's.

    Raises:
        LogLocked: the terminal is running.
        LogFault: the ledger cannot be opened or written; the old key stays in force.
    """
    enrolment, store = home.enrolment(), keys if keys is not None else open_keys(home)
    origin = enrolment.origin
    in_force = ledger_key(store, home.ledger_path)
    number = 2
    known = keys_of(home.ledger_path)
    # A key that was made but is not named by the ledger yet is one that was interrupted.
    while (name := f"{LEDGER_KEY}.{number}") in store.names():
        if vkey(origin, store.public_key(name)) not in known:
            break
        number += 1
    if name not in store.names():
        store.generate(name, KeyKind.ED25519)

    def signer(key: str) -> KeySigner:
        return KeySigner(origin, lambda message: store.sign(key, message), store.public_key(key))

    size = rotate(
        home.ledger_path,
        old=signer(in_force),
        new=signer(name),
        boot=boot_facts(clock, clock.wall_ms(), enrolment.epoch),
        cosigned=cosigned[-1:],
        counter=hardware_counter(home),
    )
    return Rotated(size, vkey(origin, store.public_key(name)), name)
