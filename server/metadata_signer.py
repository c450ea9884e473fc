"""Signs published metadata with keys of a key store, and puts files in place durably."""

from __future__ import annotations

import hashlib
from typing import Any

from securesystemslib.signer import Key, Signature, Signer, SSlibKey

from keys.keystore import KeyStore
from server.errors import PublicationRefused
from sync.metadata import canonical


class StoreSigner(Signer):
    """One Ed25519 key of a key store as a signer of metadata."""

    def __init__(self, store: KeyStore, name: str) -> None:
        """Signs with the key ``name`` of ``store``."""
        self._store = store
        self._name = name
        self._key = public_key_of(store.public_key(name))

    @classmethod
    def from_priv_key_uri(cls, *_arguments: Any, **_more: Any) -> Signer:
        """Not offered: keys come from a store, never from a URI."""
        raise PublicationRefused("keys come from a key store")

    @property
    def public_key(self) -> Key:
        """The public half."""
        return self._key

    def sign(self, payload: bytes) -> Signature:
        """Signs the canonical bytes of a metadata file."""
        return Signature(self._key.keyid, self._store.sign(self._name, payload).hex())


def public_key_of(public_key: bytes) -> SSlibKey:
    """An Ed25519 key as metadata names it: by the hash of its canonical form."""
    value = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public_key.hex()}}
    keyid = hashlib.sha256(canonical(value)).hexdigest()
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": public_key.hex()})
