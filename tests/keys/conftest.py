"""A SoftHSM token in a folder of this run; the library remembers its configuration for good."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keys.pkcs11 import Pkcs11KeyStore

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
LABEL = "redcard test"
PIN = "8765 4321"


@dataclass(frozen=True)
class SoftToken:
    """One initialised token."""

    module: Path
    label: str
    pin: str
    folder: Path

    def open(self) -> Pkcs11KeyStore:
        return Pkcs11KeyStore(self.module, self.label, lambda: self.pin)


@pytest.fixture(scope="session")
def soft_token(tmp_path_factory: pytest.TempPathFactory) -> SoftToken:
    """Skips loudly without SoftHSM or python-pkcs11; CI turns that into a failure."""
    tool = shutil.which("softhsm2-util")
    if tool is None or not MODULE.exists():
        pytest.skip("NOT TESTED against a PKCS #11 token: apt-get install softhsm2")
    if importlib.util.find_spec("pkcs11") is None:
        pytest.skip("NOT TESTED against a PKCS #11 token: pip install python-pkcs11")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
        "log.level = ERROR\nslots.removable = false\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for label in (LABEL, "another token"):
        pins = ["--so-pin", "12345678", "--pin", PIN]
        subprocess.run(
            [tool, "--init-token", "--free", "--label", label, *pins],
            check=True,
            capture_output=True,
        )
    return SoftToken(MODULE, LABEL, PIN, folder)


def wipe(store: Pkcs11KeyStore) -> None:
    """Erases whatever is on the token, ours or not."""
    attribute = store._api.Attribute
    for one in list(store._session.get_objects({attribute.TOKEN: True})):
        one.destroy()


@pytest.fixture
def token_store(soft_token: SoftToken) -> Iterator[Pkcs11KeyStore]:
    """A store on an empty token."""
    with soft_token.open() as store:
        wipe(store)
        yield store
        if store._session is not None:
            wipe(store)
