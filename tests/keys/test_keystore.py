"""One contract for every key store; what each adds stands in its own file."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from keys import age, operations
from keys.errors import (
    DecryptionFailed,
    KeyExists,
    KeyKindWrong,
    KeyStoreError,
    KeyUnknown,
    SecretInvalid,
)
from keys.keystore import KeyKind, KeyStore, MemoryKeyStore
from keys.passphrase import Argon2Cost, PassphraseKeyStore

QUICK = Argon2Cost(memory_kib=64, iterations=1, lanes=1)
PASSPHRASE = b"correct horse battery staple"

StoreFactory = Callable[[], KeyStore]


@pytest.fixture(params=["memory", "passphrase", "passphrase reopened", "pkcs11"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    """Makes stores; ``reopened`` gives one that came back from the disk before each test."""

    def build() -> KeyStore:
        if request.param == "memory":
            return MemoryKeyStore()
        if request.param == "pkcs11":
            token: KeyStore = request.getfixturevalue("token_store")
            return token
        store = PassphraseKeyStore(tmp_path / "keys", PASSPHRASE, cost=QUICK)
        if request.param.endswith("reopened"):
            store.generate("first", KeyKind.HMAC)
            store = PassphraseKeyStore(tmp_path / "keys", PASSPHRASE)
            store.erase("first")
        return store

    return build


@pytest.fixture
def store(make: StoreFactory) -> KeyStore:
    return make()


def test_signs_so_that_others_verify(store: KeyStore) -> None:
    store.generate("terminal", KeyKind.ED25519)
    public = Ed25519PublicKey.from_public_bytes(store.public_key("terminal"))
    signature = store.sign("terminal", b"message")
    public.verify(signature, b"message")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"messages")


def test_signs_the_vector_of_rfc_8032(store: KeyStore) -> None:
    """RFC 8032, 7.1, TEST 2."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    store.import_secret("test2", "ed25519", secret)
    assert store.public_key("test2").hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert store.sign("test2", b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_macs_like_the_standard_library(store: KeyStore) -> None:
    store.import_secret("card", KeyKind.HMAC, b"k" * 32)
    assert store.mac("card", b"data") == hmac.new(b"k" * 32, b"data", hashlib.sha256).digest()


def test_opens_what_age_encrypted_to_its_recipient(store: KeyStore) -> None:
    store.generate("server", KeyKind.X25519)
    recipient = pyrage.x25519.Recipient.from_str(store.recipient("server"))
    assert store.decrypt("server", pyrage.encrypt(b"batch", [recipient])) == b"batch"


def test_takes_an_identity_that_age_made(store: KeyStore) -> None:
    identity = pyrage.x25519.Identity.generate()
    secret = _bech32_payload(str(identity))
    store.import_secret("server", KeyKind.X25519, secret)
    assert store.recipient("server") == str(identity.to_public())
    assert age.identity_text(secret) == str(identity)
    blob = pyrage.encrypt(b"to the server", [identity.to_public()])
    assert store.decrypt("server", blob) == b"to the server"


@pytest.mark.parametrize("damage", ["other key", "flipped", "cut", "not age", "empty"])
def test_what_it_cannot_open_is_one_declared_error(store: KeyStore, damage: str) -> None:
    store.generate("server", KeyKind.X25519)
    store.generate("other", KeyKind.X25519)
    name = "other" if damage == "other key" else "server"
    blob = pyrage.encrypt(b"batch", [pyrage.x25519.Recipient.from_str(store.recipient(name))])
    changed = {
        "other key": blob,
        "flipped": blob[:-1] + bytes([blob[-1] ^ 1]),
        "cut": blob[:-20],
        "not age": b"PK\x03\x04",
        "empty": b"",
    }[damage]
    with pytest.raises(DecryptionFailed):
        store.decrypt("server", changed)


def test_a_blob_beyond_all_bounds(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BLOB_MAX_BYTES", 100)
    store.generate("server", KeyKind.X25519)
    with pytest.raises(DecryptionFailed, match="exceeds 100"):
        store.decrypt("server", bytes(101))


def test_names_are_sorted_and_erased_keys_are_gone(store: KeyStore) -> None:
    store.generate("b", KeyKind.HMAC)
    store.generate("a", KeyKind.ED25519)
    assert store.names() == ("a", "b")
    assert store.kind("a") is KeyKind.ED25519
    store.erase("b")
    assert store.names() == ("a",)
    with pytest.raises(KeyUnknown, match="b"):
        store.mac("b", b"")
    with pytest.raises(KeyUnknown):
        store.erase("b")
    store.generate("b", KeyKind.ED25519)
    assert len(store.sign("b", b"")) == 64


def test_an_erased_secret_is_overwritten() -> None:
    store = MemoryKeyStore()
    store.import_secret("card", KeyKind.HMAC, b"k" * 32)
    held = store._held["card"]
    store.erase("card")
    assert held.secret == bytes(32)


def test_a_taken_name_stays_as_it_is(store: KeyStore) -> None:
    store.generate("key", KeyKind.ED25519)
    before = store.public_key("key")
    with pytest.raises(KeyExists):
        store.generate("key", KeyKind.ED25519)
    with pytest.raises(KeyExists):
        store.import_secret("key", KeyKind.ED25519, bytes(32))
    assert store.public_key("key") == before


def test_a_key_of_one_kind_does_nothing_else(store: KeyStore) -> None:
    uses: dict[str, Callable[[str], object]] = {
        "ed25519": lambda name: store.sign(name, b""),
        "hmac": lambda name: store.mac(name, b""),
        "x25519": lambda name: store.decrypt(name, b""),
    }
    for kind in uses:
        store.generate(kind, kind)
    for kind, use in uses.items():
        for name in set(uses) - {kind}:
            with pytest.raises(KeyKindWrong, match=name):
                use(name)
    with pytest.raises(KeyKindWrong):
        store.public_key("hmac")
    with pytest.raises(KeyKindWrong):
        store.recipient("ed25519")


@pytest.mark.parametrize(
    ("name", "kind", "secret"),
    [
        ("UPPER", "hmac", bytes(32)),
        ("", "hmac", bytes(32)),
        ("../keys", "hmac", bytes(32)),
        ("a" * 65, "hmac", bytes(32)),
        ("a\n", "hmac", bytes(32)),
        ("a", "rsa", bytes(32)),
        ("a", "hmac", bytes(15)),
        ("a", "hmac", bytes(65)),
        ("a", "ed25519", bytes(31)),
        ("a", "x25519", bytes(33)),
    ],
)
def test_wrong_names_kinds_and_lengths(
    store: KeyStore, name: str, kind: str, secret: bytes
) -> None:
    with pytest.raises(SecretInvalid):
        store.import_secret(name, kind, secret)
    assert store.names() == ()


def test_no_public_means_shows_a_secret(store: KeyStore) -> None:
    secrets = {
        "ed25519": bytes(range(1, 33)),
        "x25519": bytes(range(33, 65)),
        "hmac": bytes(range(65, 97)),
    }
    for kind, secret in secrets.items():
        store.import_secret(kind, kind, secret)
    shown = [repr(store), str(store), f"{store}"]
    shown += [repr(getattr(store, name)) for name in dir(store) if not name.startswith("_")]
    for call in (store.public_key, store.recipient, store.kind):
        for kind in secrets:
            try:
                shown.append(repr(call(kind)))
            except KeyStoreError as error:
                shown.append(repr(error))
    text = "".join(shown)
    for secret in secrets.values():
        for form in (
            secret.hex(),
            repr(secret),
            repr(bytearray(secret)),
            age.identity_text(secret),
        ):
            assert form not in text
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(store)


@given(public=st.binary(min_size=32, max_size=32))
def test_recipients_are_what_age_reads(public: bytes) -> None:
    text = age.recipient_text(public)
    assert str(pyrage.x25519.Recipient.from_str(text)) == text


def test_age_texts_refuse_other_lengths() -> None:
    with pytest.raises(SecretInvalid):
        age.recipient_text(bytes(31))


def _bech32_payload(text: str) -> bytes:
    """A second reading of Bech32, only for this test."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = "".join(f"{alphabet.index(c):05b}" for c in text.lower().rpartition("1")[2][:-6])
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) // 8 * 8, 8))
