"""What a terminal is by itself: its keys by their names, its signer, its software, its boot."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Final

from keys.keystore import KeyStore
from keys.passphrase import PassphraseKeyStore
from ledger.log.note import KeySigner
from ledger.log.store import BootFacts
from terminal.clock import Clock
from terminal.home import Home

#: Names of the terminal's keys in its store.
LEDGER_KEY: Final = "ledger"
TRANSPORT_KEY: Final = "transport"


def software_version() -> str:
    """Version of this program, as boot entries carry it."""
    try:
        return installed_version("redcard")
    except PackageNotFoundError:
        return "0"


def open_keys(home: Home) -> KeyStore:
    """The home's key store, opened with its passphrase.

    Raises:
        HomeUnsafe: there is no passphrase.
        KeyStoreError: it is wrong, or the file is damaged.
    """
    return PassphraseKeyStore(home.keys_path, home.passphrase())


def ledger_signer(keys: KeyStore, origin: str) -> KeySigner:
    """The signer of the ledger's checkpoints."""
    return KeySigner(
        origin, lambda message: keys.sign(LEDGER_KEY, message), keys.public_key(LEDGER_KEY)
    )


def boot_facts(clock: Clock, now_ms: int, epoch: int) -> BootFacts:
    """What this machine says of itself when it opens the ledger."""
    return BootFacts(
        boot=clock.boot_id(),
        ts_ms=now_ms,
        mono_ms=clock.boot_ms(),
        version=software_version(),
        epoch=epoch,
    )
