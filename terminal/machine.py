"""What a terminal is by itself: its keys by their names, its signer, its software, its boot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from keys.keystore import KeyStore
from keys.passphrase import PassphraseKeyStore
from ledger.errors import LogFault
from ledger.log.counter import CommandCounter, FileCounter, MonotonicCounter
from ledger.log.note import Ed25519Verifier, KeySigner
from ledger.log.store import BootFacts
from terminal.clock import Clock
from terminal.home import Home

#: Names of the terminal's keys in its store.
LEDGER_KEY: Final = "ledger"
TRANSPORT_KEY: Final = "transport"


def software_version() -> str:
    """Version of this program, as boot entries carry it."""
    # The folder's name says it; importlib.metadata would bring zip files and CSV along.
    for folder in sys.path:
        for found in Path(folder or ".").glob("redcard-*.dist-info"):
            return found.name.removesuffix(".dist-info").removeprefix("redcard-")
    return "0"


def open_keys(home: Home) -> KeyStore:
    """The home's key store, opened with its passphrase.

    Raises:
        HomeUnsafe: there is no passphrase.
        KeyStoreError: it is wrong, or the file is damaged.
    """
    return PassphraseKeyStore(home.keys_path, home.passphrase())


def ledger_key(keys: KeyStore, ledger: Path) -> str:
    """Name of the key that signs a ledger: the first, or the one of its last rotation.

    Raises:
        LogFault: the ledger names a key that this store does not have, or cannot be read.
    """
    names = [name for name in keys.names() if name.startswith(f"{LEDGER_KEY}.")]
    if not names or not ledger.exists():
        return LEDGER_KEY
    # Few keys are ever replaced: the shards bring the auditor along, which a kiosk never needs.
    from ledger.log.shards import keys_of

    *_, newest = keys_of(ledger)
    public = Ed25519Verifier.from_vkey(newest).public_key
    for name in (LEDGER_KEY, *names):
        if keys.public_key(name) == public:
            return name
    raise LogFault(
        f"{ledger}: its key was replaced by one that is not in this home's key store;"
        " use the home that belongs to it"
    )


def ledger_signer(keys: KeyStore, origin: str, ledger: Path | None = None) -> KeySigner:
    """The signer of the ledger's checkpoints; of a new ledger without its file."""
    name = ledger_key(keys, ledger) if ledger is not None else LEDGER_KEY
    return KeySigner(origin, lambda message: keys.sign(name, message), keys.public_key(name))


def hardware_counter(home: Home) -> MonotonicCounter | None:
    """The counter that ``terminal.toml`` names, if it names one."""
    config = home.config.counter
    if config is None:
        return None
    if config.command:
        return CommandCounter(config.command, config.name)
    return FileCounter(home.path / config.file, config.name)


def boot_facts(clock: Clock, now_ms: int, epoch: int) -> BootFacts:
    """What this machine says of itself when it opens the ledger."""
    return BootFacts(
        boot=clock.boot_id(),
        ts_ms=now_ms,
        mono_ms=clock.boot_ms(),
        version=software_version(),
        epoch=epoch,
    )
