"""Exceptions of key custody.

KeyStoreError
├── KeyUnknown              no key of that name
├── KeyExists               a key of that name is already there; erase it first
├── KeyKindWrong            the key cannot do what was asked, for example sign with an hmac key
├── SecretInvalid           an imported secret, a name or an identifier has the wrong form
├── DecryptionFailed        the blob is not for this key, is damaged, or is too large
└── StoreFault              the store as a whole cannot be used; nothing was changed
    ├── StoreLocked         the passphrase is wrong, or the file was tampered with
    ├── StoreMalformed      the file is not a key store of a version we know
    ├── StoreExposed        other users of the machine may read the file
    ├── StoreChanged        another process has rewritten the file since it was opened
    ├── StoreUnwritable     the file cannot be read or replaced
    ├── TokenMissing        no PKCS#11 module, or no such token in it
    ├── TokenIncapable      the token cannot hold or use a key of this kind
    └── TokenFault          the token failed, or holds what it should not
"""

from __future__ import annotations


class KeyStoreError(Exception):
    """Root of all errors raised by ``keys``; no message ever contains secret bytes."""


class KeyUnknown(KeyStoreError):
    """No key of that name is in the store."""


class KeyExists(KeyStoreError):
    """A key of that name is already in the store; it was left as it is."""


class KeyKindWrong(KeyStoreError):
    """The key is of a kind that cannot do what was asked."""


class SecretInvalid(KeyStoreError):
    """An imported secret, a key name or an identifier has the wrong form."""


class DecryptionFailed(KeyStoreError):
    """The blob is not for this key, is damaged, or is too large."""


class StoreFault(KeyStoreError):
    """The store as a whole cannot be used; nothing was changed."""


class StoreLocked(StoreFault):
    """The passphrase is wrong, or the file was tampered with; the two cannot be told apart."""


class StoreMalformed(StoreFault):
    """The file is not a key store of a version we know."""


class StoreExposed(StoreFault):
    """Other users of the machine may read the file."""


class StoreChanged(StoreFault):
    """Another process has rewritten the file since it was opened."""


class StoreUnwritable(StoreFault):
    """The operating system refused to read or replace the file."""


class TokenMissing(StoreFault):
    """The PKCS#11 module cannot be loaded, or has no such token, or the token was pulled out."""


class TokenIncapable(StoreFault):
    """The token cannot hold or use a key of this kind, or would let it be read."""


class TokenFault(StoreFault):
    """The token failed, or an object on it is not what it should be."""
